"""The commands of ``python -m tokenstore``.

Each function takes the parsed options, prints to stdout, and returns whether it found anything. A token is
never read from the command line, which all users of the machine can see.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from tokenstore import _core, _terminal
from tokenstore import migrate as _migrate
from tokenstore._terminal import moment, plain, print_table
from tokenstore._walk import walk
from tokenstore.client import Client
from tokenstore.tokens import RedisTokens
from tokenstore.values import Token

Options = argparse.Namespace


class UsageError(Exception):
    """An invalid combination of arguments."""


def ping(options: Options) -> bool:
    """Connect, then time one reply."""
    with Client(options.url) as client:
        client.ping()
        began = time.perf_counter()
        client.ping()
        took = (time.perf_counter() - began) * 1000
        if options.json:
            _print_json({"url": client.url, "milliseconds": round(took, 3)})
        else:
            print(f"{plain(client.url)} answered in {took:.2f} ms")
    return True


def list(options: Options) -> bool:
    """An owner's live tokens, newest first."""
    with _store(options) as store:
        tokens = [*_listed(store, options)]
    if options.json:
        _print_json([_as_json(token) for token in tokens])
    else:
        _print_rows(
            ("ID", "CREATED", "LAST SEEN", "EXPIRES", "ADDRESS", "USER AGENT"),
            [
                (t.id, moment(t.created_at), _seen(t), moment(t.expires_at), *_who(t))
                for t in tokens
            ],
            "this owner has no live tokens",
            names=(5,),
        )
    return True


def show(options: Options) -> bool:
    """One token with its data: by its id, or by itself from stdin."""
    _check_which(options)
    with _store(options) as store:
        if options.stdin:
            token = store.get(options.app, options.type, _read_token(), expiry=True)
        else:
            token = next((t for t in _listed(store, options) if t.id == options.id), None)
    if options.json:
        _print_json(None if token is None else _as_json(token))
    elif token is not None:
        for name, value in (
            ("app", token.app),
            ("type", token.type),
            ("owner", token.owner),
            ("id", token.id),
            ("created", moment(token.created_at)),
            ("seen", _seen(token)),
            ("expires", moment(token.expires_at)),
            ("address", _who(token)[0]),
            ("agent", _who(token)[1]),
            ("data", json.dumps(token.data, ensure_ascii=False)),
        ):
            print(f"{name:<8} {plain(value)}")
    return _found(options, token is not None)


def revoke(options: Options) -> bool:
    """End one token: by its id, or by itself from stdin."""
    _check_which(options)
    with _store(options) as store:
        if options.stdin:
            ended = store.delete(options.app, options.type, _read_token())
        else:
            ended = store.delete_by_id(options.app, options.type, options.owner, options.id)
    if options.json:
        _print_json({"ended": int(ended)})
    elif ended:
        print("ended 1 token")
    return _found(options, ended)


def revoke_all(options: Options) -> bool:
    """End all of an owner's tokens, after confirmation."""
    with _store(options) as store:
        if not options.yes and not _confirm(store.count(options.app, options.type, options.owner)):
            print("tokenstore: nothing was ended", file=sys.stderr)
            return False
        ended = store.delete_all(options.app, options.type, options.owner)
    if options.json:
        _print_json({"ended": ended})
    else:
        print(f"ended {ended} token{'' if ended == 1 else 's'}")
    return True


# ---- stats ------------------------------------------------------------------------------------------


_ROUND = 1000  # keys that a SCAN looks at, about
_KIND = 4  # characters of a key that say which app and type it is of
_LOCATOR = 16


def stats(options: Options) -> bool:
    """Owners and live tokens of each app and type, counted in the owners' hashes."""
    head = options.prefix + ":"
    match = re.sub(r"([\\*?\[\]^])", r"\\\1", head) + "?" * (_KIND + _LOCATOR)
    size = len(head.encode(errors="surrogateescape"))
    counts: dict[str, dict[bytes, Any]] = {}  # by primary and kind
    with _store(options) as store, closing(_terminal.Counter("keys looked at")) as counter:
        client = store.client
        for node, found in walk(client, match, _ROUND):
            if found is None:
                counts.pop(node, None)
                continue
            counter.add(_ROUND)
            keys = [*dict.fromkeys(found)]
            for key, (_, live, lasting) in zip(keys, store._driver.run(_core.tally(store._ops.store, keys))):
                row = counts.setdefault(node, {}).setdefault(key[size : size + _KIND], dict.fromkeys(_COUNTED, 0))
                row["owners"] += live > 0
                row["tokens"] += live
                row["lasting"] += lasting
        sums = _sums([*counts.values()])
        names = _names_of_kinds(client, head + "kinds", [*sums])
    rows = [{"app": app, "type": type, **row} for (app, type), row in sorted(zip(names, sums.values()))]
    if options.json:
        _print_json(rows)
    else:
        _print_rows(
            ("APP", "TYPE", "OWNERS", "TOKENS", "WITHOUT EXPIRY"),
            [(r["app"], r["type"], r["owners"], r["tokens"], r["lasting"]) for r in rows],
            f"there are no tokens with the prefix {options.prefix}",
            names=(0, 1),
        )
    return True


_COUNTED = ("owners", "tokens", "lasting")


def _sums(tables: Sequence[dict[bytes, dict[str, int]]]) -> dict[bytes, dict[str, int]]:
    """Over all primaries, by kind."""
    kinds = dict.fromkeys(kind for table in tables for kind in table)
    return {
        kind: {name: sum(table[kind][name] for table in tables if kind in table) for name in _COUNTED}
        for kind in kinds
    }


def _names_of_kinds(client: Client, registry: str, kinds: Sequence[bytes]) -> Sequence[tuple[str, str]]:
    """App and type of each kind."""
    texts = client.execute("HMGET", registry, *kinds) if kinds else []
    return [_names_of_kind(kind, text) for kind, text in zip(kinds, texts)]


