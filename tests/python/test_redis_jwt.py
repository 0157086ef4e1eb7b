"""RedisJWT: the Node package's behaviour row by row (docs/reference/redis-jwt.md), stored form, limits, keys."""

from __future__ import annotations

import json
import re
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tokenstore
from servers import Server
from tokenstore import RedisJWT, jwt
from tokenstore.session_events import SessionEnd
from topologies import tagged

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a secret of thirty-two bytes, yes"
ID = tagged("507f191e810c19729de860ea")
OTHER, NOBODY = tagged("another"), tagged("nobody")


def open_sessions(client: tokenstore.Client, **options: Any) -> RedisJWT:
    return RedisJWT(client, secret=SECRET, **options)


@pytest.fixture
def sessions(client: tokenstore.Client) -> RedisJWT:
    return open_sessions(client)


@pytest.fixture
def many(client: tokenstore.Client) -> RedisJWT:
    return open_sessions(client, multiple=True)


def is_live(sessions: RedisJWT, token: str) -> bool:
    try:
        sessions.verify(token)
    except tokenstore.InvalidTokenError:
        return False
    return True


def test_max_size(client: tokenstore.Client) -> None:
    usual, large = open_sessions(client), open_sessions(client, max_size=16384)
    data = {"groups": ["g" * 36] * 250}
    with pytest.raises(tokenstore.DataError, match="max_size"):
        usual.sign(ID, data_token=data)
    token = large.sign(ID, data_token=data)
    assert 11_000 < len(token) < 16_384
    assert large.verify(token)["dataToken"] == data
    with pytest.raises(tokenstore.InvalidTokenError, match="max_size is 8192"):
        usual.verify(token)
    for size in (0, 2**20 + 1):
        with pytest.raises(tokenstore.ConfigurationError, match="max_size must be"):
            open_sessions(client, max_size=size)


# ---- the rows of docs/reference/redis-jwt.md -------------------------------------------------------------------


def test_sign(sessions: RedisJWT, server: Server) -> None:
    token = sessions.sign(ID)
    claims = jwt.decode(token, jwt.Key.from_secret(SECRET), algorithms=["HS256"])
    assert set(claims) == {"rjwt", "iat"}
    assert re.fullmatch(re.escape(ID) + ":[A-Za-z0-9]{11}", claims["rjwt"])
    assert json.loads(server("GET", claims["rjwt"])) == {"rjwt": claims["rjwt"]}
    assert server("TTL", claims["rjwt"]) == -1


def test_sign_ttl(sessions: RedisJWT, server: Server) -> None:
    key = sessions.verify(sessions.sign(ID, ttl="15 minutes"))["rjwt"]
    assert server("TTL", key) == 900


def test_sign_data_token(sessions: RedisJWT) -> None:
    token = sessions.sign(ID, data_token={"world": "hello"})
    assert sessions.verify(token)["dataToken"] == {"world": "hello"}


def test_sign_data_session(sessions: RedisJWT, server: Server) -> None:
    token = sessions.sign(ID, data_session={"hello": "world"})
    key = sessions.verify(token)["rjwt"]
    assert json.loads(server("GET", key)) == {"rjwt": key, "dataSession": {"hello": "world"}}


def test_verify(sessions: RedisJWT) -> None:
    token = sessions.sign(ID, ttl=60, data_token={"a": 1}, data_session={"b": 2})
    found = sessions.verify(token)
    assert set(found) == {"id", "rjwt", "ttl", "iat", "dataToken"}
    assert (found["id"], found["ttl"], found["dataToken"]) == (ID, 60, {"a": 1})


def test_verify_value(sessions: RedisJWT) -> None:
    token = sessions.sign(ID, data_session={"b": [1, {"c": []}]})
    assert sessions.verify(token, True)["dataSession"] == {"b": [1, {"c": []}]}
    assert "dataSession" not in sessions.verify(sessions.sign(ID), value_session=True)


def test_verify_wrong(sessions: RedisJWT, client: tokenstore.Client) -> None:
    token = RedisJWT(client, secret="another secret of thirty-two bytes").sign(ID)
    with pytest.raises(tokenstore.InvalidTokenError):
        sessions.verify(token)


def test_verify_ended(sessions: RedisJWT) -> None:
    token = sessions.sign(ID)
    assert sessions.destroy(sessions.verify(token)["rjwt"]) is True
    with pytest.raises(tokenstore.InvalidTokenError, match="the session has ended"):
        sessions.verify(token)


