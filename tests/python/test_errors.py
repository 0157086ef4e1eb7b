"""The exception tree of SPEC 0, and the exception for each failure."""

from __future__ import annotations

import builtins
import copy
import pickle

import pytest

import stored
import tokenstore
from servers import Server, free_port, paused
from tokenstore import Client, RedisTokens, errors

TREE = {
    "Error": (Exception,),
    "ConfigurationError": (tokenstore.Error, ValueError),
    "ConnectionError": (tokenstore.Error, builtins.ConnectionError),
    "TimeoutError": (tokenstore.Error, builtins.TimeoutError),
    "OutcomeUnknownError": (tokenstore.Error,),
    "NotReplicatedError": (tokenstore.Error,),
    "ServerError": (tokenstore.Error,),
    "DataError": (tokenstore.Error, ValueError),
    "ConflictError": (tokenstore.Error,),
    "LimitError": (tokenstore.Error,),
    "InvalidTokenError": (tokenstore.Error,),
    "ExpiredTokenError": (tokenstore.InvalidTokenError,),
    "TokenReusedError": (tokenstore.InvalidTokenError,),
    "SpikeError": (tokenstore.Error,),
    "SpikeAuthError": (tokenstore.SpikeError,),
}


def test_tree() -> None:
    assert set(errors.__all__) == set(TREE)
    for name, bases in TREE.items():
        kind = getattr(tokenstore, name)
        assert kind is getattr(errors, name)
        assert kind.__bases__ == bases
        assert kind.__module__ == "tokenstore.errors"
        assert kind.__doc__
    assert not issubclass(tokenstore.OutcomeUnknownError, builtins.ConnectionError)


@pytest.mark.parametrize("name", TREE)
def test_copies_and_pickles(name: str) -> None:
    error = getattr(tokenstore, name)("what was wrong")
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert str(again) == "what was wrong"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("WRONGTYPE Operation against a key", "WRONGTYPE"),
        ("ERR unknown command", "ERR"),
        ("the server answered: NOPERM no permission", "NOPERM"),
        ("redis://HOST:6379/0: AUTH refused: WRONGPASS invalid", "WRONGPASS"),
        ("redis://h:6379/0: SELECT refused: ERR DB index is out of range", "ERR"),
        ("\udcff", "ERR"),
        ("something else", "ERR"),
        ("", "ERR"),
    ],
)
def test_the_code_of_a_server_error(message: str, code: str) -> None:
    assert tokenstore.ServerError(message).code == code


@pytest.mark.parametrize(
    ("user", "rights", "options", "code"),
    [
        ("nobody", "", {}, "WRONGPASS"),
        ("keyless", "+@all -select", {"db": 3}, "NOPERM"),
        ("nameless", "+@all -client", {"client_name": "x"}, "NOPERM"),
        ("poor", "+ping", {}, "NOPERM"),
        ("all", "+@all", {"db": 1000}, "ERR"),
    ],
)
def test_the_code_is_the_servers_word(
    server: Server, user: str, rights: str, options: dict[str, object], code: str
) -> None:
    if rights:
        server("ACL", "SETUSER", user, "reset", "on", ">CANARY", "~*", *rights.split())
    url = server.url.replace("://", f"://{user}:CANARY@")
    with tokenstore.RedisTokens(url, **options) as tokens:
        for call in (
            lambda: tokens.get("a", "t", "x"),
            lambda: tokens.create("a", "t", "o"),
            lambda: tokens.client.execute("GET", "x"),
        ):
            with pytest.raises(tokenstore.ServerError) as caught:
                call()
            assert caught.value.code == code, str(caught.value)
            assert "CANARY" not in str(caught.value)


def test_who_raises_what(server: Server) -> None:
    with Client(server.url, timeout=0.1) as client:
        tokens = RedisTokens(client)
        # Idempotent operations are retried until the deadline; others have an unknown outcome once sent.
        for call, kind in (
            (lambda: tokens.get("a", "t", "x"), tokenstore.TimeoutError),
            (lambda: tokens.list("a", "t", "o"), tokenstore.TimeoutError),
            (lambda: tokens.update("a", "t", "x", {"a": 1}), tokenstore.OutcomeUnknownError),
            (lambda: tokens.delete("a", "t", "x"), tokenstore.OutcomeUnknownError),
            (lambda: tokens.delete_all("a", "t", "o"), tokenstore.OutcomeUnknownError),
            (lambda: client.execute("PING"), tokenstore.OutcomeUnknownError),
        ):
            client.execute("PING", timeout=20)
            with paused(server):
                with pytest.raises(kind):
                    call()
                # The greeting of a new connection fails: nothing was sent.
                with pytest.raises(tokenstore.TimeoutError):
                    tokens.delete("a", "t", "x")
    with RedisTokens(f"redis://127.0.0.1:{free_port()}") as tokens:
        for call in (
            lambda: tokens.get("a", "t", "x"),
            lambda: tokens.create("a", "t", "o"),
            lambda: tokens.delete_all("a", "t", "o"),
        ):
            with pytest.raises(tokenstore.ConnectionError, match="127.0.0.1"):
                call()


def test_a_failed_revocation_is_an_error(server: Server) -> None:
    tokens = RedisTokens(server.url)
    token = tokens.create("a", "t", "o")
    server("SET", "other", "x")
    for key in stored.hashes(server):
        server("DEL", key)
        server("SET", key, "not a hash")
    with pytest.raises(tokenstore.Error):
        tokens.delete_all("a", "t", "o")
    server("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+get", "+select")
    with RedisTokens(server.url.replace("redis+unix://", "redis+unix://reader:x@")) as reader:
        with pytest.raises(tokenstore.ServerError):
            reader.delete("a", "t", token.token)
    server("ACL", "DELUSER", "reader")
    tokens.close()
