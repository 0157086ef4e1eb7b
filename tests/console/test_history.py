"""Charts and activity from the audit stream, and who did it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

import tokenstore
from asking import Asker, Consoles
from servers import Server

AUDITED: dict[str, Any] = {"audit_stream": 100_000}


@pytest.fixture
def audited(server: Server) -> Iterator[tokenstore.RedisTokens]:
    with tokenstore.RedisTokens(server.url, **AUDITED) as tokens:
        yield tokens


def add(server: Server, hours_ago: float, number: int = 0, **fields: str) -> None:
    """An entry of the past: docs/reference/audit.md says what it has."""
    ms = int((time.time() - hours_ago * 3600) * 1000)
    pairs = [word for pair in fields.items() for word in pair]
    server("XADD", "ts:audit", f"{ms}-{number}", *pairs)


def test_without_a_stream(ask: Asker, tokens: tokenstore.RedisTokens) -> None:
    tokens.create("shop", "session", "bob")
    for page in (ask.get("/"), ask.get("/activity")):
        assert "where the audit stream is on: tokenstore.Client(url, audit_stream=10000)" in page.shown()
        assert not page.tree.css("main svg")
    assert ask.get("/activity", format="json").json == {"audited": False, "events": [], "next": None}


def test_charts(ask: Asker, server: Server) -> None:
    shop = {"app": "shop", "type": "session", "event": "x"}
    for hours_ago, kind, count in ((30, "created", 9), (23.5, "created", 4), (2.5, "created", 2), (2.4, "ended", 7)):
        add(server, hours_ago, kind=kind, count=str(count), **shop)
    with tokenstore.RedisTokens(server.url, **AUDITED) as tokens:
        made = tokens.create("shop", "session", "bob")
        tokens.rotate("shop", "session", made.token)
        tokens.create("shop", "key", "bob")
        tokens.delete_all("shop", "key", "bob")
    data = ask.get("/", format="json").json
    key, session = data["kinds"]
    assert session["created"] == [4] + [0] * 20 + [2, 0, 1]
    assert session["ended"] == [0] * 21 + [7, 0, 0]
    assert (sum(key["created"]), sum(key["ended"])) == (1, 1)
    page = ask.get("/")
    charts = [node.attributes["aria-label"] for node in page.tree.css("svg[role=img]")]
    assert charts == [
        "1 created and 1 ended in the last 24 hours",
        "7 created and 7 ended in the last 24 hours",
    ]
    bars = page.tree.css("tr:nth-child(2) rect")
    assert [(bar.attributes["class"], bar.attributes["height"]) for bar in bars] == [
        ("created", "10"),
        ("created", "5"),
        ("ended", "17"),
        ("created", "2"),
    ]
    assert "They begin" not in page.shown()


def test_too_many_events_for_a_day(ask: Asker, audited: tokenstore.RedisTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenstore.console._history._AT_ONCE", 10)
    monkeypatch.setattr("tokenstore.console._history._MOST", 30)
    for _ in range(45):
        audited.create("shop", "session", "bob")
    page = ask.get("/")
    assert "They begin just now" in page.shown()
    assert sum(ask.get("/", format="json").json["kinds"][0]["created"]) == 30


def test_activity(ask: Asker, audited: tokenstore.RedisTokens) -> None:
    for number in range(120):
        audited.create("shop", "session", f"<i>{number}")
    with tokenstore.acting("admin <b>"):
        audited.delete_all("shop", "session", "<i>119")
    page = ask.get("/activity")
    rows = [" ".join(row.text(separator=" ").split()) for row in page.tree.css("tbody tr")]
    assert len(rows) == 100
    assert rows[0].endswith("ended (all) <i>119 shop / session admin <b>")
    assert rows[1].endswith("created <i>119 shop / session –")
    assert not page.tree.css("main i, main b")
    link = page.tree.css_first("a[rel=next]").attributes["href"] or ""
    older = ask.get(link)
    assert len(older.tree.css("tbody tr")) == 21
    assert not older.tree.css("a[rel=next]")
    owner = page.tree.css_first("tbody tr:nth-child(2) a").attributes["href"] or ""
    assert ask.get(owner).shown("h1") == "<i>119"
    assert ask.get("/activity", after="nope").status == 400


def test_what_the_console_ends_has_its_actor(make: Consoles, audited: tokenstore.RedisTokens) -> None:
    ask = make(actor="alice", client=AUDITED)
    one, two, *_ = [audited.create("shop", "session", "bob") for _ in range(4)]
    which = {"app": "shop", "type": "session", "owner": "bob"}
    for fields in ({**which, "id": one.id, "what": "one"}, {**which, "id": two.id, "what": "others"}, {"owner": "bob", "what": "all"}):
        assert ask.post("/end", **fields).status == 303
    events = audited.client.audit_events(count=100)
    told = [(event.kind, event.reason, event.owner, event.count, event.actor) for event in events[4:]]
    assert told == [
        ("ended", "revoked", "bob", 1, "alice"),
        ("ended", "others", "bob", 2, "alice"),
        ("ended", "all", "bob", 1, "alice"),
    ]
    audited.create("shop", "session", "bob")
    assert audited.client.audit_events(count=1, reverse=True)[0].actor is None  # not beyond the request


def test_to_look_is_no_event(make: Consoles, audited: tokenstore.RedisTokens) -> None:
    told: list[Any] = []
    ask = make(client={**AUDITED, "on_event": told.append})
    made = audited.create("shop", "session", "bob")
    audited.create("api", "key", "bob")
    audited.create("zoo", "key", "bob")
    before = len(audited.client.audit_events(count=100))
    assert ask.post("/find", {"token": made.token or ""}).status == 303
    for path in ("/", "/owner?owner=bob", "/activity", f"/session?app=shop&type=session&owner=bob&id={made.id}"):
        assert ask.get(path).status == 200
    dead = audited.create("shop", "session", "eve")
    audited.delete("shop", "session", dead.token)
    assert ask.post("/find", {"token": dead.token or ""}).status == 404
    assert told == []
    assert len(audited.client.audit_events(count=100)) == before + 2


def test_a_user_who_may_not_read_it(make: Consoles, audited: tokenstore.RedisTokens, server: Server) -> None:
    audited.create("shop", "session", "bob")
    server("ACL", "SETUSER", "default", "-xrevrange")
    try:
        ask = make()
        for path in ("/", "/activity"):
            page = ask.get(path)
            assert (page.status, "+xrevrange for the user" in page.shown()) == (200, True)
    finally:
        server("ACL", "SETUSER", "default", "+xrevrange")
