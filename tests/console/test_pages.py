"""What the pages show, and what ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tokenstore
from asking import JWT_SECRET, Asker, Consoles
from servers import Server, running
from tokenstore.console import Actor

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1"
)


def make_session(tokens: tokenstore.RedisTokens, agent: str = FIREFOX, **options: Any) -> tokenstore.Token:
    request = {"address": "192.0.2.7", "user_agent": agent}
    given = {"app": "shop", "type": "session", "owner": "bob", **options}
    return tokens.create(**given, data={"canary": "canary-of-the-data"}, request=request)


def rows(ask: Asker, **fields: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask.get("/owner", format="json", **fields).json["rows"]
    return found


def test_the_overview(ask: Asker, tokens: tokenstore.RedisTokens) -> None:
    assert "No token has been created yet" in ask.get("/").shown()
    for owner in ("bob", "bob", "eve"):
        make_session(tokens, owner=owner)
    tokens.create("shop", "api-key", "bob")
    assert "Counted" in ask.get("/").shown()  # the count of before
    page = ask.get("/", count="again")
    assert [" ".join(row.text(separator=" ").split()) for row in page.tree.css("tbody tr")] == [
        "shop api-key 1 1",
        "shop session 2 3",
    ]
    kinds = ask.get("/", format="json").json["kinds"]
    assert [(kind["app"], kind["type"], kind["owners"], kind["tokens"]) for kind in kinds] == [
        ("shop", "api-key", 1, 1),
        ("shop", "session", 2, 3),
    ]


def test_a_count_goes_on(ask: Asker, tokens: tokenstore.RedisTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more keys than a request has time for."""
    tokens.create_many({"app": "shop", "type": "session", "owner": f"o{n}"} for n in range(3000))
    monkeypatch.setattr("tokenstore.console._census._BUDGET", 0.002)
    page = ask.get("/")
    assert "these are the numbers so far" in page.shown()
    seen = [ask.get("/", format="json").json for _ in range(200)]
    owners = [data["kinds"][0]["owners"] for data in seen]
    assert owners == sorted(owners)
    assert (owners[-1], seen[-1]["counted_at"] is None) == (3000, False)


def test_an_owner_has_one_table(make: Consoles, server: Server, tokens: tokenstore.RedisTokens) -> None:
    ask = make(jwt=True)
    make_session(tokens, duration=3600, idle=600)
    make_session(tokens, IPHONE)
    tokens.create("api", "key", "bob")
    with tokenstore.RedisJWT(server.url, secret=JWT_SECRET, multiple=True) as jwt:
        jwt.create("bob", request={"address": "192.0.2.9", "user_agent": IPHONE}, ttl=100)
    make_session(tokens, owner="bobby")

    page = ask.get("/owner", owner="bob")
    assert [node.text() for node in page.tree.css("h1")] == ["bob"]
    shown = [[" ".join(cell.text().split()) for cell in row.css("th, td")] for row in page.tree.css("tbody tr")]
    assert [(row[0], row[1], row[2]) for row in shown] == [
        ("Unknown device", "–", "api / key"),
        ("Safari on iPhone", "192.0.2.7", "shop / session"),
        ("Firefox on Linux", "192.0.2.7", "shop / session"),
        ("Safari on iPhone", "192.0.2.9", "redis-jwt"),
    ]
    assert shown[0][5] == "never"
    assert shown[2][5].startswith("in 9 minutes ")
    times = page.tree.css("tbody tr:nth-child(2) time")
    assert times
    assert all(time.attributes["datetime"].endswith("Z") for time in times)
    for row in rows(ask, owner="bob", app="api", type="key"):
        assert (row["app"], row["type"]) == ("api", "key")
    assert len(rows(ask, owner="bob", type="redis-jwt")) == 1


def test_nothing_secret_is_shown(make: Consoles, server: Server, tokens: tokenstore.RedisTokens) -> None:
    ask = make(jwt=True)
    made = make_session(tokens)
    with tokenstore.RedisJWT(server.url, secret=JWT_SECRET, multiple=True) as jwt:
        signed = jwt.sign("bob", data_session={"canary": "canary-of-the-data"})
    [row, other] = rows(ask, owner="bob")
    pages = [ask.get("/owner", owner="bob"), ask.get("/", count="again")]
    for each in (row, other):
        which = {"type": each["type"], "owner": "bob", "id": each["id"]} | ({"app": each["app"]} if each["app"] else {})
        pages += [ask.get(path, **which, **more) for path in ("/session", "/end") for more in ({}, {"format": "json"})]
    pages += [ask.post("/find", {"token": token}) for token in (made.token or "", signed)]
    assert [page.status for page in pages] == [200] * 10 + [303] * 2
    for page in pages:
        whole = page.body + json.dumps(page.headers).encode()
        for canary in (made.token or "", signed, "canary-of-the-data"):
            assert canary.encode() not in whole


