"""A process that reads tokens from its near cache all the time, and notes when each was last found as it was at first ({"n": 1}).

usage: reader.py blocking|asyncio TRACKING STALENESS TIMEOUT PAUSE URL

It rests PAUSE seconds after it has read all.

Its stdin, a line each, and the answer:

    begin TOKEN…   opens a client; "ready" once a whole turn was answered from memory, but for tokens that have ended
    again TOKEN    reads this one, too; "near", and when it was first answered from memory
    fork           a child reads them with the same client; "forked"
    end            closes the client; JSON: `last`, a time for each token, or 0; `reads`, `hits`, `errors`

Times are CLOCK_MONOTONIC's, of the moment before a read began.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
import time
from typing import Any

import tokenstore
import tokenstore.asyncio

A, T = "app", "web"


class Reading:
    """What is known of one round."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.last = [0.0] * len(tokens)
        self.reads = self.errors = self.absent = 0
        self.child: tuple[int, int, int] | None = None

    def note(self, i: int, began: float, found: Any) -> None:
        self.reads += 1
        self.absent += found is None
        if found is not None and found.data["n"] == 1:
            self.last[i] = max(self.last[i], began)

    def report(self, hits: int) -> dict[str, Any]:
        return {"last": self.last, "reads": self.reads, "hits": hits, "errors": self.errors}

    def merge(self, other: dict[str, Any]) -> None:
        """What a child saw of the tokens that there were when it began."""
        self.last[: len(other["last"])] = map(max, self.last, other["last"])
        self.reads += other["reads"]
        self.errors += other["errors"]


class Reader:
    def __init__(self, package: Any, url: str, options: dict[str, Any], pause: float) -> None:
        self._package, self._url, self._options, self.pause = package, url, options, pause
        self.waits = package is not tokenstore
        self.client: Any = None

    def open(self, tokens: list[str]) -> None:
        self.client = self._package.Client(self._url, **self._options)
        self.store = self._package.RedisTokens(self.client)
        self.now = Reading(tokens)

    def hits(self) -> int:
        return int(self.client.near_cache_stats()["hits"])

    async def _get(self, i: int) -> bool:
        """True: from memory."""
        before, began = self.hits(), time.monotonic()
        try:
            found = self.store.get(A, T, self.now.tokens[i])
            self.now.note(i, began, await found if self.waits else found)
        except tokenstore.Error:
            self.now.errors += 1
        return self.hits() > before

    async def turn(self) -> bool:
        """Reads all; with asyncio all at once, but for the last. Was that from memory, where there is a token?"""
        before, last = self.hits() + self.now.absent, len(self.now.tokens) - 1
        if self.waits:
            await asyncio.gather(*(self._get(i) for i in range(last)))
        else:
            for i in range(last):
                await self._get(i)
        self.last_is_near = await self._get(last)
        return self.hits() + self.now.absent >= before + last + 1

    async def close(self) -> dict[str, Any]:
        hits = self.hits()
        if self.now.child is not None:
            self.now.merge(end_child(*self.now.child))
        closed = self.client.aclose() if self.waits else self.client.close()
        if self.waits:
            await closed
        return self.now.report(hits)

    def fork(self) -> None:
        """Of a blocking reader alone."""
        orders, answers = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(orders[1])
                self._read_in_child(orders[0])
                os.write(answers[1], json.dumps(self.now.report(self.hits())).encode())
            finally:
                os._exit(0)
        os.close(orders[0])
        os.close(answers[1])
        self.now.child = child, orders[1], answers[0]

    def _read_in_child(self, orders: int) -> None:
        self.now = Reading(self.now.tokens)
        while not select.select([orders], [], [], self.pause)[0]:
            for i, token in enumerate(self.now.tokens):
                began = time.monotonic()
                try:
                    self.now.note(i, began, self.store.get(A, T, token))
                except tokenstore.Error:
                    self.now.errors += 1
        self.client.close()


def end_child(pid: int, orders: int, answers: int) -> dict[str, Any]:
    os.close(orders)
    with os.fdopen(answers) as file:
        report: dict[str, Any] = json.loads(file.read())
    os.waitpid(pid, 0)
    return report


def say(text: str) -> None:
    print(text, flush=True)


async def serve(reader: Reader) -> None:
    wanted = ""  # the answer that is due
    while True:
        pause = reader.pause if reader.client is not None else None
        while wanted or not select.select([sys.stdin], [], [], 0 if reader.waits and pause else pause)[0]:
            whole = await reader.turn()
            if wanted == "ready" and whole:
                say("ready")
                wanted = ""
            elif wanted == "near" and reader.last_is_near:
                say(f"near {time.monotonic()}")
                wanted = ""
            if reader.waits or wanted:
                await asyncio.sleep(reader.pause)
        word, *tokens = sys.stdin.readline().split() or [""]
        if word == "begin":
            reader.open(tokens)
            wanted = "ready"
        elif word == "again":
            reader.now.tokens += tokens
            reader.now.last += [0.0] * len(tokens)
            wanted = "near"
        elif word == "fork":
            reader.fork()
            say("forked")
        elif word == "end":
            report = await reader.close()
            reader.client = None
            say(json.dumps(report))
        else:
            return


def main() -> None:
    driver, tracking, staleness, timeout, pause, url = sys.argv[1:]
    options = {
        "near_cache": 1000,
        "near_cache_tracking": tracking,
        "near_cache_staleness": float(staleness),
        "timeout": float(timeout),
    }
    package = {"blocking": tokenstore, "asyncio": tokenstore.asyncio}[driver]
    asyncio.run(serve(Reader(package, url, options, float(pause))))


main()
