"""The pages of an owner and of one of its sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstore.console._markup import counted, moment, name, table, text

if TYPE_CHECKING:
    from tokenstore.console._pages import Context

__all__ = ["kind_of", "owner", "session", "session_url"]


def kind_of(row: dict[str, Any]) -> str:
    """App and type."""
    if row["app"] is None:
        return name(row["type"])
    return f'<span>{name(row["app"])} <span class="slash">/</span> {name(row["type"])}</span>'


def session_url(path: str, row: dict[str, Any], context: Context, **more: Any) -> str:
    """Of a page about one; by its sid, which rotations keep."""
    which = {"app": row["app"], "type": row["type"], "owner": row["owner"], "id": row["sid"] or row["id"]}
    return context.url(path, **which, **more)


def owner(data: dict[str, Any], context: Context) -> tuple[str, str]:
    """All that an owner has, in pages."""
    total = sum(count["tokens"] for count in data["counts"])
    parts = [f"<h1>{name(data['owner'])}</h1>\n", _notice(data), _summary(total, data, context)]
    if data["rows"]:
        single = {(count["app"], count["type"]) for count in data["counts"] if count["tokens"] == 1}
        parts += [_table(data["rows"], single, context), _pager(data, context)]
    elif total:
        parts.append('<p class="empty">Nothing of this kind is live.</p>\n')
    return data["owner"], "".join(parts)


def _notice(data: dict[str, Any]) -> str:
    if data["ended"] is None:
        return ""
    return f'<p class="notice" role="status">{counted(data["ended"])} ended.</p>\n'


def _summary(total: int, data: dict[str, Any], context: Context) -> str:
    if not total:
        return '<p class="empty">This owner has no live token or session.</p>\n'
    chosen = data["kind"]
    links = [_kind_link("All", total, None, data, context)] if len(data["counts"]) > 1 else []
    links += [_kind_link(kind_of(count), count["tokens"], count, data, context) for count in data["counts"]]
    end = ""
    if not _may_not(context):
        which = {} if chosen is None else chosen
        url = context.url("/end", what="all", owner=data["owner"], **which)
        end = f'<p><a class="button danger" href="{url}">End all{"" if chosen is None else " of this kind"} …</a></p>'
    return f'<div class="bar"><nav aria-label="Kinds"><ul class="kinds">{"".join(links)}</ul></nav>{end}</div>\n'


def _kind_link(label: str, count: int, kind: dict[str, Any] | None, data: dict[str, Any], context: Context) -> str:
    which = {} if kind is None else {"app": kind["app"], "type": kind["type"]}
    is_chosen = data["kind"] == (which or None)
    current = ' aria-current="true"' if is_chosen else ""
    url = context.url("/owner", owner=data["owner"], **which)
    return f'<li><a href="{url}"{current}>{label} <span class="count">{counted(count)}</span></a></li>'


def _may_not(context: Context) -> bool:
    return context.actor is None or context.actor.read_only


_LABELS = ["Device", "Address", "Kind", "Created", "Last seen", "Expires"]


def _table(rows: list[dict[str, Any]], single: set[tuple[str, str]], context: Context) -> str:
    """``single``: kinds that the owner has one of, so that there are no others."""
    if _may_not(context):
        return table("sessions", _LABELS, [_cells(row, context) for row in rows])
    cells = [
        [*_cells(row, context), _actions(row, (row["app"], row["type"]) in single, context)] for row in rows
    ]
    return table("sessions", [*_LABELS, "Actions"], cells)


def _cells(row: dict[str, Any], context: Context) -> list[str]:
    url = session_url("/session", row, context)
    return [
        f'<a class="device {row["device_kind"]}" href="{url}">{name(row["device"])}</a>{_mark(row)}',
        "–" if row["address"] is None else name(row["address"]),
        kind_of(row),
        moment(row["created_at"]),
        moment(row["seen_at"]),
        moment(row["expires_at"], "never"),
    ]


def _mark(row: dict[str, Any]) -> str:
    return ' <strong class="badge this">this one</strong>' if row["this_one"] else ""


def _actions(row: dict[str, Any], is_single: bool, context: Context) -> str:
    of = f'<span class="unseen"> {text(row["device"])}, {text(row["id"][-6:])}</span>'
    one = f'<a href="{session_url("/end", row, context, what="one")}">End{of}</a>'
    if is_single:
        return one
    others = session_url("/end", row, context, what="others")
    return f'{one} <a href="{others}">End others<span class="unseen"> than</span>{of}</a>'


def _pager(data: dict[str, Any], context: Context) -> str:
    which = data["kind"] or {}
    links = []
    if not data["is_first"]:
        links.append(f'<a href="{context.url("/owner", owner=data["owner"], **which)}">First page</a>')
    if data["next"] is not None:
        url = context.url("/owner", owner=data["owner"], **which, **data["next"])
        links.append(f'<a rel="next" href="{url}">Next page</a>')
    return f'<nav class="pager" aria-label="Pages of sessions">{"".join(links)}</nav>\n' if links else ""


def session(data: dict[str, Any], context: Context) -> tuple[str, str]:
    """One, with what is known of it."""
    row = data["row"]
    owner = f'<a href="{context.url("/owner", owner=row["owner"])}">{name(row["owner"])}</a>'
    actions = ""
    if not _may_not(context):
        actions = (
            f'<p class="choices"><a class="button danger" href="{session_url("/end", row, context, what="one")}">End it …</a>'
            f'<a class="button" href="{session_url("/end", row, context, what="others")}">End the others …</a></p>\n'
        )
    return row["device"], f"<h1>{name(row['device'])}{_mark(row)}</h1>\n{facts(row, owner)}{actions}"


def facts(row: dict[str, Any], owner: str) -> str:
    """Everything that the console knows of a token."""
    idle = "no limit" if row["idle"] is None else counted(int(row["idle"]), "second")
    shown = (
        ("Owner", owner),
        ("Kind", kind_of(row)),
        ("Address", "–" if row["address"] is None else name(row["address"])),
        ("User agent", "–" if row["user_agent"] is None else name(row["user_agent"])),
        ("Created", moment(row["created_at"])),
        ("Last seen", moment(row["seen_at"])),
        ("Expires", moment(row["expires_at"], "never")),
        ("May be unused for", idle),
        ("Public id", f"<code>{text(row['id'])}</code>"),
        ("… over rotations", "–" if row["sid"] is None else f"<code>{text(row['sid'])}</code>"),
    )
    return '<dl class="facts">' + "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>\n" for k, v in shown) + "</dl>\n"
