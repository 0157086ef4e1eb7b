"""The live tests of Lua, unchanged, with cosockets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nginx_server import ROOT, Nginx, running
from servers import Server

# Tests of the blocking driver (events wait on a separate connection; test_credentials.py is the nginx version
# of "credentials"), of finalizers (which cannot wait in nginx), or of the interpreter.
OTHER = {"module", "handles", "lifecycle", "interrupt", "types", "embedded", "session_events", "credentials"}
FILES = sorted(
    {file.stem[5:] for file in (ROOT / "tests/lua").glob("test_*.lua")} - OTHER,
)


@pytest.fixture(scope="module")
def nginx(redis: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    directory = tmp_path_factory.mktemp("battery")
    server = f"""
      set $battery_tests {ROOT}/tests/lua;
      location = /battery {{ content_by_lua_file {Path(__file__).parent}/battery.lua; }}
    """
    main = "env TEST_URL; env TEST_DIR; env TEST_LUA; env LUA_PATH; env LUA_CPATH;"
    env = {
        "TEST_URL": redis.url.replace("redis+unix://", "unix://"),
        "TEST_DIR": str(directory),
        "TEST_LUA": "luajit",
    }
    evicting = "tokenstore: the server evicts keys"  # a case of the vectors
    unreadable = "tokenstore: list skipped unreadable"  # another case
    reused = "tokenstore: a token was presented that had been rotated before"  # by get_many
    with running(server, main=main, env=env, explained=(evicting, unreadable, reused)) as made:
        yield made


@pytest.mark.parametrize("file", FILES)
def test_live(nginx: Nginx, file: str) -> None:
    answer = nginx.get(f"/battery?file={file}")
    assert answer.status == 200, nginx.log[-20:]
    counts = re.search(r"(\d+) passed, (\d+) failed", answer.text)
    assert counts is not None, answer.text
    assert int(counts[1]) > 0
    assert counts[2] == "0", answer.text
