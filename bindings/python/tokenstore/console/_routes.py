"""What each path of the console does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Union

from tokenstore.console import _history
from tokenstore.console._census import Census
from tokenstore.console._listing import Kind, Place, Stores, as_bytes
from tokenstore.console._messages import Actor, Failure, Redirect, Request, Steps, View

__all__ = ["ROUTES", "Site"]

Answer = Union[View, Redirect]

_NAME_MAX = 1024


class Site(NamedTuple):
    """What the routes work with."""

    stores: Stores
    census: Census


def overview(site: Site, request: Request, actor: Actor) -> Steps[Answer]:
    """All kinds, with how many owners and tokens each has, and what became of them in the last day."""
    yield from site.census.go_on(again="count" in request.query)
    registered = yield from site.stores.registered()
    recent = yield from _history.recent(site.stores.tokens.client, site.stores.prefix)
    rows = []
    for code in registered.keys() | site.census.kinds():
        kind = registered.get(code) or Kind(f"(kind {code.decode()})", "?")
        rows.append({"app": kind.app, "type": kind.type, **site.census.counts(code), **recent.of(kind)})
    rows.sort(key=lambda row: (row["app"], row["type"]))
    data = {
        "kinds": rows,
        "counted_at": site.census.ended_at,
        "problem": site.census.problem,
        "audited": recent.is_on,
        "hours": _history.HOURS,
        "charts_begin_at": recent.begins_at,
    }
    return View("overview", data)


def owner(site: Site, request: Request, actor: Actor) -> Steps[Answer]:
    """What an owner has, of all kinds or of one, a page of it."""
    name = _needed(request.query, "owner")
    counts = yield from site.stores.counts(name)
    chosen = _kind(request.query)
    kinds = [*counts] if chosen is None else [chosen]
    rows, place = yield from site.stores.page(kinds, name, _place(request.query), actor)
    data = {
        "owner": name,
        "kind": _as_dict(chosen),
        "counts": [{**kind._asdict(), "tokens": count} for kind, count in counts.items()],
        "rows": rows,
        "next": None if place is None else _as_query(place),
        "is_first": "after" not in request.query,
        "ended": _number(request.query.get("ended")),
    }
    return View("owner", data)


def session(site: Site, request: Request, actor: Actor) -> Steps[Answer]:
    """One token or session."""
    row = yield from _row(site, request, actor)
    return View("session", {"row": row})


def confirm(site: Site, request: Request, actor: Actor) -> Steps[Answer]:
    """Asks whether to end it, and says how many that is."""
    what, data = yield from _what(site, request, actor)
    return View("confirm", {"what": what, **data})


def end(site: Site, request: Request, actor: Actor) -> Steps[Answer]:
    """Ends one, the others, or all."""
    what, data = yield from _what(site, request, actor)
    name = data["owner"]
    ended = 0
    if what == "one":
        row = data["row"]
        ended = yield from site.stores.end(Kind(row["app"], row["type"]), name, row["id"])
    elif what == "others":
        row = data["row"]
        ended = yield from site.stores.end_all(Kind(row["app"], row["type"]), name, row["id"])
    else:
        for count in data["counts"]:
            ended += yield from site.stores.end_all(Kind(count["app"], count["type"]), name)
    return Redirect("/owner", {"owner": name, "ended": ended})


def find(site: Site, request: Request, actor: Actor) -> Steps[Answer]:
    """A form for a token."""
    yield from ()
    return View("find", {"is_found": None})


def found(site: Site, request: Request, actor: Actor) -> Steps[Answer]:
    """Whose the token in the form is."""
    token = request.form.get("token", "").strip()
    if not token:
        raise Failure(400, "Paste a token into the field.")
    row = yield from site.stores.search(token)
    if row is None:
        return View("find", {"is_found": False}, 404)
    if row["owner"] is None:
        return View("anonymous", {"row": row})
    return Redirect(
        "/session", {"app": row["app"], "type": row["type"], "owner": row["owner"], "id": row["sid"] or row["id"]}
    )


def activity(site: Site, request: Request, actor: Actor) -> Steps[Answer]:
    """What the audit stream says, a page of it, the newest first."""
    after = request.query.get("after")
    events = yield from _history.last(site.stores.tokens.client, site.stores.prefix, after)
    data = {
        "audited": events is not None,
        "events": events or [],
        "next": events[-1]["entry"] if events and len(events) == _history.LAST else None,
    }
    return View("activity", data)


def _what(site: Site, request: Request, actor: Actor) -> Steps[tuple[str, dict[str, Any]]]:
    """What is to be ended, as it is now."""
    if actor.read_only:
        raise Failure(403, "This console is read-only: it ends nothing.")
    what = request.query.get("what", "one")
    if what == "all":
        name = _needed(request.query, "owner")
        chosen = _kind(request.query)
        counts = yield from site.stores.counts(name)
        return what, {
            "owner": name,
            "kind": _as_dict(chosen),
            "counts": [
                {**kind._asdict(), "tokens": count}
                for kind, count in counts.items()
                if chosen in (None, kind)
            ],
        }
    if what not in ("one", "others"):
        raise Failure(400, "What to end must be one, others or all.")
    row = yield from _row(site, request, actor)
    data = {"owner": row["owner"], "row": row}
    if what == "others":
        count = yield from site.stores.count(Kind(row["app"], row["type"]), row["owner"])
        data["others"] = max(count - 1, 0)
    return what, data


def _row(site: Site, request: Request, actor: Actor) -> Steps[dict[str, Any]]:
    kind, name = _kind(request.query), _needed(request.query, "owner")
    if kind is None:
        raise Failure(400, "The address lacks the type of the token.")
    row = yield from site.stores.find(kind, name, _needed(request.query, "id"))
    if row is None:
        raise Failure(404, "There is no such session: it has ended, or never was.")
    row["this_one"] = actor.sid is not None and actor.sid in (row["sid"], row["id"])
    return row


def _needed(query: Mapping[str, str], name: str) -> str:
    value = query.get(name, "")
    if not value:
        raise Failure(400, f"The field {name} is empty.")
    if "\0" in value or len(as_bytes(value)) > _NAME_MAX:
        raise Failure(400, f"The field {name} may have {_NAME_MAX} bytes, and none that is NUL.")
    return value


def _kind(query: Mapping[str, str]) -> Kind | None:
    return Kind(query.get("app"), query["type"]) if query.get("type") else None


def _as_dict(kind: Kind | None) -> dict[str, Any] | None:
    return None if kind is None else kind._asdict()


def _place(query: Mapping[str, str]) -> Place | None:
    if "after" not in query:
        return None
    return Place(Kind(query.get("from_app"), _needed(query, "from_type")), query["after"])


def _as_query(place: Place) -> dict[str, Any]:
    return {"from_app": place.kind.app, "from_type": place.kind.type, "after": place.after}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else None


Handler = Callable[[Site, Request, Actor], Steps[Answer]]

ROUTES: dict[str, dict[str, Handler]] = {
    "/": {"GET": overview},
    "/owner": {"GET": owner},
    "/session": {"GET": session},
    "/end": {"GET": confirm, "POST": end},
    "/find": {"GET": find, "POST": found},
    "/activity": {"GET": activity},
}
