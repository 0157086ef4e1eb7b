"""The guard logs in: the session, its cookie, and those of the request before."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import tokenstore
from login_site import ATTRIBUTES, FORGED, send, site
from nginx_server import Nginx
from servers import Server


@pytest.fixture(scope="module")
def nginx(redis: Server) -> Iterator[Nginx]:
    with site(redis.url, explained=("replicas have it",)) as made:
        yield made


@pytest.fixture(scope="module")
def sessions(redis: Server) -> Iterator[tokenstore.Sessions]:
    with tokenstore.Sessions(redis.url) as made:
        yield made


@pytest.fixture(autouse=True)
def nobody_is_in(sessions: tokenstore.Sessions) -> None:
    for owner in ("bob", "alice"):
        sessions.kill_all("web", owner)


def live(sessions: tokenstore.Sessions, *tokens: str) -> list[bool]:
    return [sessions.get("web", token) is not None for token in tokens]


def test_a_login(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    arguments = {"owner_id": "bob", "data": {"role": "admin"}, "duration": 3600, "idle": 600}
    got = send(nginx, "/login", arguments=arguments, headers={"User-Agent": "Mozilla/5.0 \xe4"})
    assert got.cookies == [f"__Host-sid={got.token}; Max-Age=3600{ATTRIBUTES}"]
    assert got.headers["cache-control"] == "no-store"
    assert got.json == {"owner": "bob", "data": {"role": "admin"}, "token": got.token}
    session = sessions.get("web", got.token, expiry=True)
    assert session is not None
    assert (session.owner_id, session.data, session.idle) == ("bob", {"role": "admin"}, 600)
    assert session.expires_at == pytest.approx(session.created_at + 600, abs=1)
    assert session.request == {"address": "unix:", "user_agent": "Mozilla/5.0 ä"}
    assert send(nginx, "/check", got.token).json["owner"] == "bob"


@pytest.mark.parametrize(
    ("path", "arguments", "age"),
    [
        ("/login", {}, None),
        ("/login", {"idle": 600}, None),
        ("/login", {"duration": 1.5}, 2),
        ("/login", {"duration": 86400, "max_age": False}, None),
        ("/login", {"idle": 600, "max_age": 7200}, 7200),
        ("/sliding", {"duration": 3600}, None),
        ("/sliding", {"duration": 3600, "max_age": 7200}, 7200),
    ],
)
def test_how_long_browsers_keep_the_cookie(
    nginx: Nginx, path: str, arguments: dict[str, object], age: int | None
) -> None:
    [line] = send(nginx, path, arguments={"owner_id": "bob", **arguments}).cookies
    found = re.search("; Max-Age=([0-9]+);", line)
    assert (int(found[1]) if found else None) == age
    assert line.endswith(ATTRIBUTES)


def test_other_attributes(nginx: Nginx) -> None:
    [line] = send(nginx, "/plain").cookies
    assert re.fullmatch(
        "sid=[A-Za-z0-9_-]+; Path=/app; Domain=example.com; HttpOnly; SameSite=Strict", line
    )
    assert send(nginx, "/partitioned").cookies == [
        "__Secure-sid=; Max-Age=0; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=None; Partitioned"
    ]


def test_other_cookies_stay(nginx: Nginx) -> None:
    got = send(nginx, "/others")
    assert got.text == "bob"
    assert got.cookies[:2] == ["a=1", "b=2"]
    assert len(got.cookies) == 3  # the rotation replaced the cookie of the login
    upstream = send(nginx, "/edge/login", arguments={"owner_id": "bob"})
    assert sorted(line.split("=")[0] for line in upstream.cookies) == [
        "__Host-sid",
        "theirs",
        "theirs2",
    ]


def test_the_session_of_another_owner_ends(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    """Nor does it become bob's: the login neither takes over its data nor its token."""
    hers = [sessions.create("web", "alice", {"cart": [i]}) for i in range(3)]
    his = sessions.create("web", "bob", {"cart": ["his"]})
    got = send(nginx, "/login", "stale", hers[0], his, hers[1], arguments={"owner_id": "bob"})
    assert got.json == {"owner": "bob", "data": {}, "token": got.token}
    assert got.token not in (*hers, his)
    assert live(sessions, *hers, his, got.token) == [False, False, True, False, True]


def test_an_anonymous_session_hands_its_data_on(
    nginx: Nginx, sessions: tokenstore.Sessions
) -> None:
    """Session fixation: who planted or knew the token does not have the session that it became."""
    planted = sessions.create(
        "web", None, {"cart": ["book"], "theme": "dark", "seen": [], "x": 1}, idle=60
    )
    other = sessions.create("web", None, {"cart": ["other"]})
    arguments = {"owner_id": "bob", "data": {"theme": "light", "x": None}, "duration": 100}
    got = send(nginx, "/login", planted, other, arguments=arguments)
    wanted = {"cart": ["book"], "theme": "light", "seen": []}
    assert got.json == {"owner": "bob", "data": wanted, "token": got.token}
    assert live(sessions, planted, other) == [False, False]
    session = sessions.get("web", got.token, expiry=True)
    assert session is not None
    assert (session.data, session.idle) == (wanted, None)
    assert send(nginx, "/check", planted).status == 401
    assert sessions.count("web", "bob") == 1


