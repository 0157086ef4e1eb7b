"""``doctor``: what about a server endangers sessions, and what to do.

``checks.py`` has the table of checks. Each asks a ``Patient``, which remembers the server's answers, and yields
findings. Nothing is written to the server.
"""

from __future__ import annotations

from tokenstore._cli.common import Options
from tokenstore._cli.doctor.checks import examine
from tokenstore._cli.doctor.finding import DANGER, WARNING
from tokenstore._cli.doctor.patient import Patient
from tokenstore._cli.doctor.show import show

__all__ = ["doctor"]


def doctor(options: Options) -> bool:
    """All checks. False if one of them found a danger, or with --strict a warning."""
    with Patient(options.url, options.prefix) as patient:
        findings = [*examine(patient)]
    show(options, findings)
    bad = (DANGER, WARNING) if options.strict else (DANGER,)
    return not any(finding.verdict in bad for finding in findings)
