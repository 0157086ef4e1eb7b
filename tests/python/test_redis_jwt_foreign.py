"""RedisJWT beside other programs: a value without its own key in it is not a session, whatever its name."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tokenstore
from servers import Server
from tokenstore import RedisJWT
from topologies import tagged

SECRET = "a secret of thirty-two bytes, yes"
BOB, EVE, ANN = map(tagged, ("bob", "eve", "ann"))
KEY = f"{BOB}:AAAAAAAAAAA"
FOREIGN: list[list[str]] = [
    ["SET", KEY, "another program's"],
    ["SET", KEY, ""],
    ["SET", KEY, "{}"],
    ["SET", KEY, f'"{KEY}"'],
    ["SET", KEY, f'{{"rjwt":"{EVE}:AAAAAAAAAAA"}}'],
    ["SET", KEY, f'[{{"rjwt":"{KEY}"}}]'],
    ["SET", KEY, f'{{"x":{{"rjwt":"{KEY}"}}}}'],
    ["SET", KEY, f'{{"rjwt":"{KEY}A"}}'],
    ["RPUSH", KEY, KEY],
    ["SADD", KEY, KEY],
    ["HSET", KEY, "rjwt", KEY],
    ["ZADD", KEY, "1", KEY],
    ["XADD", KEY, "1-1", "rjwt", KEY],
]


@pytest.fixture
def sessions(client: tokenstore.Client) -> RedisJWT:
    return RedisJWT(client, secret=SECRET, multiple=True)


@pytest.mark.parametrize("command", FOREIGN)
def test_a_key_that_only_looks_like_a_session(
    sessions: RedisJWT, client: tokenstore.Client, server: Server, command: list[str]
) -> None:
    server(*command)
    server("ZADD", f"rjwt-sessions/{BOB}", 2**40, "0" * 16 + KEY[len(BOB) + 1 :])  # also if the index lists it
    before = server("DUMP", KEY)
    call = sessions.call()
    assert (call.exists(KEY), call.ttl(KEY), call.get_value_by_key(KEY)) == (False, -2, None)
    assert call.destroy(KEY) is False
    with pytest.raises(tokenstore.DataError, match="another program: nothing was changed"):
        call.create(KEY, json.dumps({"rjwt": KEY}))
    seeing = RedisJWT(client, secret=SECRET, node_writers=True)
    for store in (sessions, seeing):
        server("ZADD", f"rjwt-sessions/{BOB}", 2**40, "0" * 16 + KEY[len(BOB) + 1 :])
        assert store.list(BOB) == []
        assert store.call().get_count_by_pattern(BOB) == 0
        assert store.destroy_multiple(BOB) == 0
    seeing.sign(BOB)
    assert sessions.reindex() == 0
    assert server("DUMP", KEY) == before


@pytest.mark.parametrize("type", ["RPUSH", "SADD", "PFADD"])
def test_a_session_whose_key_holds_another_type_has_ended(
    sessions: RedisJWT, server: Server, type: str
) -> None:
    token = sessions.sign(BOB)
    key = sessions.verify(token)["rjwt"]
    server("DEL", key)
    server(type, key, "a")
    for value_session in (False, True):
        if type == "PFADD":  # a string, to Redis
            with pytest.raises(tokenstore.DataError, match="is not this session"):
                sessions.verify(token, value_session)
        else:
            with pytest.raises(tokenstore.InvalidTokenError, match="the session has ended"):
                sessions.verify(token, value_session)


@pytest.mark.parametrize("data", [{}, {"role": "admin", "n": [1, {"x": None}], "t": "}"}])
def test_a_record_that_was_cut_is_refused_in_either_form(
    sessions: RedisJWT, server: Server, data: dict[str, Any]
) -> None:
    token = sessions.sign(BOB, data_session=data)
    key = sessions.verify(token, True)["rjwt"]
    whole = server("GET", key)
    for size in range(len(whole)):
        server("SET", key, whole[:size])
        for value_session in (False, True):
            with pytest.raises(tokenstore.DataError, match="is not this session"):
                sessions.verify(token, value_session)
    for behind in (b"x", b"}", b"\0", b",{}"):
        server("SET", key, whole + behind)
        for value_session in (False, True):
            with pytest.raises(tokenstore.DataError, match="is not this session"):
                sessions.verify(token, value_session)
    server("SET", key, whole)
    assert sessions.verify(token, True)["dataSession"] == data


def test_other_spellings_are_sessions(sessions: RedisJWT, server: Server) -> None:
    """As written by other JSON writers: other whitespace, other order, escapes."""
    for value in (
        f' {{ "rjwt" : "{KEY}" }}\n',
        f'{{"dataSession":{{"a":1}},"rjwt":"{KEY}"}}',
        f'{{"rjwt":"{KEY}"}}'.replace("b", "\\u0062"),
        f'{{"dataSession":{{"half":"\\ud800"}},"rjwt":"{KEY}"}}',
    ):
        server("SET", KEY, value)
        assert sessions.reindex() == 1
        assert sessions.call().get_value_by_key(KEY) == value
        assert sessions.call().exists(KEY) is True
        assert sessions.call().create(KEY, value) is True
        assert len(sessions.list(BOB)) == 1
        assert sessions.destroy(KEY) is True
        assert server.keys() == []


@pytest.mark.parametrize(
    "value", ["", "x", "{}", "[]", f'{{"rjwt":"{BOB}:BBBBBBBBBBB"}}', f'{{"rjwt":"{KEY}"']
)
def test_create_wants_the_record_of_that_session(
    sessions: RedisJWT, server: Server, value: str
) -> None:
    with pytest.raises(tokenstore.DataError, match='whose "rjwt" is the key'):
        sessions.call().create(KEY, value)
    assert server.keys() == []


def test_reindex_passes_over_an_index_that_is_anothers(sessions: RedisJWT, server: Server) -> None:
    for id in (ANN, BOB, EVE):
        server("SET", f"{id}:AAAAAAAAAAA", json.dumps({"rjwt": f"{id}:AAAAAAAAAAA"}))
    server("SET", f"rjwt-sessions/{BOB}", "another program's")
    assert sessions.reindex() == 2
    assert [len(sessions.list(id)) for id in (ANN, EVE)] == [1, 1]
    for act in (sessions.list, sessions.sign, sessions.destroy_multiple):
        with pytest.raises(tokenstore.ServerError, match="WRONGTYPE"):
            act(BOB)
    assert server("GET", f"rjwt-sessions/{BOB}") == b"another program's"
