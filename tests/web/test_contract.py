"""The rules that hold in every plug-in: a table of plug-ins and cases."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import stored
import tokenstore
from acting import Asked, Meanwhile, Reply
from monitored import monitored
from plugins import PLUGINS
from servers import Server
from stored import keys
from tokenstore import Token

Start = Callable[..., Asked]


@pytest.fixture
def meanwhile() -> Meanwhile:
    return Meanwhile()


@pytest.fixture(params=PLUGINS)
def start(request: pytest.FixtureRequest, server: Server, meanwhile: Meanwhile) -> Iterator[Start]:
    """``start(idle=…)``: the plug-in's app, on this server."""
    with ExitStack() as stack:

        def make(url: str | None = None, store_options: Any = None, **options: Any) -> Asked:
            options = {"idle": 3600, "absolute": 86400} | options
            made = PLUGINS[request.param](
                url or server.url, meanwhile, store_options or {}, options
            )
            return stack.enter_context(made)

        yield make


@pytest.fixture
def app(start: Start) -> Asked:
    return start()


def read(app: Asked, token: str | None) -> dict[str, Any]:
    reply = app.ask("read", token=token)
    assert reply.status == 200
    return reply.json


def record_of(server: Server, token: str) -> Token:
    with tokenstore.RedisTokens(server.url) as tokens:
        found = tokens.get("web", "session", token)
    assert found is not None
    return found


NOBODY: dict[str, Any] = {"principal": None, "fields": {}}


def is_untouched(reply: Reply) -> bool:
    return reply.cookie is None and "cookie" not in reply.vary


# ---- a request that does not use its session ---------------------------------------------------------


def test_untouched(app: Asked, server: Server) -> None:
    assert is_untouched(app.ask("nothing"))
    assert is_untouched(app.ask("nothing", token="unknown"))
    assert keys(server) == []
    token = app.ask("login", "bob").token
    assert is_untouched(app.ask("nothing", token=token))


def test_read_only(app: Asked, server: Server) -> None:
    for token in (None, "unknown"):
        reply = app.ask("read", token=token)
        assert reply.json == NOBODY
        assert reply.vary >= {"cookie"}
        assert reply.cookie is None
    assert keys(server) == []
    token = app.ask("set", {"n": 1}).token
    reply = app.ask("read", token=token)
    assert reply.json == {"principal": None, "fields": {"n": 1}}
    assert (reply.cookie, reply.vary >= {"cookie"}) == (None, True)


# ---- fixation ----------------------------------------------------------------------------------------


def test_an_unknown_cookie_is_not_adopted(app: Asked, sessions: tokenstore.Sessions) -> None:
    planted = "A" * 64
    for op, argument in (("set", {"n": 1}), ("login", "bob")):
        token = app.ask(op, argument, token=planted).token
        assert token != planted
        assert read(app, planted) == NOBODY
        assert sessions.get(app="web", token=planted) is None


def test_login_gives_a_new_token(app: Asked, sessions: tokenstore.Sessions) -> None:
    visitor = app.ask("set", {"cart": ["book"]}).token
    reply = app.ask("login", "bob", token=visitor)
    token = reply.token
    assert token != visitor
    assert read(app, visitor) == NOBODY
    assert read(app, token) == {"principal": "bob", "fields": {"cart": ["book"]}}
    session = sessions.get(app="web", token=token)
    assert session is not None
    assert session.owner_id == "bob"


def test_login_of_somebody_else(app: Asked) -> None:
    bobs = app.ask("login", "bob").token
    app.ask("set", {"secret": "of bob"}, token=bobs)
    eves = app.ask("login", "eve", token=bobs).token
    assert read(app, bobs) == NOBODY
    assert read(app, eves) == {"principal": "eve", "fields": {}}


# ---- what is stored ----------------------------------------------------------------------------------


def test_nested_changes(app: Asked) -> None:
    token = app.ask("set", {"cart": ["book"]}).token
    assert app.ask("append", "pen", token=token).status == 200
    assert read(app, token)["fields"] == {"cart": ["book", "pen"]}


