"""Broken requests and answers at every byte, as tests/faults/test_replies.py has them, over cosockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conftest import Setup
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
