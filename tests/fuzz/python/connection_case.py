"""Run by fuzz_connection.c and test_any_bytes.py: a pool with a connection, calls in progress, a server that
sends anything, and Python code that re-enters the extension wherever it may run.

The input is a list of actions: a byte that selects one, and for the last kind the bytes to feed. Whatever the
extension calls (methods of the pool and of the connection, a task's callback, the loop, the constructor of a
result) performs the next actions of the input before it returns. Invariants: a call ends with its own reply
or with none, as long as the server has sent only correct replies; a call that is not written yet gets no
reply; and no call is lost.
"""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import suppress
from typing import Any

import tokenstore
from tokenstore import _core

_client = tokenstore.Client("unix:///nowhere")  # never connected

KEY = "k" * 24
DEPTH = 4  # maximum depth of re-entry
INSIDE = 3  # actions per re-entry
RARE = 14


class Case:
    """The actions, and the state of the calls."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.depth = data, 0, 0
        self.pool = Pool(_client._core, Loop(self), 1000)
        self.connection = Connection(_client._core)
        self.pool.case = self.connection.case = self
        self.pool.set_lane(-1, self.connection)
        value_type = type("Value", (), {"__new__": lambda cls, value: self.make_value(value)})
        self.ops = _core.tokenstore(value_type, prefix="p")
        self.asked: list[Any] = []
        self.answers: list[Any] = []
        self.ends: list[float] = []  # the end of the reply in `right`
        self.right = b""  # what the server should send
        self.said = 0  # how much of it has been sent
        self.honest = True  # nothing else was sent
        self.drained = False
        self.taken = 0

    # ---- re-entry ----

    def come_back(self) -> None:
        self.depth += 1
        if self.depth <= DEPTH:
            for _ in range(INSIDE):
                self.do_next()
        self.depth -= 1

    def make_value(self, value: Any) -> Any:
        self.come_back()
        return value

    # ---- deeds ----

    def do_next(self) -> bool:
        if self.at >= len(self.data):
            return False
        deed, number = self.data[self.at] & 15, self.data[self.at] >> 4
        self.at += 1
        deeds = (
            *(self.ask, self.ask, self.ask_for_a_value, self.take, self.take, self.cancel),
            *(self.answer, self.answer, self.withdraw, self.expire, self.close, self.lose_all),
            *(self.fail, self.drain, self.wait, self.say),
        )
        if deeds[deed] in (self.lose_all, self.drain, self.say, self.withdraw) and number < RARE:
            deed = 6  # actions that end everything are rare
        deeds[deed](number)
        return True

    def begin(self, op: Any, answer: bytes, result: Any) -> None:
        call = _core.Call(self.pool, op, None)
        self.asked.append(call)
        self.answers.append(result)
        self.right += answer
        self.ends.append(len(self.right))
        with suppress(tokenstore.Error):  # the connection has ended
            self.pool.begin(call)

    def ask(self, number: int) -> None:
        texts = [b"%d.%d" % (len(self.asked), part) for part in range(number % 4 + 1)]
        answer = b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)
        self.begin(_core.commands(tuple(("GET", text) for text in texts), None, None), answer, texts)

    def ask_for_a_value(self, number: int) -> None:
        value = {"owner_id": f"o{len(self.asked)}", "attrs": {}, "key": KEY, "id": f"i{number}"}
        text = json.dumps(value).encode()
        self.begin(self.ops.get_key(KEY), b"$%d\r\n%s\r\n" % (len(text), text), value)

    def take(self, number: int) -> None:
        self.connection.take(number % 2 == 0)
        self.taken = len(self.asked)

    def one_of_them(self, number: int) -> Any:
        return self.asked[number % len(self.asked)] if self.asked else None

    def cancel(self, number: int) -> None:
        if self.asked:
            self.one_of_them(number).cancel()

    def close(self, number: int) -> None:
        if self.asked:
            self.one_of_them(number).close()

    def expire(self, number: int) -> None:
        if self.asked:
            self.one_of_them(number).expire("no time")

    def fail(self, number: int) -> None:
        if self.asked:
            self.one_of_them(number).fail(tokenstore.Error("it fails"))

    def lose_all(self, number: int) -> None:
        """Like a closed client."""
        for call in self.pool.until(math.inf):
            call.lost(tokenstore.ConnectionError("closed"), True)

    def drain(self, number: int) -> None:
        self.drained = True
        for call in self.connection.drain():
            call.lost(tokenstore.ConnectionError("gone"), True)

    def withdraw(self, number: int) -> None:
        """As for an unresponsive connection; what was not taken is never sent."""
        for i in range(self.taken, len(self.asked)):
            self.ends[i] = math.inf
        self.right = self.right[: max([end for end in self.ends if end < math.inf], default=0)]
        self.taken = len(self.asked)
        for call in self.connection.withdraw():
            call.lost(tokenstore.ConnectionError("silent"), True)

    def wait(self, number: int) -> None:
        """A task waits for a call."""
        with suppress(RuntimeError):  # one waits already
            if self.asked:
                self.one_of_them(number).add_done_callback(self.woken, context=Context())

    def woken(self, call: Any) -> None:
        assert call.over
        self.come_back()

    def answer(self, number: int) -> None:
        """More of the correct replies."""
        written = self.written()
        piece = self.right[self.said : min(self.said + number * 16, written)]
        if self.honest:
            self.said += len(piece)
        self.feed(piece)

    def written(self) -> int:
        """The end in `right` of the replies to what was taken."""
        return max([end for end in self.ends[: self.taken] if end < math.inf], default=0)

    def say(self, number: int) -> None:
        """Any bytes, preceded by their length."""
        size = self.data[self.at] if self.at < len(self.data) else 0
        piece = self.data[self.at + 1 : self.at + 1 + size]
        self.at += 1 + size
        self.honest = self.honest and not piece
        self.feed(piece)

    def feed(self, piece: bytes) -> None:
        if self.drained:
            return
        self.connection.get_buffer(-1)[: len(piece)] = piece
        try:
            settled, wants, trust = self.connection.feed(len(piece))
        except tokenstore.ConnectionError:
            self.drain(0)
            return
        for call in wants or ():
            call.lost(tokenstore.ConnectionError("it is not sent again"), True)
        if trust:
            self.drain(0)
        _core.wake(settled or [])

    # ---- invariants ----

    def check(self) -> None:
        for call, answer, end in zip(self.asked, self.answers, self.ends):
            if call.over and end <= self.said:
                with suppress(tokenstore.Error, asyncio.CancelledError, RuntimeError):
                    assert call.result() == answer
        for call in self.asked[self.taken :]:
            with suppress(tokenstore.Error, asyncio.CancelledError, RuntimeError):
                assert not call.over or call.result() is None
        left = [call for call in self.asked if not call.over]
        assert self.pool.until(math.inf) == left
        assert len(self.pool) == len(left)
        if self.drained:
            assert left == []
            assert len(self.connection) == 0
            return
        assert self.connection.live() == len(left)
        if self.honest and self.said == self.written():
            assert all(call.over for call in self.asked[: self.taken])
        assert self.connection.drain() == left


class Pool(_core.Pool):
    case: Case

    def proceed(self, call: Any) -> None:
        self.case.come_back()

    def set_alarm(self, at: float) -> None:
        self.alarm_at = at
        self.case.come_back()

    def left(self, call: Any) -> None:
        assert call.over
        self.case.come_back()


class Connection(_core.Connection):
    case: Case

    def due(self, when: int) -> None:
        self.case.come_back()


class Loop:
    """The part of an event loop that a call uses."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def call_soon(self, callback: Any, call: Any, context: Any) -> None:
        self.case.come_back()


class Context:
    """The part of a context that a call uses."""

    def run(self, callback: Any, call: Any) -> None:
        callback(call)


def one(data: bytes) -> None:
    case = Case(data)
    while case.do_next():
        pass
    case.check()
