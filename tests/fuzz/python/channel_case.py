"""What fuzz_channel.c runs: a channel, calls under way, and a server that says anything.

The input is a list of deeds: a byte that says which, and for the last of them the bytes that it feeds.
What must hold: a call ends with its own answer or with none, as long as the server has said only what it
should; what is not written yet is answered by nothing; and no call is lost.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import tokenstore
from tokenstore import _core

_client = tokenstore.Client("unix:///nowhere")  # never connected


class Around:
    """Of an event loop, of the driver and of a connection as much as the channel asks for."""

    def call_soon(self, *unused: Any, **unused_too: Any) -> None: ...

    def serve(self, call: Any, wish: int) -> None: ...

    def due(self, when: int) -> None: ...

    def cancelled(self, call: Any) -> None: ...


class Case:
    def __init__(self) -> None:
        self.calls = _core.Calls(_client._core, Around(), 1000, Around())
        self.channel = _core.Channel(self.calls, Around())
        self.asked: list[Any] = []
        self.answers: list[list[bytes]] = []
        self.ends: list[int] = []  # where in `right` the answer ends
        self.right = b""  # what the server should say
        self.said = 0  # so much of it has been said
        self.honest = True  # and nothing else
        self.taken = 0

    def ask(self, count: int) -> None:
        texts = [b"%d.%d" % (len(self.asked), part) for part in range(count)]
        op = _core.commands(tuple(("GET", text) for text in texts))
        call = _core.Call(self.calls, op, None)
        call.start()
        self.channel.send(call)
        self.right += b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)
        self.asked.append(call)
        self.answers.append(texts)
        self.ends.append(len(self.right))

    def take(self) -> None:
        self.channel.take()
        self.taken = len(self.asked)

    def cancel(self, which: int) -> None:
        if self.asked:
            self.asked[which % len(self.asked)].cancel()

    def feed(self, data: bytes) -> None:
        self.channel.buffer[: len(data)] = data
        self.channel.feed(len(data))

    def answer(self, size: int) -> None:
        """More of what the server should say."""
        written = self.ends[self.taken - 1] if self.taken else 0
        piece = self.right[self.said : min(self.said + size, written)]
        if self.honest:
            self.said += len(piece)
        self.feed(piece)

    def check(self) -> None:
        for call, texts, end in zip(self.asked, self.answers, self.ends):
            if call.over and end <= self.said:
                with suppress(tokenstore.Error, asyncio.CancelledError):
                    assert call.result() == texts
        for call in self.asked[self.taken :]:
            with suppress(asyncio.CancelledError):
                assert not call.over or call.result() is None
        left = [call for call in self.asked if not call.over]
        assert len(self.calls) == 0  # they were begun around it
        assert self.channel.live() == len(left)
        if self.honest and self.taken and self.said == self.ends[self.taken - 1]:
            assert all(call.over for call in self.asked[: self.taken])
        assert self.channel.drain() == left


def one(data: bytes) -> None:
    case = Case()
    at = 0
    with suppress(tokenstore.ConnectionError):
        while at < len(data):
            deed, number = data[at] & 7, data[at] >> 3
            at += 1
            if deed < 2:
                case.ask(number % 4 + 1)
            elif deed == 2:
                case.take()
            elif deed == 3:
                case.cancel(number)
            elif deed < 6:
                case.answer(number * 4)
            else:
                case.honest = case.honest and number == 0
                case.feed(data[at : at + number])
                at += number
    case.check()
