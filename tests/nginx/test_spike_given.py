"""Spike in nginx: secrets and assertions that change, further headers. The tests of the other languages, unchanged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from authorization import endpoint, granted
from callers import Caller, Function, InLua
from nginx_lua import nginx_lua
from test_given import *  # noqa: F403
from test_given import OPAQUE, A

# A worker has nginx's environment.
for name in ("test_a_proxy_of_the_environment", "test_a_proxy_that_is_none_is_named"):
    del globals()[name]


@pytest.fixture
def call() -> Iterator[Caller]:
    with nginx_lua() as lua:
        yield InLua(lua)


def test_a_function_may_wait_as_nginx_does(call: Caller) -> None:
    """It runs in a timer, where there are cosockets and sleeps."""
    sleeping = Function(lambda: None, "function() ngx.sleep(0.01) return 'slept' end")
    with endpoint(lambda asked: granted(asked.basic[1])) as server:
        assert call.fetch(server.url, {"audience": A}, client_secret=sleeping, **OPAQUE) == "slept"
