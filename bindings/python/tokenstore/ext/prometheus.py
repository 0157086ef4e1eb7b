"""Prometheus: what the operations, the near cache and the connections of clients do.

::

    prometheus_client.REGISTRY.register(tokenstore.ext.prometheus.Collector(client))

The core counts while the service works, and the collector reads the sums when Prometheus asks: an operation costs a
fraction of a microsecond more. docs/how-to/metrics.md has every name. Labels are names and codes: no token, owner or data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector as BaseCollector

from tokenstore._measures import BOUNDS, OperationStats
from tokenstore._store import Store
from tokenstore.client import BaseClient

__all__ = ["Collector"]

_OPERATION = ["server", "store", "operation"]
_EDGES = [*[repr(bound) for bound in BOUNDS], "+Inf"]

_SUMS = {
    "tries": (
        "tokenstore_operation_tries",
        "Tries of operations: more than operations are retries.",
    ),
    "trips": ("tokenstore_round_trips", "Questions to the server whose answer was awaited."),
    "sent": ("tokenstore_sent_bytes", "Bytes of commands that were sent."),
    "received": ("tokenstore_received_bytes", "Bytes of the texts in answers."),
}
_NEAR_COUNTERS = {
    "hits": "Tokens that the near cache had.",
    "misses": "Tokens that it did not have, or not for certain.",
    "invalidations": "Entries that a change dropped.",
    "evictions": "Entries that others displaced.",
    "flushes": "Lost connections and orders to drop all.",
}
_NEAR_GAUGES = {
    "entries": ("entries", "Records in the near cache."),
    "bytes": ("bytes", "Their memory."),
    "alive": ("alive", "1: it answers now."),
    "oldest_proof": (
        "oldest_proof_seconds",
        "Since the server last proved that it tells of changes.",
    ),
}
_POOL_COUNTERS = {
    "opened": ("tokenstore_connections_opened", "Connections that were opened."),
    "timeouts": (
        "tokenstore_connection_timeouts",
        "Callers that waited for a connection until their deadline.",
    ),
}


class Collector(BaseCollector):
    """Exports what clients do, or the clients of stores, blocking or not, with the label ``server``: the URL without user,
    password and options. Clients of equal URLs are added up. They count from now on.

    One collector has all clients of a registry. With ``prometheus_client``'s multiprocess mode it exports nothing there:
    let Prometheus ask each process.
    """

    def __init__(self, *clients: BaseClient | Store) -> None:
        if not clients:
            raise TypeError("Collector needs at least one client or store")
        self._clients = [_client_of(given) for given in clients]
        for client in self._clients:
            client.operation_stats()

    def describe(self) -> Iterable[Metric]:
        return [*_operation_families(), *_near_families(), *_pool_families()]

    def collect(self) -> Iterator[Metric]:
        yield from self._operations()
        yield from self._near_cache()
        yield from self._connections()

    def _operations(self) -> list[Metric]:
        ended, took, *others = families = _operation_families()
        for labels, stats in self._sums().items():
            for outcome, count in sorted(stats.outcomes.items()):
                ended.add_metric([*labels, outcome], count)
            below = 0
            buckets = []
            for edge, count in zip(_EDGES, stats.durations):
                below += count
                buckets.append((edge, below))
            took.add_metric(list(labels), buckets, stats.took)
            for name, family in zip(_SUMS, others):
                family.add_metric(list(labels), getattr(stats, name))
        return families

    def _sums(self) -> dict[tuple[str, str, str], OperationStats]:
        sums: dict[tuple[str, str, str], OperationStats] = {}
        for client in self._clients:
            for stats in client.operation_stats():
                labels = (client.url, stats.store, stats.operation)
                sums[labels] = _add(sums[labels], stats) if labels in sums else stats
        return sums

    def _near_cache(self) -> list[Metric]:
        families = _near_families()
        for url, stats in self._by_url("near_cache_stats"):
            for name, family in zip((*_NEAR_COUNTERS, *_NEAR_GAUGES), families):
                numbers = [float(each[name]) for each in stats]
                whole = min if name == "alive" else max if name == "oldest_proof" else sum
                family.add_metric([url], whole(numbers))
        return families

    def _connections(self) -> list[Metric]:
        there, limit, waiting, *counters = families = _pool_families()
        for url, stats in self._by_url("pool_stats"):
            for state in ("idle", "used"):
                there.add_metric([url, state], sum(each[state] for each in stats))
            limit.add_metric([url], sum(each["limit"] for each in stats))
            waiting.add_metric([url], sum(each["waiting"] for each in stats))
            for name, family in zip(_POOL_COUNTERS, counters):
                family.add_metric([url], sum(each[name] for each in stats))
        return families

    def _by_url(self, method: str) -> Iterator[tuple[str, list[dict[str, float]]]]:
        """What this method of the clients returns, of those with equal URLs together."""
        found: dict[str, list[dict[str, float]]] = {}
        for client in self._clients:
            stats = None if client.closed else getattr(client, method)()
            if stats is not None:
                found.setdefault(client.url, []).append(stats)
        yield from found.items()


def _client_of(given: object) -> BaseClient:
    client = given.client if isinstance(given, Store) else given
    if not isinstance(client, BaseClient):
        raise TypeError(f"Collector takes clients and stores, not {type(given).__name__}")
    return client


def _add(one: OperationStats, other: OperationStats) -> OperationStats:
    outcomes = {**one.outcomes}
    for outcome, count in other.outcomes.items():
        outcomes[outcome] = outcomes.get(outcome, 0) + count
    return OperationStats(
        one.store,
        one.operation,
        outcomes,
        [a + b for a, b in zip(one.durations, other.durations)],
        one.took + other.took,
        one.tries + other.tries,
        one.trips + other.trips,
        one.sent + other.sent,
        one.received + other.received,
    )


def _operation_families() -> list[Any]:
    return [
        CounterMetricFamily(
            "tokenstore_operations",
            "Operations that have ended; what the near cache answered is not among them.",
            labels=[*_OPERATION, "outcome"],
        ),
        HistogramMetricFamily(
            "tokenstore_operation_duration_seconds",
            "How long they took, retries and waiting for a connection included.",
            labels=_OPERATION,
        ),
        *(CounterMetricFamily(name, text, labels=_OPERATION) for name, text in _SUMS.values()),
    ]


def _near_families() -> list[Any]:
    return [
        *(
            CounterMetricFamily(f"tokenstore_near_cache_{name}", text, labels=["server"])
            for name, text in _NEAR_COUNTERS.items()
        ),
        *(
            GaugeMetricFamily(f"tokenstore_near_cache_{name}", text, labels=["server"])
            for name, text in _NEAR_GAUGES.values()
        ),
    ]


def _pool_families() -> list[Any]:
    return [
        GaugeMetricFamily(
            "tokenstore_connections", "Connections, idle or used.", labels=["server", "state"]
        ),
        GaugeMetricFamily(
            "tokenstore_connections_limit", "How many there may be.", labels=["server"]
        ),
        GaugeMetricFamily(
            "tokenstore_connections_waiting", "Callers that wait for one.", labels=["server"]
        ),
        *(
            CounterMetricFamily(name, text, labels=["server"])
            for name, text in _POOL_COUNTERS.values()
        ),
    ]
