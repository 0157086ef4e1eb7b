"""What operations have cost: on_operation, operation_stats, pool_stats, blocking and with asyncio."""

import asyncio
import contextvars
import logging
import threading
import time

import pytest

import tokenstore
import tokenstore.asyncio

CANARY = "canary-hunter2"


@pytest.fixture
def url(server):
    return server.url


def watched(client):
    seen = []
    client.on_operation(seen.append)
    return seen


def stats(client):
    return {(s.store, s.operation): s for s in client.operation_stats()}


def test_on_operation_is_told_of_each_operation(client):
    seen = watched(client)
    sessions = tokenstore.Sessions(client)
    token = sessions.create(app="web", owner_id="bob", data={})
    sessions.get(app="web", token=token)
    assert sessions.get(app="web", token="no-such-token") is None
    client.execute("PING")
    client.pipeline([("PING",), ("PING",)])
    client.ping()
    assert [(m.store, m.operation, m.outcome) for m in seen] == [
        ("Sessions", "create", "ok"),
        ("Sessions", "get", "ok"),
        ("Sessions", "get", "not_found"),
        ("Client", "execute", "ok"),
        ("Client", "pipeline", "ok"),
        ("Client", "ping", "ok"),
    ]
    got = seen[1]
    assert got.took > 0
    assert got.sent > 40
    assert got.received > 20
    assert (got.tries, got.trips, got.near, got.node, got.code) == (1, 1, False, -1, None)
    assert seen[4].received == 8


def test_on_operation_ends(client):
    seen, other = [], []
    end = client.on_operation(seen.append)
    client.on_operation(other.append)
    client.ping()
    end()
    end()
    client.ping()
    assert (len(seen), len(other)) == (1, 2)


def test_on_operation_is_told_of_failures(client):
    seen = watched(client)
    client.execute("SET", "text", "x")
    with pytest.raises(tokenstore.ServerError):
        client.for_each_primary("NO-SUCH-COMMAND")
    with pytest.raises(tokenstore.InvalidTokenError):  # needs no operation to know that
        tokenstore.RedisJWT(client, secret="s" * 32).verify("no.jwt.here")
    assert [(m.operation, m.outcome, m.code) for m in seen] == [
        ("execute", "ok", None),
        ("for_each_primary", "server", "ERR"),
    ]


def test_a_callback_that_fails_changes_nothing(client, caplog):
    seen = []

    def fail(_):
        raise ZeroDivisionError("of the callback")

    client.on_operation(fail)
    client.on_operation(seen.append)
    with caplog.at_level(logging.ERROR, "tokenstore"):
        assert client.ping()
    assert len(seen) == 1
    assert "of the callback" in caplog.text


def test_on_operation_wants_a_callable(client):
    with pytest.raises(TypeError, match="callback must be callable, not str"):
        client.on_operation("print")


def test_an_observed_client_is_still_freed(url):
    import gc
    import weakref

    client = tokenstore.Client(url)
    client.on_operation(lambda _: None)
    client.ping()
    gone = weakref.ref(client)
    client.close()
    del client
    gc.collect()
    assert gone() is None


def test_operation_stats_count_from_the_first_call(client):
    sessions = tokenstore.Sessions(client)
    sessions.count(app="web", owner_id="ann")
    assert client.operation_stats() == []
    for _ in range(3):
        sessions.count(app="web", owner_id="ann")
    assert sessions.get(app="web", token="no-such-token") is None
    counted = stats(client)
    count = counted["Sessions", "count"]
    assert count.outcomes == {"ok": 3}
    assert sum(count.durations) == 3
    assert len(count.durations) == 17
    assert count.took > 0
    assert count.trips >= 3
    assert count.tries == 3
    assert counted["Sessions", "get"].outcomes == {"not_found": 1}
    assert set(counted) == {("Sessions", "count"), ("Sessions", "get")}


def test_operation_stats_count_threads(client):
    client.operation_stats()

    def work():
        for _ in range(100):
            client.ping()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stats(client)["Client", "ping"].outcomes == {"ok": 400}


