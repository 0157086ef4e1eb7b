"""A few rounds of each fault; TOKENSTORE_SOAK=1: a thousand, of those of several servers a hundred, which takes hours."""

from __future__ import annotations

import os

import pytest

from faults import run
from several import SEVERAL
from single import SINGLE

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"


@pytest.mark.parametrize("fault", SINGLE)
def test_of_one_server(fault: str) -> None:
    check(fault, 1000 if SOAK else 1)


@pytest.mark.slow
@pytest.mark.parametrize("fault", SEVERAL)
def test_of_several(fault: str) -> None:
    check(fault, 100)


def check(fault: str, rounds: int) -> None:
    totals = run(fault, rounds, seed=int.from_bytes(os.urandom(4), "big"))
    print(totals.HEAD, totals.row(), sep="\n")
    assert not totals.wrong
    assert totals.checked > 0
    assert totals.hits > 0
