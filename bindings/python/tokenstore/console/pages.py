"""The pages as HTML: what stands around each, and which there are."""

from __future__ import annotations

from typing import Any, NamedTuple

from tokenstore.console import ending, owners
from tokenstore.console.chart import chart
from tokenstore.console.markup import attribute_url, counted, moment, name, text
from tokenstore.console.messages import Actor, Request, View
from tokenstore.console.static import ICON, STYLE

__all__ = ["Context", "render"]


class Context(NamedTuple):
    """What a page depends on besides what it shows."""

    request: Request
    actor: Actor | None
    server: str
    logout_url: str | None = None

    def url(self, path: str, **query: Any) -> str:
        """Of a page of the console, for an attribute."""
        return attribute_url(self.request.base, path, query)


_NAVIGATION = (("/", "Overview"), ("/find", "Find a token"), ("/activity", "Activity"))


def render(view: View, context: Context) -> str:
    """The whole page."""
    title, content = _PAGES[view.name](view.data, context)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)} – tokenstore console</title>\n"
        f'<link rel="stylesheet" href="{context.url(STYLE)}">\n'
        f'<link rel="icon" type="image/svg+xml" href="{context.url(ICON)}">\n'
        '</head>\n<body>\n<a class="skip" href="#main">Skip to the content</a>\n'
        f'{_header(context)}<main id="main" tabindex="-1">\n{content}</main>\n{_footer(view, context)}</body>\n</html>\n'
    )


def _header(context: Context) -> str:
    brand = f'<img src="{context.url(ICON)}" alt="" width="24" height="24">tokenstore'
    if context.actor is None:
        return f'<header class="top"><p class="brand">{brand}</p></header>\n'
    links = "".join(_nav_link(path, title, context) for path, title in _NAVIGATION)
    return (
        f'<header class="top">\n<a class="brand" href="{context.url("/")}">{brand}</a>\n'
        f'<nav aria-label="Pages"><ul>{links}</ul></nav>\n{_search(context)}{_who(context, context.actor)}</header>\n'
    )


def _nav_link(path: str, title: str, context: Context) -> str:
    current = ' aria-current="page"' if context.request.path == path else ""
    return f'<li><a href="{context.url(path)}"{current}>{title}</a></li>'


def _search(context: Context) -> str:
    return (
        f'<form class="search" role="search" action="{context.url("/owner")}">'
        '<label for="owner" class="unseen">Owner</label>'
        '<input id="owner" name="owner" required maxlength="1024" placeholder="Owner, such as a user’s id" '
        'autocomplete="off" autocapitalize="none" spellcheck="false">'
        "<button>Find</button></form>\n"
    )


def _who(context: Context, actor: Actor) -> str:
    mode = ' <span class="badge">read-only</span>' if actor.read_only else ""
    leave = ""
    if context.logout_url is not None:
        leave = f'<form method="post" action="{text(context.logout_url)}"><button class="quiet">Log out</button></form>'
    return f'<div class="who"><p>{name(actor.name)}{mode}</p>{leave}</div>\n'


def _footer(view: View, context: Context) -> str:
    if context.actor is None:
        return ""
    as_json = ""
    if context.request.method == "GET" and view.status == 200:
        fields = {**context.request.query, "format": "json"}
        as_json = f'<a href="{attribute_url(context.request.base, context.request.path, fields)}">This page as JSON</a>'
    return f"<footer><p>{text(context.server)}</p><p>Times are in UTC.</p>{as_json}</footer>\n"


# ---- pages ---------------------------------------------------------------------------------------------


def _overview(data: dict[str, Any], context: Context) -> tuple[str, str]:
    rows = "".join(_kind_row(row, data) for row in data["kinds"])
    history = '<th scope="col">Last 24 hours</th>' if data["audited"] else ""
    table = (
        '<table class="kinds"><thead><tr><th scope="col">App</th><th scope="col">Type</th>'
        f'<th scope="col" class="number">Owners</th><th scope="col" class="number">Live tokens</th>{history}</tr></thead>'
        f"<tbody>{rows}</tbody></table>\n"
    )
    if not rows:
        table = '<p class="empty">No token has been created yet.</p>\n'
    hint = "" if data["audited"] else f"<p class=\"hint\">{_HOW_TO_AUDIT}</p>\n"
    return "Overview", f"<h1>Overview</h1>\n{_count_state(data, context)}{table}{_legend(data)}{hint}"


