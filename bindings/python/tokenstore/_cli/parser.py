"""The commands and their arguments."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tokenstore._cli.common import seconds_of
from tokenstore._core import __version__

__all__ = ["commands_of", "make_parser"]

_EPILOG = """exit status: 0 done; 1 not found, answered no, keys were skipped, or doctor found a danger; 2 wrong usage;
3 the server could not be reached or answered with an error; 130 interrupted"""

_MIGRATED = ("redis-tokens", "spots-sessions")


def _common() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--url", help="default: $TOKENSTORE_URL, else redis://localhost:6379")
    parent.add_argument(
        "--format",
        choices=("table", "json", "jsonl", "csv"),
        default="table",
        help="for people, or for programs: one JSON value, JSON lines, or CSV (default: %(default)s)",
    )
    parent.add_argument(
        "--json", dest="format", action="store_const", const="json", help="the same as --format json"
    )
    return parent


def _store() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--prefix", default="ts", help="prefix of the store's keys (default: %(default)s)")
    parent.add_argument(
        "--pepper-file", metavar="FILE", help="file with the store's pepper, without a newline"
    )
    return parent


def _audited() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--audit-stream",
        type=int,
        default=0,
        metavar="N",
        help="write what is done to the audit stream, which keeps about N events; the actor is cli:USER",
    )
    return parent


def _watched() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--watch", type=seconds_of, metavar="SECONDS", help="repeat it, every so many seconds, until Ctrl-C"
    )
    return parent


class _Commands:
    """Adds commands to a parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._choices = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
        self.common, self.store, self.watched, self.audited = _common(), _store(), _watched(), _audited()

    def add(
        self, name: str, run: str, help: str, *parents: argparse.ArgumentParser, names: Sequence[str] = ()
    ) -> argparse.ArgumentParser:
        """`run`: the module of _cli and the function; `names`: arguments that are required."""
        command = self._choices.add_parser(
            name, help=help, description=help, parents=[*parents, self.common], epilog=_EPILOG
        )
        for argument in names:
            command.add_argument(argument, metavar=argument.upper())
        command.set_defaults(run=run)
        return command