def _names_of_kind(kind: bytes, text: bytes | None) -> tuple[str, str]:
    """One that is not registered, which an ACL may forbid, is shown as such."""
    if text is None:
        return f"(kind {kind.decode()})", "?"
    app, type = text.decode(errors="surrogateescape")[2:-2].split('","')
    return json.loads(f'"{app}"'), json.loads(f'"{type}"')


# ---- migrate ----------------------------------------------------------------------------------------


def migrate(options: Options) -> bool:
    """Move another program's keys; False if some were skipped."""
    with Client(options.url) as client:
        progress = _Lines() if options.json else _progress(options, client)
        try:
            report = _migrate.run(
                options.format,
                client,
                prefix=options.prefix,
                pepper=_pepper(options),
                max_data_size=options.max_data_size,
                batch=options.batch,
                dry_run=options.dry_run,
                progress=progress,
            )
        finally:
            progress.close()
    if options.json:
        _print_json(asdict(report))
    else:
        for odd in report.odd:
            print(f"skipped: {plain(odd.key)}: {odd.reason}")
        if report.odd_count > len(report.odd):
            print(f"skipped: {report.odd_count - len(report.odd)} more")
        print(_summary(report))
    return report.odd_count == 0 and report.complete


def _summary(report: _migrate.Report) -> str:
    done = "would move" if report.dry_run else "moved"
    return (
        f"{done} {report.moved}, late updates {report.updated}, ended meanwhile {report.gone}, "
        f"skipped {report.odd_count}, in {report.seconds:.1f} s"
        + ("" if report.complete else "; writers still add keys: run it again")
    )


class _Lines:
    """Progress as occasional lines."""

    _INTERVAL = 5.0  # seconds

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, report: _migrate.Report) -> None:
        if time.monotonic() - self._last >= self._INTERVAL:
            self._last = time.monotonic()
            print(_summary(report).partition(";")[0], file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing to do."""


class _Bar:
    """Progress with tqdm; the keys are counted first."""

    def __init__(self, tqdm: Any, client: Client, match: str) -> None:
        total = 0
        with closing(_terminal.Counter("keys looked at")) as counter:
            for _, keys in walk(client, match, _ROUND):
                counter.add(_ROUND)
                total += len(keys or ())
        self._bar = tqdm(total=total, unit=" keys")

    def __call__(self, report: _migrate.Report) -> None:
        done = report.moved + report.updated + report.gone + report.odd_count
        self._bar.total = max(self._bar.total, done)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def _progress(options: Options, client: Client) -> _Lines | _Bar:
    """A bar on a terminal if tqdm is installed, else lines. Both on stderr."""
    if not sys.stderr.isatty():
        return _Lines()
    try:
        from tqdm import tqdm
    except ImportError:
        return _Lines()
    return _Bar(tqdm, client, _migrate.FORMATS[options.format].match)


# ---- shared functions -------------------------------------------------------------------------------


def _pepper(options: Options) -> bytes | None:
    if options.pepper_file is None:
        return None
    with open(options.pepper_file, "rb") as file:
        return file.read()


_NAME_MAX = 1024  # bytes


def _store(options: Options) -> RedisTokens:
    for argument in ("app", "type", "owner"):
        name = getattr(options, argument, None)
        if name is not None and not 1 <= len(os.fsencode(name)) <= _NAME_MAX:
            raise UsageError(f"{argument.upper()} must be 1 to {_NAME_MAX} bytes")
    return RedisTokens(options.url, prefix=options.prefix, pepper=_pepper(options))


def _check_which(options: Options) -> None:
    """OWNER and ID, or --stdin and neither."""
    if options.stdin and options.owner is not None:
        raise UsageError("give OWNER and ID, or --stdin, not both")
    if not options.stdin and options.id is None:
        raise UsageError("give OWNER and ID, as list shows it, or --stdin and the token there")


def _read_token() -> bytes:
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("token: ").encode(errors="surrogateescape")
    return sys.stdin.buffer.readline().rstrip(b"\r\n")


_PAGE = 500  # tokens: with maximum data, half of max_reply_size


def _listed(store: RedisTokens, options: Options) -> Iterator[Token]:
    """An owner's tokens, however many."""
    after = None
    while page := store.list(options.app, options.type, options.owner, limit=_PAGE, after=after):
        yield from page
        after = page[-1].id
        if len(page) < _PAGE:
            return


def _confirm(count: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("no terminal to confirm on: give --yes")
    many = f"{count} token{'' if count == 1 else 's'}"
    print(f"end {many}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _found(options: Options, found: bool) -> bool:
    if not found and not options.json:
        print("tokenstore: there is no such token", file=sys.stderr)
    return found


def _seen(token: Token) -> str:
    return "-" if token.seen_at is None else moment(token.seen_at)


def _who(token: Token) -> tuple[str, str]:
    """Address and user agent."""
    request = token.request or {}
    return request.get("address") or "-", request.get("user_agent") or "-"


def _as_json(token: Token) -> dict[str, Any]:
    """A token without its secret."""
    names = ("app", "type", "owner", "id", "sid", "created_at", "seen_at", "expires_at", "request", "data")
    return {name: getattr(token, name) for name in names}


def _print_json(value: Any) -> None:
    # ASCII only, so that bytes that are not UTF-8 can be written too.
    print(json.dumps(value))


def _print_rows(
    head: Sequence[str], rows: Sequence[Sequence[Any]], if_none: str, names: Sequence[int] = ()
) -> None:
    if rows:
        print_table(head, rows, names)
    else:
        print(f"tokenstore: {plain(if_none)}", file=sys.stderr)