def test_none_and_deleted(app: Asked) -> None:
    token = app.ask("set", {"a": None, "b": 1, "c": 2}).token
    app.ask("set", {"b": None}, token=token)
    app.ask("delete", "c", token=token)
    assert read(app, token)["fields"] == {"a": None, "b": None}


def test_two_writers(app: Asked, meanwhile: Meanwhile) -> None:
    token = app.ask("set", {"a": 0, "b": 0, "c": 0}).token
    meanwhile.call = lambda: app.ask("set", {"b": 1}, token=token)
    app.ask("meanwhile", {"a": 1}, token=token)
    assert read(app, token)["fields"] == {"a": 1, "b": 1, "c": 0}


def test_logout_beats_a_late_save(app: Asked, meanwhile: Meanwhile, server: Server) -> None:
    token = app.ask("login", "bob").token
    meanwhile.call = lambda: app.ask("logout", token=token)
    reply = app.ask("meanwhile", {"a": 1}, token=token)
    assert reply.status == 200
    assert reply.cookie is None
    assert read(app, token) == NOBODY
    assert keys(server) == []


@pytest.mark.parametrize("op", ["fail", "raise"])
def test_a_server_error_stores_nothing(app: Asked, server: Server, op: str) -> None:
    reply = app.ask(op, {"n": 1})
    assert reply.status == 500
    assert reply.cookie is None
    assert keys(server) == []
    token = app.ask("set", {"n": 0}).token
    assert app.ask(op, {"n": 1}, token=token).status == 500
    assert read(app, token)["fields"] == {"n": 0}


def test_a_value_that_json_lacks(app: Asked, server: Server) -> None:
    reply = app.ask("set", {"n": 2**60})
    assert reply.status == 500
    assert reply.cookie is None
    assert keys(server) == []


# ---- logout and rotation -----------------------------------------------------------------------------


def test_logout(app: Asked, server: Server) -> None:
    token = app.ask("login", "bob").token
    reply = app.ask("logout", token=token)
    assert reply.cookie is not None
    attributes = {name.strip().lower() for name in reply.cookie.split(";")}
    assert attributes >= {"session=", "max-age=0", "path=/"}
    assert read(app, token) == NOBODY
    assert keys(server) == []


def test_twenty_requests_with_the_old_cookie(start: Start) -> None:
    app = start(grace=60)
    old = app.ask("login", "bob").token
    replies = app.ask_all("rotate", None, old, 20)
    assert [reply.status for reply in replies] == [200] * 20
    (new,) = {reply.token for reply in replies}
    assert new != old
    for token in (old, new):
        assert read(app, token)["principal"] == "bob"
    replies = app.ask_all("read", None, old, 20)
    assert {reply.json["principal"] for reply in replies} == {"bob"}
    assert {reply.token for reply in replies} == {new}


def test_the_grace_ends(start: Start, server: Server) -> None:
    app = start(grace=60)
    old = app.ask("login", "bob").token
    record = record_of(server, old)
    new = app.ask("rotate", token=old).token
    assert read(app, old)["principal"] == "bob"
    stored.end_grace(server, record)
    assert read(app, old) == NOBODY
    assert read(app, new)["principal"] == "bob"


def test_logging_out_the_others(app: Asked, sessions: tokenstore.Sessions) -> None:
    others = [app.ask("login", "bob").token for _ in range(2)]
    mine = app.ask("login", "bob").token
    assert app.ask("logout_others", token=mine).status == 200
    assert [read(app, token)["principal"] for token in (*others, mine)] == [None, None, "bob"]
    assert sessions.count(app="web", owner_id="bob") == 1


# ---- lifetimes ---------------------------------------------------------------------------------------