def test_this_one_is_marked(make: Consoles, tokens: tokenstore.RedisTokens) -> None:
    make_session(tokens)
    mine = make_session(tokens, IPHONE)
    ask = make(actor=Actor("alice", sid=mine.sid))
    marked = ask.get("/owner", owner="bob").tree.css("tbody tr:has(.this) th")
    assert [" ".join(node.text().split()) for node in marked] == ["Safari on iPhone this one"]
    page = ask.get("/end", app="shop", type="session", owner="bob", id=mine.sid or "")
    assert "the one that you are using" in page.shown()


def test_pages_of_a_hundred(ask: Asker, tokens: tokenstore.RedisTokens) -> None:
    kinds = [("a", "x", 150), ("b", "y", 51), ("c", "z", 4)]
    for app, type, count in kinds:
        tokens.create_many({"app": app, "type": type, "owner": "bob"} for _ in range(count))
    seen: list[str] = []
    sizes: list[int] = []
    more: dict[str, str] = {}
    while True:
        page = ask.get("/owner", owner="bob", format="json", **more).json
        seen += [row["id"] for row in page["rows"]]
        sizes.append(len(page["rows"]))
        if page["next"] is None:
            break
        more = page["next"]
    assert sizes == [100, 100, 5]
    want = [token.id for app, type, _ in kinds for token in tokens.list(app, type, "bob")]
    assert seen == want
    link = ask.get("/owner", owner="bob").tree.css_first("a[rel=next]")
    assert link is not None
    tokens.delete_by_id("a", "x", "bob", seen[99])
    gone = ask.get("/owner", owner="bob", from_app="a", from_type="x", after=seen[99])
    assert gone.status == 410
    assert "begin at the first page" in gone.shown()
    assert ask.get("/owner", owner="bob", from_app="q", from_type="x", after=seen[99]).status == 410


def test_ending_one(ask: Asker, tokens: tokenstore.RedisTokens) -> None:
    first, second = make_session(tokens), make_session(tokens, IPHONE)
    which = {"app": "shop", "type": "session", "owner": "bob", "id": second.sid or "", "what": "one"}
    page = ask.get("/end", **which)
    assert "Safari on iPhone of bob will have to log in again" in page.shown()
    assert tokens.count("shop", "session", "bob") == 2  # asking ends nothing
    rotated = tokens.rotate("shop", "session", second.token)
    assert rotated is not None
    action = page.tree.css_first("form.choices").attributes["action"]
    assert "method" in page.tree.css_first("form.choices").attributes
    answer = ask.post(action or "")
    assert (answer.status, answer.headers["location"]) == (303, "/owner?owner=bob&ended=1")
    assert tokens.get("shop", "session", rotated.token) is None
    assert tokens.get("shop", "session", first.token) is not None
    assert "1 ended." in ask.get("/owner", owner="bob", ended="1").shown()
    assert ask.post("/end", **which).status == 404


def test_ending_the_others(ask: Asker, tokens: tokenstore.RedisTokens) -> None:
    kept, *_ = [make_session(tokens) for _ in range(3)]
    key = tokens.create("api", "key", "bob")
    which = {"app": "shop", "type": "session", "owner": "bob", "id": kept.id, "what": "others"}
    assert "2 other sessions of bob in shop / session will end" in ask.get("/end", **which).shown()
    assert ask.post("/end", **which, format="json").json == {"owner": "bob", "ended": 2}
    assert [token.id for token in tokens.list("shop", "session", "bob")] == [kept.id]
    assert tokens.get("api", "key", key.token) is not None
    assert "There are no others" in ask.get("/end", **which).shown()
    make_session(tokens)
    tokens.delete("shop", "session", kept.token)
    assert ask.post("/end", **which).status == 404  # with nobody to keep, it would end all
    assert tokens.count("shop", "session", "bob") == 1


def test_ending_all(make: Consoles, server: Server, tokens: tokenstore.RedisTokens) -> None:
    ask = make(jwt=True)
    for _ in range(3):
        make_session(tokens)
    tokens.create("api", "key", "bob")
    make_session(tokens, owner="bobby")
    with tokenstore.RedisJWT(server.url, secret=JWT_SECRET, multiple=True) as jwt:
        kept = jwt.sign("bob")
        jwt.sign("bob")
        [last, _] = jwt.list("bob")
        which = {"type": "redis-jwt", "owner": "bob", "id": last["rjwt"], "what": "others"}
        assert ask.post("/end", **which, format="json").json["ended"] == 1
        with pytest.raises(tokenstore.InvalidTokenError):
            jwt.verify(kept)
        assert "5 tokens of bob will end" in ask.get("/end", what="all", owner="bob").shown()
        one = {"what": "all", "owner": "bob", "app": "api", "type": "key"}
        assert "1 token of bob will end" in ask.get("/end", **one).shown()
        assert ask.post("/end", **one, format="json").json["ended"] == 1
        assert ask.post("/end", what="all", owner="bob", format="json").json["ended"] == 4
        assert jwt.list("bob") == []
    assert tokens.count("shop", "session", "bob") == 0
    assert tokens.count("shop", "session", "bobby") == 1


