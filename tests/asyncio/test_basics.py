"""The public names, their signatures, and exceptions."""

from __future__ import annotations

import asyncio
import gc
import inspect
import subprocess
import sys
import traceback
import warnings
from pathlib import Path

import pytest

import tokenstore
from conftest import Run, pool_of
from servers import Server
from tokenstore import asyncio as aio

ROOT = Path(__file__).parent.parent.parent
A = {"app": "a", "type": "t"}


@pytest.mark.parametrize(
    "name", ["Client", "RedisJWT", "RedisTokens", "Sessions", "Spike", "TokenCreator", "Tokenstore"]
)
def test_the_same_names(name: str) -> None:
    """Every method of the blocking class, with the same arguments; close is aclose."""
    ours, theirs = getattr(aio, name), getattr(tokenstore, name)
    for member, value in inspect.getmembers(theirs, inspect.isfunction):
        if member.startswith("_") or member == "close":
            continue
        assert inspect.signature(getattr(ours, member)).parameters.keys() == (
            inspect.signature(value).parameters.keys()
        ), member
    assert inspect.iscoroutinefunction(ours.aclose)


def test_the_stub_is_of_these_stores() -> None:
    subprocess.run([sys.executable, str(ROOT / "scripts/async-stub"), "--check"], check=True)


def test_stores(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.RedisTokens(server.url) as tokens:
            made = await tokens.create(**A, owner="o", data={"n": [1, {}]}, duration=100)
            found = await tokens.get(**A, token=made.token)
            assert found is not None
            assert (found.id, found.data) == (made.id, {"n": [1, {}]})
            assert [t.id for t in await tokens.list(**A, owner="o")] == [made.id]
            sessions = aio.Sessions(tokens.client)
            token = await sessions.create("a", "bob", {"x": 1}, 60)
            assert await sessions.update("a", token, {"y": 2}) is True
            with pytest.raises(tokenstore.ConflictError, match='"y"'):
                await sessions.update("a", token, {"y": 3}, expect={"y": tokenstore.UNSET})
            updated = await tokens.update(**A, token=made.token, unset=["n"], expect={"n": [1, {}]}, refresh=200)
            assert updated is not None
            assert updated.data == {}
            assert updated.expires_at is not None
            assert updated.expires_at - updated.created_at > 190
            idle = await tokens.create(**A, owner="i", custom_token="i", idle=50)
            used = await tokens.update(**A, token="i", data={"m": 1}, refresh=True)
            assert used is not None
            assert used.data == {"m": 1}
            assert used.expires_at is not None
            assert used.expires_at >= idle.expires_at  # type: ignore[operator]
            assert used.seen_at is not None
            by_id = await tokens.get_by_id(**A, owner="o", id=made.id)
            assert by_id is not None
            assert (by_id.token, by_id.expires_at) == (None, pytest.approx(updated.expires_at, abs=0.01))
            assert await tokens.update_all(**A, owner="o", data={"r": 1}) == 1
            assert (await tokens.update_by_id(**A, owner="o", id=made.id, data={"s": 2})).data == {"r": 1, "s": 2}
            (listed,) = await sessions.list("a", "bob")
            assert await sessions.update_by_id("a", "bob", listed.id, unset=["x"]) is True
            assert await sessions.update_all("a", "bob", {"x": 1}) == 1
            assert (await sessions.get_by_id("a", "bob", listed.id)).data == {"x": 1, "y": 2}
            rotated = await sessions.rotate("a", token)
            assert rotated is not None
            session = await sessions.get("a", rotated)
            assert session is not None
            assert session.data == {"x": 1, "y": 2}
            taken = await sessions.take("a", await sessions.create("a", "eve"))
            assert taken is not None
            assert taken.owner_id == "eve"
            assert await sessions.killAll("a", "bob", keep=rotated) is False
            assert await sessions.killAll("a", "bob") is True
            assert await sessions.rotate("a", token) is None
            await sessions.aclose()  # the client was passed in
            assert await tokens.client.execute("PING") == "PONG"
        assert tokens.client.closed

    run(main())


def test_calls_are_coroutines(server: Server, run: Run) -> None:
    """They go into tasks, groups and timeouts like any other."""

    async def main() -> None:
        async with aio.RedisTokens(server.url) as tokens:
            task = asyncio.create_task(tokens.create(**A, owner="o"))
            token = (await task).token
            found = await asyncio.wait_for(tokens.get(**A, token=token), 5)
            assert found is not None
            many = await asyncio.gather(*[tokens.get(**A, token=token) for _ in range(1000)])
            assert {t.id for t in many} == {found.id}

    run(main())


def test_one_connection(server: Server, run: Run) -> None:
    async def main() -> None:
        for connections in (1, 3):
            async with aio.Client(server.url, connections=connections, client_name="me") as client:
                await asyncio.gather(*[client.execute("INCR", "n") for _ in range(500)])
                seen = 0
                while seen < connections:
                    seen = (await client.execute("CLIENT", "LIST")).count(b"name=me")
                await asyncio.gather(*[client.execute("INCR", "n") for _ in range(500)])
                listed = await client.execute("CLIENT", "LIST")
                assert listed.count(b"name=me") == connections
        assert server("GET", "n") == b"2000"

    run(main())


def test_the_callers_stack(server: Server, run: Run) -> None:
    async def the_caller(client: aio.Client) -> None:
        await client.execute("GET")

    async def main() -> None:
        async with aio.Client(server.url) as client:
            with pytest.raises(tokenstore.ServerError) as caught:
                await the_caller(client)
            names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
            assert "the_caller" in names
            task = asyncio.create_task(the_caller(client))
            with pytest.raises(tokenstore.ServerError) as caught:
                await task
            names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
            assert "the_caller" in names

    run(main())


def test_wrong_use(server: Server, run: Run) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match=r"a tokenstore\.asyncio\.Client or None, not a tokens"):
            aio.RedisTokens(tokenstore.Client(server.url))
        with pytest.raises(TypeError, match=r"a tokenstore\.Client or None, not a tokenstore\.asy"):
            tokenstore.RedisTokens(aio.Client(server.url))
        with pytest.raises(TypeError, match="async with"):
            with aio.RedisTokens(server.url):
                pass
        with pytest.raises(TypeError, match="aclose"):
            aio.RedisTokens(server.url).close()
        with pytest.raises(tokenstore.ConfigurationError, match="connections"):
            aio.Client(server.url, connections=0)
        with pytest.raises(tokenstore.ConfigurationError, match="when_busy"):
            aio.Client(server.url, when_busy="later")
        with pytest.raises(TypeError, match="max_in_flight"):
            aio.Client(server.url, max_in_flight="many")
        async with aio.Client(server.url) as client:
            with pytest.raises(tokenstore.ConfigurationError, match="max_in_flight"):
                aio.RedisTokens(client, max_in_flight=5)
            with pytest.raises(tokenstore.DataError, match="timeout"):
                await client.execute("PING", timeout=0)
            with pytest.raises(TypeError):
                await client.execute("SET", object())
        with pytest.raises(tokenstore.Error, match="closed"):
            await client.execute("PING")
        await client.aclose()

    run(main())


