"""Gets of one session, for cost.py: URL, how, and how many. How: "blocking" or "asyncio", and who measures."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import tokenstore
import tokenstore.asyncio


def measure(client: Any, who: str) -> None:
    if who == "prometheus":
        from tokenstore.ext.prometheus import Collector

        Collector(client)
    elif who == "callback":
        client.on_operation(lambda _: None)
    elif who == "opentelemetry":
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.trace import TracerProvider

        from tokenstore.ext.opentelemetry import instrument

        instrument(client, tracer_provider=TracerProvider(), meter_provider=MeterProvider())


def blocking(url: str, who: str, gets: int) -> None:
    with tokenstore.Sessions(url) as sessions:
        measure(sessions.client, who)
        token = sessions.create(app="web", owner_id="bob", data={"n": 1}, duration=3600)
        for _ in range(gets):
            assert sessions.get(app="web", token=token)


async def many(url: str, who: str, gets: int) -> None:
    async with tokenstore.asyncio.Sessions(url) as sessions:
        measure(sessions.client, who)
        token = await sessions.create(app="web", owner_id="bob", data={"n": 1}, duration=3600)
        for _ in range(gets):
            assert await sessions.get(app="web", token=token)


if __name__ == "__main__":
    _, url, how, gets = sys.argv
    driver, _, who = how.partition(" ")
    if driver == "blocking":
        blocking(url, who, int(gets))
    else:
        asyncio.run(many(url, who, int(gets)))
