"""The check itself (declared_keys.py)."""

from __future__ import annotations

import hashlib

import pytest

from declared_keys import ours, undeclared
from servers import Server


@pytest.mark.parametrize(
    ("script", "touched"),
    [
        ("return redis.call('GET', KEYS[1])", []),
        ("return redis.call('DEL', KEYS[1], KEYS[2])", []),
        ("return redis.call('TIME')", []),
        ("return redis.call('GET', KEYS[1] .. 'x')", ["GET of b'onex'"]),
        ("return redis.call('DEL', KEYS[1], 'it says \"x\"')", ["DEL of b'it says"]),
        ("return redis.pcall('SMEMBERS', KEYS[2] .. KEYS[1])", ["SMEMBERS of b'twoone'"]),
        ("return redis.call('SET', ARGV[1], 1)", ["SET of b'argument'"]),
    ],
)
def test_what_a_script_touches_is_seen(server: Server, script: str, touched: list[str]) -> None:
    ours[hashlib.sha1(script.encode()).hexdigest().encode()] = "the script"
    server("EVAL", script, 2, "one", "two", "argument")
    server("GET", "onex")  # no script
    found = undeclared()
    assert len(found) == len(touched)
    assert all(f"the script: {part}" in line for part, line in zip(touched, found, strict=True))
    server("EVAL", "return redis.call('GET', 'elsewhere')", 0)
    assert undeclared() == []