def test_single(sessions: RedisJWT) -> None:
    first, second = sessions.sign(ID), sessions.sign(ID)
    assert [is_live(sessions, t) for t in (first, second)] == [False, True]


def test_multiple(many: RedisJWT) -> None:
    tokens = [many.sign(ID) for _ in range(3)]
    assert all(is_live(many, t) for t in tokens)


def test_exec(sessions: RedisJWT) -> None:
    assert sessions.exec().execute("PING") == "PONG"


def test_ping(sessions: RedisJWT) -> None:
    assert sessions.call().ping() == "PONG"


def test_call_create(sessions: RedisJWT, server: Server) -> None:
    old = sessions.sign(ID)
    key = f"{ID}:abcdefghijk"
    assert sessions.call().create(key, json.dumps({"rjwt": key}), "1 day") is True
    assert server("TTL", key) == 86400
    assert not is_live(sessions, old)
    assert [s["rjwt"] for s in sessions.list(ID)] == [key]


def test_exists(sessions: RedisJWT) -> None:
    key = sessions.verify(sessions.sign(ID))["rjwt"]
    assert sessions.call().exists(key) is True
    sessions.destroy(key)
    assert sessions.call().exists(key) is False


def test_ttl(sessions: RedisJWT) -> None:
    call = sessions.call()
    assert call.ttl(sessions.verify(sessions.sign(ID, ttl=50))["rjwt"]) == 50
    assert call.ttl(sessions.verify(sessions.sign(ID))["rjwt"]) == -1
    assert call.ttl(f"{ID}:abcdefghijk") == -2


def test_get_value_by_key(sessions: RedisJWT) -> None:
    key = sessions.verify(sessions.sign(ID))["rjwt"]
    assert json.loads(sessions.call().get_value_by_key(key) or "") == {"rjwt": key}
    assert sessions.call().getValueByKey(f"{ID}:abcdefghijk") is None


def test_get_values_by_pattern(many: RedisJWT) -> None:
    keys = {many.verify(many.sign(ID))["rjwt"] for _ in range(3)}
    many.sign(OTHER)
    values = many.call().get_values_by_pattern(ID)
    assert {json.loads(v)["rjwt"] for v in values} == keys
    assert many.call().getValuesByPattern(NOBODY) == []


def test_get_count_by_pattern(many: RedisJWT) -> None:
    for _ in range(3):
        many.sign(ID)
    assert many.call().get_count_by_pattern(ID) == 3
    assert many.call().getCountByPattern(tagged("*")) == 0


def test_get_info(sessions: RedisJWT) -> None:
    assert sessions.call().get_info("server").startswith("# Server")
    before = sessions.call().getInfo("DBSIZE")
    sessions.sign(ID)
    assert sessions.call().get_info("DBSIZE") == before + 2  # the session, and the index


def test_call_destroy(sessions: RedisJWT) -> None:
    key = sessions.verify(sessions.sign(ID))["rjwt"]
    assert sessions.call().destroy(key) is True
    assert sessions.call().destroy(key) is False


def test_destroy_multiple(many: RedisJWT, server: Server) -> None:
    tokens = [many.sign(ID) for _ in range(3)]
    other = many.sign(OTHER)
    assert many.call().destroy_multiple(ID) == 3
    assert many.destroyMultiple(ID) == 0
    assert not any(is_live(many, t) for t in tokens)
    assert is_live(many, other)
    assert len(server.keys()) == 2  # the other's session and index


def test_options(server: Server) -> None:
    sessions = RedisJWT(host=str(server.socket_path), db=3, maxretries=10, secret=SECRET)
    with sessions:
        key = sessions.verify(sessions.sign(ID))["rjwt"]
        assert sessions.exec().execute("EXISTS", key) == 1
    assert server("EXISTS", key) == 0  # it is in database 3
    assert RedisJWT(host="127.0.0.1", port=7, secret=SECRET).client.url == "redis://127.0.0.1:7/0"


def test_rows_of_the_documentation() -> None:
    page = (ROOT / "docs/reference/redis-jwt.md").read_text()
    rows = page.split("<!-- rows: the tests read the next table -->")[1].split("\n\n")[1]
    names = re.findall(r"\| `(\w+)` \|$", rows, re.M)
    assert len(names) > 15
    assert [n for n in names if f"test_{n}" not in globals()] == []


# ---- beyond the Node package -------------------------------------------------------------------------


