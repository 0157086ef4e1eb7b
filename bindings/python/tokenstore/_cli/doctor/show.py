"""Findings for people, in as many columns as there are, and for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tokenstore._cli.common import Options, counted
from tokenstore._cli.doctor.finding import DANGER, NOTE, OK, UNKNOWN, WARNING, Finding
from tokenstore._cli.output import is_for_people, print_rows
from tokenstore._cli.paint import paint
from tokenstore._cli.terminal import columns, plain

__all__ = ["show"]

# A word says what the colour does; blue and orange are told apart by everybody.
_STYLES = {OK: "blue", NOTE: "cyan", UNKNOWN: "cyan", WARNING: "bold yellow", DANGER: "bold reverse"}
_WORDS = {OK: "ok", NOTE: "note", UNKNOWN: "unknown", WARNING: "WARNING", DANGER: "DANGER"}
_WIDE = max(map(len, _WORDS.values()))
_MOST = 100  # columns; longer lines are hard to read

_NAMES = ("check", "verdict", "found", "meaning", "advice")


def show(options: Options, findings: Sequence[Finding]) -> None:
    """Each with what it means and what to do; then a summary."""
    if not is_for_people(options):
        rows = [{name: getattr(finding, name) for name in _NAMES} for finding in findings]
        print_rows(options, _NAMES, rows, (), "")
        return
    for finding in findings:
        first, *more = _wrapped(f"{finding.check}: {finding.found}", _WIDE + 2)
        paint((f"{_WORDS[finding.verdict]:<{_WIDE}}", _STYLES[finding.verdict]), (first[_WIDE:], ""))
        for line in more:
            print(line)
        for title, text in (("Why: ", finding.meaning), ("Do: ", finding.advice)):
            for line in _wrapped(title + text, _WIDE + 2) if text else ():
                print(line)
    print(_summary(findings))


def _wrapped(text: str, indent: int) -> list[str]:
    """Not in a pipe or a file, where programs look for lines."""
    text, most = " " * indent + plain(text), columns()
    if most is None:
        return [text]
    wide = max(indent + 10, min(most, _MOST))
    return textwrap.wrap(text, wide, subsequent_indent=" " * indent, break_on_hyphens=False)


def _summary(findings: Sequence[Finding]) -> str:
    dangers, warnings = (sum(f.verdict == verdict for f in findings) for verdict in (DANGER, WARNING))
    if not dangers and not warnings:
        return "no complaints"
    return f"{counted(dangers, 'danger')}, {counted(warnings, 'warning')}"
