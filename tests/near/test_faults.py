"""A few rounds of some faults; TOKENSTORE_SOAK=1: a thousand of each, and a hundred where there are several servers, which takes hours."""

from __future__ import annotations

import os

import pytest

from faults import run
from several import SEVERAL
from single import SINGLE

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"
SAMPLE = ["silent", "slow-answers", "kill-links", "suspended"]


@pytest.mark.parametrize("fault", SAMPLE)
def test_some(fault: str) -> None:
    check(fault, 1000 if SOAK else 2)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [fault for fault in SINGLE if fault not in SAMPLE])
def test_others(fault: str) -> None:
    check(fault, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("fault", SEVERAL)
def test_of_several_servers(fault: str) -> None:
    check(fault, 100)


def check(fault: str, rounds: int) -> None:
    totals = run(fault, rounds, seed=int.from_bytes(os.urandom(4), "big"))
    print(totals.HEAD, totals.row(), sep="\n")
    assert not totals.wrong
    assert totals.checked > 0
    assert totals.hits > 0