def test_list(many: RedisJWT, server: Server) -> None:
    tokens = [many.sign(ID, ttl=100, data_session={"n": n}) for n in range(3)]
    assert [s["dataSession"]["n"] for s in many.list(ID)] == [2, 1, 0]
    newest = many.list(ID)[0]
    assert newest == {**newest, "id": ID, "rjwt": many.verify(tokens[2])["rjwt"], "ttl": 100}
    server("DEL", newest["rjwt"])  # by another program
    assert len(many.list(ID)) == 2
    assert server("ZCARD", f"rjwt-sessions/{ID}") == 2
    assert many.list(NOBODY) == []


def test_max_sessions_ends_the_oldest(client: tokenstore.Client) -> None:
    sessions = open_sessions(client, max_sessions=3)
    tokens = [sessions.sign(ID) for _ in range(5)]
    assert [is_live(sessions, t) for t in tokens] == [False, False, True, True, True]


def test_an_index_goes_with_its_last_session(many: RedisJWT, server: Server) -> None:
    many.sign(ID, ttl=100)
    many.sign(ID, ttl=50)
    assert 100 <= server("TTL", f"rjwt-sessions/{ID}") <= 102
    token = many.sign(ID)
    assert server("TTL", f"rjwt-sessions/{ID}") == -1
    many.destroy(many.verify(token)["rjwt"])
    assert 100 <= server("TTL", f"rjwt-sessions/{ID}") <= 102
    many.destroy_multiple(ID)
    assert server.keys() == []


def test_sessions_that_ended_by_another_hand_leave_the_index(
    many: RedisJWT, server: Server
) -> None:
    for _ in range(300):
        server("DEL", many.verify(many.sign(ID))["rjwt"])
    assert server("ZCARD", f"rjwt-sessions/{ID}") < 60


def test_reindex(client: tokenstore.Client, server: Server) -> None:
    sessions = open_sessions(client, multiple=True)
    ours = sessions.verify(sessions.sign(ID))["rjwt"]
    strange, quoted = tagged("strange [id]*?"), tagged('é"\\')
    for key in (f"{ID}:ABCDEFGHIJK", f"{strange}:ABCDEFGHIJK", f"{quoted}:ABCDEFGHIJK"):
        server("SET", key, json.dumps({"rjwt": key}), "EX", 100)
    for odd, value in (
        ("not", "{}"), ("text", "x"), ("a:b", "{}"), ("liar", '{"rjwt":"bob:ABCDEFGHIJK"}'),
    ):  # fmt: skip
        server("SET", f"{tagged(odd)}:ABCDEFGHIJK", value)
    server("SET", "short:ABC", "{}")
    server("SADD", "set:ABCDEFGHIJK", "x")
    assert sessions.reindex() == 3
    assert sessions.reindex(timeout=30) == 0
    assert {s["rjwt"] for s in sessions.list(ID)} == {ours, f"{ID}:ABCDEFGHIJK"}
    assert sessions.list(strange)[0]["ttl"] == 100
    assert sessions.destroy_multiple(quoted) == 1
    assert [sessions.list(tagged(id)) for id in ("not", "text", "liar")] == [[], [], []]


def test_node_writers(client: tokenstore.Client, server: Server) -> None:
    def node_signs() -> str:
        key = f"{ID}:NodeNodeNod"
        server("SET", key, json.dumps({"rjwt": key, "dataSession": {"by": "node"}}))
        return key

    key = node_signs()
    # Other programs' keys. The last ones look like the user's sessions by their names.
    others = ["other:ABCDEFGHIJK", f"x{ID}:ABCDEFGHIJK", f"{ID}:short", f"{ID}:OtherOtherO"]
    for other in others:
        server("SET", other, json.dumps({"rjwt": key}))
    server("HSET", f"{ID}:HashHashHas", "rjwt", f"{ID}:HashHashHas")
    others.append(f"{ID}:HashHashHas")
    blind = open_sessions(client, multiple=True)
    assert blind.list(ID) == []
    seeing = open_sessions(client, node_writers=True)
    assert seeing.list(ID) == [{"id": ID, "rjwt": key, "ttl": -1, "dataSession": {"by": "node"}}]
    seeing.sign(ID)
    assert server("EXISTS", key) == 0
    node_signs()
    assert seeing.destroy_multiple(ID) == 2
    assert {k.decode() for k in server.keys() if not k.startswith(b"rjwt-")} == set(others)


