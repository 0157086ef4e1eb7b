"""The Node package redis-jwt 1.4.0 and our RedisJWT on one database: each verifies and ends the other's
sessions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tokenstore
from node import MISSING, Node, NodeError, is_there, node
from ours import Ours, OursFailedError
from servers import Server

pytestmark = pytest.mark.skipif(not is_there("redis-jwt"), reason=MISSING)

SECRET = "a secret that is long enough for HS256"
DATA = {"role": "é 😀", "list": [1, 2.5, None, {}], "on": True}


@pytest.fixture(scope="module")
def theirs(shared_server: Server) -> Iterator[Node]:
    """Many sessions per user."""
    with node("redis-jwt", shared_server, secret=SECRET, multiple=True) as process:
        yield process


@pytest.fixture(scope="module")
def theirs_single(shared_server: Server) -> Iterator[Node]:
    """One session per user."""
    with node("redis-jwt", shared_server, secret=SECRET, multiple=False) as process:
        yield process


@pytest.fixture
def ours(make_ours: Callable[..., Ours]) -> Ours:
    return make_ours("RedisJWT", secret=SECRET, multiple=True)


@pytest.fixture
def ours_single(make_ours: Callable[..., Ours]) -> Ours:
    return make_ours("RedisJWT", secret=SECRET, multiple=False)


def sign_there(theirs: Node, id: str = "bob", ttl: str = "15 minutes", bare: bool = False) -> str:
    """The package does not wait for the reply to its SET: the next command on its connection does."""
    options = {"ttl": ttl, "dataToken": {"name": "bób"}, "dataSession": DATA}
    token = theirs("sign", id, *([] if bare else [options]))
    assert theirs("call.exists", theirs("verify", token)["rjwt"]) == 1
    return str(token)


def sign(ours: Ours, id: str = "bob") -> str:
    return ours("sign", id=id, ttl="15 minutes", data_token={"name": "bób"}, data_session=DATA)


def verify(ours: Ours, token: str) -> Any:
    return ours("verify", token=token, value_session=True)


def lives(ours: Ours, token: str) -> bool:
    try:
        return bool(ours("verify", token=token)["id"])
    except OursFailedError as error:
        assert "nvalid" in str(error)
        return False


def lives_there(theirs: Node, token: str) -> bool:
    return theirs("verify", token) is not False


def test_what_node_signs_we_verify(server: Server, theirs: Node, ours: Ours) -> None:
    token = sign_there(theirs)
    session = verify(ours, token)
    assert session == theirs("verify", token, True)
    assert session["id"] == "bob"
    assert session["rjwt"].startswith("bob:")
    assert 899 <= session["ttl"] <= 900
    assert abs(session["iat"] - time.time()) < 60
    assert (session["dataToken"], session["dataSession"]) == ({"name": "bób"}, DATA)
    assert "dataSession" not in ours("verify", token=token)


def test_what_we_sign_node_verifies(server: Server, theirs: Node, ours: Ours) -> None:
    token = sign(ours)
    session = theirs("verify", token, True)
    assert session == verify(ours, token)
    assert session["id"] == "bob"
    assert 899 <= session["ttl"] <= 900
    assert (session["dataToken"], session["dataSession"]) == ({"name": "bób"}, DATA)


def test_without_anything(server: Server, theirs: Node, ours: Ours) -> None:
    """No ttl, no data."""
    for token in (sign_there(theirs, bare=True), ours("sign", id="bob")):
        session = theirs("verify", token)
        assert verify(ours, token) == session
        assert sorted(session) == ["iat", "id", "rjwt", "ttl"]
        assert session["ttl"] == -1


@pytest.mark.parametrize("ttl", ["2 days", "10h", "90 seconds", "1m", "2.5 hrs", "1 week"])
def test_a_ttl_is_the_same_on_both_sides(server: Server, theirs: Node, ours: Ours, ttl: str) -> None:
    first = theirs("verify", sign_there(theirs, ttl=ttl))["ttl"]
    second = theirs("verify", ours("sign", id="bob", ttl=ttl))["ttl"]
    assert abs(first - second) <= 1


def test_each_ends_what_the_other_signed(server: Server, theirs: Node, ours: Ours) -> None:
    token = sign_there(theirs)
    rjwt = verify(ours, token)["rjwt"]
    assert ours("call.destroy", rjwt)
    assert not lives_there(theirs, token)
    assert not lives(ours, token)

    token = sign(ours)
    rjwt = verify(ours, token)["rjwt"]
    assert theirs("call.destroy", rjwt) == 1
    assert not lives(ours, token)
    assert not lives_there(theirs, token)


def test_each_ends_all_of_a_user(server: Server, theirs: Node, ours: Ours) -> None:
    tokens = [sign_there(theirs) for _ in range(3)] + [sign(ours) for _ in range(3)]
    other = sign(ours, "bobby")
    theirs("call.destroyMultiple", "bob")
    assert not any(lives(ours, token) for token in tokens)
    assert lives(ours, other)

    tokens = [sign_there(theirs) for _ in range(3)] + [sign(ours) for _ in range(3)]
    ours("reindex")
    assert ours("call.destroy_multiple", "bob") == 6
    assert not any(lives_there(theirs, token) for token in tokens)
    assert lives_there(theirs, other)


def test_the_helpers_say_the_same(server: Server, theirs: Node, ours: Ours) -> None:
    tokens = [sign_there(theirs), sign(ours), sign_there(theirs, "bobby")]
    ours("reindex")
    rjwts = [verify(ours, token)["rjwt"] for token in tokens]
    assert ours("call.ping") == "PONG"  # the package's returns its connection
    for rjwt in rjwts:
        assert bool(theirs("call.exists", rjwt)) is bool(ours("call.exists", rjwt)) is True
        assert abs(theirs("call.ttl", rjwt) - ours("call.ttl", rjwt)) <= 1
        assert theirs("call.getValueByKey", rjwt) == ours("call.get_value_by_key", rjwt)
    assert not ours("call.exists", "bob:none")
    assert ours("call.get_value_by_key", "bob:none") is None
    for user in ("bob", "bobby", "nobody"):
        count = theirs("call.getCountByPattern", user) or 0
        assert ours("call.get_count_by_pattern", user) == count
        if count:
            values = theirs("call.getValuesByPattern", user)
            assert sorted(ours("call.get_values_by_pattern", user)) == sorted(values)


def test_a_login_in_node_ends_ours(server: Server, theirs_single: Node, ours_single: Ours) -> None:
    first, stays = sign(ours_single), sign(ours_single, "ann")
    second = sign_there(theirs_single)
    assert not lives(ours_single, first)
    assert lives(ours_single, second)
    assert lives(ours_single, stays)


def test_our_login_ends_nodes_after_reindex(
    server: Server, theirs_single: Node, ours_single: Ours
) -> None:
    first = sign_there(theirs_single)
    ours_single("reindex")
    second = sign(ours_single)
    assert not lives_there(theirs_single, first)
    assert lives_there(theirs_single, second)


def test_our_login_ends_nodes_with_node_writers(
    server: Server, make_ours: Callable[..., Ours], theirs_single: Node
) -> None:
    ours = make_ours("RedisJWT", secret=SECRET, multiple=False, node_writers=True)
    for _ in range(3):
        first, stays = (sign_there(theirs_single, id) for id in ("bob", "bobby"))
        second = sign(ours)
        assert not lives_there(theirs_single, first)
        assert lives_there(theirs_single, second)
        assert lives_there(theirs_single, stays)


def test_logins_in_turn(server: Server, theirs_single: Node, make_ours: Callable[..., Ours]) -> None:
    """Only the last login is valid."""
    ours = make_ours("RedisJWT", secret=SECRET, multiple=False, node_writers=True)
    before: list[str] = []
    for turn in range(6):
        token = sign(ours) if turn % 2 else sign_there(theirs_single)
        assert lives(ours, token)
        assert not any(lives(ours, old) for old in before)
        before.append(token)


def test_another_secret_is_refused_on_both_sides(
    server: Server, theirs: Node, make_ours: Callable[..., Ours]
) -> None:
    stranger = make_ours("RedisJWT", secret="another" + SECRET, multiple=True)
    with pytest.raises(OursFailedError, match="nvalid"):
        stranger("verify", token=sign_there(theirs))
    with pytest.raises(NodeError):
        theirs("verify", stranger("sign", id="bob"))


def test_a_session_of_one_language_is_good_in_all(
    server: Server, theirs: Node, ours: Ours, client: tokenstore.Client
) -> None:
    with tokenstore.RedisJWT(client, secret=SECRET, multiple=True) as python:
        for token in (sign(ours), python.sign("bob", ttl="15 minutes"), sign_there(theirs)):
            assert lives(ours, token)
            assert lives_there(theirs, token)
            assert python.verify(token)["id"] == "bob"


BIG = 1152921504606847000  # 2**60 as JavaScript writes it
STRANGE = {
    "big": BIG,
    "bigger": 10**20,
    "nul": "a\0b",
    "half": "\ud800",
    "\udead": [1, {"\0": -BIG}],
    "small": 5e-324,
    "deep": json.loads("[" * 100 + "]" * 100),
}


def test_what_node_signs_is_read_whatever_it_is(server: Server, theirs: Node) -> None:
    """JavaScript writes a large integer as digits, and strings as they are."""
    token = str(theirs("sign", "bob", {"dataToken": {"id": BIG}, "dataSession": STRANGE}))
    rjwt = theirs("verify", token)["rjwt"]
    with tokenstore.RedisJWT(server.url, secret=SECRET, multiple=True) as ours:
        found = ours.verify(token, value_session=True)
        assert found["dataToken"] == {"id": BIG}
        assert found["dataSession"] == STRANGE == json.loads(server("GET", rjwt))["dataSession"]
        assert ours.reindex() == 1
        assert ours.list("bob")[0]["dataSession"] == STRANGE
        with pytest.raises(tokenstore.DataError, match=r"data_session\.big"):
            ours.sign("bob", data_session=found["dataSession"])
        assert ours.destroy(rjwt) is True
    assert not lives_there(theirs, token)
