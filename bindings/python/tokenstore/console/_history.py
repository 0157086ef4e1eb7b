"""What the audit stream says, where it is on."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from tokenstore.console._listing import Kind
from tokenstore.console._messages import Steps
from tokenstore.errors import ServerError

__all__ = ["HOURS", "LAST", "Recent", "last", "recent"]

HOURS = 24
LAST = 100  # events of a page
_AT_ONCE = 1000
_MOST = 5000  # events that the charts are of: with more in a day, they begin later


class Recent:
    """How many tokens of each kind were created and ended, by the hour."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._counts: Counter[tuple[str | None, str | None, str, int]] = Counter()
        self.is_on = False
        self.begins_at = now - HOURS * 3600

    def add(self, event: Any) -> None:
        """Of the last hours, in any order."""
        hours_ago = int((self._now - event.at) // 3600)
        if 0 <= hours_ago < HOURS:
            self._counts[event.app, event.type, event.kind, HOURS - 1 - hours_ago] += event.count

    def of(self, kind: Kind) -> dict[str, list[int]]:
        """The current hour is the last."""
        return {
            name: [self._counts[kind.app, kind.type, name, hour] for hour in range(HOURS)]
            for name in ("created", "ended")
        }


def recent(client: Any, prefix: str) -> Steps[Recent]:
    """Read backwards, until it is old enough, or enough."""
    found = Recent(time.time())
    after, read = None, 0
    while read < _MOST:
        events = yield from _page(client, prefix, after, _AT_ONCE)
        for event in events or ():
            found.add(event)
        found.is_on = found.is_on or bool(events)
        if not events or len(events) < _AT_ONCE or events[-1].at < found.begins_at:
            return found
        after, read = events[-1].entry, read + len(events)
        oldest = events[-1].at
    found.begins_at = oldest
    return found


def last(client: Any, prefix: str, after: str | None) -> Steps[list[dict[str, Any]] | None]:
    """A page, the newest first; None: there is no stream, or this user may not read it."""
    events = yield from _page(client, prefix, after, LAST)
    return None if events is None or not (events or after) else [event._asdict() for event in events]


def _page(client: Any, prefix: str, after: str | None, count: int) -> Steps[list[Any] | None]:
    try:
        events: list[Any] = yield client.audit_events(prefix, after=after, count=count, reverse=True)
    except ServerError:
        return None
    return events