def test_events(client: tokenstore.Client) -> None:
    sessions = open_sessions(client, kea=True)
    told: list[str] = []
    heard = threading.Event()

    def called(event: SessionEnd) -> None:
        told.append(event.id)
        heard.set()

    with sessions.events() as events:
        sessions.on("del", called)
        token = sessions.sign(ID)
        key = sessions.verify(token)["rjwt"]
        sessions.sign(ID)  # which ends the previous one
        event = events.next(timeout=10)
        assert isinstance(event, SessionEnd)
        assert (event.kind, event.id, event.rjwt) == ("del", ID, key)
    assert heard.wait(10)
    assert told == [ID]
    sessions.off("del", called)
    sessions.close()
    assert client.closed is False


# ---- rejected ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1), ("50 seconds", 50), ("10 minutes", 600), ("5 hours", 18000), ("3 days", 259200),
        ("1 year", 31557600), ("1.5h", 5400), ("2 W", 1209600), (".5 min", 30), ("1500 ms", 2),
        ("9 yrs", 284018400), ("1 Sec", 1), ("100 MSECS", None), ("", None), ("15", None),
        ("15 fortnights", None), ("-1 day", None), ("1 day ago", None), (" 1s", None), ("1e3 s", None),
        ("1.2.3 s", None), ("s", None), ("11 years", None), ("1\0s", None), ("٣ days", None),
        ("9" * 200 + " s", None),
    ],
)  # fmt: skip
def test_texts_of_durations(sessions: RedisJWT, text: str, seconds: int | None) -> None:
    if seconds is None:
        with pytest.raises(tokenstore.DataError, match="ttl"):
            sessions.sign(ID, ttl=text)
    else:
        ttl = sessions.verify(sessions.sign(ID, ttl=text))["ttl"]
        assert seconds - 1 <= ttl <= seconds


def test_durations(sessions: RedisJWT) -> None:
    assert sessions.verify(sessions.sign(ID, ttl=timedelta(minutes=2)))["ttl"] == 120
    for wrong in (0, -1, 0.5, float("nan"), 315360001):
        with pytest.raises(tokenstore.DataError, match="ttl"):
            sessions.sign(ID, ttl=wrong)
    with pytest.raises(TypeError, match="ttl"):
        sessions.sign(ID, ttl=[])  # type: ignore[arg-type]


@pytest.mark.parametrize("id", ["", "a:b", ":", "x" * 1025, "nul\0", "\ud800"])
def test_ids_that_are_refused(sessions: RedisJWT, server: Server, id: str) -> None:
    for call in (sessions.sign, sessions.list, sessions.destroy_multiple):
        with pytest.raises(tokenstore.DataError):
            call(id)
    assert server.keys() == []


@pytest.mark.parametrize("id", ["*", "[a-z]*", "x\\*", "é€😀", '"', "a b\n", "{tag}", "x" * (1024 - len(tagged("")))])
def test_ids_are_taken_literally(many: RedisJWT, id: str) -> None:
    others = [many.sign(tagged(other)) for other in ("a", "xyz", "x", "tagged")]
    id = tagged(id)
    token = many.sign(id, data_session={"me": id})
    assert many.verify(token, True)["dataSession"] == {"me": id}
    assert [s["id"] for s in many.list(id)] == [id]
    assert many.destroy_multiple(id) == 1
    assert all(is_live(many, t) for t in others)


@pytest.mark.parametrize(
    "key", ["", "plain", f"{ID}:short", f"{ID}:ABCDEFGHIJ!", "a:b:ABCDEFGHIJK", ":ABCDEFGHIJK"]
)
def test_keys_of_others_are_left_alone(sessions: RedisJWT, server: Server, key: str) -> None:
    if key:
        server("SET", key, "somebody's")
    call = sessions.call()
    assert (call.exists(key), call.ttl(key), call.get_value_by_key(key)) == (False, -2, None)
    assert call.destroy(key) is False
    with pytest.raises(tokenstore.DataError, match="not a session"):
        call.create(key, "{}")
    if key:
        assert server("GET", key) == b"somebody's"


def test_tokens_that_are_refused(sessions: RedisJWT, server: Server) -> None:
    key = jwt.Key.from_secret(SECRET)
    session = f"{ID}:ABCDEFGHIJK"
    server("SET", session, json.dumps({"rjwt": session}))
    good = jwt.encode({"rjwt": session}, key, "HS256")
    assert sessions.verify(good)["id"] == ID
    bad = [
        "", "x", good[:-2], good + "x",
        jwt.encode({"rjwt": session}, key, "HS256", {"typ": None})[:-4] + "AAAA",
        jwt.encode({}, key, "HS256"),
        jwt.encode({"rjwt": 7}, key, "HS256"),
        jwt.encode({"rjwt": "*:???????????"}, key, "HS256"),
        jwt.encode({"rjwt": "a:b:ABCDEFGHIJK"}, key, "HS256"),
        jwt.encode({"rjwt": session, "exp": 1}, key, "HS256"),
        jwt.encode({"rjwt": session, "aud": "others"}, key, "HS256"),
    ]  # fmt: skip
    for token in bad:
        with pytest.raises(tokenstore.InvalidTokenError) as caught:
            sessions.verify(token)
        assert not token or token not in str(caught.value)


