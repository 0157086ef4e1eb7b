"""tests/vectors/operations.json: operations with scripted replies, no server. See README there. A batch's
safety and route, which a driver in Python does not see, are tested only in C."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

import tokenstore
from cases import load, to_bytes, to_value
from tokenstore import _core

CASES = load("operations.json")["cases"]
NOW = 1700000000000
SEND, SLEEP = 1, 2
LEAVE = 2
ERRORS: dict[str, type[Exception]] = {
    "configuration": tokenstore.ConfigurationError,
    "conflict": tokenstore.ConflictError,
    "connection": tokenstore.ConnectionError,
    "data": tokenstore.DataError,
    "limit": tokenstore.LimitError,
    "outcome_unknown": tokenstore.OutcomeUnknownError,
    "reused_token": tokenstore.TokenReusedError,
    "server": tokenstore.ServerError,
    "timeout": tokenstore.TimeoutError,
}
TEXTS = {"app", "type", "owner", "token", "custom_token", "id", "after", "prefix", "pepper"}


# ---- words -----------------------------------------------------------------------------------------


class Words:
    """Captured variables and the expansion of patterns."""

    def __init__(self) -> None:
        self.captured: dict[str, bytes] = {}

    def pattern(self, what: Any) -> bytes:
        """A regular expression; each capture is a group named in hexadecimal."""
        if isinstance(what, dict):
            kind = next(iter(what))
            if kind == "capture":
                return b"(?P<x%s>.{%d})" % (what["capture"].encode().hex().encode(), what["size"])
            if kind == "join":
                return b"".join(self.pattern(part) for part in what["join"])
            if kind == "sha":
                return b"[0-9a-f]{40}"
            if kind == "script":
                return b".+"
        return re.escape(self.fill(what))

    def fill(self, what: Any) -> bytes:
        if isinstance(what, dict) and "var" in what:
            return self.captured[what["var"]][: what.get("first")]
        if isinstance(what, dict) and "join" in what:
            return b"".join(self.fill(part) for part in what["join"])
        return to_bytes(what)

    def check(self, want: Any, got: str | bytes) -> None:
        word = got.encode("utf-8", "surrogateescape") if isinstance(got, str) else got
        found = re.fullmatch(self.pattern(want), word, re.S)
        assert found, (want, word)
        for name, value in found.groupdict().items():
            self.captured[bytes.fromhex(name[1:]).decode()] = value


def commands_of(batch: bytes) -> list[list[bytes]]:
    commands = []
    at = 0
    while at < len(batch):
        head = re.compile(rb"\*(\d+)\r\n").match(batch, at)
        assert head, "not RESP"
        at = head.end()
        words = []
        for _ in range(int(head[1])):
            size = re.compile(rb"\$(\d+)\r\n").match(batch, at)
            assert size, "not RESP"
            words.append(batch[size.end() : size.end() + int(size[1])])
            at = size.end() + int(size[1]) + 2
        commands.append(words)
    return commands


# ---- steps -----------------------------------------------------------------------------------------


class Loop:
    """The part of an event loop that a call uses."""

    def call_soon(self, *unused: Any, **unused_too: Any) -> None: ...


class Script:
    """A driver that runs an operation through a case."""

    def __init__(self, case: dict[str, Any], client: tokenstore.Client) -> None:
        self.case, self.client = case, client
        self.words = Words()

    def run(self, op: Any) -> Any:
        pool = _core.Pool(self.client._core, Loop(), 1)  # type: ignore[arg-type]
        call = _core.Call(pool, op, None, self.case.get("now", NOW))
        call.start()
        for step in self.case["steps"]:
            if "send" in step:
                assert (call.over, call.wish) == (False, SEND)
                self.send(call, step)
            else:
                assert (call.over, call.wish) == (False, SLEEP)
                low, high = step["sleep"]
                assert low <= call.pause * 1000 <= high
                if "deadline" in step:
                    call.expire("no time")
                else:
                    call.awake()
        assert call.over, call.wish
        for _ in range(2):  # final states are sticky
            call.awake()
            assert call.wish == 0
        return call.result()

    def send(self, call: Any, step: dict[str, Any]) -> None:
        connection = _core.Connection(self.client._core)
        connection.send(call)
        lost = step.get("lost", step.get("deadline"))
        if lost is not None and not lost["sent"]:
            self.lose(call, step)
            return
        commands = commands_of(connection.take(False))
        assert len(commands) == len(step["send"])
        for want, got in zip(step["send"], commands):
            assert len(got) == len(want), got
            for word, found in zip(want, got):
                self.words.check(word, found)
        if lost is not None:
            self.lose(call, step)
            return
        reply = self.words.fill(step["replies"])
        connection.get_buffer(-1)[: len(reply)] = reply
        settled, wants, trust = connection.feed(len(reply))
        assert (settled, wants) == (([call], None) if call.over else (None, [call]))
        assert connection.heard > 0
        assert (trust == LEAVE) is step.get("leave", False)
        assert len(connection) == 0

    def lose(self, call: Any, step: dict[str, Any]) -> None:
        if "deadline" in step:
            call.expire("no answer within the timeout")
            return
        lost = step["lost"]
        error = ERRORS[lost.get("status", "connection")](lost.get("why", "the connection was lost"))
        call.lost(error, lost["final"])


# ---- cases -----------------------------------------------------------------------------------------


def arguments(given: dict[str, Any]) -> dict[str, Any]:
    def convert(name: str, given: Any) -> Any:
        if isinstance(given, list) and name in TEXTS:
            return [to_bytes(item) for item in given]
        return to_bytes(given) if name in TEXTS else to_value(given)

    return {name: convert(name, value) for name, value in given.items()}


def perform(case: dict[str, Any], script: Script) -> Any:
    store = tokenstore.RedisTokens(script.client, **arguments(case.get("options", {})))
    store._driver = script  # type: ignore[assignment]
    if case["call"] == "execute":
        commands = tuple(tuple(to_bytes(w) for w in c) for c in case["args"]["commands"])
        return script.run(_core.commands(commands, None, None))
    if case["call"] == "create_many":
        return store.create_many([arguments(args) for args in case["args"]["tokens"]])
    return getattr(store, case["call"])(**arguments(case["args"]))


def check_token(words: Words, want: dict[str, Any] | None, got: Any) -> None:
    if want is None:
        assert got is None
        return
    for name in ("app", "type", "owner", "token", "id"):
        if want[name] is None:
            assert getattr(got, name) is None
        else:
            words.check(want[name], getattr(got, name))
    assert got.created_at == pytest.approx(want["created_us"] / 1e6, abs=1e-6)
    expires_at = want["expires_ms"] / 1e3 or None
    assert got.expires_at == (expires_at and pytest.approx(expires_at, abs=1e-6))
    assert repr(got.data) == repr(want["data"])  # 1 is not 1.0


def check_result(words: Words, want: dict[str, Any], got: Any) -> None:
    ((kind, value),) = want.items()
    if kind == "token":
        check_token(words, value, got)
    elif kind == "tokens":
        assert len(got) == len(value)
        for one, found in zip(value, got):
            check_token(words, one, found)
    elif kind == "replies":
        assert [str(reply).rpartition(": ")[2] for reply in got] == value
    else:
        assert kind in ("bool", "count")
        assert (type(got), got) == (type(value), value)


def teach(client: tokenstore.Client, can: bytes) -> None:
    """Lets the client know that its server can end fields by itself (b"1"), or cannot."""
    store = tokenstore.RedisTokens(client)
    call = _core.Call(_core.Pool(client._core, Loop(), 1), store._ops.count("app", "type", "bob"), None)  # type: ignore[arg-type]
    call.start()
    connection = _core.Connection(client._core)
    connection.send(call)
    ((*_, echo, _max_age),) = commands_of(connection.take(False))
    reply = b"*2\r\n$5\r\n%s%s\r\n:0\r\n" % (echo[:4], can)
    connection.get_buffer(-1)[: len(reply)] = reply
    connection.feed(len(reply))
    assert call.result() == 0


@pytest.fixture
def nowhere() -> Iterator[tokenstore.Client]:
    with tokenstore.Client("redis://localhost:1") as client:
        yield client


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_operation(nowhere: tokenstore.Client, case: dict[str, Any]) -> None:
    assert set(case) <= {
        *("known", "name", "options", "call", "args", "now", "refused", "steps", "result", "error", "reused"),
    }
    if "known" in case:
        teach(nowhere, {"ends": b"1", "lacks": b"0"}[case["known"]])
    script = Script(case, nowhere)
    fails = case.get("refused", case.get("error"))
    if fails is None:
        check_result(script.words, case["result"], perform(case, script))
        return
    with pytest.raises(ERRORS[fails["status"]], match=re.escape(fails["message"])) as caught:
        perform(case, script)
    assert type(caught.value) is ERRORS[fails["status"]]
    if "reused" in case:
        assert isinstance(caught.value, tokenstore.TokenReusedError)
        assert (caught.value.sid, caught.value.owner or "") == (case["reused"]["sid"], case["reused"]["owner"])
    token = to_bytes(case["args"].get("token", ""))
    assert len(token) < 8 or token.decode("utf-8", "replace") not in str(caught.value)