def test_a_pasted_token(make: Consoles, server: Server, tokens: tokenstore.RedisTokens) -> None:
    ask = make(jwt=True, store={"reuse": "revoke"})
    made = make_session(tokens, idle=600)
    answer = ask.post("/find", {"token": f"  {made.token}\n"})
    assert answer.status == 303
    assert answer.headers["location"] == f"/session?app=shop&type=session&owner=bob&id={made.sid}"
    assert "Firefox on Linux" in ask.get(answer.headers["location"]).shown("h1")
    with tokenstore.RedisJWT(server.url, secret=JWT_SECRET, multiple=True) as jwt:
        assert "type=redis-jwt&owner=eve" in ask.post("/find", {"token": jwt.sign("eve")}).headers["location"]
    alone = tokens.create("shop", "session")
    assert "only the token itself ends it" in ask.post("/find", {"token": alone.token or ""}).shown()
    wrong = ask.post("/find", {"token": "1.2.3"})
    assert (wrong.status, "no live token" in wrong.shown()) == (404, True)
    assert ask.post("/find", {"token": " "}).status == 400
    tokens.rotate("shop", "session", made.token)
    assert ask.post("/find", {"token": made.token or ""}).status == 404
    assert tokens.count("shop", "session", "bob") == 1  # that was no reuse of it


def test_ids_that_redis_jwt_has_not(make: Consoles, slots: Server) -> None:
    """With a colon, or on a cluster without braces."""
    slots("FLUSHALL")
    consoles = Consoles(slots.url.replace("redis:", "redis+cluster:"), is_async=make._runner is not None)
    ask = consoles(jwt=True)
    with tokenstore.RedisTokens(slots.url.replace("redis:", "redis+cluster:")) as tokens:
        for owner in ("bob", "{bob}", "b:b"):
            make_session(tokens, owner=owner)
        with tokenstore.RedisJWT(tokens.client, secret=JWT_SECRET) as jwt:
            jwt.sign("{bob}")
    assert [len(rows(ask, owner=owner)) for owner in ("bob", "{bob}", "b:b")] == [1, 2, 1]
    assert ask.post("/end", what="all", owner="{bob}", format="json").json["ended"] == 2
    consoles.close()


def test_read_only(make: Consoles, tokens: tokenstore.RedisTokens) -> None:
    made = make_session(tokens)
    which = {"app": "shop", "type": "session", "owner": "bob", "id": made.id}
    for ask in (make(read_only=True), make(actor=Actor("eve", read_only=True))):
        for page in (ask.get("/owner", owner="bob"), ask.get("/session", **which)):
            assert page.status == 200
            assert not page.tree.css("a[href*='/end'], main form")
            assert "read-only" in page.shown("header")
        for what in ("one", "others", "all"):
            assert ask.get("/end", **which, what=what).status == 403
            assert ask.post("/end", **which, what=what).status == 403
    assert tokens.count("shop", "session", "bob") == 1


def test_below_a_path(make: Consoles, tokens: tokenstore.RedisTokens) -> None:
    ask = make(base="/admin/sessions")
    made = make_session(tokens)
    page = ask.get("/owner", owner="bob")
    links = [node.attributes.get("href") or node.attributes.get("action") for node in page.tree.css("[href], [action]")]
    assert len(links) > 8
    assert all(link == "#main" or link.startswith("/admin/sessions/") for link in links)
    which = {"app": "shop", "type": "session", "owner": "bob", "id": made.id}
    assert ask.post("/end", **which).headers["location"] == "/admin/sessions/owner?owner=bob&ended=1"


def test_known_kinds(make: Consoles, server: Server, tokens: tokenstore.RedisTokens) -> None:
    """Of a store that may not write to the registry."""
    make_session(tokens)
    server("DEL", "ts:kinds")
    assert rows(make(), owner="bob") == []
    assert len(rows(make(kinds=[("shop", "session")]), owner="bob")) == 1
    assert "(kind " in make().get("/").shown()


def test_a_user_who_may_not_scan(make: Consoles, tokens: tokenstore.RedisTokens) -> None:
    make_session(tokens)
    with running() as server:
        server("ACL", "SETUSER", "default", "-scan")
        consoles = Consoles(server.url, is_async=make._runner is not None)
        with tokenstore.RedisTokens(server.url) as others:
            make_session(others)
        ask = consoles()
        page = ask.get("/")
        assert page.status == 200
        assert "The keys could not be counted" in page.shown()
        assert len(rows(ask, owner="bob")) == 1
        consoles.close()


def test_a_server_that_is_away(make: Consoles) -> None:
    with running() as server:
        consoles = Consoles(server.url + "?timeout=0.3", is_async=make._runner is not None)
        ask = consoles()
        assert ask.get("/").status == 200
        server.kill()
        away = ask.get("/owner", owner="bob")
        assert (away.status, away.headers["retry-after"]) == (503, "1")
        assert "could not be asked" in away.shown()
        consoles.close()
