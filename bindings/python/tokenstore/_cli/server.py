"""``ping`` and ``bench``: the time that a server takes."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

from tokenstore._cli.common import Options, UsageError, open_store
from tokenstore._cli.output import Column, print_answer, print_rows
from tokenstore._cli.stats import kinds_of
from tokenstore._cli.terminal import plain
from tokenstore.client import Client
from tokenstore.tokens import RedisTokens

__all__ = ["bench", "ping"]


def ping(options: Options) -> bool:
    """Connect, then time one reply."""
    with Client(options.url) as client:
        client.ping()
        took = _time_of(client.ping)
        record = {"url": client.url, "milliseconds": round(took, 3)}
        print_answer(options, record, f"{plain(client.url)} answered in {took:.2f} ms")
    return True


_APP, _TYPE = "tokenstore bench", "bench"
_OWNERS = 50
_BUNDLE = 100  # tokens of one get_many


def bench(options: Options) -> bool:
    """Create tokens, use them, and end them; each operation for the same time, one call after the other."""
    if not 0 < options.seconds <= 3600:
        raise UsageError("--seconds must be more than 0, and at most 3600")
    with open_store(options) as store:
        with closing(_calls(store, options.prefix)) as calls:
            rows = [_measured(name, call, options.seconds) for name, call in calls]
    print_rows(
        options,
        ("operation", "calls", "p50_ms", "p99_ms", "per_second"),
        rows,
        [
            Column("OPERATION", lambda row: row["operation"]),
            Column("CALLS", lambda row: row["calls"]),
            Column("P50 ms", lambda row: f"{row['p50_ms']:.3f}"),
            Column("P99 ms", lambda row: f"{row['p99_ms']:.3f}"),
            Column("PER SECOND", lambda row: row["per_second"]),
        ],
        "",
    )
    return True


def _calls(store: RedisTokens, prefix: str) -> Generator[tuple[str, Callable[[], Any]]]:
    """What is measured; when all is done, or something fails, the tokens are ended."""
    run = secrets.token_hex(8)
    owners = [f"{run}-{number}" for number in range(_OWNERS)]
    made: list[Any] = []

    def create() -> None:
        made.append(store.create(_APP, _TYPE, owners[len(made) % _OWNERS], {"role": "admin"}, 600).token)

    def get() -> None:
        if store.get(_APP, _TYPE, secrets.choice(made)) is None:
            raise UsageError("the server lost a token meanwhile: does it evict? ask tokenstore doctor")

    try:
        yield "ping", store.client.ping
        yield "create", create
        yield "get", get
        bundle = (made * _BUNDLE)[:_BUNDLE]
        yield f"get_many of {_BUNDLE}", lambda: store.get_many(_APP, _TYPE, bundle)
    finally:
        for owner in owners:
            store.delete_all(_APP, _TYPE, owner)
        registry = f"{prefix}:kinds"
        for kind in kinds_of(store.client, registry, _APP, _TYPE):
            store.client.execute("HDEL", registry, kind)


def _measured(name: str, call: Callable[[], Any], seconds: float) -> dict[str, Any]:
    call()  # the connection, the script
    times: list[float] = []
    with _progress(name, seconds) as show:
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds or not times:
            times.append(_time_of(call))
            show(elapsed)
    times.sort()
    return {
        "operation": name,
        "calls": len(times),
        "p50_ms": round(times[len(times) // 2], 3),
        "p99_ms": round(times[len(times) * 99 // 100], 3),
        "per_second": round(len(times) / max(elapsed, 1e-9)),
    }


def _time_of(call: Callable[[], Any]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


@contextmanager
def _progress(name: str, seconds: float) -> Iterator[Callable[[float], None]]:
    """A bar on stderr if that is a terminal, and tqdm is installed."""
    bar = None
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm

            bar = tqdm(total=seconds, desc=name, leave=False, bar_format="{desc} {bar} {percentage:3.0f}%")
        except ImportError:
            pass
    try:
        yield (lambda elapsed: None) if bar is None else lambda elapsed: bar.update(elapsed - bar.n) and None
    finally:
        if bar is not None:
            bar.close()
