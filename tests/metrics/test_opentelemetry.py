"""tokenstore.ext.opentelemetry, with the SDK: names are those of OpenTelemetry's own package of conventions."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.metrics import db_metrics as pools
from opentelemetry.semconv.attributes import db_attributes as db
from opentelemetry.semconv.attributes import error_attributes, server_attributes
from opentelemetry.semconv.metrics import db_metrics
from opentelemetry.trace import SpanKind, StatusCode

import tokenstore
import tokenstore.asyncio
from servers import Server
from servers import running as running_redis
from tokenstore.ext.opentelemetry import instrument


class Telemetry:
    """What the SDK was given."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._reader])
        self.given: Any = {"tracer_provider": self.tracers, "meter_provider": self.meters}

    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    def metrics(self) -> dict[str, list[Any]]:
        """The data points, by the metrics' names."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data is not None else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def everything(self) -> str:
        """All of it as text."""
        return repr([span.to_json() for span in self.spans()]) + repr(self.metrics())


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    yield telemetry
    telemetry.tracers.shutdown()
    telemetry.meters.shutdown()


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with running_redis(transport="tcp") as server:
        yield server


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2].split("/")[0])


def test_a_span_of_each_operation(redis: Server, telemetry: Telemetry) -> None:
    with tokenstore.Sessions(redis.url, db=2) as sessions:
        instrument(sessions.client, **telemetry.given)
        before = time.time_ns()
        token = sessions.create(app="web", owner_id="bob", data={})
        assert sessions.get(app="web", token=token)
        assert sessions.get(app="web", token="no-such-token") is None
        after = time.time_ns()
    create, get, missed = telemetry.spans()
    port = port_of(redis)
    assert [s.name for s in (create, get)] == [f"create 127.0.0.1:{port}", f"get 127.0.0.1:{port}"]
    assert get.kind is SpanKind.CLIENT
    assert get.status.status_code is StatusCode.UNSET
    assert dict(get.attributes or {}) == {
        db.DB_SYSTEM_NAME: "redis",
        db.DB_NAMESPACE: "2",
        db.DB_OPERATION_NAME: "get",
        server_attributes.SERVER_ADDRESS: "127.0.0.1",
        server_attributes.SERVER_PORT: port,
        "tokenstore.store": "Sessions",
        "tokenstore.outcome": "ok",
    }
    assert missed.attributes
    assert missed.attributes["tokenstore.outcome"] == "not_found"
    assert missed.status.status_code is StatusCode.UNSET
    times = [time for span in (create, get, missed) for time in (span.start_time, span.end_time)]
    assert times == sorted(times)  # each took a while, and one came after the other
    assert before <= times[0]
    assert times[-1] <= after


def test_spans_have_the_caller_s_as_their_parent(redis: Server, telemetry: Telemetry) -> None:
    tracer = telemetry.tracers.get_tracer("test")
    with tokenstore.Client(redis.url) as client:
        instrument(client, **telemetry.given)
        with tracer.start_as_current_span("request"):
            client.ping()
    ping, request = telemetry.spans()
    assert ping.parent is not None
    assert ping.parent.span_id == request.get_span_context().span_id


def test_asyncio_spans_have_their_own_caller_s(redis: Server, telemetry: Telemetry) -> None:
    tracer = telemetry.tracers.get_tracer("test")

    async def ask(client: tokenstore.asyncio.Client, name: str) -> None:
        with tracer.start_as_current_span(name):
            await client.ping()

    async def main() -> None:
        async with tokenstore.asyncio.Client(redis.url) as client:
            instrument(client, **telemetry.given)
            await asyncio.gather(*(ask(client, f"request {i}") for i in range(5)))

    asyncio.run(main())
    spans = telemetry.spans()
    requests = {s.get_span_context().span_id for s in spans if s.name.startswith("request")}
    assert {s.parent.span_id for s in spans if s.parent is not None} == requests
    assert len(requests) == 5


def test_errors(redis: Server, telemetry: Telemetry, tmp_path: Path) -> None:
    gone = tokenstore.Client(f"unix://{tmp_path}/none.sock")
    with tokenstore.Client(redis.url) as client, gone:
        instrument(client, **telemetry.given)
        instrument(gone, **telemetry.given)
        with pytest.raises(tokenstore.ServerError):
            client.for_each_primary("NO-SUCH-COMMAND")
        with pytest.raises(tokenstore.ConnectionError):
            gone.ping()
    refused, lost = telemetry.spans()
    assert refused.attributes
    assert refused.attributes[error_attributes.ERROR_TYPE] == "ERR"
    assert refused.attributes[db.DB_RESPONSE_STATUS_CODE] == "ERR"
    assert lost.attributes
    assert lost.attributes[error_attributes.ERROR_TYPE] == "connection"
    assert lost.attributes[server_attributes.SERVER_ADDRESS] == f"{tmp_path}/none.sock"
    assert db.DB_RESPONSE_STATUS_CODE not in lost.attributes
    assert lost.attributes["tokenstore.tries"] == 4
    assert {s.status.status_code for s in (refused, lost)} == {StatusCode.ERROR}


def test_durations(redis: Server, telemetry: Telemetry) -> None:
    with tokenstore.Client(redis.url) as client:
        instrument(client, **telemetry.given)
        client.ping()
        client.ping()
        (point,) = telemetry.metrics()[db_metrics.DB_CLIENT_OPERATION_DURATION]
    assert point.count == 2
    assert 0 < point.sum < 60
    assert point.explicit_bounds == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
    assert point.attributes[db.DB_OPERATION_NAME] == "ping"
    assert "tokenstore.outcome" not in point.attributes


def test_connections(redis: Server, telemetry: Telemetry) -> None:
    with tokenstore.Client(redis.url, pool_size=7) as client:
        instrument(client, **telemetry.given)
        client.ping()
        found = telemetry.metrics()
        pool = {"db.client.connection.pool.name": client.url}
        there = {p.attributes["db.client.connection.state"]: p.value for p in found[pools.DB_CLIENT_CONNECTION_COUNT]}
        assert there == {"idle": 1, "used": 0}
        for name, value in (
            (pools.DB_CLIENT_CONNECTION_MAX, 7),
            (pools.DB_CLIENT_CONNECTION_PENDING_REQUESTS, 0),
            (pools.DB_CLIENT_CONNECTION_TIMEOUTS, 0),
        ):
            (point,) = found[name]
            assert (point.value, dict(point.attributes)) == (value, pool)


def test_what_is_near_has_no_span(redis: Server, telemetry: Telemetry) -> None:
    with tokenstore.Sessions(redis.url, near_cache=10) as sessions:
        instrument(sessions.client, **telemetry.given)
        token = sessions.create(app="web", owner_id="bob", data={})
        gets = 0
        while (sessions.client.near_cache_stats() or {}).get("hits", 0) < 5:
            assert sessions.get(app="web", token=token)
            gets += 1
        spans = [s for s in telemetry.spans() if s.name.startswith("get ")]
        (hits,) = telemetry.metrics()["tokenstore.near_cache.hits"]
        assert len(spans) == gets - hits.value


def test_all_clients_that_are_made_until_it_ends(redis: Server, telemetry: Telemetry) -> None:
    end = instrument(**telemetry.given)
    first, second = tokenstore.Client(redis.url), tokenstore.Sessions(redis.url)
    first.ping()
    second.client.ping()
    assert len(telemetry.spans()) == 2
    end()
    end()
    third = tokenstore.Client(redis.url)
    for client in (first, second.client, third):
        client.ping()
        client.close()
    assert len(telemetry.spans()) == 2


def test_clients_are_freed(redis: Server, telemetry: Telemetry) -> None:
    end = instrument(**telemetry.given)
    client = tokenstore.Client(redis.url)
    client.ping()
    gone = weakref.ref(client)
    client.close()
    del client
    gc.collect()
    assert gone() is None
    assert pools.DB_CLIENT_CONNECTION_MAX not in telemetry.metrics()
    end()


def test_a_wrong_client() -> None:
    with pytest.raises(TypeError, match="client must be a Client, not str"):
        instrument("redis://localhost")  # type: ignore[arg-type]
