"""The `key` of a raw command, which selects the node of a cluster, on one server."""

from __future__ import annotations

import pytest

import tokenstore
from tokenstore import Client


@pytest.mark.parametrize("key", ["k", b"k\xff", "\N{BLACK STAR}"])
def test_a_key_changes_nothing_on_one_server(client: Client, key: str | bytes) -> None:
    assert client.execute("ECHO", "x", key=key) == b"x"
    assert client.pipeline([("SET", "a", "1"), ("PING",), ("GET", "a")], key=key) == [
        "OK",
        "PONG",
        b"1",
    ]
    assert client.execute("GET", "a", key=None) == b"1"


def test_what_cannot_be_a_key(client: Client) -> None:
    for wrong in (1, 1.5, ["k"], bytearray(b"k")):
        with pytest.raises(TypeError, match="key must be str or bytes, not"):
            client.execute("PING", key=wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="key must be str or bytes, not"):
            client.pipeline([("PING",)], key=wrong)  # type: ignore[arg-type]
    with pytest.raises(tokenstore.DataError, match="key is empty"):
        client.execute("PING", key="")
    with pytest.raises(tokenstore.DataError, match="key is empty"):
        client.pipeline([("PING",)], key=b"")


def test_one_server_is_its_only_node(client: Client) -> None:
    ((name, pong),) = client.for_each_primary("PING").items()
    assert pong == "PONG"
    assert client.execute("PING", node=name) == "PONG"
    assert client.pipeline([("SET", "a", "1"), ("GET", "a")], node=name) == ["OK", b"1"]
    with pytest.raises(
        tokenstore.ConfigurationError, match=f"node a:1 is no primary here: there is {name}"
    ):
        client.execute("PING", node="a:1")
    with pytest.raises(tokenstore.DataError, match="give key or node, not both"):
        client.execute("PING", node=name, key="k")
    with pytest.raises(tokenstore.DataError, match="node is empty"):
        client.pipeline([("PING",)], node="")
    with pytest.raises(TypeError, match="node must be str or bytes, not"):
        client.execute("PING", node=7000)  # type: ignore[arg-type]
    with pytest.raises(tokenstore.ServerError, match="unknown command"):
        client.for_each_primary("NOPE")
    with pytest.raises(tokenstore.DataError, match="not sent"):
        client.for_each_primary("SELECT", 1)
    with pytest.raises(tokenstore.DataError, match="empty"):
        client.for_each_primary()
