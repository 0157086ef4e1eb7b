"""The pages that ask before something is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstore.console._listing import JWT
from tokenstore.console._markup import counted, name
from tokenstore.console._owners import facts, kind_of, session_url

if TYPE_CHECKING:
    from tokenstore.console._pages import Context

__all__ = ["anonymous", "confirm"]


def confirm(data: dict[str, Any], context: Context) -> tuple[str, str]:
    """What will end, and a button."""
    owner = name(data["owner"])
    if data["what"] == "all":
        return _all(data, owner, context)
    row = data["row"]
    back = session_url("/session", row, context)
    action = session_url("/end", row, context, what=data["what"])
    if data["what"] == "one":
        said = f"<p>{name(row['device'])} of {owner} will have to log in again. Its {kind_of(row)} ends at once.</p>\n"
        own = '<p class="problem">This is the one that you are using.</p>\n' if row["this_one"] else ""
        content = said + own + facts(row, owner)
        return "End this session?", _asked("End this session?", content, "End it", action, back)
    if not data["others"]:
        return "There are no others", (
            f"<h1>There are no others</h1>\n<p>{name(row['device'])} is all that {owner} has in {kind_of(row)}.</p>\n"
            f'<p><a class="button" href="{back}">Back</a></p>\n'
        )
    others = counted(data["others"], f"other {_noun([row])}")
    content = (
        f"<p>{others} of {owner} in {kind_of(row)} will end. "
        f"{name(row['device'])} stays, and so does what {owner} has of other kinds.</p>\n"
    )
    return "End the others?", _asked("End the others?", content, f"End {others}", action, back)


def _all(data: dict[str, Any], owner: str, context: Context) -> tuple[str, str]:
    which = data["kind"] or {}
    total = counted(sum(count["tokens"] for count in data["counts"]), _noun(data["counts"]))
    items = "".join(f"<li>{kind_of(count)}: {counted(count['tokens'])}</li>" for count in data["counts"])
    content = f"<p>{total} of {owner} will end, on all devices:</p>\n<ul>{items}</ul>\n"
    back = context.url("/owner", owner=data["owner"], **which)
    action = context.url("/end", what="all", owner=data["owner"], **which)
    return "End all?", _asked("End all?", content, f"End {total}", action, back)


def _noun(kinds: list[dict[str, Any]]) -> str:
    """What they are called together."""
    return "session" if all(kind["type"] in ("session", JWT) for kind in kinds) else "token"


def _asked(title: str, content: str, button: str, action: str, back: str) -> str:
    return (
        f'<h1>{title}</h1>\n{content}<form class="choices" method="post" action="{action}">'
        f'<button class="danger">{button}</button><a class="button" href="{back}">Cancel</a></form>\n'
    )


def anonymous(data: dict[str, Any], context: Context) -> tuple[str, str]:
    """A token without an owner, which only itself can find."""
    return (
        "An anonymous token",
        "<h1>An anonymous token</h1>\n<p>It has no owner, so no listing has it, and only the token itself ends it: "
        f"<code>tokenstore revoke --stdin</code>.</p>\n{facts(data['row'], 'nobody')}",
    )
