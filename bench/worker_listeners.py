"""A benchmark worker that plays many processes with near caches, by the library's own clients: reads jobs from stdin, prints "ok" and five
figures.

usage: worker_listeners.py SOCKET

A job is ``MODE CLIENTS RATE SECONDS``: so many records are written a second, by a connection of its own. Each is held by one of the clients,
which gets it READS times soon after each write. The mode is a near_cache_tracking, or ``off``: no near cache. The figures are the server's
share of a CPU, the bytes that it sent in a second, this worker's share of a CPU (the gets, and the threads that listen), the part of
the gets that were hits, and the writes a second that it came to.
"""

import re
import resource
import sys
import time

from worker_tracking import Wire, command, info

import tokenstore

A, T = "web", "login"
KEYS = 10_000
READS = 4
BATCH = 0.01  # seconds of writes at once, and between two gets of the same token


def make(address, mode, count):
    options = {"pool_size": 1, "timeout": 60, "connect_timeout": 20}
    if mode != "off":
        options |= {"near_cache": 2 * KEYS // count, "near_cache_tracking": mode}
    return [tokenstore.RedisTokens(f"unix://{address}", **options) for _ in range(count)]


def fill(store):
    """Tokens, and the command that writes the record of each again."""
    made = store.create_many({"app": A, "type": T, "owner": f"owner {n}", "data": {"n": n}} for n in range(KEYS))
    writes, cursor = [b""] * KEYS, None
    while cursor != b"0":
        cursor, keys = store.client.execute("SCAN", cursor or "0", "COUNT", 1000)
        keys = [key for key in keys if not key.endswith(b":kinds")]
        for key, fields in zip(keys, store.client.pipeline([("HGETALL", key) for key in keys])):
            number = int(re.search(rb'\{"n":(\d+)\}', fields[1])[1])
            writes[number] = command("HSET", key, fields[0], fields[1])
    assert all(writes)
    return [token.token for token in made], writes


def get_all(stores, tokens, numbers):
    for n in numbers:
        assert stores[n % len(stores)].get(A, T, tokens[n])


def hits(stores):
    return sum((store.client.near_cache_stats() or {"hits": 0})["hits"] for store in stores)


def warm(stores, tokens):
    """Until nearly all are near."""
    for _ in range(20):
        before = hits(stores)
        get_all(stores, tokens, range(KEYS))
        if hits(stores) - before > 0.98 * KEYS or stores[0].client.near_cache_stats() is None:
            return
        time.sleep(0.3)


def run(address, mode, count, rate, seconds):
    control, writer = Wire(address), Wire(address)
    stores = make(address, mode, count)
    tokens, writes = fill(stores[0])
    get_all(stores, tokens, range(count))
    time.sleep(1)  # all listen
    warm(stores, tokens)

    def usage():
        own = resource.getrusage(resource.RUSAGE_SELF)
        server = info(control, "cpu", "used_cpu_user") + info(control, "cpu", "used_cpu_sys")
        sent = info(control, "stats", "total_net_output_bytes")
        return time.monotonic(), server, sent, own.ru_utime + own.ru_stime, hits(stores)

    before, written, gets, recent = usage(), 0, 0, []
    began = time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        due = int((now + BATCH - began) * rate)
        numbers = [n % KEYS for n in range(written, due)]
        written = due
        writer.socket.sendall(b"".join(writes[n] for n in numbers))
        recent = [numbers, *recent[: READS - 1]]
        for some in recent:
            get_all(stores, tokens, some)
            gets += len(some)
        writer.socket.recv(1 << 20)
        time.sleep(max(0.0, now + BATCH - time.monotonic()))
    after = usage()
    took = after[0] - before[0]
    shares = [(b - a) / took for a, b in zip(before[1:4], after[1:4])]
    for store in stores:
        store.close()
    return *shares, (after[4] - before[4]) / gets, written / took


def main():
    for line in sys.stdin:
        mode, count, rate, seconds = line.split()
        figures = run(sys.argv[1], mode, int(count), int(rate), float(seconds))
        print("ok", *figures, flush=True)


if __name__ == "__main__":
    main()
