"""``events``: sessions of RedisJWT that end, as it happens; or the audit stream."""

from __future__ import annotations

import time
from typing import Any

from tokenstore._cli.audits import audit_events
from tokenstore._cli.common import Options, UsageError
from tokenstore._cli.output import is_for_people, print_csv_row, print_json
from tokenstore._cli.terminal import moment, plain
from tokenstore.client import Client
from tokenstore.session_events import SessionEvent, SessionEvents

__all__ = ["events"]

_NAMES = ("at", "kind", "id")

_WORDS = {"expired": "expired", "del": "ended"}


def events(options: Options) -> bool:
    """A line for each, until --limit or Ctrl-C."""
    if options.limit is not None and options.limit < 1:
        raise UsageError("--limit must be at least 1")
    if options.audit:
        return audit_events(options)
    if options.follow:
        raise UsageError("--follow is for --audit: without it, events are shown as they happen")
    if options.format == "json":
        raise UsageError("events never end, so there is no one JSON value: use --format jsonl")
    seen = 0
    with Client(options.url) as client, SessionEvents(client, kea=options.kea) as listener:
        if options.format == "csv":
            print(",".join(_NAMES), flush=True)
        for event in listener:
            _print(options, event)
            seen += 1
            if seen == options.limit:
                break
    return True


def _print(options: Options, event: SessionEvent) -> None:
    now = time.time()
    if event.kind == "gap":
        text = f"gap      events from {moment(event.lost_at)} to {moment(event.restored_at)} may be missing"
        record: dict[str, Any] = {"at": now, "kind": "gap", "lost_at": event.lost_at, "restored_at": event.restored_at}
    else:
        text = f"{_WORDS[event.kind]:<8} {plain(event.id)}"
        record = {"at": now, "kind": event.kind, "id": event.id}
    if is_for_people(options):
        print(f"{moment(now)}  {text}", flush=True)
    elif options.format == "jsonl":
        print_json(record)
    else:
        print_csv_row([record.get(name) for name in _NAMES])
