"""One process's load on a cluster, with a ledger of all that was acknowledged.

usage: load.py DRIVER URL OUT [--workers N] [--pause MS] [--seed N] [--cancel PART] [--timeout S]

DRIVER: see stores.py. The workers are threads, or tasks of one loop. Each has its own
owners, creates, gets (one or many), updates, deletes and lists their tokens, and compares every answer with its ledger. "ready" on the
output says that each owner has a token; the load ends when its input does. With --cancel this part of an asyncio driver's calls
is cancelled within 3 ms. OUT is JSON:

  calls   [[worker, began (seconds since 1970), ms, operation, slot (-1: many), error,
          "cancelled" or null], …]
  wrong   [[operation, kind, key, field or null, when it was acknowledged], …], each token at most once; kinds:
          missing, stale, revived (deleted, but found), unlisted, foreign (listed, but never created)
  tokens  [[key, field or null, state, values, when it was acknowledged], …]; states: live, dead, unsure (a deletion
          may have happened), wrong; values: what its value may be
  unsure  {key: creations that may have happened}
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))

from clusters import slot_of
from stores import DRIVERS, Place, Store, is_blocking, open_store, run

OWNERS = 64
"""Of each worker."""

MANY = 30
"""That many are got at once."""

RECENT = 500
"""Each of this many tokens is used; an older one rests until the end."""


@dataclass
class Entry:
    """A token in the ledger."""

    token: Any
    place: Place
    values: set[str]
    acknowledged: float
    state: str = "live"


@dataclass
class Owner:
    name: str
    slot: int = -1
    key: str = ""
    entries: list[Entry] = field(default_factory=list)
    unsure: int = 0


EVERYWHERE = Owner("")


class Failed(Exception):
    """The call failed, and is counted."""

    def __init__(self, unsure: bool) -> None:
        self.unsure = unsure


class Worker:
    def __init__(self, number: int, store: Store, a: argparse.Namespace) -> None:
        self.number = number
        self.store = store
        self.pause = a.pause / 1000
        self.cancelled = 0.0  # from when all have started
        self.random = random.Random(f"{a.seed}-{number}")
        self.owners = [Owner(f"{a.driver}-{a.seed}-{number}-{i}") for i in range(OWNERS)]
        self.calls: list[tuple[int, float, float, str, int, str | None]] = []
        self.wrong: list[tuple[str, str, str, str | None, float]] = []
        self.recent: list[tuple[Owner, Entry]] = []
        self.dead: list[tuple[Owner, Entry]] = []
        self.value = 0
        self.many = hasattr(store, "get_many")  # others have none

    # ---- calls -----------------------------------------------------------------------------------------

    async def call(self, owner: Owner, method: Any, *arguments: Any) -> Any:
        began, clock, error = time.time(), time.perf_counter(), None
        try:
            if self.random.random() < self.cancelled:
                return await self.cancel(method(*arguments))
            return await method(*arguments)
        except asyncio.CancelledError:
            error = "cancelled"
            raise Failed(True) from None
        except Exception as e:
            error = f"{type(e).__name__}: {e}"[:200]
            raise Failed(self.store.unsure(e)) from e
        finally:
            took = 1000 * (time.perf_counter() - clock)
            self.calls.append((self.number, began, took, method.__name__, owner.slot, error))

    async def cancel(self, call: Any) -> Any:
        """If it is still there after a moment; it may have its result nevertheless."""
        task = asyncio.ensure_future(call)
        await asyncio.wait({task}, timeout=0.003 * self.random.random())
        task.cancel()
        return await task

    def next_value(self) -> str:
        self.value += 1
        return f"{self.number}-{self.value}"

    async def create(self, owner: Owner) -> None:
        value = self.next_value()
        try:
            token = await self.call(owner, self.store.create, owner.name, value)
        except Failed as failed:
            owner.unsure += failed.unsure
            return
        place = self.store.place(token)
        if not owner.key:
            owner.slot, owner.key = slot_of(place.key), place.key
        entry = Entry(token, place, {value}, time.time())
        owner.entries.append(entry)
        self.recent.append((owner, entry))
        del self.recent[:-RECENT]

    async def get(self, owner: Owner, entry: Entry) -> None:
        try:
            value = await self.call(owner, self.store.get, entry.token)
        except Failed:
            return
        self.compare(entry, "get", value)

    async def get_many(self, entries: list[Entry]) -> None:
        """Of several owners, so on several nodes."""
        try:
            values = await self.call(EVERYWHERE, self.store.get_many, [entry.token for entry in entries])
        except Failed:
            return
        for entry, value in zip(entries, values):
            self.compare(entry, "get_many", value)

    async def update(self, owner: Owner, entry: Entry) -> None:
        value = self.next_value()
        try:
            done = await self.call(owner, self.store.update, entry.token, value)
        except Failed as failed:
            if failed.unsure:
                entry.values.add(value)
            return
        if done:
            entry.values, entry.acknowledged = {value}, time.time()
        elif entry.state == "live":
            self.blame(entry, "update", "missing")

    async def delete(self, owner: Owner, entry: Entry) -> None:
        try:
            done = await self.call(owner, self.store.delete, entry.token)
        except Failed as failed:
            if failed.unsure:
                entry.state = "unsure"
            return
        if not done and entry.state == "live":
            self.blame(entry, "delete", "missing")
        else:
            entry.state, entry.acknowledged = "dead", time.time()
            self.dead.append((owner, entry))
            del self.dead[:-RECENT]

    async def list(self, owner: Owner) -> None:
        try:
            listed = await self.call(owner, self.store.list, owner.name)
        except Failed:
            return
        for entry in owner.entries:
            name = entry.place.field or entry.place.key
            if entry.state == "live" and name not in listed:
                self.blame(entry, "list", "unlisted")
            elif entry.state == "dead" and name in listed:
                self.blame(entry, "list", "revived")
            listed.discard(name)
        if len(listed) > owner.unsure:
            self.wrong.append(("list", "foreign", owner.key, min(listed), 0))
            owner.unsure = len(listed)

    def compare(self, entry: Entry, operation: str, value: str | None) -> None:
        if entry.state == "wrong":
            return
        if entry.state == "dead":
            if value is not None:
                self.blame(entry, operation, "revived")
        elif value is None:
            if entry.state == "live":
                self.blame(entry, operation, "missing")
        elif value not in entry.values:
            self.blame(entry, operation, "stale")

    def blame(self, entry: Entry, operation: str, kind: str) -> None:
        self.wrong.append((operation, kind, *entry.place, entry.acknowledged))
        entry.state = "wrong"

    # ---- work ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """A token for each owner, so that its slot is known."""
        for owner in self.owners:
            await self.create(owner)
            if not owner.key:
                raise RuntimeError(f"no token for {owner.name}: {self.calls[-1][5]}")

    async def work(self, over: threading.Event) -> None:
        chance = self.random.random
        while not over.is_set():
            await self.create(self.random.choice(self.owners))
            pair = self.recent[-1] if chance() < 0.5 else self.random.choice(self.recent)
            await self.get(*pair)
            if chance() < 0.3 and pair[1].state == "live":
                await self.update(*pair)
            pair = self.random.choice(self.recent)
            if chance() < 0.3 and pair[1].state == "live":
                await self.delete(*pair)
            if chance() < 0.3 and self.dead:
                await self.get(*self.random.choice(self.dead))
            if chance() < 0.1 and self.many:
                await self.get_many([entry for _, entry in self.random.sample(self.recent, MANY)])
            if chance() < 0.1:
                await self.list(self.random.choice(self.owners))
            await self.store.sleep(self.pause)


def result(workers: list[Worker]) -> dict[str, Any]:
    owners = [owner for worker in workers for owner in worker.owners]
    unsure: Counter[str] = Counter()
    for owner in owners:
        unsure[owner.key] += owner.unsure
    return {
        "calls": [call for worker in workers for call in worker.calls],
        "wrong": [wrong for worker in workers for wrong in worker.wrong],
        "tokens": [
            (*entry.place, entry.state, sorted(entry.values), entry.acknowledged)
            for owner in owners
            for entry in owner.entries
        ],
        "unsure": {key: count for key, count in unsure.items() if count},
    }


def in_threads(workers: list[Worker], over: threading.Event) -> None:
    failed: list[BaseException] = []

    def all_of(worker: Worker) -> None:
        try:
            run(worker.start())
            started.wait()
            run(worker.work(over))
        except BaseException as error:
            failed.append(error)
            started.abort()

    started = threading.Barrier(len(workers), lambda: print("ready", flush=True))
    threads = [threading.Thread(target=all_of, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    run(workers[0].store.close())


async def on_a_loop(workers: list[Worker], over: threading.Event, cancelled: float) -> None:
    await asyncio.gather(*[worker.start() for worker in workers])
    print("ready", flush=True)
    for worker in workers:
        worker.cancelled = cancelled
    await asyncio.gather(*[worker.work(over) for worker in workers])
    await workers[0].store.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("driver", choices=DRIVERS)
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--pause", type=float, default=20, help="ms between a worker's rounds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cancel", type=float, default=0)
    parser.add_argument("--timeout", type=float, default=5)
    a = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's, and its death ends the input

    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()

    def workers() -> list[Worker]:
        store = open_store(a.driver, a.url, a.timeout)
        return [Worker(i, store, a) for i in range(a.workers)]

    if is_blocking(a.driver):
        made = workers()
        in_threads(made, over)
    else:

        async def all_of() -> list[Worker]:
            made = workers()
            await on_a_loop(made, over, a.cancel)
            return made

        made = asyncio.run(all_of())
    a.out.write_text(json.dumps(result(made)))


if __name__ == "__main__":
    main()
