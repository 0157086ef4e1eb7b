"""OpenTelemetry: a span and a duration of each operation, and the connections, by its conventions for database clients.

::

    tokenstore.ext.opentelemetry.instrument()      # before the clients are made

What the near cache answers asks no database, and has no span. No attribute is a command, a key, a token, an owner or
data. docs/how-to/metrics.md has the names.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import SpanKind, StatusCode, TracerProvider

from tokenstore import _core
from tokenstore._measures import Measure, when_made
from tokenstore.client import BaseClient

__all__ = ["instrument"]

_SCHEMA = "https://opentelemetry.io/schemas/1.33.0"
_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)  # what the conventions advise
_GOOD = ("ok", "not_found")

_Attributes = dict[str, Any]


def instrument(
    client: BaseClient | None = None,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> Callable[[], None]:
    """Report the operations of ``client``, or of all clients that are made from now on, blocking or not. Returns a function
    that ends this.

    Without providers, the global ones; to leave out spans or metrics, give ``opentelemetry.trace.NoOpTracerProvider()``
    or ``opentelemetry.metrics.NoOpMeterProvider()``.
    """
    if client is not None and not isinstance(client, BaseClient):
        raise TypeError(f"client must be a Client, not {type(client).__name__}")
    reporter = _Reporter(tracer_provider, meter_provider)
    if client is not None:
        reporter.watch(client)
        return reporter.end
    when_made.append(reporter.watch)

    def end() -> None:
        if reporter.watch in when_made:
            when_made.remove(reporter.watch)
        reporter.end()

    return end


class _Reporter:
    """What one call of instrument() reports to."""

    def __init__(self, tracers: TracerProvider | None, meters: MeterProvider | None) -> None:
        version = _core.__version__
        self._tracer = trace.get_tracer("tokenstore", version, tracers, _SCHEMA)
        meter = metrics.get_meter("tokenstore", version, meters, _SCHEMA)
        self._clients: weakref.WeakKeyDictionary[BaseClient, _Watcher] = weakref.WeakKeyDictionary()
        self._duration = meter.create_histogram(
            "db.client.operation.duration",
            unit="s",
            description="Duration of database client operations",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        for make, name, unit, read in (
            (
                meter.create_observable_up_down_counter,
                "db.client.connection.count",
                "{connection}",
                _there,
            ),
            (
                meter.create_observable_up_down_counter,
                "db.client.connection.max",
                "{connection}",
                _limit,
            ),
            (
                meter.create_observable_up_down_counter,
                "db.client.connection.pending_requests",
                "{request}",
                _waiting,
            ),
            (
                meter.create_observable_counter,
                "db.client.connection.timeouts",
                "{timeout}",
                _timeouts,
            ),
            (
                meter.create_observable_counter,
                "tokenstore.near_cache.hits",
                "{token}",
                _near("hits"),
            ),
            (
                meter.create_observable_counter,
                "tokenstore.near_cache.misses",
                "{token}",
                _near("misses"),
            ),
        ):
            make(name, [self._observe(read)], unit=unit)

    def watch(self, client: BaseClient) -> None:
        watcher = self._clients[client] = _Watcher(client, self._tracer, self._duration)
        client.on_operation(watcher)

    def end(self) -> None:
        for client, watcher in [*self._clients.items()]:
            client._unwatch(watcher)
        self._clients.clear()

    def _observe(
        self, read: Callable[[BaseClient], Iterable[tuple[float, _Attributes]]]
    ) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(_: CallbackOptions) -> Iterator[Observation]:
            for client in [*self._clients]:
                if not client.closed:
                    for number, attributes in read(client):
                        yield Observation(number, attributes)

        return observe


class _Watcher:
    """What one client calls when an operation has ended. It does not keep the client alive."""

    def __init__(
        self, client: BaseClient, tracer: trace.Tracer, duration: metrics.Histogram
    ) -> None:
        self._client = weakref.ref(client)
        self._tracer = tracer
        self._duration = duration
        self._servers: dict[int, _Attributes] = {}  # by the number of a node

    def __call__(self, measure: Measure) -> None:
        if measure.near:
            return
        attributes = {
            **self._server(measure.node),
            "db.operation.name": measure.operation,
            "tokenstore.store": measure.store,
        }
        good = measure.outcome in _GOOD
        if measure.code is not None:
            attributes["db.response.status_code"] = measure.code
        if not good:
            attributes["error.type"] = measure.code or measure.outcome
        ended = time.time_ns()
        self._span(measure, attributes, ended - int(measure.took * 1e9), ended, good)
        self._duration.record(measure.took, attributes)

    def _span(
        self, measure: Measure, attributes: _Attributes, began: int, ended: int, good: bool
    ) -> None:
        of_span = {**attributes, "tokenstore.outcome": measure.outcome}
        if measure.tries > 1:
            of_span["tokenstore.tries"] = measure.tries
        span = self._tracer.start_span(
            _name(measure, attributes),
            kind=SpanKind.CLIENT,
            attributes=of_span,
            start_time=began,
        )
        if not good:
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    def _server(self, node: int) -> _Attributes:
        known = self._servers.get(node)
        client = self._client()
        if known is None and client is not None:
            known = self._servers[node] = _server_of(client, node)
        return known or {"db.system.name": "redis"}


def _name(measure: Measure, attributes: _Attributes) -> str:
    """``get localhost:6379``: the operation, and where."""
    address, port = attributes.get("server.address"), attributes.get("server.port")
    if address is None:
        return measure.operation
    return f"{measure.operation} {address}" + (f":{port}" if port is not None else "")


def _server_of(client: BaseClient, node: int) -> _Attributes:
    target = client._core.target(node)
    attributes: _Attributes = {"db.system.name": "redis", "db.namespace": str(target["db"])}
    if target["path"] is not None:
        attributes["server.address"] = target["path"]
    elif target["host"] is not None:
        attributes["server.address"] = target["host"]
        attributes["server.port"] = target["port"]
    return attributes


def _pool_of(client: BaseClient) -> _Attributes:
    return {"db.client.connection.pool.name": client.url}


def _there(client: BaseClient) -> Iterator[tuple[float, _Attributes]]:
    stats = client.pool_stats()
    yield stats["idle"], {**_pool_of(client), "db.client.connection.state": "idle"}
    yield stats["used"], {**_pool_of(client), "db.client.connection.state": "used"}


def _limit(client: BaseClient) -> Iterator[tuple[float, _Attributes]]:
    yield client.pool_stats()["limit"], _pool_of(client)


def _waiting(client: BaseClient) -> Iterator[tuple[float, _Attributes]]:
    yield client.pool_stats()["waiting"], _pool_of(client)


def _timeouts(client: BaseClient) -> Iterator[tuple[float, _Attributes]]:
    yield client.pool_stats()["timeouts"], _pool_of(client)


def _near(name: str) -> Callable[[BaseClient], Iterator[tuple[float, _Attributes]]]:
    def read(client: BaseClient) -> Iterator[tuple[float, _Attributes]]:
        stats: Any = client.near_cache_stats()
        if stats is not None:
            yield stats[name], _pool_of(client)

    return read
