"""Rounds of a fault: tokens that all readers have in memory are changed while it happens, and what they read of them is checked.

A round:

    readers:  open, and have all tokens in memory ── read them all the time ──────────────────────── close: nothing is left of them
    fault:                      at a random moment ──── heals, ──── a new token is in memory again
    writer:                     changes each token, at random moments

The bound: no read that began later than near_cache_staleness after a change was acknowledged finds what was before it. Tokens that end by
themselves are found no longer, by any read.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tokenstore import Error, RedisTokens

A, T = "app", "web"
TOKENS = 8
BEGIN = 0.08
"""Seconds, in which the fault begins."""

WINDOW = 0.2
"""Seconds, in which the tokens are changed, where the fault takes no longer: before it, meanwhile, and when all is well again."""

ROUNDING = 0.002
"""Clocks are cut to milliseconds."""

END = 600
"""Seconds: the tokens' duration, where they do not end in the round."""

CHANGES: list[Callable[[RedisTokens, Any], Any]] = [
    lambda tokens, token: tokens.update(A, T, token.token, {"n": 2}),
    lambda tokens, token: tokens.delete(A, T, token.token),
    lambda tokens, token: tokens.rotate(A, T, token.token),
    lambda tokens, token: tokens.delete_all(A, T, token.owner),
    lambda tokens, token: tokens.update_all(A, T, token.owner, {"n": 2}),
    lambda tokens, token: tokens.take(A, T, token.token),
]


@dataclass
class Scene:
    """What a fault is given. It may set `ended`: then everything that was not changed had ended."""

    server: Any
    """Or a Cluster, or Sentinels."""
    readers: Any
    random: random.Random
    proxy: Any = None
    ended: float = 0.0
    duration: float = END
    """Of the tokens. If it is shorter, that is the change."""
    staleness: float = 0.1
    window: float = WINDOW
    settle: Callable[[], None] = lambda: None
    """Waits until what the servers acknowledge stays: a primary that was replaced loses it."""
    recovers: float = 5.0
    """Seconds until a token is in memory again after the fault, on a busy machine, too."""

    def some(self, most: float) -> float:
        return self.random.uniform(0, most)

    def sleep(self, most: float) -> None:
        time.sleep(self.some(most))


@dataclass
class Totals:
    """Of all rounds of a fault."""

    fault: str
    rounds: int = 0
    reads: int = 0
    hits: int = 0
    errors: int = 0
    checked: int = 0
    """Changes, times the readers."""
    undone: int = 0
    """Changes whose outcome is unknown, or which the servers lost."""
    longest: float = 0.0
    stale: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Until a new token was in memory again, after the fault."""
    late: list[str] = field(default_factory=list)
    """Those for which it took too long."""
    left: list[str] = field(default_factory=list)

    HEAD = "| fault | rounds | reads | of these from memory | changes × readers | longest, ms | stale | in memory again after, ms | left |\n|---|---|---|---|---|---|---|---|---|"

    @property
    def wrong(self) -> list[str]:
        return self.stale + self.late + self.left

    def row(self) -> str:
        return (
            f"| {self.fault} | {self.rounds} | {self.reads} | {self.hits} | {self.checked} | {self.longest * 1e3:.1f} "
            f"| {len(self.stale)} | {self.slowest * 1e3:.0f} | {len(self.left)} |"
        )


Fault = Callable[[Scene], None]


def nothing(scene: Scene) -> None:
    """No fault."""


class Writer(threading.Thread):
    """Changes each token, at its moment. `done`: when that was acknowledged; 0: it changed nothing, None: that is not known."""

    def __init__(self, scene: Scene, tokens: RedisTokens, made: list[Any]) -> None:
        super().__init__(daemon=True)
        self._tokens, self._made = tokens, made
        self.done: list[float | None] = [0.0] * len(made)
        order = scene.random.sample(range(len(made)), len(made))
        self._plan = sorted((scene.some(scene.window), i, scene.random.choice(CHANGES)) for i in order)

    def run(self) -> None:
        began = time.monotonic()
        for moment, i, change in self._plan:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            try:
                if change(self._tokens, self._made[i]):
                    self.done[i] = time.monotonic()
            except Error:
                self.done[i] = None


def is_as_it_was(tokens: RedisTokens, token: Any) -> bool:
    found = tokens.get(A, T, token.token)
    return found is not None and found.data["n"] == 1


def check(
    totals: Totals, scene: Scene, tokens: RedisTokens, made: list[Any], done: list[float | None], seen: list[Any]
) -> None:
    """Leaves out changes that the servers did not keep."""
    bound = ROUNDING + (scene.staleness if scene.duration == END else 0.0)
    for i, token in enumerate(made):
        at = done[i]
        if at == 0.0:
            at = scene.ended or None
        if at is None or is_as_it_was(tokens, token):
            totals.undone += 1
            continue
        for reader, report in zip(scene.readers.all, seen):
            late = report["last"][i] - at
            totals.checked += 1
            totals.longest = max(totals.longest, late)
            if late > bound:
                totals.stale.append(f"{totals.fault}, round {totals.rounds}: {reader.name} read it {late:.3f} s later")


def one_round(totals: Totals, fault: Fault, scene: Scene, tokens: RedisTokens) -> None:
    scene.ended = 0.0
    number = scene.random.randrange(10**9)
    made = [tokens.create(A, T, f"owner {i} {number}", {"n": 1}, scene.duration) for i in range(TOKENS)]
    born = time.monotonic()
    scene.readers.ask("begin " + " ".join(str(token.token) for token in made))
    writer = Writer(scene, tokens, made)
    if scene.duration == END:
        writer.start()
    scene.sleep(BEGIN)
    fault(scene)  # by this thread: servers that it starts end with it
    done = writer.done
    if scene.duration == END:
        writer.join()
    else:
        done = [born + scene.duration] * TOKENS
        time.sleep(max(0.0, born + scene.duration - time.monotonic()))
    scene.settle()
    healed = time.monotonic()
    again = tokens.create(A, T, f"again {number}", {"n": 1}, END)
    for reader, text in zip(scene.readers.all, scene.readers.ask(f"again {again.token}")):
        took = float(text.split()[1]) - healed
        totals.slowest = max(totals.slowest, took)
        if took > scene.recovers:
            totals.late.append(f"{totals.fault}, round {totals.rounds}: {reader.name} took {took:.1f} s")
    last = max([scene.ended, *(at for at in done if at is not None)])
    time.sleep(max(0.0, last + scene.staleness + 0.02 - time.monotonic()))
    seen = scene.readers.end()
    check(totals, scene, tokens, made, done, seen)
    for report in seen:
        totals.reads += report["reads"]
        totals.hits += report["hits"]
        totals.errors += report["errors"]
    totals.left += [f"{totals.fault}, round {totals.rounds}: {text}" for text in scene.readers.left()]
    totals.rounds += 1
    tokens.delete_all(A, T, again.owner)
