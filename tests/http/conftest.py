"""Fixtures: the driver, a server, and certificates good and bad."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_driver import Driver
from http_servers import HttpServer

sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))
sys.path.insert(0, str(Path(__file__).parent.parent / "python"))


@pytest.fixture
def driver() -> Iterator[Driver]:
    with Driver() as driver:
        assert driver.new().status == "ok"
        yield driver


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server