def test_a_record_that_is_not_the_session(sessions: RedisJWT, server: Server) -> None:
    token = sessions.sign(ID)
    key = sessions.verify(token)["rjwt"]
    for stored in ("x", "[]", "{}", '{"rjwt":"bob:ABCDEFGHIJK"}'):
        server("SET", key, stored)
        with pytest.raises(tokenstore.DataError, match="is not this session"):
            sessions.verify(token)


def test_what_the_token_claims_of_redis_does_not_count(sessions: RedisJWT, server: Server) -> None:
    session = f"{ID}:ABCDEFGHIJK"
    server("SET", session, json.dumps({"rjwt": session}))
    claims = {"rjwt": session, "id": "root", "ttl": 10**9, "dataSession": {"role": "admin"}, "x": 1}
    token = jwt.encode(claims, jwt.Key.from_secret(SECRET), "HS256")
    assert sessions.verify(token, True) == {"rjwt": session, "id": ID, "ttl": -1, "x": 1}


def test_data_that_is_refused(sessions: RedisJWT, server: Server) -> None:
    with pytest.raises(tokenstore.DataError, match=r"data_session\.a"):
        sessions.sign(ID, data_session={"a": 2**53})
    with pytest.raises(tokenstore.DataError, match=r"data_token\.a"):
        sessions.sign(ID, data_token={"a": float("nan")})
    with pytest.raises(tokenstore.DataError):
        sessions.sign(ID, data_token={"a": "x" * 9000})  # longer than any token
    with pytest.raises(tokenstore.DataError):
        sessions.sign(ID, data_session={"a": "x" * 66000})
    with pytest.raises(TypeError):
        sessions.sign(ID, data_session=[])  # type: ignore[arg-type]
    assert server.keys() == []


# ---- keys --------------------------------------------------------------------------------------------------


def test_a_secret_is_needed(client: tokenstore.Client) -> None:
    for secret in (None, "", "short", b"x" * 31, []):
        with pytest.raises(tokenstore.ConfigurationError, match="secret"):
            RedisJWT(client, secret=secret)
    for options in ({"algorithm": "none"}, {"algorithm": "RS256"}, {"max_sessions": 0},
                    {"multiple": True, "max_sessions": 2}):  # fmt: skip
        with pytest.raises(tokenstore.ConfigurationError):
            open_sessions(client, **options)
    with pytest.raises(tokenstore.ConfigurationError, match="twice"):
        RedisJWT(client, host="x", secret=SECRET)


def test_key_rings(client: tokenstore.Client) -> None:
    old, new = (jwt.Key.from_secret(c * 32, kid=c) for c in "ab")
    before = RedisJWT(client, secret=old, multiple=True).sign(ID)
    ring = RedisJWT(client, secret=[new, old], multiple=True)
    after = ring.sign(ID)
    assert is_live(ring, before)
    assert is_live(ring, after)
    alone = RedisJWT(client, secret=new)
    assert [is_live(alone, t) for t in (before, after)] == [False, True]


def test_public_key_algorithms(client: tokenstore.Client) -> None:
    keys = json.loads((ROOT / "tests/vectors/jwt_keys.json").read_text())
    names = ("rfc7520-rsa", "rfc7515-p256", "p384", "rfc7520-p521", "rfc8037-ed25519")
    signers = [jwt.Key.from_jwk(keys["keys"][name]) for name in names]
    tried = set()
    for key in signers:
        algorithm = key.algorithms[0]
        sessions = RedisJWT(client, secret=key, algorithm=algorithm)
        assert sessions.verify(sessions.sign(ID))["id"] == ID
        tried.add(algorithm)
    assert tried == {"RS256", "ES256", "ES384", "ES512", "EdDSA"}


def test_repr_and_messages_hold_no_secret(client: tokenstore.Client) -> None:
    sessions = open_sessions(client)
    assert SECRET not in repr(sessions)
    token = sessions.sign(ID)
    sessions.destroy_multiple(ID)
    with pytest.raises(tokenstore.InvalidTokenError) as caught:
        sessions.verify(token)
    assert token not in str(caught.value)
    assert ID not in str(caught.value)
