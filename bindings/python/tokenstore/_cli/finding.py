"""``find``: whose the tokens on stdin are, without their app and type."""

from __future__ import annotations

import sys
from typing import Any

from tokenstore._cli.common import Options, counted, open_store, read_token
from tokenstore._cli.output import Column, print_rows
from tokenstore._cli.terminal import moment
from tokenstore._cli.tokens import NAMES, as_record
from tokenstore._kinds import names_of_kind

__all__ = ["find"]

_AT_ONCE = 500  # tokens


def find(options: Options) -> bool:
    """Each line's token, by the number of the line; False if one of them is none, or has ended."""
    tokens = _lines()
    rows: dict[int, dict[str, Any]] = {}
    with open_store(options) as store:
        kinds = store.client.execute("HGETALL", f"{options.prefix}:kinds")
        for kind, text in zip(kinds[::2], kinds[1::2]):
            app, type = (name.encode(errors="surrogateescape") for name in names_of_kind(kind, text))
            for first in range(0, len(tokens), _AT_ONCE):
                part = tokens[first : first + _AT_ONCE]
                for number, found in enumerate(store.get_many(app, type, part), first + 1):
                    if found is not None:
                        whole = store.get(app, type, tokens[number - 1], expiry=True) or found
                        rows[number] = {"line": number, **as_record(whole)}
    print_rows(
        options,
        ("line", *NAMES),
        [rows[number] for number in sorted(rows)],
        [
            Column("LINE", lambda row: row["line"]),
            Column("APP", lambda row: row["app"], shrinks=True),
            Column("TYPE", lambda row: row["type"], shrinks=True),
            Column("OWNER", lambda row: "-" if row["owner"] is None else row["owner"], shrinks=True),
            Column("ID", lambda row: row["id"]),
            Column("CREATED", lambda row: moment(row["created_at"])),
            Column("EXPIRES", lambda row: moment(row["expires_at"])),
        ],
        "none is a live token",
    )
    missing = len(tokens) - len(rows)
    if rows and missing:
        print(f"tokenstore: {counted(missing, 'line')} without a live token", file=sys.stderr)
    return not missing


def _lines() -> list[bytes]:
    """Of stdin; on a terminal one, after a prompt."""
    if sys.stdin.isatty():
        return [read_token()]
    return sys.stdin.buffer.read().splitlines()