def test_a_superseded_anonymous_session(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    """Not even within its grace does the old token find what the session became."""
    for sent in ((0,), (0, 1), (1, 0)):
        planted = sessions.create("web", None, {"cart": ["book"]})
        token = sessions.rotate("web", planted, grace=60)
        assert token is not None
        values = [(planted, token)[i] for i in sent]
        got = send(nginx, "/login", *values, arguments={"owner_id": "bob"})
        assert got.json["data"] == {"cart": ["book"]}
        assert live(sessions, planted, token, got.token) == [False, False, True]


def test_a_bad_login_ends_nothing(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    old = sessions.create("web", "alice", {})
    visitor = sessions.create("web", None, {"cart": ["x" * 40000]})
    for arguments, code in (
        ({"duration": 0}, "data"),
        ({"data": {"notes": "y" * 40000}}, "data"),  # too large together with the visitor's
        ({"owner_id": ""}, "data"),
    ):
        got = send(nginx, "/login", old, visitor, arguments={"owner_id": "bob", **arguments})
        assert (got.json["code"], got.cookies) == (code, [])
        assert live(sessions, old, visitor) == [True, True]
    assert sessions.count("web", "bob") == 0


def test_a_full_owner(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    first = send(nginx, "/limited", arguments={"owner_id": "bob"})
    visitor = sessions.create("limited", None, {})
    newer = sessions.rotate("limited", visitor, grace=60)
    for values in ((), (visitor,), (visitor, newer)):
        cookies = {"Cookie": "; ".join(f"sid={value}" for value in values)}
        got = send(nginx, "/limited", headers=cookies, arguments={"owner_id": "bob"})
        assert (got.json["code"], got.cookies) == ("limit", [])
        assert sessions.get("limited", visitor) is not None  # and keeps the cart
    cookies = {"Cookie": f"sid={first.json['token']}"}
    again = send(nginx, "/limited", headers=cookies, arguments={"owner_id": "bob"})
    assert again.json["owner"] == "bob"  # it takes the place of the one that it ends


def test_a_session_that_no_replica_has(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    """It begins and goes on all the same; its end fails."""
    first = send(nginx, "/durable/login")
    assert first.json["owner"] == "bob"
    second = send(nginx, "/durable/rotate", first.token)
    assert second.token not in ("", first.token)
    assert send(nginx, "/check", second.token).json["owner"] == "bob"
    assert send(nginx, "/durable/logout", second.token).status == 503
    assert sessions.get("web", second.token) is None


def test_the_upstream_sees_the_new_session(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    hers = sessions.create("web", "alice", {})
    got = send(
        nginx,
        "/edge/login",
        arguments={"owner_id": "bob"},
        headers={"Cookie": f"a=b; __Host-sid={hers}; c=d", **FORGED},
    )
    [line] = [line for line in got.cookies if line.startswith("__Host-sid=")]
    token = line[len("__Host-sid=") :].split(";")[0]
    seen = got.seen
    assert seen["cookie"] == f"a=b; c=d; __Host-sid={token}"
    assert seen["x-owner-id"] == "bob"
    assert "forged" not in seen.values()


def test_many_cookie_headers(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    hers, too = sessions.create("web", "alice", {}), sessions.create("web", "alice", {})
    sent = (f"a=b; __Host-sid={hers}", "c=d", f"__Host-sid={too}")
    got = send(nginx, "/edge/login", arguments={"owner_id": "bob"}, cookie_headers=sent)
    cookie = got.seen["cookie"]
    assert isinstance(cookie, str), cookie
    assert cookie.startswith("a=b; c=d; __Host-sid=")
    assert live(sessions, hers, too) == [False, False]
    assert send(nginx, "/variable", cookie_headers=sent).json["owner"] == "bob"
    got = send(nginx, "/edge/logout", cookie_headers=(cookie, "e=f"))
    assert got.seen["cookie"] == "a=b; c=d; e=f"


def test_the_upstream_of_a_refused_login_sees_nobody(nginx: Nginx) -> None:
    arguments = {"owner_id": "bob", "duration": 0}
    got = send(nginx, "/edge/login", arguments=arguments, headers=FORGED)
    assert "forged" not in got.json.values()
    assert not any(line.startswith("__Host-") for line in got.cookies)


def test_a_variable_that_nginx_has_computed(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    hers = sessions.create("web", "alice", {})
    assert send(nginx, "/variable", hers).json["owner"] == "bob"
    assert send(nginx, "/variable").json["owner"] == "bob"


def test_a_login_after_the_headers(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    text = send(nginx, "/late").text
    assert text.startswith("begun ")
    assert "have been sent already" in text
    assert sessions.count("web", "late") == 0
