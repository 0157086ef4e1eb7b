"""``completion``: scripts that complete the words of a command line, by shtab."""

from __future__ import annotations

from tokenstore._cli.common import Options, UsageError

__all__ = ["completion"]


def completion(options: Options) -> bool:
    """For one shell, on stdout."""
    try:
        import shtab
    except ImportError:
        raise UsageError(
            "completion needs the package shtab: pip install 'tokenstore[cli]'"
        ) from None
    from tokenstore._cli.parser import make_parser

    print(shtab.complete(make_parser("tokenstore"), shell=options.shell))
    return True
