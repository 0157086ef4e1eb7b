"""Fixtures: a real server for the whole run, and running a test's coroutine on either loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, Callable

import pytest

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"


Run = Callable[[Coroutine[Any, Any, Any]], Any]


def loop_of(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def run_in(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """As asyncio.run, but errors logged by the loop and leftover tasks fail the test."""
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        result = loop.run_until_complete(coroutine)
        assert asyncio.all_tasks(loop) == set()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
    assert complaints == []
    return result


def pool_of(client: Any) -> Any:
    """The client's connections in the running loop."""
    return client._driver.here()


one_loop = pytest.mark.parametrize("run", ["asyncio", "uvloop"] if SOAK else ["asyncio"], indirect=True)
"""For tests that wait for seconds, for a deadline of ours: loops differ in how they read and write."""


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    return lambda coroutine: run_in(loop_of(request.param), coroutine)