def test_idle_and_absolute(start: Start, server: Server) -> None:
    """Each use slides the end by the idle time, up to the absolute end; what nobody uses ends."""
    app, capped = start(idle=5, absolute=60), start(idle=5, absolute=5)
    tokens = [each.ask("login", "bob").token for each in (app, app, capped)]
    records = [record_of(server, token) for token in tokens]
    before = {record.id: stored.end_of(server, record) for record in records}
    time.sleep(0.55)  # a use is written when a tenth of the idle time has passed
    assert app.ask("nothing", token=tokens[1]).status == 200
    for asked, token in ((app, tokens[0]), (capped, tokens[2])):
        assert read(asked, token)["principal"] == "bob"
    moved = [stored.end_of(server, record) - before[record.id] for record in records]
    assert moved[0] >= 500
    assert (moved[1], moved[2]) == (0, pytest.approx(0, abs=20))
    stored.set_left(server, records[0], 0)
    assert read(app, tokens[0]) == NOBODY


# ---- the cookie --------------------------------------------------------------------------------------


def test_cookie_flags(start: Start) -> None:
    def attributes(reply: Reply) -> set[str]:
        assert reply.cookie is not None
        return {part.strip().lower() for part in reply.cookie.split(";")[1:]}

    default = attributes(start().ask("set", {"n": 1}))
    assert default == {"path=/", "httponly", "samesite=lax", "secure", "max-age=86400"}
    app = start(secure=False, same_site="strict", path="/a", domain="example.org", persistent=False)
    wanted = {"path=/a", "httponly", "samesite=strict", "domain=example.org"}
    assert attributes(app.ask("set", {"n": 1})) == wanted
    app = start(same_site="none", partitioned=True)
    assert attributes(app.ask("set", {"n": 1})) >= {"samesite=none", "secure", "partitioned"}


@pytest.mark.parametrize(
    "options",
    [{"secure": False, "same_site": "none"}, {"cookie": "__Host-a", "domain": "example.org"}],
)
def test_a_cookie_that_browsers_would_drop(start: Start, options: dict[str, Any]) -> None:
    with pytest.raises(tokenstore.ConfigurationError, match="browsers drop"):
        start(**options).ask("nothing")


def test_a_response_with_a_cookie_is_not_cached(app: Asked) -> None:
    assert app.ask("set", {"n": 1}).all("cache-control") == ["no-store"]


# ---- the server --------------------------------------------------------------------------------------


def test_nothing_in_redis_equals_the_cookie(app: Asked, server: Server) -> None:
    with monitored(server) as seen:
        tokens = [app.ask("set", {"n": 1}).token]
        tokens.append(app.ask("login", "bob", token=tokens[0]).token)
        tokens.append(app.ask("rotate", token=tokens[1]).token)
        read(app, tokens[1])
    stored = []
    for key in server.keys():
        kind = server("TYPE", key)
        stored += [key, *(server("HGETALL", key) if kind == "hash" else [server("GET", key)])]
    assert len(seen) > 5
    assert len(stored) > 3
    for token in tokens:
        for part in (token, token[:32], token[-32:]):
            assert not any(part.encode() in each for each in (*seen, *stored))


def stop(server: Server) -> None:
    for primary in server.primaries:
        primary.stop()


def cont(server: Server) -> None:
    for primary in server.primaries:
        primary.cont()


def test_redis_away(start: Start, server: Server) -> None:
    app = start(store_options={"timeout": 0.3})
    token = app.ask("login", "bob").token
    stop(server)
    try:
        for op, argument in (("read", None), ("set", {"n": 1}), ("logout", None)):
            reply = app.ask(op, argument, token=token)
            assert reply.status == 503
            assert reply.cookie is None
        reply = app.ask("set", {"n": 1})  # it is away when the response begins
        assert reply.status == 503
        assert reply.cookie is None
        assert app.ask("nothing").status == 200
    finally:
        cont(server)
    assert read(app, token) == {"principal": "bob", "fields": {}}


def test_redis_goes_away_meanwhile(start: Start, server: Server, meanwhile: Meanwhile) -> None:
    app = start(store_options={"timeout": 0.3})
    token = app.ask("login", "bob").token
    meanwhile.call = lambda: stop(server)
    try:
        reply = app.ask("meanwhile", {"n": 1}, token=token)
    finally:
        cont(server)
    assert (reply.status, reply.cookie) == (503, None)
    assert reply.all("retry-after") == ["1"]
    assert b"fields" not in reply.body
