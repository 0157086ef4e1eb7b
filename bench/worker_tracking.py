"""A benchmark worker that plays many clients with caches, by raw sockets: reads jobs from stdin, prints "ok" and two figures.

usage: worker_tracking.py SOCKET

A job is ``MODE CLIENTS RATE SECONDS``: so many keys are written a second, which each one of the clients holds. It is told by CLIENT
TRACKING in this mode, and reads the key again; ``off``: it reads it without being told. The figures are the server's share of
a CPU, and the bytes that it sent in a second.
"""

import selectors
import socket
import sys
import time

KEYS = 10_000
BATCH = 0.005  # seconds of writes at once


def command(*words):
    texts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)


class Wire:
    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(address)

    def ask(self, *words):
        self.socket.sendall(command(*words))
        data = b""
        while not data.endswith(b"\r\n"):
            data += self.socket.recv(1 << 20)
        return data


def info(wire, section, name):
    text = wire.ask("INFO", section).decode()
    return float(next(line for line in text.splitlines() if line.startswith(name + ":")).partition(":")[2])


def key_of(number):
    return b"ts:key:%d" % number


class Client:
    """Two connections, as a client with a pool has: one reads, one is told."""

    def __init__(self, address, mode):
        self.data, self.told = Wire(address), Wire(address)
        self.pending = b""
        if mode == "off":
            return
        number = self.told.ask("CLIENT", "ID").strip()[1:]
        if mode == "bcast":
            self.told.ask("CLIENT", "TRACKING", "ON", "REDIRECT", number, "BCAST", "PREFIX", "ts:")
        else:
            self.data.ask("CLIENT", "TRACKING", "ON", "REDIRECT", number)
        self.told.ask("SUBSCRIBE", "__redis__:invalidate")


def run(address, mode, count, rate, seconds):
    clients = [Client(address, mode) for _ in range(count)]
    control, writer = Wire(address), Wire(address)
    for number in range(KEYS):
        writer.socket.sendall(command("SET", key_of(number), "x" * 60))
        writer.socket.recv(1 << 20)
        clients[number % count].data.ask("GET", key_of(number))
    selector = selectors.DefaultSelector()
    for client in clients:
        client.told.socket.setblocking(False)
        client.data.socket.setblocking(False)
        selector.register(client.told.socket, selectors.EVENT_READ)
        selector.register(client.data.socket, selectors.EVENT_READ)
    selector.register(writer.socket, selectors.EVENT_READ)

    def usage():
        return (
            time.monotonic(),
            info(control, "cpu", "used_cpu_user") + info(control, "cpu", "used_cpu_sys"),
            info(control, "stats", "total_net_output_bytes"),
        )

    before, written, began = usage(), 0, time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        due = int((now + BATCH - began) * rate)
        numbers = [n % KEYS for n in range(written, due)]
        written = due
        writer.socket.sendall(b"".join(command("SET", key_of(n), "y" * 60) for n in numbers))
        for n in numbers:  # its holder reads it again
            clients[n % count].pending += command("GET", key_of(n))
        for client in {clients[n % count] for n in numbers}:
            client.data.socket.send(client.pending)
            client.pending = b""
        end = now + BATCH
        while (left := end - time.monotonic()) > 0:
            for ready, _ in selector.select(left):
                ready.fileobj.recv(1 << 20)
    after = usage()
    took = after[0] - before[0]
    return (after[1] - before[1]) / took, (after[2] - before[2]) / took


def main():
    for line in sys.stdin:
        mode, count, rate, seconds = line.split()
        figures = run(sys.argv[1], mode, int(count), int(rate), float(seconds))
        print("ok", *figures, flush=True)


if __name__ == "__main__":
    main()