_HOW_TO_AUDIT = (
    "Charts of what was created and ended appear here where the audit stream is on: "
    "<code>tokenstore.Client(url, audit_stream=10000)</code> in the applications."
)


def _legend(data: dict[str, Any]) -> str:
    if not data["audited"] or not data["kinds"]:
        return ""
    return (
        '<p class="legend"><span class="key created"></span>created, upwards '
        '<span class="key ended"></span>ended, downwards; a bar is an hour</p>\n'
    )


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


def _kind_row(row: dict[str, Any], data: dict[str, Any]) -> str:
    history = ""
    if data["audited"]:
        history = f'<td data-label="Last 24 hours">{chart(row["created"], row["ended"])}</td>'
    return (
        f'<tr><th scope="row" data-label="App">{name(row["app"])}</th><td data-label="Type">{name(row["type"])}</td>'
        f'<td class="number" data-label="Owners">{counted(row["owners"])}</td>'
        f'<td class="number" data-label="Live tokens">{counted(row["tokens"])}</td>{history}</tr>\n'
    )


def _find(data: dict[str, Any], context: Context) -> tuple[str, str]:
    problem = ""
    if data["is_found"] is False:
        problem = '<p class="problem" role="alert">This is no live token of a kind that the server knows.</p>\n'
    return (
        "Find a token",
        "<h1>Find a token</h1>\n<p>Whose a token is, and of which session. It is sent in the body of the request, never in "
        f"an address, and shown on no page; to look it up is no use of it.</p>\n{problem}"
        f'<form class="find" method="post" action="{context.url("/find")}">'
        '<label for="token">Token or JWT</label>'
        '<textarea id="token" name="token" required rows="4" maxlength="8192" autocomplete="off" autocapitalize="none" '
        'spellcheck="false"></textarea><p><button class="main">Find its session</button></p></form>\n',
    )


def _activity(data: dict[str, Any], context: Context) -> tuple[str, str]:
    if not data["audited"]:
        return "Activity", f'<h1>Activity</h1>\n<p class="hint">{_HOW_TO_AUDIT}</p>\n'
    rows = "".join(_event_row(event, context) for event in data["events"])
    if not rows:
        return "Activity", '<h1>Activity</h1>\n<p class="empty">The audit stream is empty.</p>\n'
    return (
        "Activity",
        f'<h1>Activity</h1>\n<p class="state">The last {counted(len(data["events"]), "event")} of the audit stream.</p>\n'
        '<table class="events"><thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">Owner</th>'
        f'<th scope="col">Kind</th><th scope="col">By</th></tr></thead><tbody>{rows}</tbody></table>\n',
    )


def _event_row(event: dict[str, Any], context: Context) -> str:
    owner = event["owner"]
    link = "–" if owner is None else f'<a href="{context.url("/owner", owner=owner)}">{name(owner)}</a>'
    return (
        f'<tr><td data-label="When">{moment(event["at"])}</td><td data-label="What">{text(event["event"])}</td>'
        f'<td data-label="Owner">{link}</td><td data-label="Kind">{owners.kind_of(event)}</td>'
        f'<td data-label="By">{"–" if event["actor"] is None else name(event["actor"])}</td></tr>\n'
    )


def _login(data: dict[str, Any], context: Context) -> tuple[str, str]:
    if not data["by_password"]:
        content = "<p>Open the link that the console shows where it was started. Enter shows a new one there.</p>\n"
    else:
        content = (
            f'<form class="login" method="post" action="{context.url("/login")}"><label for="password">Password</label>'
            '<input id="password" name="password" type="password" required autocomplete="current-password">'
            ' <button class="main">Log in</button></form>\n'
        )
    return "Log in", f"<h1>Log in</h1>\n{content}"


_TITLES = {403: "Refused", 404: "Not found", 405: "Refused", 410: "Gone", 429: "Wait", 503: "The server is away"}


def _failure(data: dict[str, Any], context: Context) -> tuple[str, str]:
    title = _TITLES.get(data["status"], "This did not work")
    back = ""
    if context.actor is not None:
        back = f'<p><a href="{context.url("/")}">To the overview</a></p>\n'
    return title, f'<h1>{title}</h1>\n<p class="problem" role="alert">{text(data["reason"])}</p>\n{back}'


_PAGES = {
    "activity": _activity,
    "anonymous": ending.anonymous,
    "confirm": ending.confirm,
    "failure": _failure,
    "find": _find,
    "login": _login,
    "overview": _overview,
    "owner": owners.owner,
    "session": owners.session,
}
