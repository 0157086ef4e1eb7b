"""A connection is fed any bytes in any fragments while calls are in progress: each call ends with its own
reply or with none, whatever the server sends, and whatever Python does when the extension calls it. Seeds are
random, and a failure prints its seed; TOKENSTORE_SOAK=1 tries many more."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

from connection_case import one

import tokenstore
from conftest import SOAK
from tokenstore import _core

ROUNDS = 300_000 if SOAK else 3_000
WORDS = [
    b"\r\n",
    b"$",
    b"*",
    b"+OK\r\n",
    b"-ERR x\r\n",
    b"-LOADING x\r\n",
    b":7\r\n",
    b"$-1\r\n",
    b"*0\r\n",
]
WORDS += [
    b"*2\r\n",
    b"*-1\r\n",
    b"$5\r\n",
    b"$99999999999\r\n",
    b"*99999999\r\n",
    b"_\r\n",
    b"%1\r\n",
    b"\0",
]
SEND = 1


class Loop:
    """The part of an event loop that a call uses."""

    def call_soon(self, *unused: Any, **unused_too: Any) -> None: ...


class Pool(_core.Pool):
    def left(self, call: Any) -> None:
        assert call.over


def commands(dice: random.Random, number: int) -> tuple[Any, bytes, list[bytes]]:
    """An operation, the server's reply, and the result."""
    texts = [b"%d.%d" % (number, part) for part in range(dice.choice((1, 1, 1, 2, 3)))]
    op = _core.commands(tuple(("GET", text) for text in texts), None, None)
    return op, b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts), texts


def spoilt(dice: random.Random, stream: bytes) -> tuple[bytes, int]:
    """The stream with an error in it, and its position."""
    at = dice.randrange(len(stream) + 1)
    kind = dice.randrange(4)
    if kind == 0:
        return stream[:at] + dice.choice(WORDS) + stream[at:], at
    if kind == 1:
        return stream[:at] + stream[at + dice.randrange(1, 9) :], at
    if kind == 2:
        return stream[:at] + dice.randbytes(dice.randrange(1, 9)) + stream[at:], at
    return stream[:at] + b"".join(dice.choices(WORDS, k=9)), at


class Case:
    def __init__(self, core: _core.Client, seed: int) -> None:
        self.dice = random.Random(seed)
        self.pool = Pool(core, Loop(), 1000)  # type: ignore[arg-type]
        self.connection = _core.Connection(core)
        self.asked: list[tuple[Any, list[bytes], int]] = []  # call, its reply, the end of that
        self.right = b""  # what the server should send

    def ask(self) -> None:
        op, answer, texts = commands(self.dice, len(self.asked))
        call = _core.Call(self.pool, op, None)
        call.start()
        assert call.wish == SEND
        self.connection.send(call)
        self.right += answer
        self.asked.append((call, texts, len(self.right)))

    def check(self, good: int) -> None:
        """Replies that end before `good` are correct, or missing."""
        for call, texts, end in self.asked:
            if call.over and end <= good:
                with suppress(tokenstore.Error, asyncio.CancelledError):
                    assert call.result() == texts

    def run(self) -> None:
        dice, connection = self.dice, self.connection
        for _ in range(dice.randrange(1, 12)):
            self.ask()
        taken = len(self.asked) if connection.take(False) else 0
        gone = {n for n in range(taken) if dice.random() < 0.2}
        for n in gone:
            self.asked[n][0].cancel()
        stream, good = (self.right, len(self.right))
        if dice.random() < 0.8:
            stream, good = spoilt(dice, stream)
        try:
            while stream:
                piece = stream[: dice.choice((1, 2, 7, 50, 400))]
                stream = stream[len(piece) :]
                connection.get_buffer(-1)[: len(piece)] = piece
                connection.feed(len(piece))
                if dice.random() < 0.1:
                    self.ask()  # not written yet: no reply is for it
        except tokenstore.ConnectionError:
            pass
        else:
            if good == len(self.right) and taken == len(self.asked):
                assert len(connection) == 0
                assert all(call.over for call, _, _ in self.asked)
        self.check(good)
        assert not any(call.over for call, _, _ in self.asked[taken:])
        left = [call for call, _, _ in self.asked if not call.over]
        assert connection.live() == len(left)
        assert connection.drain() == left
        assert len(connection) == 0


def test_any_bytes() -> None:
    with tokenstore.Client("unix:///nowhere") as client:
        first = random.randrange(1 << 40)
        for seed in range(first, first + ROUNDS):
            try:
                Case(client._core, seed).run()
            except BaseException as error:
                raise AssertionError(f"seed {seed}") from error


def test_whatever_comes_back() -> None:
    """Python code that drains, expires, sends, aborts and cancels wherever the extension runs Python code."""
    first = random.randrange(1 << 40)
    for seed in range(first, first + ROUNDS):
        dice = random.Random(seed)
        try:
            one(dice.randbytes(dice.randrange(1, 120)))
        except BaseException as error:
            raise AssertionError(f"seed {seed}") from error


def test_any_greeting() -> None:
    """The replies to the greeting, no reply, and garbage."""
    kinds = (tokenstore.ConnectionError, tokenstore.ServerError, tokenstore.ConfigurationError)
    with tokenstore.Client("unix:///nowhere?client_name=me&db=1") as client:
        dice = random.Random()
        for _ in range(ROUNDS // 10):
            connection = _core.Connection(client._core)
            assert connection.hello(-1)
            stream, _ = spoilt(dice, b"+OK\r\n" * 2)
            try:
                while stream:
                    connection.get_buffer(-1)[:1] = stream[:1]
                    stream = stream[1:]
                    if connection.greet(1):
                        break
                else:
                    connection.greet(0)
            except kinds:
                pass
            assert connection.drain() == []