def test_pool_stats(client):
    empty = {"limit": 16, "idle": 0, "used": 0, "waiting": 0, "opened": 0, "timeouts": 0}
    assert client.pool_stats() == empty
    client.ping()
    assert client.pool_stats() == {**empty, "idle": 1, "opened": 1}


def test_pool_stats_of_a_pool_that_is_too_small(url):
    with tokenstore.Client(url, pool_size=1) as client:
        thread = threading.Thread(
            target=client.execute, args=("BLPOP", "queue", 0), kwargs={"timeout": 60}
        )
        thread.start()
        while client.pool_stats()["used"] == 0:
            time.sleep(0.001)
        with pytest.raises(tokenstore.TimeoutError, match="all 1 connections"):
            client.ping(timeout=0.1)
        with tokenstore.Client(url) as other:
            other.execute("LPUSH", "queue", "done")
        thread.join()
        assert client.pool_stats()["timeouts"] == 1
        assert client.pool_stats()["opened"] == 1


def test_what_the_near_cache_answers_is_no_operation(url):
    with tokenstore.Sessions(url, near_cache=10) as sessions:
        client = sessions.client
        seen = watched(client)
        token = sessions.create(app="web", owner_id="bob", data={"name": CANARY})
        while client.near_cache_stats()["hits"] < 3:
            assert sessions.get(app="web", token=token).data == {"name": CANARY}
        assert sessions.get(app="web", token="") is None  # cannot exist: nobody is asked
        gets = [m for m in seen if m.operation == "get"]
        asked = [m for m in gets if m.trips > 0]
        assert len(asked) > 0
        assert [m.outcome for m in gets if m.trips == 0 and not m.near] == ["not_found"]
        assert len([m for m in gets if m.near]) >= 1
        outcomes = stats(client)["Sessions", "get"].outcomes
        assert outcomes == {"ok": len(asked), "not_found": 1}


# ---- asyncio ----------------------------------------------------------------------------------------


def test_asyncio_measures_the_same(url):
    async def main():
        async with tokenstore.asyncio.Sessions(url) as sessions:
            seen = watched(sessions.client)
            token = await sessions.create(app="web", owner_id="bob", data={})
            await asyncio.gather(*(sessions.get(app="web", token=token) for _ in range(10)))
            pool = sessions.client.pool_stats()
            return seen, stats(sessions.client), pool

    seen, counted, pool = asyncio.run(main())
    assert [m.operation for m in seen] == ["create", *["get"] * 10]
    assert all(m.took > 0 and m.trips == 1 and m.outcome == "ok" for m in seen[1:])
    assert counted["Sessions", "get"].outcomes == {"ok": 10}
    assert pool == {
        "limit": 1,
        "idle": 1,
        "used": 0,
        "waiting": 0,
        "opened": 1,
        "timeouts": 0,
    }


def test_asyncio_tells_in_the_context_of_the_caller(url):
    who = contextvars.ContextVar("who", default="nobody")
    seen = []

    async def ask(client, name):
        who.set(name)
        await client.ping()

    async def main():
        async with tokenstore.asyncio.Client(url) as client:
            client.on_operation(lambda _: seen.append(who.get()))
            await asyncio.gather(ask(client, "ann"), ask(client, "bob"))

    asyncio.run(main())
    assert sorted(seen) == ["ann", "bob"]


def test_asyncio_tells_of_cancelled_operations(url):
    async def main():
        async with tokenstore.asyncio.Client(url) as client:
            await client.ping()
            seen = watched(client)
            task = asyncio.ensure_future(client.execute("BLPOP", "nothing-here", 1))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return seen, stats(client)

    seen, counted = asyncio.run(main())
    assert [(m.operation, m.outcome) for m in seen] == [("execute", "interrupted")]
    assert counted["Client", "execute"].outcomes == {"interrupted": 1}


def test_a_server_that_is_away(tmp_path):
    with tokenstore.Client(f"unix://{tmp_path}/none.sock") as client:
        seen = watched(client)
        with pytest.raises(tokenstore.ConnectionError):
            client.ping()
    (measure,) = seen
    assert (measure.outcome, measure.trips, measure.tries) == ("connection", 4, 4)
