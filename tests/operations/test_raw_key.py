"""The key that routes a raw command (core/src/ops/raw_key.c) against what servers say: every command that COMMAND lists,
with words made from its key specifications, and by hand those whose keys have no fixed place."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servers import BINARIES, BINARY, OLD, ReplyError, Wire, running

ROOT = Path(__file__).parent.parent.parent
PROGRAM = os.environ.get("TOKENSTORE_RAW_KEY", str(ROOT / "build/tests/operations/raw_key"))
# Redis 6.2 has no key specifications, and its own mistakes: the keys of ZUNIONSTORE, MIGRATE with a password.
SERVERS = [s for s in sorted({*BINARIES, BINARY} - {OLD}) if shutil.which(s)]

# Their first word is a channel, which has a slot, but is not called a key.
CHANNELS = ("SPUBLISH", "SSUBSCRIBE", "SUNSUBSCRIBE")

BY_HAND = """
EVAL return 0
EVAL return 1 k a
EVAL return 2 k1 k2 a
evalsha sha 1 k
EVAL_RO return 1 k
FCALL f 1 k
FCALL f 0 a b
FCALL_RO f 2 k1 k2
XREAD STREAMS k 0
xread count 5 block 100 streams k1 k2 0 0
XREAD BLOCK 5 COUNT 5 STREAMS streams 0
XREADGROUP GROUP streams me STREAMS k >
XREADGROUP GROUP g c COUNT 1 NOACK STREAMS k1 k2 > >
XREADGROUP GROUP count noack BLOCK 10 STREAMS k >
MIGRATE host 7000 k 0 1000
MIGRATE host 7000 k 0 1000 COPY REPLACE AUTH KEYS
MIGRATE host 7000  0 1000 KEYS k1 k2
MIGRATE host 7000  0 1000 COPY AUTH keys KEYS k1 k2
MIGRATE host 7000  0 1000 AUTH2 keys keys REPLACE KEYS k1
SORT k BY w* GET # STORE d
SORT_RO k LIMIT 0 1
GEORADIUS k 1 2 3 m STORE d
GEORADIUSBYMEMBER k m 3 m STOREDIST d
BITOP AND d k1 k2
ZUNIONSTORE d 2 k1 k2
ZINTERSTORE d 1 k
ZDIFFSTORE d 1 k
ZUNION 2 k1 k2
ZINTER 1 k
ZDIFF 1 k
ZINTERCARD 1 k
SINTERCARD 2 k1 k2 LIMIT 1
ZMPOP 1 k MIN
LMPOP 2 k1 k2 LEFT
BLMPOP 0 1 k LEFT
BZMPOP 0 2 k1 k2 MIN
BLPOP k1 k2 0
OBJECT ENCODING k
object freq k
MEMORY USAGE k SAMPLES 5
memory doctor
XINFO STREAM k FULL
XINFO GROUPS k
XINFO CONSUMERS k g
XGROUP CREATE k g $
XGROUP CREATECONSUMER k g c
PFCOUNT k1 k2
PFMERGE d k
PFDEBUG DECODE k
LCS k1 k2
COPY k1 k2
RENAME k1 k2
SMOVE k1 k2 m
MSET k1 v1 k2 v2
GEOSEARCHSTORE d k FROMMEMBER m BYRADIUS 1 m
RESTORE k 0 x
SET k v
DEL k1 k2
TOUCH k1 k2
PING
PING hello
ECHO k
SCAN 0 MATCH k*
KEYS k*
PUBLISH c m
WAIT 1 100
CLUSTER KEYSLOT k
CONFIG GET maxmemory
COMMAND GETKEYS GET k
SCRIPT LOAD return
DEBUG SLEEP 0
FLUSHALL ASYNC
SWAPDB 0 1
RANDOMKEY
""".strip("\n").split("\n")




def first_keys(commands: list[list[str]]) -> list[str]:
    lines = "".join("\t".join(words) + "\n" for words in commands)
    return subprocess.check_output([PROGRAM], input=lines, text=True).split("\n")[:-1]


@pytest.fixture(scope="module", params=SERVERS, ids=lambda path: Path(path).name)
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    with running(binary=request.param) as server, server.wire() as wire:
        yield wire


def said_key(wire: Wire, words: list[str]) -> str | None:
    """The first key according to the server, or "". None: it does not know the command."""
    if len(words) == 1:  # COMMAND GETKEYS takes two words or more
        return ""
    try:
        keys = wire("COMMAND", "GETKEYS", *words)
        return keys[0].decode() if keys else ""
    except ReplyError as error:
        if "no key arguments" in str(error):
            return ""
        if "Invalid command" in str(error):
            return None
        raise AssertionError(words) from error


def differences(wire: Wire, commands: list[list[str]]) -> list[tuple[str, str, str]]:
    """(command, what the server says, what we say); at least most commands must be known to it."""
    said = [said_key(wire, words) for words in commands]
    assert sum(key is not None for key in said) > 0.8 * len(commands)
    return [
        (" ".join(words), key, found)
        for words, key, found in zip(commands, said, first_keys(commands))
        if key is not None and key != found and words[0] not in CHANNELS
    ]


def test_commands_by_hand(wire: Wire) -> None:
    assert differences(wire, [line.split(" ") for line in BY_HAND]) == []


def test_what_servers_do_not_call_keys() -> None:
    commands = ["SPUBLISH channel m", "DEBUG OBJECT k", "debug object k", "DEBUG SLEEP 0", "MSETEX 1 k v EX 5", "JSON.GET k"]
    assert first_keys([c.split(" ") for c in commands]) == ["channel", "k", "k", "", "k", "k"]


@pytest.mark.parametrize(
    "words",
    [[""], ["GET"], ["EVAL"], ["EVAL", "x"], ["EVAL", "x", "1"], ["EVAL", "x", "no", "a"], ["ZUNION"], ["ZUNION", "1"],
     ["XREAD"], ["XREAD", "STREAMS"], ["XREAD", "COUNT"], ["XREADGROUP", "GROUP"], ["XREADGROUP", "GROUP", "STREAMS"],
     ["MIGRATE"], ["MIGRATE", "h", "1"], ["MIGRATE", "h", "1", ""], ["MIGRATE", "h", "1", "", "0", "1", "KEYS"],
     ["MIGRATE", "h", "1", "", "0", "1", "AUTH2", "KEYS"], ["MEMORY"], ["OBJECT"], ["OBJECT", "HELP"], ["XINFO"],
     ["DEBUG"], ["DEBUG", "OBJECT"], ["BITOP"], ["BITOP", "AND"]],
)  # fmt: skip
def test_half_a_command_has_no_key(words: list[str]) -> None:
    assert first_keys([words]) == [""]


def pairs(flat: list[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2]))


def listed(rows: list[Any]) -> Iterator[tuple[list[str], int, list[Any]]]:
    """(name, arity, key specifications) of each command and subcommand."""
    for name, arity, _, _, _, _, _, _, specs, below, *_ in rows:
        yield from listed(below)
        if not below:
            yield name.decode().upper().split("|"), arity, [pairs(spec) for spec in specs]


def made(name: list[str], arity: int, specs: list[Any]) -> list[str]:
    """A command with the fewest words, or two more, and keys where its specifications want them."""
    words = dict(enumerate(name))
    size = arity if arity > 0 else -arity + 2
    if name == ["XREADGROUP"]:
        words[1] = "GROUP"
    for spec in specs:
        begin, keys = (pairs(spec[half]) for half in (b"begin_search", b"find_keys"))
        at, how = pairs(begin[b"spec"]), pairs(keys[b"spec"])
        if b"index" in at:
            first = at[b"index"]
        elif b"keyword" in at and at[b"startfrom"] > 0:
            first = at[b"startfrom"] + 1
            words[first - 1] = at[b"keyword"].decode()
        else:
            continue
        if keys[b"type"] == b"keynum":
            words[first + how[b"keynumidx"]] = "1"
            first += how[b"firstkey"]
        size = max(size, first + 1)
    while len(words) < size or max(words) >= size:
        size = max(size, max(words) + 1)
        words = {i: words.get(i, f"w{i}") for i in range(size)}
    return [words[i] for i in range(size)]


def test_every_command_of_the_server(wire: Wire) -> None:
    commands = [made(*row) for row in listed(wire("COMMAND"))]
    assert len(commands) > 300
    assert differences(wire, commands) == []
