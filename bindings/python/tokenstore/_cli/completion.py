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
    from tokenstore._cli.parser import commands_of, make_parser

    parser = make_parser("tokenstore")
    for command in (parser, *commands_of(parser).values()):
        for action in command._actions:
            if action.metavar == "FILE":
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=options.shell))
    return True
