"""Fixtures: one real redis-server for the whole run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))

from nginx_server import MISSING
from servers import Server, running

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if MISSING is not None and item.path.name != "test_module.py":
            item.add_marker(pytest.mark.skip(reason=MISSING))
        elif item.get_closest_marker("slow") and not SOAK:
            item.add_marker(pytest.mark.skip(reason="slow: TOKENSTORE_SOAK=1 runs it"))


@pytest.fixture(scope="session")
def redis() -> Iterator[Server]:
    with running() as server:
        yield server
