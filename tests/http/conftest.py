"""Fixtures: the driver, a server, and certificates good and bad."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from http_driver import Driver
from http_servers import HttpServer


@pytest.fixture
def driver() -> Iterator[Driver]:
    with Driver() as driver:
        assert driver.new().status == "ok"
        yield driver


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server
