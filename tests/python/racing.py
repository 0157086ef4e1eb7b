"""For the race tests: workers in real processes and threads, and an atomic check of all keys."""

from __future__ import annotations

import multiprocessing
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tokenstore
from servers import Server

Work = Callable[[tokenstore.Client, int], Any]

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


# Checks every key of app "a", type "t" in one script, atomically. Counts records and members of indexes;
# reports violations: a record that is missing in its owner's index, a score or an index that expires before
# the record.
_LOOK = """
local records, members, wrong = 0, 0, {}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, key in ipairs(redis.call('KEYS', '*')) do
  local base, digest = key:match('^(.-:{%x%x%x}:)([%w_-]+)$')
  if digest and #digest == 28 then
    records = records + 1
    local owner = redis.call('GET', key):match('^%["[%w_-]+",("[^"]*"),{')
    local index = base .. 'o:"a","t",' .. owner
    local score = redis.call('ZSCORE', index, digest)
    local left, stays = redis.call('PTTL', key), redis.call('PTTL', index)
    if not score then
      wrong[#wrong + 1] = key .. ' is not in ' .. index
    elseif score ~= 'inf' and (left < 0 or tonumber(score) * 1000 < now + left) then
      wrong[#wrong + 1] = key .. ' lives ' .. left .. ' ms, its score is ' .. score
    end
    if stays ~= -1 and (left < 0 or stays < left) then
      wrong[#wrong + 1] = index .. ' lives ' .. stays .. ' ms, a record of it ' .. left
    end
  else
    members = members + redis.call('ZCARD', key)
  end
end
return {records, members, unpack(wrong, 1, math.min(#wrong, 20))}
"""


def look(server: Server) -> tuple[int, int]:
    """The numbers of records and of index members. Fails on a violation."""
    records, members, *wrong = server("EVAL", _LOOK, 0)
    assert wrong == []
    return records, members


@contextmanager
def watching(server: Server, check: Callable[[int, int], None]) -> Iterator[list[int]]:
    """Calls look() repeatedly meanwhile, and `check` with each result. Returns the counts of records.

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
                records, members = look(server)
                took = time.monotonic() - began
                check(records, members)
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
