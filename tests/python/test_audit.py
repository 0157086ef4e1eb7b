"""What audited stores tell, to a function, to the log and to the stream; and that they cost nothing where nobody asks."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tokenstore
from clusters import running_cluster
from servers import Server, running
from test_acl import printed_rule
from test_secrecy import assert_clean, use_everything
from tokenstore import AuditEvent, Client, RedisTokens, Sessions, acting

Told = list[AuditEvent]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def audited(server: Server, told: Told) -> Iterator[Client]:
    with Client(server.url, on_event=told.append, audit_stream=1000) as client:
        yield client


def short(events: Told) -> list[tuple[str, str | None, str | None]]:
    """The gist of events."""
    return [(event.kind, event.reason, event.owner) for event in events]


def without_place(event: AuditEvent) -> AuditEvent:
    """As the stream and the function say alike; they take their times one after the other."""
    return event._replace(at=0, entry=None)


def assert_stored(client: Client, told: Told, prefix: str = "ts") -> None:
    """The stream has what was told."""
    stored = client.audit_events(prefix, count=1000)
    assert [without_place(event) for event in stored] == [without_place(event) for event in told]
    for event, other in zip(stored, told):
        assert abs(event.at - other.at) < 5


def test_the_life_of_a_session(audited: Client, told: Told) -> None:
    sessions = Sessions(audited)
    with acting("user:bob"):
        first = sessions.create("web", "bob", {"secret": "data"}, 600)
    second = sessions.rotate("web", first)
    assert second is not None
    found = sessions.get("web", second)
    assert found is not None
    sessions.update("web", second, {"more": 1})
    with acting("admin"):
        assert sessions.kill_by_id("web", "bob", found.sid)
    created, rotated, ended = told
    assert (created.kind, created.name, created.app, created.type) == ("created", "session_created", "web", "session")
    assert created.owner == "bob"
    assert created.sid == created.id == rotated.sid == ended.sid == found.sid
    assert (rotated.kind, rotated.name, rotated.id) == ("rotated", "session_renewed", found.id)
    assert (ended.kind, ended.name, ended.reason, ended.id) == ("ended", "session_expired", "revoked", found.id)
    assert [event.actor for event in told] == ["user:bob", None, "admin"]
    assert [event.count for event in told] == [1, 1, 1]
    assert_stored(audited, told)


ENDS: dict[str, Callable[[RedisTokens, tokenstore.Token], Any]] = {
    "logout": lambda s, t: s.delete("a", "t", t.token),
    "revoked": lambda s, t: s.delete_by_id("a", "t", "bob", t.id),
    "taken": lambda s, t: s.take("a", "t", t.token),
    "all": lambda s, t: s.delete_all("a", "t", "bob"),
    "too_many": lambda s, t: s.create("a", "t", "bob"),
}


@pytest.mark.parametrize("reason", ENDS)
def test_each_end_says_why(audited: Client, told: Told, reason: str) -> None:
    tokens = RedisTokens(audited, max_per_owner=1)
    token = tokens.create("a", "t", "bob")
    ENDS[reason](tokens, token)
    ended = told[1]
    assert (ended.kind, ended.name, ended.reason) == ("ended", "authn_token_revoked", reason)
    assert (ended.app, ended.type, ended.owner, ended.count) == ("a", "t", "bob", 1)
    assert (ended.sid, ended.id) == ((None, None) if reason == "all" else (token.sid, token.id))
    assert_stored(audited, told)
    ENDS[reason](RedisTokens(audited), token)  # there is no more to end
    assert [event.reason for event in told if event.kind == "ended"] == [reason] if reason != "too_many" else True


def test_all_and_all_but_one(audited: Client, told: Told) -> None:
    tokens = RedisTokens(audited)
    kept, *_ = (tokens.create("a", "t", "bob") for _ in range(4))
    tokens.delete_all("a", "t", "bob", keep=kept.token)
    assert (told[-1].reason, told[-1].sid, told[-1].count) == ("others", kept.sid, 3)
    tokens.delete_all("a", "t", "bob", keep="nobody")
    assert (told[-1].reason, told[-1].sid, told[-1].count) == ("all", None, 1)
    tokens.delete_all("a", "t", "bob")  # none is there
    assert len(told) == 6
    assert_stored(audited, told)


def test_refused_for_too_many(audited: Client, told: Told) -> None:
    sessions = Sessions(audited, max_per_owner=1, when_full="refuse")
    sessions.create("web", "bob")
    with pytest.raises(tokenstore.LimitError):
        sessions.create("web", "bob")
    guest = sessions.create("web")
    with pytest.raises(tokenstore.LimitError):
        sessions.rotate("web", guest, owner_id="bob")
    assert short(told) == [
        *[("created", None, "bob"), ("refused", "too_many", "bob")],
        *[("created", None, None), ("refused", "too_many", "bob")],
    ]
    assert told[1].name == "excess_rate_limit_exceeded"
    assert_stored(audited, told)


def test_a_login(audited: Client, told: Told) -> None:
    sessions = Sessions(audited)
    guest = sessions.create("web")
    sessions.rotate("web", guest, owner_id="bob")
    assert short(told) == [("created", None, None), ("rotated", "bound", "bob")]
    assert told[0].sid == told[1].sid
    assert_stored(audited, told)


def test_reuse(audited: Client, told: Told) -> None:
    tokens = RedisTokens(audited, reuse="revoke")
    stolen = tokens.create("a", "t", "bob")
    tokens.rotate("a", "t", stolen.token)
    for _ in range(2):
        with pytest.raises(tokenstore.TokenReusedError):
            tokens.get("a", "t", stolen.token)
    tokens.get_many("a", "t", [stolen.token])
    first, ended, again, once_more = told[2:]
    assert short([first, ended]) == [("reused", None, "bob"), ("ended", "reuse", "bob")]
    assert short([again, once_more]) == [("reused", None, "bob")] * 2
    assert {event.sid for event in told} == {stolen.sid}
    assert first.name == again.name == "authn_token_reuse"
    assert_stored(audited, told[:4])  # who has a reused token must not be able to push all others out


def test_use_after_the_end(audited: Client, told: Told) -> None:
    tokens = RedisTokens(audited)
    token = tokens.create("a", "t", "bob", duration=600)
    tokens.delete("a", "t", token.token)
    del told[:]
    secret = str(token.token)
    for call in (
        lambda: tokens.get("a", "t", secret),
        lambda: tokens.get("a", "t", secret, refresh=60, expiry=True),
        lambda: tokens.refresh("a", "t", secret, 60),
        lambda: tokens.update("a", "t", secret, {"a": 1}),
        lambda: tokens.rotate("a", "t", secret),
        lambda: tokens.take("a", "t", secret),
    ):
        call()
        [event] = told
        assert (event.kind, event.name, event.id) == ("used_after_end", "session_use_after_expire", token.id)
        assert (event.app, event.type, event.owner, event.sid) == ("a", "t", None, None)
        del told[:]
    tokens.delete("a", "t", secret)  # whoever logs out twice uses nothing
    tokens.get("a", "t", "no token of ours")
    tokens.get("a", "t", None)
    tokens.get_by_id("a", "t", "bob", token.id)
    assert told == []
    assert [event.kind for event in audited.audit_events()] == ["created", "ended"]


def test_what_is_live_is_not_told(audited: Client, told: Told) -> None:
    tokens = RedisTokens(audited)
    token = tokens.create("a", "t", "bob", duration=600)
    del told[:]
    tokens.get("a", "t", token.token, refresh=900)
    tokens.refresh("a", "t", token.token, 900)
    tokens.update("a", "t", token.token, {"a": 1})
    tokens.list("a", "t", "bob")
    tokens.count("a", "t", "bob")
    assert told == []


def test_names_of_any_bytes(audited: Client, told: Told) -> None:
    tokens = RedisTokens(audited)
    owners = ['"', "\\", '\\u0022\\"', "a\nb\r\t\b\f", "\x01\x7f", "é\u202e商", "{x", "x" * 1024, "\\x41", "\\n41"]
    for owner in owners:
        token = tokens.create("a\n", 't"', owner)
        tokens.delete("a\n", 't"', token.token)
        assert short(told[-2:]) == [("created", None, owner), ("ended", "logout", owner)]
        assert (told[-1].app, told[-1].type) == ("a\n", 't"')
    tokens.create("a", "t", b"\xff\xfe")
    assert told[-1].owner == "\udcff\udcfe"
    assert_stored(audited, told)


def test_many_at_once_and_what_is_undone(audited: Client, told: Told) -> None:
    tokens = RedisTokens(audited)
    new = [{"app": f"a{n}", "type": "t", "owner": "bob"} for n in range(3)]
    tokens.create_many(new)
    assert [event.app for event in told] == ["a0", "a1", "a2"]
    refusing = RedisTokens(audited, max_per_owner=2, when_full="refuse")
    del told[:]
    with pytest.raises(tokenstore.LimitError):
        refusing.create_many([*new, new[0], new[0]])
    kinds = [event.kind for event in told]
    assert kinds == ["created"] * 3 + ["refused"] * 2 + ["ended"] * 3
    assert {event.reason for event in told[5:]} == {"undone"}
    assert {event.app for event in told if event.kind == "ended"} == {"a0", "a1", "a2"}


def test_custom_tokens(audited: Client, told: Told) -> None:
    tokens = RedisTokens(audited)
    tokens.create("a", "t", "bob", custom_token="INVITE-1")
    with pytest.raises(tokenstore.DataError):
        tokens.create("a", "t", "bob", custom_token="INVITE-1")
    tokens.take("a", "t", "INVITE-1")
    tokens.get("a", "t", "INVITE-1")
    assert short(told) == [("created", None, "bob"), ("ended", "taken", "bob")]
    assert_stored(audited, told)


def test_sessions_of_redis_jwt(audited: Client, told: Told) -> None:
    sessions = tokenstore.RedisJWT(audited, secret=40 * "x")
    first = sessions.sign("bob")
    second = sessions.sign("bob")  # ends the first
    with pytest.raises(tokenstore.InvalidTokenError):
        sessions.verify(first)
    rjwt = sessions.verify(second)["rjwt"]
    with acting("admin"):
        sessions.call().destroy(rjwt)
        sessions.sign("bob")
        sessions.call().destroy_multiple("bob")
        sessions.call().destroy_multiple("bob")
    assert short(told) == [
        *[("created", None, "bob"), ("created", None, "bob"), ("ended", "too_many", "bob")],
        *[("used_after_end", None, "bob"), ("ended", "revoked", "bob")],
        *[("created", None, "bob"), ("ended", "all", "bob")],
    ]
    assert {event.type for event in told} == {"jwt"}
    assert told[1].sid == told[4].sid == rjwt
    assert told[3].id == told[2].sid == told[0].sid
    assert_stored(audited, [event for event in told if event.kind != "used_after_end"], "rjwt-sessions")
    assert not any(first in str(event) or second in str(event) for event in told)


def test_tokens_of_the_node_package(audited: Client, told: Told) -> None:
    store = tokenstore.Tokenstore(audited)
    first, second = store.add("bob"), store.add("bob")
    with pytest.raises(tokenstore.DataError):
        store.add("bob", key=first["key"])
    store.delete(first["id"])
    store.delete_key(second["key"])
    store.delete(first["id"])
    assert short(told) == [("created", None, "bob")] * 2 + [("ended", "revoked", "bob")] * 2
    assert [event.id for event in told] == [first["id"], second["id"]] * 2
    assert_stored(audited, told, "token")
    assert not any(first["key"] in str(event) for event in told)


# ---- who -------------------------------------------------------------------------------------------------


def test_the_actor_is_of_the_context(audited: Client, told: Told) -> None:
    sessions = Sessions(audited)
    with acting("outer"):
        with acting("inner"):
            sessions.create("web", "a")
        with pytest.raises(ZeroDivisionError), acting("failing"):
            raise ZeroDivisionError
        sessions.create("web", "b")
        thread = threading.Thread(target=lambda: sessions.create("web", "c"))
        thread.start()
        thread.join()
        with acting(None):
            sessions.create("web", "d")
    assert [event.actor for event in told] == ["inner", "outer", None, None]
    assert_stored(audited, told)
    with pytest.raises(TypeError, match="actor must be str, not int"), acting(5):  # type: ignore[arg-type]
        pass
    with acting("x" * 1025), pytest.raises(tokenstore.DataError, match="actor: 1025 bytes"):
        sessions.create("web", "e")


# ---- the log ---------------------------------------------------------------------------------------------


def test_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tokenstore.audit")
    with Client(server.url, audit=True) as client, acting('x" kind="forged'):
        tokens = RedisTokens(client, reuse="revoke", max_per_owner=1, when_full="refuse")
        token = tokens.create("a", "t", "bob\nsession_created")
        with pytest.raises(tokenstore.LimitError):
            tokens.create("a", "t", "bob\nsession_created")
        tokens.rotate("a", "t", token.token)
        with pytest.raises(tokenstore.TokenReusedError):
            tokens.get("a", "t", token.token)
        tokens.get("a", "u", token.token)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "tokenstore.audit"]
    assert [(level, line.split()[0]) for level, line in lines] == [
        ("INFO", "authn_token_created"),
        ("WARNING", "excess_rate_limit_exceeded"),
        ("INFO", "authn_token_created"),
        ("CRITICAL", "authn_token_reuse"),
        ("INFO", "authn_token_revoked"),
        ("WARNING", "session_use_after_expire"),
    ]
    first = lines[0][1]
    assert "\n" not in first
    assert f"owner={json.dumps(token.owner)}" in first
    assert first.endswith('count=1 actor="x\\" kind=\\"forged"')
    record: Any = caplog.records[0]
    assert record.audit["sid"] == token.sid
    assert record.audit["name"] == "authn_token_created"


def test_a_function_that_fails_fails_nobody(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: AuditEvent) -> None:
        raise ZeroDivisionError

    with Client(server.url, on_event=fail) as client:
        assert Sessions(client).create("web", "bob")
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (record.name, record.getMessage()) == ("tokenstore", "on_event failed")


# ---- the stream ------------------------------------------------------------------------------------------


def test_pages_of_the_stream(audited: Client, told: Told) -> None:
    tokens = RedisTokens(audited)
    tokens.create_many([{"app": "a", "type": "t", "owner": str(n)} for n in range(7)])
    for reverse in (False, True):
        pages: list[Told] = []
        while len(pages) < 9 and (not pages or pages[-1]):
            after = pages[-1][-1].entry if pages else None
            pages.append(audited.audit_events(after=after, count=3, reverse=reverse))
        assert [len(page) for page in pages] == [3, 3, 1, 0]
        owners = [event.owner for page in pages for event in page]
        assert owners == [str(n) for n in (reversed(range(7)) if reverse else range(7))]
    assert audited.audit_events("other") == []
    for bad in ({"after": "x"}, {"after": "1-2-3"}, {"count": 0}, {"count": 100_001}):
        with pytest.raises(tokenstore.DataError):
            audited.audit_events(**bad)  # type: ignore[arg-type]


def test_the_stream_is_capped(server: Server) -> None:
    with Client(server.url, audit_stream=100) as client, server.wire() as wire:
        tokens = RedisTokens(client)
        for _ in range(10):
            tokens.create_many([{"app": "a", "type": "t", "owner": "bob"}] * 50)
        assert 100 <= wire("XLEN", "ts:audit") <= 250  # whole blocks go


def test_what_others_wrote_into_it(audited: Client, server: Server) -> None:
    server("XADD", "ts:audit", "5-1", "count", "x", "kind", "new", "unknown", b"\xff", "event", "e")
    [event] = audited.audit_events()
    assert event == AuditEvent(0.005, "new", "e", entry="5-1")


def test_a_change_is_made_though_the_stream_cannot_be_written(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    told: Told = []
    with Client(server.url, on_event=told.append, audit_stream=100) as client:
        sessions = Sessions(client)
        token = sessions.create("web", "bob")
        server("DEL", "ts:audit")
        server("SET", "ts:audit", "of another program")
        assert sessions.kill("web", token)
        assert sessions.get("web", token) is None
        assert [event.kind for event in told] == ["created", "ended", "used_after_end"]
    [warning] = [r.getMessage() for r in caplog.records if r.levelname == "WARNING" and r.name == "tokenstore"]
    assert "the change was made, but not written to the audit stream: WRONGTYPE" in warning


def test_the_right_to_write_it(caplog: pytest.LogCaptureFixture) -> None:
    with running(transport="tcp") as server:
        server(*printed_rule())
        url = f"redis://tokens:secret@127.0.0.1:{server.port}"
        with Client(url, audit_stream=100) as client:
            sessions = Sessions(client)
            assert sessions.create("web", "bob")
            assert server.keys() != []
            assert b"ts:audit" not in server.keys()
            assert "not written to the audit stream" in caplog.text
            with pytest.raises(tokenstore.ServerError, match="NOPERM"):
                client.audit_events()
            server("ACL", "SETUSER", "tokens", "+xadd", "+xrange", "+xrevrange")
            sessions.create("web", "bob")
            assert len(client.audit_events()) == len(client.audit_events(reverse=True)) == 1


def test_a_server_without_memory_still_ends_sessions() -> None:
    told: Told = []
    with running() as server, Client(server.url, on_event=told.append, audit_stream=100) as client:
        sessions = Sessions(client)
        token = sessions.create("web", "bob")
        server("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(tokenstore.ServerError, match="OOM"):
            sessions.create("web", "bob")
        assert sessions.kill("web", token)
        server("CONFIG", "SET", "maxmemory", "0")
        assert short(told) == [("created", None, "bob"), ("ended", "logout", "bob")]
        assert_stored(client, told)  # behind the deletion, the stream is written, too


def test_on_a_cluster() -> None:
    told: Told = []
    with running_cluster() as cluster:
        with Client(cluster.url, on_event=told.append, audit_stream=100) as client:
            sessions = Sessions(client, reuse="revoke", max_per_owner=2, when_full="refuse")
            for n in range(5):
                sessions.kill("web", sessions.create("web", f"user{n}"))
            stolen = sessions.create("web", "bob")
            sessions.rotate("web", stolen)
            with pytest.raises(tokenstore.TokenReusedError):
                sessions.get("web", stolen)
            for owner in ("a", "b", "c", "d"):
                assert sessions.rotate("web", sessions.create("web"), owner_id=owner)
            RedisTokens(client).create_many([{"app": "a", "type": "t", "owner": str(n)} for n in range(9)])
            assert [event.kind for event in told].count("created") == 19
            assert sum(event.reason == "bound" for event in told) == 4
            assert_stored(client, told)


# ---- what it costs where nobody asks ---------------------------------------------------------------------


def monitored(server: Server, use: Callable[[], Any]) -> list[str]:
    """The commands that the server got meanwhile."""
    with server.wire() as monitor:
        monitor("MONITOR")
        use()
        server("ECHO", "the end")
        lines = []
        while '"the end"' not in (line := monitor.read()):
            lines.append(line.split("]", 1)[1])
        return lines


def test_without_it_nothing_is_different(server: Server) -> None:
    def use(client: Client) -> None:
        tokens = RedisTokens(client, max_per_owner=3)
        token = tokens.create("a", "t", "bob", custom_token="x" * 20)
        tokens.delete("a", "t", token.token)

    with Client(server.url) as plain, Client(server.url, audit_stream=10) as audited:
        assert plain._auditor is None
        assert Sessions(plain)._driver is plain._core
        plainly = monitored(server, lambda: use(plain))
        assert not any("audit" in line or "authn" in line for line in plainly)
        assert any("ts:audit" in line for line in monitored(server, lambda: use(audited)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"audit": 1}, "audit must be True or False, not int"),
        ({"on_event": "print"}, "on_event must be a function, not str"),
        ({"audit_stream": 1.5}, "audit_stream must be int, not float"),
        ({"audit_stream": -1}, "audit_stream must be 0 to 100000000"),
        ({"audit_stream": 100_000_001}, "audit_stream must be 0 to 100000000"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, tokenstore.ConfigurationError), match=message):
        Client("redis://localhost", **options)


# ---- secrets ---------------------------------------------------------------------------------------------


def test_no_token_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.NOTSET)
    caplog.set_level(logging.NOTSET, "tokenstore")
    told: Told = []
    with running() as server, server.wire() as monitor:
        with Client(server.url, audit=True, on_event=told.append, audit_stream=1000) as client, acting("tester"):
            monitor("MONITOR")
            secrets = use_everything(RedisTokens(client, reuse="revoke"))
            server("ECHO", "the end")
            seen = ""
            while "the end" not in (line := monitor.read()):
                seen += line + "\n"
            stream = repr(server("XRANGE", "ts:audit", "-", "+"))
    assert {event.kind for event in told} >= {"created", "rotated", "ended", "reused", "used_after_end"}
    ours = "\n".join(record.getMessage() + repr(vars(record)) for record in caplog.records)
    for place, text in {"events": repr(told), "stream": stream, "MONITOR": seen, "log": ours}.items():
        assert str(told[0].id) in text  # it is the right place
        assert_clean(place, text.encode(), secrets)
        assert '"n": 1' not in text or place == "MONITOR"
