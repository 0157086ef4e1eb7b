"""Broken requests and answers at every byte, as tests/faults/test_replies.py has them, over cosockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tokenstore
from conftest import Setup
from fault_server import deaf, in_step
from remote import RemoteTokens
from test_replies import *  # noqa: F403


@pytest.fixture(scope="module")
def store(setup: Setup) -> Iterator[RemoteTokens]:
    tokens = setup.tokens(timeout=5)
    yield tokens
    tokens.close()


@pytest.fixture(scope="module")
def hasty(setup: Setup) -> Iterator[RemoteTokens]:
    tokens = setup.tokens(timeout=0.3 if setup.tls else 0.15)
    yield tokens
    tokens.close()


def test_a_large_batch_is_written_while_replies_are_read(setup: Setup, store: RemoteTokens) -> None:
    """This server takes the next command only after its answer to the last one was fetched."""
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
    )  # else the greeting has the fault, and is said again
    setup.server.arm(in_step(b"+OK\r\n" * 1000))
    with pytest.raises(tokenstore.OutcomeUnknownError, match="more answers came"):
        store.ask("fill", [300, 100_000])
    assert store.client.execute("PING") == "PONG"
