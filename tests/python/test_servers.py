"""The same life of a token on each kind of server that this machine has."""

from __future__ import annotations

import shutil

import pytest

import tokenstore
from servers import running


@pytest.mark.parametrize("binary", ["redis-server", "valkey-server"])
def test_on(binary: str) -> None:
    if shutil.which(binary) is None:
        pytest.skip(f"{binary} is not installed")
    with running(binary=binary) as server, tokenstore.RedisTokens(server.url) as tokens:
        token = tokens.create("a", "t", "o", {"x": 1}, 60)
        assert tokens.get("a", "t", token.token, refresh=600, expiry=True) is not None
        assert tokens.update("a", "t", token.token, {"y": 2}) is not None
        new = tokens.rotate("a", "t", token.token)
        assert new is not None
        assert new.data == {"x": 1, "y": 2}
        assert [t.id for t in tokens.list("a", "t", "o")] == [new.id]
        assert tokens.delete_all("a", "t", "o") == 1
