"""`import tokenstore` imports nothing that a program may not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tokenstore

PACKAGES = str(Path(tokenstore.__file__).parents[1])

# Each takes milliseconds to import.
HEAVY = {
    "asyncio",
    "concurrent.futures",
    "dataclasses",
    "http.client",
    "inspect",
    "json",
    "multiprocessing",
    "select",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "urllib.parse",
    "uuid",
    "tokenstore.asyncio",
    "tokenstore.ext",
    "tokenstore._oauth",
    "tokenstore.migrate",
    "tokenstore.web",
}


# What is imported when it is first named.
LATER = {
    "tokenstore.jwt",
    "tokenstore.node_tokens",
    "tokenstore.redis_jwt",
    "tokenstore.session_events",
    "tokenstore.spike",
}

# What the standard library imports with these differs between versions.
NEEDED = "import datetime, logging, math, threading, typing"


def modules_after(code: str) -> set[str]:
    """In a fresh interpreter."""
    code = f"import sys; sys.path.insert(0, {PACKAGES!r})\n{code}\nprint(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code]
    return set(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split())


def test_import_is_light() -> None:
    found = modules_after("import tokenstore")
    assert "tokenstore._core" in found
    assert (found - modules_after(NEEDED)) & (HEAVY | LATER) == set()


def test_every_name_is_there_and_no_other() -> None:
    code = "import tokenstore; assert set(tokenstore.__all__) <= set(dir(tokenstore))"
    found = modules_after(f"{code}\nfor name in tokenstore.__all__: getattr(tokenstore, name)")
    assert found >= LATER
    with pytest.raises(AttributeError, match="'tokenstore' has no attribute 'nonsense'"):
        getattr(tokenstore, "nonsense")  # noqa: B009


@pytest.mark.parametrize(
    "use",
    [
        'tokenstore.Sessions("redis://localhost")',
        'tokenstore.RedisJWT("redis://localhost", secret=32 * "x")',
        'tokenstore.Tokenstore(tokenstore.Client("redis://localhost"))',
        'tokenstore.jwt.encode({}, tokenstore.jwt.Key.from_secret(32 * "x"), "HS256")',
    ],
)
def test_use_is_light(use: str) -> None:
    found = modules_after(f"import tokenstore\n{use}")
    assert (found - modules_after(NEEDED)) & HEAVY == set()


def test_asyncio_when_it_is_asked_for() -> None:
    assert {"asyncio", "tokenstore.asyncio"} <= modules_after("import tokenstore.asyncio")


@pytest.mark.parametrize(
    "use",
    [
        'tokenstore.Spike("https://spike.example", "id", "secret")',
        'tokenstore.jwt.KeySet.from_url("https://keys.example")',
        'tokenstore.get_token_creator(ClientId="a", ClientSecret="b", spikeURL="https://spike.example", tokenAudience="c")',
    ],
)
def test_what_asks_servers_loads_curl_when_it_is_made(use: str) -> None:
    assert "tokenstore._oauth" in modules_after(f"import tokenstore\n{use}")
