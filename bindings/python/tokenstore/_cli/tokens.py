"""The commands about single tokens and one owner's tokens."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from tokenstore._cli.common import (
    Options,
    UsageError,
    confirm,
    counted,
    open_store,
    read_file,
    read_token,
)
from tokenstore._cli.output import Column, is_for_people, print_answer, print_record, print_rows
from tokenstore._cli.terminal import moment
from tokenstore.errors import DataError
from tokenstore.tokens import RedisTokens
from tokenstore.values import Token

__all__ = ["NAMES", "as_record", "count", "create", "list", "revoke", "revoke_all", "rotate", "show"]

NAMES = ("app", "type", "owner", "id", "sid", "created_at", "seen_at", "expires_at", "request", "data")
"""What programs are shown of a token: not its secret."""


def list(options: Options) -> bool:
    """An owner's live tokens, newest first."""
    with open_store(options) as store:
        rows = [as_record(token) for token in _listed(store, options)]
    print_rows(
        options,
        NAMES,
        rows,
        [
            Column("ID", lambda row: row["id"]),
            Column("CREATED", lambda row: moment(row["created_at"])),
            Column("LAST SEEN", _seen),
            Column("EXPIRES", lambda row: moment(row["expires_at"])),
            Column("ADDRESS", lambda row: _who(row, "address")),
            Column("USER AGENT", lambda row: _who(row, "user_agent"), shrinks=True),
        ],
        "this owner has no live tokens",
    )
    return True


def show(options: Options) -> bool:
    """One token with its data: by its id, or by itself from stdin."""
    _check_which(options)
    with open_store(options) as store:
        token = _the_one(store, options)
    print_record(
        options,
        NAMES,
        None if token is None else as_record(token),
        lambda row: (
            *((name, str(row[name])) for name in ("app", "type", "owner", "id")),
            ("created", moment(row["created_at"])),
            ("seen", _seen(row)),
            ("expires", moment(row["expires_at"])),
            ("address", _who(row, "address")),
            ("agent", _who(row, "user_agent")),
            ("data", json.dumps(row["data"], ensure_ascii=False)),
        ),
    )
    return _found(options, token is not None)


def count(options: Options) -> bool:
    """How many live tokens an owner has."""
    with open_store(options) as store:
        live = store.count(options.app, options.type, options.owner)
    print_answer(options, {"count": live}, str(live))
    return True


def create(options: Options) -> bool:
    """A new token, which is printed."""
    data = None if options.data is None else _data_of(read_file(options.data))
    with open_store(options) as store:
        try:
            made = store.create(
                options.app, options.type, options.owner, data, options.duration, idle=options.idle
            )
        except DataError as error:
            raise UsageError(str(error)) from None
    _print_new(options, made)
    return True


def rotate(options: Options) -> bool:
    """A new token in the place of the one from stdin, which is printed."""
    with open_store(options) as store:
        token = read_token()
        if options.dry_run:
            would = store.get(options.app, options.type, token) is not None
            if would:
                print_answer(options, {"dry_run": True, "would_end": 1}, "would rotate 1 token")
            return _found(options, would)
        made = store.rotate(options.app, options.type, token, options.duration, grace=options.grace)
    if made is None:
        return _found(options, False)
    _print_new(options, made)
    return True


def revoke(options: Options) -> bool:
    """End one token: by its id, or by itself from stdin."""
    _check_which(options)
    with open_store(options) as store:
        if options.dry_run:
            ended = _the_one(store, options) is not None
        elif options.stdin:
            ended = store.delete(options.app, options.type, read_token())
        else:
            ended = store.delete_by_id(options.app, options.type, options.owner, options.id)
    if ended or not is_for_people(options):
        _print_ended(options, int(ended))
    return _found(options, ended)


def revoke_all(options: Options) -> bool:
    """End all of an owner's tokens, after confirmation."""
    with open_store(options) as store:
        if options.dry_run:
            ended = store.count(options.app, options.type, options.owner)
        elif not options.yes and not confirm(store.count(options.app, options.type, options.owner)):
            print("tokenstore: nothing was ended", file=sys.stderr)
            return False
        else:
            ended = store.delete_all(options.app, options.type, options.owner)
    _print_ended(options, ended)
    return True


def as_record(token: Token) -> dict[str, Any]:
    """A token without its secret."""
    return {name: getattr(token, name) for name in NAMES}


def _data_of(content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise UsageError("--data: the file must contain a JSON object")
    return data


def _print_ended(options: Options, ended: int) -> None:
    if options.dry_run:
        print_answer(options, {"dry_run": True, "would_end": ended}, f"would end {counted(ended)}")
    else:
        print_answer(options, {"ended": ended}, f"ended {counted(ended)}")


def _print_new(options: Options, token: Token) -> None:
    """The token alone, or with all that programs want to know."""
    print_answer(options, {"token": token.token, **as_record(token)}, str(token.token))


def _check_which(options: Options) -> None:
    """OWNER and ID, or --stdin and neither."""
    if options.stdin and options.owner is not None:
        raise UsageError("give OWNER and ID, or --stdin, not both")
    if not options.stdin and options.id is None:
        raise UsageError("give OWNER and ID, as list shows it, or --stdin and the token there")


def _the_one(store: RedisTokens, options: Options) -> Token | None:
    if options.stdin:
        return store.get(options.app, options.type, read_token(), expiry=True)
    return store.get_by_id(options.app, options.type, options.owner, options.id)


_PAGE = 500  # tokens: with maximum data, half of max_reply_size


def _listed(store: RedisTokens, options: Options) -> Iterator[Token]:
    """An owner's tokens, however many."""
    after = None
    while page := store.list(options.app, options.type, options.owner, limit=_PAGE, after=after):
        yield from page
        after = page[-1].id
        if len(page) < _PAGE:
            return


def _found(options: Options, found: bool) -> bool:
    if not found and is_for_people(options):
        print("tokenstore: there is no such token", file=sys.stderr)
    return found


def _seen(row: dict[str, Any]) -> str:
    return "-" if row["seen_at"] is None else moment(row["seen_at"])


def _who(row: dict[str, Any], name: str) -> str:
    """Address or user agent."""
    return (row["request"] or {}).get(name) or "-"
