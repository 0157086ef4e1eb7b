"""``tokenstore`` and ``python -m tokenstore``: the command line. docs/reference/cli.md describes it."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module

from tokenstore._cli.common import Options, UsageError
from tokenstore._cli.parser import make_parser
from tokenstore.audit import acting
from tokenstore.errors import ConfigurationError, Error

DONE, NOT_FOUND, USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: Sequence[str] | None = None, prog: str = "tokenstore") -> int:
    """Run one command; return its exit status."""
    options = make_parser(prog).parse_args(_shield_ids(sys.argv[1:] if argv is None else argv))
    if getattr(options, "where", None) is not None:
        options.url = options.where
    module, _, function = options.run.partition(".")
    run = getattr(import_module(f"tokenstore._cli.{module}"), function)
    try:
        watch = getattr(options, "watch", None)
        return _once(run, options) if watch is None else _watch(run, options, watch)
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print("tokenstore: interrupted", file=sys.stderr)
        return INTERRUPTED


def _shield_ids(argv: Sequence[str]) -> list[str]:
    """An id may begin with a dash and would be parsed as an option; with a leading blank it is not."""
    return [" " + w if re.fullmatch(r"-[\w-]{21}", w) else w for w in argv]


def _actor(options: Options) -> str | None:
    """Who acts, for the audit stream."""
    if not getattr(options, "audit_stream", 0):
        return None
    import getpass

    return f"cli:{getpass.getuser()}"


def _once(run: Callable[[Options], bool], options: Options) -> int:
    try:
        with acting(_actor(options)):
            return DONE if run(options) else NOT_FOUND
    except (ConfigurationError, UsageError) as error:
        print(f"tokenstore: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        raise
    except (Error, OSError) as error:
        print(f"tokenstore: {error}", file=sys.stderr)
        return FAILED


def _watch(run: Callable[[Options], bool], options: Options, pause: float) -> int:
    """Again and again, on a terminal on a cleared screen. A server that is away may come back; wrong usage stays."""
    while (status := _once(_cleared(run), options)) != USAGE:
        sys.stdout.flush()
        time.sleep(pause)
    return status


def _cleared(run: Callable[[Options], bool]) -> Callable[[Options], bool]:
    def run_on_a_cleared_screen(options: Options) -> bool:
        if sys.stdout.isatty():
            print("\x1b[H\x1b[2J", end="")
        return run(options)

    return run_on_a_cleared_screen


def _open_streams() -> None:
    """Open os.devnull for closed standard streams (``>&-``), which are None in Python."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - it must stay open


def entry(prog: str = "tokenstore") -> int:
    """The console script."""
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # escape characters that the locale cannot encode
        sys.stdout.reconfigure(errors="backslashreplace")
    return main(prog=prog)


if __name__ == "__main__":
    sys.exit(entry("python -m tokenstore"))