def make_parser(prog: str) -> argparse.ArgumentParser:
    """Of all commands."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="List, show, create, end and import tokens and sessions in Redis or Valkey, and examine the server.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"tokenstore {__version__}")
    commands = _Commands(parser)
    _add_server(commands)
    _add_counts(commands)
    _add_tokens(commands)
    _add_ends(commands)
    _add_migrate(commands)
    _add_jwt(commands)
    _add_console(commands)
    completion = commands.add("completion", "completion.completion", "Print a script that completes commands.")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish")
    return parser


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    [choices] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(choices.choices)


def _where(*parsers: argparse.ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument("where", nargs="?", metavar="URL", help="instead of --url")


def _add_server(commands: _Commands) -> None:
    doctor = commands.add(
        "doctor",
        "doctor.doctor",
        "Examine a server: what about it endangers sessions, and what to do.",
        commands.watched,
        commands.store,
    )
    doctor.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    ping = commands.add(
        "ping", "server.ping", "Check the connection, and measure the time of an answer.", commands.watched
    )
    bench = commands.add(
        "bench", "server.bench", "Measure get and create on this server, with tokens of its own.", commands.store
    )
    bench.add_argument(
        "--seconds", type=float, default=1.0, help="for each operation (default: %(default)s)"
    )
    events = commands.add(
        "events", "events.events", "Show sessions of RedisJWT that end, as it happens; or what the audit stream has."
    )
    events.add_argument(
        "--kea", action="store_true", help="let the server publish them: CONFIG SET notify-keyspace-events"
    )
    events.add_argument("--limit", type=int, metavar="N", help="stop after so many; of --audit the newest (default: 100)")
    events.add_argument("--audit", action="store_true", help="what the audit stream has, of the stores with this prefix")
    events.add_argument("--follow", action="store_true", help="of --audit also what comes later, until Ctrl-C")
    events.add_argument("--prefix", default="ts", help="prefix of the stream's key (default: %(default)s)")
    _where(doctor, ping, bench, events)


def _add_counts(commands: _Commands) -> None:
    owner = ("app", "type", "owner")
    stats = commands.add(
        "stats",
        "stats.stats",
        "Count owners and live tokens of each app and type, by SCAN.",
        commands.watched,
        commands.store,
    )
    _where(stats)
    commands.add(
        "owners",
        "stats.owners",
        "List the owners of an app and type, by SCAN, those with most tokens first.",
        *(commands.watched, commands.store),
        names=("app", "type"),
    )
    commands.add(
        "count", "tokens.count", "Count an owner's live tokens.", commands.watched, commands.store, names=owner
    )
    commands.add(
        "list", "tokens.list", "List an owner's live tokens.", commands.watched, commands.store, names=owner
    )


def _add_tokens(commands: _Commands) -> None:
    create = commands.add(
        "create",
        "tokens.create",
        "Create a token, and print it.",
        *(commands.store, commands.audited),
        names=("app", "type"),
    )
    create.add_argument("owner", nargs="?", metavar="OWNER", help="without one the token is anonymous")
    create.add_argument("--duration", type=seconds_of, help="90, 15m, 12h, 30d; default: no expiry")
    create.add_argument("--idle", type=seconds_of, metavar="DURATION", help="it ends when unused for so long")
    create.add_argument("--data", metavar="FILE", help="a JSON object, its data; - is stdin")
    rotate = commands.add(
        "rotate",
        "tokens.rotate",
        "Replace the token on stdin, and print the new one.",
        *(commands.store, commands.audited),
        names=("app", "type"),
    )
    rotate.add_argument("--stdin", action="store_true", help="the token is read from stdin in any case")
    rotate.add_argument("--duration", type=seconds_of, help="of the new token; default: what is left")
    rotate.add_argument(
        "--grace", type=seconds_of, metavar="DURATION", help="the old token finds the new one for so long"
    )
    rotate.add_argument("--dry-run", action="store_true", help="only say whether there is such a token")
    find = commands.add(
        "find",
        "finding.find",
        "Show whose the tokens on stdin are, one a line, without their app and type.",
        commands.store,
    )
    find.add_argument("--stdin", action="store_true", help="the tokens are read from stdin in any case")
    show = commands.add(
        "show", "tokens.show", "Show a token with its data.", commands.store, names=("app", "type")
    )
    _add_which(show)


def _add_which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("owner", nargs="?", metavar="OWNER")
    parser.add_argument("id", nargs="?", metavar="ID", type=str.strip, help="from list")
    parser.add_argument(
        "--stdin", action="store_true", help="read the token from stdin, instead of OWNER and ID"
    )


def _add_ends(commands: _Commands) -> None:
    revoke = commands.add(
        "revoke", "tokens.revoke", "End a token.", commands.store, commands.audited, names=("app", "type")
    )
    _add_which(revoke)
    everything = commands.add(
        "revoke-all",
        "tokens.revoke_all",
        "End all of an owner's tokens.",
        *(commands.store, commands.audited),
        names=("app", "type", "owner"),
    )
    everything.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    for command in (revoke, everything):
        command.add_argument("--dry-run", action="store_true", help="only say how many would end")


def _add_migrate(commands: _Commands) -> None:
    migrate = commands.add("migrate", "migrating.migrate", "Import other programs' keys.", commands.store)
    migrate.add_argument("source", choices=_MIGRATED, metavar="FORMAT", help=" or ".join(_MIGRATED))
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
    _where(migrate)


def _add_jwt(commands: _Commands) -> None:
    jwt = commands.add("jwt", "jwts.decode", "Show what the JWT on stdin says, and whether it is verified.")
    jwt.add_argument("action", choices=("decode",), metavar="decode")
    jwt.add_argument("--stdin", action="store_true", help="the JWT is read from stdin in any case")
    jwt.add_argument(
        "--key-file",
        metavar="FILE",
        help="a PEM, JWK or JWKS, or else a secret, byte for byte; default: the secret in $TOKENSTORE_JWT_SECRET",
    )
    jwt.add_argument("--jwks-url", metavar="URL", help="where the keys are published")
    jwt.add_argument(
        "--algorithm", action="append", metavar="ALG", help="the only ones accepted; default: those of the key"
    )
    jwt.add_argument("--audience", metavar="AUD", help="what aud must name; default: any")
    jwt.add_argument("--issuer", metavar="ISS", help="what iss must be; default: any")
    jwt.add_argument(
        "--leeway", type=seconds_of, default=0, metavar="SECONDS", help="how far exp and nbf may be off"
    )


def _add_console(commands: _Commands) -> None:
    console = commands.add(
        "console",
        "console.console",
        "Serve a console for the browser: find an owner, see its sessions, end them.",
        *(commands.store, commands.audited),
    )
    console.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)")
    console.add_argument("--port", type=int, default=0, help="default: a free one")
    console.add_argument("--read-only", action="store_true", help="it ends nothing")
    console.add_argument("--jwt", action="store_true", help="show sessions of RedisJWT too")
    console.add_argument(
        "--password-file", metavar="FILE", help="log in with the password in this file, instead of a link"
    )
    console.add_argument("--cert", metavar="FILE", help="serve HTTPS: the certificate, with its chain, as PEM")
    console.add_argument("--key", metavar="FILE", help="its key")
    console.add_argument(
        "--origin", metavar="URL", help="what browsers see, behind a proxy: https://admin.example"
    )
    console.add_argument("--actor", metavar="NAME", help="who ends sessions, for the audit; default: your login")
    _where(console)
