"""The tests' Sentinels fail over, in `make soak`, on each kind of server. (tests/cluster use them in `make test`.)"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinels import Sentinels, running_sentinels
from servers import BINARIES

pytestmark = pytest.mark.slow


@pytest.fixture(params=BINARIES, ids=lambda path: Path(path).name)
def watched(request: pytest.FixtureRequest) -> Iterator[Sentinels]:
    if shutil.which(request.param) is None:
        pytest.skip(f"{Path(request.param).name} is not installed")
    with running_sentinels(binary=request.param) as watched:
        yield watched


def test_a_failover(watched: Sentinels) -> None:
    first, second = watched.nodes
    assert watched.primary is first
    watched.failover()
    assert watched.primary is second
    assert second("ROLE")[0] == b"master"


def test_a_lost_primary(watched: Sentinels) -> None:
    first, second = watched.nodes
    first.kill()
    watched.wait_agreed()
    assert watched.primary is second
    first.start()
    assert first("ROLE")[0] == b"master"  # for ten seconds: what is written there is lost
