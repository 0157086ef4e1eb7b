"""For the race tests: workers in real processes and threads, and an atomic check of all keys."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tokenstore
from servers import Server

Work = Callable[[tokenstore.Client, int], Any]

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"


def rounds(few: int) -> int:
    """How often to repeat a race that needs many: TOKENSTORE_ROUNDS times, 10 000 times in `make soak`."""
    return int(os.environ.get("TOKENSTORE_ROUNDS", 10_000 if SOAK else few))


_fork = multiprocessing.get_context("fork")


def race_barrier(count: int) -> Any:
    """A barrier for workers in different processes."""
    return _fork.Barrier(count)


def race(url: str, work: Work, *, processes: int, threads: int = 1) -> list[Any]:
    """Runs work(client, 0) … work(client, processes * threads - 1) at once; one client per process.

    Returns their results, in order. An exception in one of them fails the test.
    """
    start = _fork.Barrier(processes * threads)
    running = []
    for p in range(processes):
        ours, theirs = _fork.Pipe(duplex=False)
        numbers = range(p * threads, (p + 1) * threads)
        process = _fork.Process(target=_crew, args=(url, work, numbers, start, theirs), daemon=True)
        process.start()
        theirs.close()
        running.append((process, ours))
    results: dict[int, Any] = {}
    failures = []
    for process, ours in running:
        try:
            done, failed = ours.recv()
        except EOFError:
            done, failed = {}, [f"worker {process.pid} died"]
            start.abort()
        results.update(done)
        failures += failed
        process.join()
    assert failures == [], "\n".join(failures)
    return [results[n] for n in range(processes * threads)]


def _crew(url: str, work: Work, numbers: range, start: Any, pipe: Any) -> None:
    results: dict[int, Any] = {}
    failures: list[str] = []

    def run(n: int) -> None:
        try:
            start.wait(60)
            results[n] = work(client, n)
        except threading.BrokenBarrierError:
            pass
        except BaseException:
            start.abort()
            failures.append(traceback.format_exc())

    with tokenstore.Client(url, pool_size=len(numbers), timeout=60) as client:
        crew = [threading.Thread(target=run, args=(n,)) for n in numbers]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
    pipe.send((results, failures))


# Every hash in one script, so in one instant. Counts live records; complains of what must never be: a hash that ends
# before a record of it does, or that has none and no end.
_LOOK = """
local records, wrong = 0, {}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left, key_ends = redis.call('PTTL', key), redis.pcall('PEXPIRETIME', key)
  if type(key_ends) == 'table' then key_ends = now + left + 1000 end -- before Redis 7: the clock stands in a script
  local stamped, lasting = 0, 0
  local is_owner = not key:find(':kinds$') and redis.call('TYPE', key).ok == 'hash'
  local fields = is_owner and redis.call('HGETALL', key) or {}
  for i = 2, #fields, 2 do
    local stamp, ends = fields[i]:match('^.............e(.......)'), 0
    for digit in (stamp or ''):gmatch('.') do ends = ends * 64 + digits:find(digit, 1, true) - 1 end
    local rotated = fields[i]:sub(stamp and 22 or 14):match('^r') -- the token that was
    if not rotated and not fields[i]:match('^[%w_-]+"?[^"]*"?{') then wrong[#wrong + 1] = fields[i] .. ' in ' .. key end
    if not stamp then lasting = lasting + 1 end
    if stamp then stamped = stamped + 1 end
    if not rotated and (not stamp or ends > now) then records = records + 1 end
    if left >= 0 and (not stamp or key_ends < ends) then
      wrong[#wrong + 1] = key .. ' lives ' .. left .. ' ms, a record of it ' .. ends - now
    end
  end
  if left == -1 and stamped > 0 and stamped <= 32 and lasting == 0 then wrong[#wrong + 1] = key .. ' lives for good' end
end
return {records, unpack(wrong, 1, math.min(#wrong, 20))}
"""


def look(server: Server) -> int:
    """How many live records there are. Fails where what is stored does not fit."""
    live = 0
    for node in server.primaries:
        records, *wrong = node("EVAL", _LOOK, 0)
        assert wrong == [], wrong
        live += int(records)
    return live


@contextmanager
def watching(server: Server, check: Callable[[int], None]) -> Iterator[list[int]]:
    """look() again and again meanwhile, each answer given to `check`. Gives the counts of records seen.

The script blocks the server, so it runs at most a fifth of the time. The last look is at the end.
    """
    seen: list[int] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def watch() -> None:
        try:
            last = False
            while True:
                began = time.monotonic()
                records = look(server)
                took = time.monotonic() - began
                check(records)
                seen.append(records)
                if last:
                    return
                last = over.wait(4 * took)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
    if failures:
        raise failures[0]