def test_embedded(run: Run) -> None:
    async def main() -> None:
        async with aio.RedisTokens("embedded:") as tokens:
            token = (await tokens.create(**A, owner="o")).token
            assert await tokens.get(**A, token=token) is not None

    run(main())


def test_a_client_that_is_not_closed(server: Server, run: Run) -> None:
    """It warns, and closes its connection."""

    async def main() -> None:
        client = aio.Client(server.url, client_name="lost")
        await client.execute("PING")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del client
            gc.collect()
        assert [str(w.message)[:8] for w in caught] == ["unclosed"]
        async with aio.Client(server.url) as other:
            while b"name=lost" in await other.execute("CLIENT", "LIST"):
                await asyncio.sleep(0)

    run(main())


def test_redis_jwt(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.RedisJWT(server.url, secret="s" * 32) as sessions:
            token = await sessions.sign("bob", "15 minutes", data_session={"n": 1})
            found = await sessions.verify(token, value_session=True)
            assert (found["id"], found["dataSession"]) == ("bob", {"n": 1})
            wrong = sessions.verify(token[:-2])  # raised where it is awaited
            with pytest.raises(tokenstore.InvalidTokenError):
                await wrong
            assert await sessions.exec().execute("PING") == "PONG"
            assert await sessions.call().get_count_by_pattern("bob") == 1
            connection = pool_of(sessions.client)._links[-1]._open[0]
            assert await sessions.call().destroyMultiple("bob") == 1
            with pytest.raises(tokenstore.InvalidTokenError):
                await sessions.verify(token)
            assert connection.open  # an ended session must not close the connection

    run(main())


def test_ping(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.Client(server.url) as client:
            assert await client.ping() is True
            with pytest.raises(tokenstore.DataError, match="timeout"):
                await client.ping(timeout=0)
            await client.execute("ACL", "SETUSER", "pings", "on", ">secret", "resetkeys", "-@all")
        async with aio.Client(server.url.replace("unix://", "unix://pings:secret@")) as client:
            with pytest.raises(tokenstore.ServerError, match="^NOPERM"):
                await client.execute("PING")
            assert await client.ping() is True

    run(main())
