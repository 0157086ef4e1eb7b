"""The pages about all owners: how many there are, and what was done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tokenstore.console._chart import chart
from tokenstore.console._markup import counted, moment, name, table, text
from tokenstore.console._owners import kind_of

if TYPE_CHECKING:
    from tokenstore.console._pages import Context

__all__ = ["activity", "overview"]

_HOW_TO_AUDIT = (
    '<p class="hint">What was created and ended is shown here where the audit stream is on: '
    "<code>tokenstore.Client(url, audit_stream=10000)</code> in the applications, and <code>+xrevrange</code> for the user of "
    "this console.</p>\n"
)

# ---- overview ------------------------------------------------------------------------------------------


def overview(data: dict[str, Any], context: Context) -> tuple[str, str]:
    """Owners and tokens of each kind."""
    labels = ["App", "Type", "Owners", "Live tokens"] + ["Last 24 hours"] * data["audited"]
    kinds = '<p class="empty">No token has been created yet.</p>\n'
    if data["kinds"]:
        kinds = table("kinds", labels, [_cells(row, data["audited"]) for row in data["kinds"]])
    below = _legend(data) if data["audited"] else _HOW_TO_AUDIT
    return "Overview", f"<h1>Overview</h1>\n{_count_state(data, context)}{kinds}{below}"


def _cells(row: dict[str, Any], is_audited: bool) -> list[str]:
    cells = [name(row["app"]), name(row["type"]), counted(row["owners"]), counted(row["tokens"])]
    return [*cells, chart(row["created"], row["ended"])] if is_audited else cells


def _count_state(data: dict[str, Any], context: Context) -> str:
    if data["problem"] is not None:
        return f'<p class="problem">The keys could not be counted: {text(data["problem"])}</p>\n'
    if data["counted_at"] is None:
        return (
            '<p class="state" role="status">There are too many keys to count at once: these are the numbers so far. '
            f'<a href="{context.url("/")}">Count on</a></p>\n'
        )
    return (
        f'<p class="state">Counted {moment(data["counted_at"])} '
        f'<a href="{context.url("/", count="again")}">Count again</a></p>\n'
    )


def _legend(data: dict[str, Any]) -> str:
    later = ""
    if data["charts_begin_at"] > time.time() - (data["hours"] - 1) * 3600:
        later = f" They begin {moment(data['charts_begin_at'])}: before that there are too many events."
    return (
        '<p class="legend"><span class="key created"></span>created, upwards <span class="key ended"></span>ended, '
        f"downwards, hour by hour. What expires by itself is not counted.{later}</p>\n"
    )


# ---- activity ------------------------------------------------------------------------------------------

_LABELS = ("When", "What", "Owner", "Kind", "By")

_WORDS = {
    "created": "created",
    "rotated": "rotated",
    "ended": "ended",
    "reused": "reused: it may be stolen",
    "refused": "refused: too many",
    "used_after_end": "used after its end",
}


def activity(data: dict[str, Any], context: Context) -> tuple[str, str]:
    """The audit stream, backwards."""
    if not data["audited"]:
        return "Activity", f"<h1>Activity</h1>\n{_HOW_TO_AUDIT}"
    if not data["events"]:
        return "Activity", '<h1>Activity</h1>\n<p class="empty">There are no older events.</p>\n'
    more = ""
    if data["next"] is not None:
        url = context.url("/activity", after=data["next"])
        more = f'<nav class="pager" aria-label="Pages of events"><a rel="next" href="{url}">Older events</a></nav>\n'
    rows = [_event_cells(event, context) for event in data["events"]]
    return "Activity", f"<h1>Activity</h1>\n{table('events', _LABELS, rows)}{more}"


def _event_cells(event: dict[str, Any], context: Context) -> list[str]:
    owner = event["owner"]
    return [
        moment(event["at"]),
        _what(event),
        "–" if owner is None else f'<a href="{context.url("/owner", owner=owner)}">{name(owner)}</a>',
        "–" if event["type"] is None else kind_of(event),
        "–" if event["actor"] is None else name(event["actor"]),
    ]


def _what(event: dict[str, Any]) -> str:
    said = text(_WORDS.get(event["kind"], event["kind"]))
    if event["count"] != 1:
        said = f"{counted(event['count'])} {said}"
    if event["reason"] is not None:
        said += f' <span class="none">({text(event["reason"])})</span>'
    return f'<span class="alarm">{said}</span>' if event["kind"] == "reused" else f"<span>{said}</span>"
