"""tokenstore.ext.prometheus: the sums of clients, as prometheus_client exports them."""

from __future__ import annotations

import asyncio

import pytest
from exported import export
from prometheus_client import CollectorRegistry

import tokenstore
import tokenstore.asyncio
from servers import Server
from tokenstore._measures import BOUNDS
from tokenstore.ext.prometheus import Collector

GET = {"store": "Sessions", "operation": "get"}


def use(sessions: tokenstore.Sessions) -> None:
    token = sessions.create(app="web", owner_id="bob", data={})
    for _ in range(3):
        assert sessions.get(app="web", token=token)
    assert sessions.get(app="web", token="no-such-token") is None
    with pytest.raises(tokenstore.ServerError):
        sessions.client.for_each_primary("NO-SUCH-COMMAND")


def test_operations(server: Server) -> None:
    with tokenstore.Sessions(server.url) as sessions:
        collector = Collector(sessions)
        use(sessions)
        found = export(collector)
    at = {**GET, "server": sessions.client.url}
    assert found.get("tokenstore_operations_total", **at, outcome="ok") == 3
    assert found.get("tokenstore_operations_total", **at, outcome="not_found") == 1
    assert found.get("tokenstore_operations_total", store="Client", outcome="server") == 1
    assert found.get("tokenstore_operation_duration_seconds_count", **at) == 4
    assert found.get("tokenstore_operation_duration_seconds_bucket", **at, le="+Inf") == 4
    took = found.get("tokenstore_operation_duration_seconds_sum", **at)
    assert took is not None
    assert 0 < took < 60
    assert found.get("tokenstore_operation_tries_total", **at) == 4
    sent, received = (found.get(f"tokenstore_{way}_bytes_total", **at) for way in ("sent", "received"))
    assert sent is not None
    assert sent > 4 * 40
    assert received is not None
    assert received > 3 * 20


def test_buckets_go_up(server: Server) -> None:
    with tokenstore.Sessions(server.url) as sessions:
        collector = Collector(sessions)
        use(sessions)
        found = export(collector)
    buckets = [
        (float(s.labels["le"]), s.value)
        for s in found.samples
        if s.name == "tokenstore_operation_duration_seconds_bucket" and s.labels["operation"] == "get"
    ]
    assert [edge for edge, _ in buckets] == [*BOUNDS, float("inf")]
    assert [n for _, n in buckets] == sorted(n for _, n in buckets)


def test_connections_and_near_cache(server: Server) -> None:
    with tokenstore.Sessions(server.url, near_cache=10, pool_size=3) as sessions:
        collector = Collector(sessions)
        token = sessions.create(app="web", owner_id="bob", data={})
        while export(collector).get("tokenstore_near_cache_hits_total") == 0:
            sessions.get(app="web", token=token)
        found = export(collector)
        assert found.get("tokenstore_connections", state="idle") == 1
        assert found.get("tokenstore_connections", state="used") == 0
        assert found.get("tokenstore_connections_limit") == 3
        assert found.get("tokenstore_connections_opened_total") == 1
        assert found.get("tokenstore_near_cache_entries") == 1
        assert found.get("tokenstore_near_cache_alive") == 1


def test_clients_of_equal_urls_are_added_up(server: Server) -> None:
    with tokenstore.Client(server.url) as one, tokenstore.Client(server.url) as other:
        collector = Collector(one, other)
        one.ping()
        other.ping()
        found = export(collector)
        ended = [s for s in found.samples if s.name == "tokenstore_operations_total"]
        assert [(s.labels["server"], s.value) for s in ended] == [(one.url, 2)]
        assert found.get("tokenstore_operation_duration_seconds_bucket", le="+Inf") == 2
        assert found.get("tokenstore_connections_limit") == 32


def test_asyncio(server: Server) -> None:
    async def main() -> Collector:
        async with tokenstore.asyncio.Sessions(server.url) as sessions:
            collector = Collector(sessions)
            token = await sessions.create(app="web", owner_id="bob", data={})
            await asyncio.gather(*(sessions.get(app="web", token=token) for _ in range(5)))
            found = export(collector)
            assert found.get("tokenstore_connections", state="idle") == 1
            assert found.get("tokenstore_connections_opened_total") == 1
            return collector

    found = export(asyncio.run(main()))  # of a closed client: its counters stay
    assert found.get("tokenstore_operations_total", **GET, outcome="ok") == 5
    assert found.get("tokenstore_connections") is None


def test_two_collectors_in_one_registry_are_refused(server: Server) -> None:
    registry = CollectorRegistry(auto_describe=True)
    with tokenstore.Client(server.url) as client:
        registry.register(Collector(client))
        with pytest.raises(ValueError, match="Duplicated"):
            registry.register(Collector(client))


def test_what_is_described_is_what_is_collected(server: Server) -> None:
    with tokenstore.Sessions(server.url, near_cache=10) as sessions:
        collector = Collector(sessions)
        use(sessions)
        assert [m.name for m in collector.describe()] == [m.name for m in collector.collect()]


@pytest.mark.parametrize(("given", "message"), [((), "at least one"), (("redis://",), "not str")])
def test_bad_arguments(given: tuple[object, ...], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Collector(*given)  # type: ignore[arg-type]
