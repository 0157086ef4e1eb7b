"""Another program's value at each key that a script uses: it stays, and a failure changes nothing.

The keys are taken from MONITOR, so keys added to a script are tested automatically.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tokenstore
from servers import ReplyError, Server
from tokenstore import RedisJWT, Tokenstore

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a secret of thirty-two bytes, yes"
ONE, TWO = "bob:AAAAAAAAAAA", "bob:BBBBBBBBBBB"
INDEX = "rjwt-sessions/bob"
KEY, ID, GONE = "k" * 24, "the-id", "gone-id"
FOREIGN: dict[str, list[str]] = {
    "string": ["SET", "", "another program's"],
    "list": ["RPUSH", "", "a", "b"],
    "set": ["SADD", "", "a", "b"],
    "hash": ["HSET", "", "a", "b"],
    "zset": ["ZADD", "", "1", "a"],
    "stream": ["XADD", "", "1-1", "a", "b"],
}


def scripts(directory: Path) -> dict[str, tuple[str, str]]:
    """Name and text of each embedded script, by its SHA-1."""
    out = directory / "scripts.c"
    subprocess.run(["sh", ROOT / "core/scripts/embed.sh", out], check=True)
    made = out.read_text()
    found = {}
    for name, sha in re.findall(r'tksp_script_(\w+) = \{"\w+", "(\w{40})"', made):
        lines = re.search(rf"char {name}_text\[\] =\n(.*?)\n    ;", made, re.S)
        assert lines is not None
        text = "".join(json.loads(line) for line in lines[1].split("\n"))
        found[sha] = (name, text)
    return found


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    return scripts(tmp_path_factory.mktemp("scripts"))


class Setting:
    """A database with data of both packages, and the stores that use it."""

    def __init__(self, server: Server, client: tokenstore.Client, known: dict[str, tuple[str, str]]) -> None:
        self.server = server
        self.texts = dict(known.values())
        self.single = RedisJWT(client, secret=SECRET)
        self.many = RedisJWT(client, secret=SECRET, multiple=True)
        self.node = RedisJWT(client, secret=SECRET, node_writers=True)
        self.store = Tokenstore(client)

    def fill(self) -> None:
        with self.server.wire() as wire:
            wire("FLUSHALL")
            for n, key in enumerate((ONE, TWO)):
                wire("SET", key, json.dumps({"rjwt": key}), "EX", 1000)
                wire("ZADD", INDEX, 2**40, f"{n:016}" + key[4:])
            wire("SET", f"token:id:{ID}", KEY)
            wire("SET", f"token:key:{KEY}", json.dumps({"owner_id": "bob", "attrs": {}, "key": KEY, "id": ID}))
            wire("SADD", "token:tokens:bob", ID, GONE)
            wire("SET", f"token:id:{GONE}", "gone-key")
            wire("SET", "token:hash:" + "0" * 32, "value")
            wire("HSET", "spike", "audience", "token")
            wire("HSET", "spike-own", "own", "token")
            wire("SET", "spike-lock", "me")

    def run(self, script: str, *args: str) -> Any:
        return self.server("EVALSHA", self.server("SCRIPT", "LOAD", self.texts[script]), *args)


ENDED = [word for n in range(14) for word in (2**40, "0" * 16 + f"ENDED{n:06}")]
"""With the other two, 16 in the index, some of which are looked at."""

SCRIPT = re.compile(r"(?:rjwt|node|spike)_\w+")

Act = Callable[[Setting], Any]
OPERATIONS: dict[str, Act] = {
    "rjwt_sign": lambda s: s.many.sign("bob", ttl=5000),
    "rjwt_sign, rjwt_clean": lambda s: (s.server("ZADD", INDEX, *ENDED), s.many.sign("bob", ttl=5000)),
    "rjwt_sign one": lambda s: s.single.sign("bob"),
    "rjwt_sign beside Node": lambda s: s.node.sign("bob", ttl=50),
    "rjwt_sign put": lambda s: s.many.call().create(ONE, json.dumps({"rjwt": ONE}), 50),
    "rjwt_sign put one": lambda s: s.single.call().create(ONE, json.dumps({"rjwt": ONE})),
    "rjwt_destroy": lambda s: s.many.destroy(ONE),
    "rjwt_destroy_all": lambda s: s.many.destroy_multiple("bob"),
    "rjwt_destroy_all beside Node": lambda s: s.node.destroy_multiple("bob"),
    "rjwt_list": lambda s: s.many.list("bob"),
    "rjwt_list beside Node": lambda s: s.node.list("bob"),
    "rjwt_index": lambda s: (s.server("ZREM", INDEX, "0" * 16 + ONE[4:]), s.many.reindex()),
    "node_add": lambda s: s.store.add("bob", {"a": 1}, key="n" * 24, duration=1000),
    "node_set": lambda s: s.store.set(ID, {"a": 1}),
    "node_delete": lambda s: s.store.delete(ID),
    "node_delete dead": lambda s: s.store.delete(GONE),
    "node_delete_key": lambda s: s.store.delete_key(KEY),
    "node_clean": lambda s: s.store.list("bob"),
    "node_take_hash": lambda s: s.store.take_hash("0" * 32),
    "node_take_hash del": lambda s: s.store.del_hash("0" * 32),
    "node_reset": lambda s: s.store.reset(),
    "spike_store": lambda s: s.run("spike_store", "3", "spike", "spike-own", "spike-lock", "new", "9000", "me", "own",
                                   "audience", "we", "claim", "we" + "t" * 32, "9:new"),
    "spike_store own": lambda s: s.run("spike_store", "3", "spike", "spike-own", "spike-lock", "new", "9000", "me", "own",
                                       "", "we", "claim", "we" + "t" * 32, "9:new"),
    "spike_unlock": lambda s: s.run("spike_unlock", "1", "spike-lock", "me"),
    "spike_forget": lambda s: s.run("spike_forget", "3", "spike", "spike-own", "spike-failure", "token", "audience", "own"),
}  # fmt: skip


@pytest.fixture
def setting(server: Server, client: tokenstore.Client, known: dict[str, tuple[str, str]]) -> Setting:
    return Setting(server, client, known)


def attempt(setting: Setting, act: Act) -> Exception | None:
    try:
        act(setting)
    except (tokenstore.Error, ReplyError) as error:
        return error
    return None


def watched(setting: Setting, act: Act, known: dict[str, tuple[str, str]]) -> tuple[set[str], set[str]]:
    """The scripts that ran, and their keys."""
    with setting.server.wire() as monitor:
        monitor("MONITOR")
        assert attempt(setting, act) is None
        setting.server("ECHO", "the end")
        ran, keys = set(), set()
        while '"ECHO" "the end"' not in (line := str(monitor.read())):
            words = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
            if words[0].upper() == "EVALSHA":
                ran.add(known[words[1]][0])
            elif " lua] " in line and len(words) > 1:
                keys.add(words[1])
        return ran, keys


def snapshot(server: Server) -> dict[bytes, tuple[bytes, bool]]:
    with server.wire() as wire:
        return {k: (wire("DUMP", k), wire("PTTL", k) >= 0) for k in wire("KEYS", "*")}


def own_type(key: str) -> str:
    """The type of the store's own value; a session must also contain its key."""
    if key.startswith("rjwt-sessions/"):
        return "zset"
    if key.startswith("bob:"):
        return "none"
    return {"token:tokens:bob": "set", "spike": "hash", "spike-own": "hash"}.get(key, "string")


@pytest.mark.parametrize("name", OPERATIONS)
def test_anothers_value_under_each_key(
    setting: Setting, known: dict[str, tuple[str, str]], name: str
) -> None:
    server, act = setting.server, OPERATIONS[name]
    setting.fill()
    ran, keys = watched(setting, act, known)
    assert set(SCRIPT.findall(name)) == ran
    assert keys
    for key in sorted(keys):
        for type, command in FOREIGN.items():
            setting.fill()
            server("DEL", key)
            server(command[0], key, *command[2:])
            before = snapshot(server)
            error = attempt(setting, act)
            after = snapshot(server)
            where = f"{name}, a {type} under {key}: {error}"
            if error is not None:
                assert after == before, where
            if type != own_type(key) and name != "node_reset":
                assert after.get(key.encode()) == before[key.encode()], where


def test_every_script_is_tried(known: dict[str, tuple[str, str]]) -> None:
    """The audited forms are the same scripts, with one more key."""
    tried = {name for operation in OPERATIONS for name in SCRIPT.findall(operation)}
    assert tried == {
        name for name, _ in known.values() if SCRIPT.match(name) and not name.endswith("_audited")
    }
