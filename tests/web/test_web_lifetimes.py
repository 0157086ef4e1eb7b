"""tokenstore.web: lifetimes, headers, errors, secrecy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

import stored
import tokenstore
from conftest import Web, token_of
from servers import Server
from tokenstore.web import Effect, Policy

# ---- lifetimes ---------------------------------------------------------------------------------------


class Watched:
    """A session, and where its end has moved since it was made."""

    def __init__(self, server: Server, web: Web, token: str) -> None:
        self.web, self.token = web, token
        self._server = server
        with tokenstore.RedisTokens(server.url) as tokens:
            found = tokens.get("web", "session", token)
        assert found is not None
        self.record = found
        self._end = stored.end_of(server, found)

    def moved(self) -> int:
        """Milliseconds."""
        return stored.end_of(self._server, self.record) - self._end

    def use(self, **fields: Any) -> None:
        session = self.web.open(self.token)
        session.update(fields)
        assert session.principal == "bob"
        assert self.web.commit(session) == Effect(vary="Cookie")


IDLE = 5
WRITTEN = 0.55
"""A use is written when a tenth of the idle time has passed."""


@pytest.mark.parametrize("changes", [False, True])
def test_a_session_slides_by_its_idle_time(
    make_web: Callable[..., Web], server: Server, changes: bool
) -> None:
    web = make_web(idle=IDLE, absolute=3600)
    watched = Watched(server, web, web.login("bob"))
    time.sleep(WRITTEN)
    watched.use(**({"n": 1} if changes else {}))
    assert watched.moved() >= 500
    assert stored.left(server, watched.record) <= IDLE * 1000
    stored.set_left(server, watched.record, 0)
    assert web.open(watched.token).principal is None


def test_an_unused_session_does_not_slide(make_web: Callable[..., Web], server: Server) -> None:
    web = make_web(idle=IDLE, absolute=60)
    watched = Watched(server, web, web.login("bob"))
    time.sleep(WRITTEN)
    web.commit(web.open(watched.token))
    assert watched.moved() == 0


def test_no_use_outlives_the_absolute_end(make_web: Callable[..., Web], server: Server) -> None:
    web = make_web(idle=IDLE, absolute=IDLE)
    watched = Watched(server, web, web.login("bob"))
    time.sleep(WRITTEN)
    watched.use()
    watched.use(n=1)
    assert watched.moved() == pytest.approx(0, abs=20)


def test_the_absolute_end_counts_from_the_login(
    make_web: Callable[..., Web], server: Server
) -> None:
    web = make_web(idle=None, absolute=1000)
    visitor = web.make(n=1)
    before = Watched(server, web, visitor)
    stored.set_left(server, before.record, 500)
    after = Watched(server, web, web.login("bob", visitor))
    assert web.open(visitor).new
    assert stored.left(server, after.record) == pytest.approx(1_000_000, abs=20_000)


def test_most_requests_do_not_ask_to_slide(web: Web, server: Server) -> None:
    token = web.login("bob", n=1)
    web.commit(web.open(token))
    before = int(server.info("stats", "total_commands_processed"))
    for _ in range(10):
        session = web.open(token)
        assert session["n"] == 1
        web.commit(session)
    # HGET, and on servers that cannot end a field TIME; and INFO itself.
    assert int(server.info("stats", "total_commands_processed")) - before in (11, 21)


def test_most_changes_do_not_slide(web: Web) -> None:
    """To slide is half of what a change costs the server."""
    session = web.open(web.login("bob"))
    session["n"] = 1
    call = next(Policy().commit(session))
    assert (call.name, call.arguments["data"], call.arguments["refresh"]) == (
        "update",
        {"n": 1},
        None,
    )


def test_a_near_cache(make_web: Callable[..., Web], sessions: tokenstore.Sessions) -> None:
    web = make_web({"near_cache": 100})
    token = web.login("bob", cart=["book"])
    stats = web.near_cache_stats
    deadline = time.monotonic() + 30
    while stats()["hits"] == 0 and time.monotonic() < deadline:
        assert web.open(token)["cart"] == ["book"]
    assert stats()["hits"] > 0
    session = web.open(token)
    session["cart"].append("pen")  # in this request alone, until it is stored
    assert web.open(token)["cart"] == ["book"]
    web.commit(session)
    assert web.open(token)["cart"] == ["book", "pen"]
    session = web.open(token)
    session.logout()
    web.commit(session)
    assert web.open(token).new


def test_how_long_browsers_keep_the_cookie(make_web: Callable[..., Web]) -> None:
    def age_of(web: Web, session: Any = None) -> str | None:
        session = session if session is not None else web.open()
        session["n"] = 1
        effect = web.commit(session)
        assert effect.set_cookie is not None
        attributes = dict(a.partition("=")[::2] for a in effect.set_cookie.split("; "))
        return attributes.get("Max-Age")

    assert age_of(make_web()) == str(90 * 86400)
    assert age_of(make_web(absolute=None)) == str(14 * 86400)
    assert age_of(make_web(absolute=None, idle=None)) is None
    assert age_of(make_web(persistent=False)) is None
    web = make_web(absolute=None)
    token = web.login("bob")
    session = web.open(token)
    assert age_of(web, session) == str(14 * 86400)  # the cookie slides with the session


# ---- headers -----------------------------------------------------------------------------------------


def test_several_cookies_of_one_name(web: Web) -> None:
    token = web.login("bob")
    assert web.open(f"unknown; session={token}").principal == "bob"
    assert web.open(f"{token}; session=unknown").principal == "bob"


@pytest.mark.parametrize("absolute", [7776000, None])
def test_a_bearer_token(
    make_web: Callable[..., Web], sessions: tokenstore.Sessions, absolute: Any
) -> None:
    web = make_web(bearer=True, absolute=absolute)
    token = sessions.create(app="web", owner_id="bob", idle=60)
    assert web.open(None, f"Basic {token}").principal is None
    session = web.open(web.login("eve"), f"bearer {token}")
    assert session.principal == "bob"
    session.rotate()
    session["n"] = 1
    assert web.commit(session) == Effect(vary="Authorization")
    found = sessions.get(app="web", token=token)
    assert found is not None
    assert (found.data, found.superseded) == ({"n": 1}, False)
    session = web.open(None, f"Bearer {token}")
    with pytest.raises(tokenstore.ConfigurationError, match="would not learn"):
        session.login("bob")
    session.logout()
    web.commit(session)
    assert sessions.get(app="web", token=token) is None


def test_a_bearer_token_is_not_read_unless_asked_for(
    web: Web, sessions: tokenstore.Sessions
) -> None:
    token = sessions.create(app="web", owner_id="bob")
    assert web.open(None, f"Bearer {token}").principal is None


# ---- errors ------------------------------------------------------------------------------------------


def test_redis_away_is_an_error(make_web: Callable[..., Web], server: Server) -> None:
    web = make_web({"timeout": 0.3})
    token = web.login("bob", n=1)
    session = web.open(token)
    session["n"] = 2
    server.stop()
    try:
        with pytest.raises(tokenstore.web.UNAVAILABLE):
            web.open(token)
        with pytest.raises(tokenstore.web.UNAVAILABLE):
            web.commit(session)
    finally:
        server.cont()
    assert web.open(None).principal is None


def test_what_too_few_replicas_have(make_web: Callable[..., Web], server: Server) -> None:
    """A session that begins or goes on is worth more than the promise; that one ends is not."""
    web = make_web({"wait_replicas": 1, "wait_timeout": 0.1})
    token = web.login("bob", n=1)
    session = web.open(token)
    session["n"] = 2
    web.commit(session)
    session = web.open(token)
    assert session["n"] == 2
    session.rotate()
    session["n"] = None
    token = token_of(web.commit(session))
    session = web.open(token)
    assert session["n"] is None
    session.logout()
    with pytest.raises(tokenstore.NotReplicatedError):
        web.commit(session)


def test_nothing_in_redis_equals_the_token(web: Web, server: Server) -> None:
    tokens = [web.login("bob", web.make(n=1), m=1)]
    session = web.open(tokens[0])
    session.rotate()
    tokens.append(token_of(web.commit(session)))
    everything = [b"".join(flat(server, key)) for key in server.keys()]
    for token in tokens:
        for part in (token, token[:32], token[-32:]):
            assert not any(part.encode() in each for each in everything)


def flat(server: Server, key: bytes) -> list[bytes]:
    kind = server("TYPE", key)
    return [key, *(server("HGETALL", key) if kind == "hash" else [server("GET", key)])]


def test_nothing_prints_the_token_or_the_data(web: Web) -> None:
    session = web.open()
    session["word"] = "confidential"
    effect = web.commit(session)
    token = token_of(effect)
    session = web.open(token)
    session["n"] = 1
    for text in (repr(effect), repr(session), str(session), repr(web.open(token).stored)):
        assert token not in text
        assert "confidential" not in text


def test_a_store_of_the_other_kind() -> None:
    blocking = tokenstore.Sessions("redis://localhost:1")
    other = tokenstore.asyncio.Sessions("redis://localhost:1")
    with pytest.raises(
        TypeError, match=r"store must be a tokenstore\.Sessions, not a tokenstore\.asyncio"
    ):
        tokenstore.web.WebSessions(other)  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"store must be a tokenstore\.asyncio\.Sessions, not a tokenstore\.S"
    ):
        tokenstore.web.AsyncWebSessions(blocking)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"idle": 0}, "idle must be from 1 s"),
        ({"absolute": 1e12}, "absolute must be from 1 s"),
        ({"grace": -1}, "grace must be from 1 s"),
        ({"idle": 100, "absolute": 50}, "idle must not be longer than absolute"),
    ],
)
def test_bad_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(tokenstore.ConfigurationError, match=words):
        tokenstore.web.Policy(**options)
