"""Broken requests and replies at every byte, as in tests/faults/test_replies.py, with cosockets."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

import tokenstore
from conftest import Setup
from fault_server import Exchange, deaf, in_step
from remote import RemoteTokens
from test_replies import *  # noqa: F403
from timing import connect

HASTY = 0.15  # seconds


@pytest.fixture(scope="module")
def store(setup: Setup) -> Iterator[RemoteTokens]:
    tokens = setup.tokens(timeout=5)
    yield tokens
    tokens.close()


@pytest.fixture(scope="module")
def hasty(setup: Setup) -> Iterator[RemoteTokens]:
    tokens = setup.tokens(timeout=HASTY)
    yield tokens
    tokens.close()


def test_a_large_batch_is_written_while_replies_are_read(setup: Setup, store: RemoteTokens) -> None:
    """This server reads the next command only after its last reply was read."""
    size = 100_000
    setup.server.arm(in_step(b"$%d\r\n%s\r\n" % (size, b"y" * size)))
    assert store.ask("fill", [300, size]) == 300
    setup.server.drop()
    assert store.client.execute("PING") == "PONG"


def test_a_large_batch_that_nobody_reads(setup: Setup, hasty: RemoteTokens) -> None:
    setup.server.arm(deaf(1))
    with pytest.raises((tokenstore.OutcomeUnknownError, tokenstore.TimeoutError)):
        hasty.ask("fill", [300, 100_000])
    setup.server.drop()


def test_more_answers_than_were_asked_for_before_all_was_written(
    setup: Setup, store: RemoteTokens
) -> None:
    assert (
        store.client.execute("PING") == "PONG"
    )  # otherwise the greeting gets the fault and is retried
    setup.server.arm(in_step(b"+OK\r\n" * 1000))
    with pytest.raises(tokenstore.OutcomeUnknownError, match="received more replies than requested"):
        store.ask("fill", [300, 100_000])
    assert store.client.execute("PING") == "PONG"


def test_a_late_answer_reaches_nobody(setup: Setup, hasty: RemoteTokens) -> None:
    """Its caller has timed out; the reply arrives on an unused connection."""

    def late(x: Exchange) -> None:
        reply = x.ask()
        time.sleep(2 * HASTY)
        x.send(reply)

    connect(hasty.client)
    setup.server.arm(late)
    with pytest.raises((tokenstore.OutcomeUnknownError, tokenstore.TimeoutError)):
        hasty.client.execute("ECHO", "late")
    began = time.monotonic()
    while time.monotonic() - began < 2 * HASTY:
        word = str(random.random())
        with suppress(tokenstore.OutcomeUnknownError, tokenstore.TimeoutError):
            assert hasty.client.execute("ECHO", word) == word.encode()
