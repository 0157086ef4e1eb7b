"""``python -m tokenstore``: the command line. docs/cli.md describes it."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence

from tokenstore import _cli
from tokenstore._core import __version__
from tokenstore.errors import ConfigurationError, Error
from tokenstore.migrate import FORMATS

DONE, NOT_FOUND, USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130

_EPILOG = """exit status: 0 done; 1 not found, answered no, or keys were skipped; 2 wrong usage; 3 the server could not
be reached or answered with an error; 130 interrupted"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tokenstore",
        description="List, show, end and import tokens and sessions in Redis or Valkey.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"tokenstore {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--url", help="default: $TOKENSTORE_URL, else redis://localhost:6379")
    common.add_argument("--json", action="store_true", help="print one JSON value, for programs")

    store = argparse.ArgumentParser(add_help=False)
    store.add_argument("--prefix", default="ts", help="prefix of the store's keys (default: %(default)s)")
    store.add_argument(
        "--pepper-file", metavar="FILE", help="file with the store's pepper, without a newline"
    )

    def add(
        name: str, help: str, *parents: argparse.ArgumentParser, names: Sequence[str] = ()
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=help, description=help, parents=[*parents, common], epilog=_EPILOG
        )
        for argument in names:
            command.add_argument(argument, metavar=argument.upper())
        command.set_defaults(run=getattr(_cli, name.replace("-", "_")))
        return command

    ping = add("ping", "Check the connection, and measure the time of an answer.")
    stats = add("stats", "Count owners and live tokens of each app and type, by SCAN.", store)
    add("list", "List an owner's live tokens.", store, names=("app", "type", "owner"))
    for name, help in (
        ("show", "Show a token with its data."),
        ("revoke", "End a token."),
    ):
        command = add(name, help, store, names=("app", "type"))
        command.add_argument("owner", nargs="?", metavar="OWNER")
        command.add_argument("id", nargs="?", metavar="ID", type=str.strip, help="from list")
        command.add_argument(
            "--stdin", action="store_true", help="read the token from stdin, instead of OWNER and ID"
        )
    everything = add(
        "revoke-all", "End all of an owner's tokens.", store, names=("app", "type", "owner")
    )
    everything.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    migrate = add("migrate", "Import other programs' keys.", store)
    migrate.add_argument("format", choices=FORMATS, metavar="FORMAT", help=" or ".join(FORMATS))
    migrate.add_argument("--dry-run", action="store_true", help="report only; write nothing")
    migrate.add_argument(
        "--batch", type=int, default=500, help="keys per round trip (default: %(default)s)"
    )
    migrate.add_argument(
        "--max-data-size",
        type=int,
        default=65536,
        metavar="BYTES",
        help="maximum size of a token's data as JSON; larger ones are skipped (default: %(default)s)",
    )
    for command in (ping, stats, migrate):
        command.add_argument("where", nargs="?", metavar="URL", help="instead of --url")
    return parser


def _shield_ids(argv: Sequence[str]) -> list[str]:
    """An id may begin with a dash and would be parsed as an option; with a leading blank it is not."""
    return [" " + w if re.fullmatch(r"-[\w-]{21}", w) else w for w in argv]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    parser = _parser()
    options = parser.parse_args(_shield_ids(sys.argv[1:] if argv is None else argv))
    if getattr(options, "where", None) is not None:
        options.url = options.where
    try:
        return DONE if options.run(options) else NOT_FOUND
    except (ConfigurationError, _cli.UsageError) as error:
        print(f"tokenstore: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (Error, OSError) as error:
        print(f"tokenstore: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("tokenstore: interrupted", file=sys.stderr)
        return INTERRUPTED


def _open_streams() -> None:
    """Open os.devnull for closed standard streams (``>&-``), which are None in Python."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - it must stay open


if __name__ == "__main__":
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # escape characters that the locale cannot encode
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())
