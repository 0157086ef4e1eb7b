"""``events --audit``: what the audit stream has, and what is added to it."""

from __future__ import annotations

import sys
import time

from tokenstore._cli.common import Options, UsageError
from tokenstore._cli.output import Column, Row, is_for_people, print_csv_row, print_json, print_rows
from tokenstore._cli.terminal import moment, plain
from tokenstore.audit import AuditEvent
from tokenstore.client import Client

__all__ = ["audit_events"]

_NAMES = tuple(name for name in AuditEvent._fields if name != "entry")

_PAGE = 1000
_PAUSE = 1.0  # seconds between two looks at the stream


def audit_events(options: Options) -> bool:
    """The newest --limit events, oldest first; with --follow also the later ones, until Ctrl-C."""
    if options.kea:
        raise UsageError("--kea is for the sessions of RedisJWT that end: it has no use with --audit")
    if options.follow and options.format == "json":
        raise UsageError("events never end, so there is no one JSON value: use --format jsonl")
    with Client(options.url) as client:
        events = client.audit_events(options.prefix, count=options.limit or 100, reverse=True)[::-1]
        print_rows(
            options,
            _NAMES,
            [row_of(event) for event in events],
            [
                Column("TIME", lambda row: moment(row["at"])),
                Column("KIND", lambda row: row["kind"]),
                Column("OWNER", lambda row: plain(row["owner"] or "-"), shrinks=True),
                Column("APP", lambda row: plain(row["app"] or "-"), shrinks=True),
                Column("TYPE", lambda row: plain(row["type"] or "-"), shrinks=True),
                Column("N", lambda row: row["count"]),
                Column("REASON", lambda row: row["reason"] or "-"),
                Column("ACTOR", lambda row: plain(row["actor"] or "-"), shrinks=True),
                Column("SID", lambda row: plain(row["sid"] or "-"), shrinks=True),
            ],
            "the audit stream is empty: clients write to it with the option audit_stream",
        )
        if options.follow:
            _follow(client, options, events[-1].entry if events else None)
    return True


def row_of(event: AuditEvent) -> Row:
    """With all its names, also those that say nothing."""
    return {name: getattr(event, name) for name in _NAMES}


def _follow(client: Client, options: Options, after: str | None) -> None:
    sys.stdout.flush()  # the table, before the first pause
    while True:
        for event in client.audit_events(options.prefix, after=after, count=_PAGE):
            after = event.entry
            _print(options, event)
        time.sleep(_PAUSE)


def _print(options: Options, event: AuditEvent) -> None:
    if options.format == "jsonl":
        print_json(row_of(event))
    elif is_for_people(options):
        of = "/".join(name for name in (event.app, event.type, event.owner) if name)
        words = [f"{event.kind:<14}", of, event.reason, event.actor and f"by {event.actor}", event.sid]
        print(f"{moment(event.at)}  {plain('  '.join(word for word in words if word))}", flush=True)
    else:
        print_csv_row(row_of(event).values())
