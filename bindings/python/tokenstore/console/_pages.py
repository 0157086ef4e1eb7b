"""The pages as HTML: what stands around each, and which there are."""

from __future__ import annotations

from typing import Any, NamedTuple

from tokenstore.console import _ending, _numbers, _owners
from tokenstore.console._markup import attribute_url, name, text
from tokenstore.console._messages import Actor, Request, View
from tokenstore.console._static import ICON, STYLE

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


# ---- small pages ---------------------------------------------------------------------------------------


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
    "activity": _numbers.activity,
    "anonymous": _ending.anonymous,
    "confirm": _ending.confirm,
    "failure": _failure,
    "find": _find,
    "login": _login,
    "overview": _numbers.overview,
    "owner": _owners.owner,
    "session": _owners.session,
}
