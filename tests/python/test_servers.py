"""The same operations on each kind of server on this machine."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tokenstore
from servers import BINARIES, Server, running


@pytest.fixture(params=BINARIES, ids=lambda path: Path(path).name)
def binary(request: pytest.FixtureRequest) -> str:
    path: str = request.param
    if shutil.which(path) is None:
        pytest.skip(f"{Path(path).name} is not installed")
    return path


@pytest.fixture
def of_kind(binary: str) -> Iterator[Server]:
    with running(binary=binary) as server:
        yield server


def test_on(binary: str) -> None:
    with running(binary=binary) as server, tokenstore.RedisTokens(server.url) as tokens:
        token = tokens.create("a", "t", "o", {"x": 1}, 60)
        assert tokens.get("a", "t", token.token, refresh=600, expiry=True) is not None
        assert tokens.update("a", "t", token.token, {"y": 2}) is not None
        new = tokens.rotate("a", "t", token.token)
        assert new is not None
        assert new.data == {"x": 1, "y": 2}
        assert [t.id for t in tokens.list("a", "t", "o")] == [new.id]
        assert tokens.delete_all("a", "t", "o") == 1


# ---- errors within scripts, which Redis wraps before 7.0 -----------------------------------------------


def demote(server: Server) -> None:
    server("REPLICAOF", "127.0.0.1", 1)


def promote(server: Server) -> None:
    server("REPLICAOF", "NO", "ONE")


def test_a_change_waits_for_a_primary(of_kind: Server) -> None:
    """During a failover: a change rejected by the replica succeeds as soon as it is the primary."""
    with tokenstore.RedisTokens(of_kind.url) as tokens:
        old = tokens.create("a", "t", "o", {"x": 1}, 60)
        demote(of_kind)
        promoted = threading.Timer(0.4, promote, (of_kind,))
        promoted.start()
        began = time.monotonic()
        new = tokens.create("a", "t", "o", {"x": 2}, 60)
        assert time.monotonic() - began > 0.2
        promoted.join()
        assert tokens.get("a", "t", new.token) is not None
        assert tokens.get("a", "t", old.token) is not None


def test_a_replica_that_stays_one_is_named(of_kind: Server) -> None:
    seen = []
    with tokenstore.RedisTokens(of_kind.url, timeout=2) as tokens:
        demote(of_kind)
        for _ in range(5):
            # The deadline may pass during another attempt: then the outcome is unknown. On a busy machine the last
            # error may have been the server's silence, which is said instead.
            with pytest.raises((tokenstore.TimeoutError, tokenstore.OutcomeUnknownError)) as caught:
                tokens.create("a", "t", "o")
            seen.append(str(caught.value))
            if "READONLY You can't write" in seen[-1]:
                return
    pytest.fail(str(seen))


def test_a_full_server(of_kind: Server) -> None:
    with tokenstore.RedisTokens(of_kind.url) as tokens:
        of_kind("CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(tokenstore.ServerError) as caught:
            tokens.create("a", "t", "o")
        assert caught.value.code == "OOM"
        assert "the server answered: OOM " in str(caught.value)


@pytest.mark.parametrize("kind", ["plain", "script"])
def test_raw_commands_leave_a_replica(of_kind: Server, kind: str) -> None:
    """The caller gets the reply; the connections to the former primary are dropped."""
    command = {"plain": ("SET", "k", "v"), "script": ("EVAL", "return redis.call('SET', KEYS[1], 'v')", 1, "k")}
    with tokenstore.Client(of_kind.url) as client:
        before = client.execute("CLIENT", "ID")
        assert client.execute("CLIENT", "ID") == before
        demote(of_kind)
        with pytest.raises(tokenstore.ServerError) as caught:
            client.execute(*command[kind])
        assert caught.value.code == "READONLY"
        assert client.execute("CLIENT", "ID") != before
        time.sleep(1.05)  # they are dropped at most once a second
        replies = client.pipeline([command[kind], ("CLIENT", "ID")], raise_errors=False)
        assert replies[0].code == "READONLY"
        assert client.execute("CLIENT", "ID") != replies[1]
        promote(of_kind)
        after = client.execute("CLIENT", "ID")
        client.execute(*command[kind])
        assert client.execute("CLIENT", "ID") == after
