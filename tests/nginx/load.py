"""Requests from many threads, some of them aborted."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nginx_server import Nginx


@dataclass
class Load:
    """Requests `path` as one user or another; the response must name that user."""

    nginx: Nginx
    path: str
    users: Sequence[tuple[str, str]]
    """Names and their tokens."""
    aborted: float = 0
    """This part of the requests is given up before the answer."""
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    def one(self, generator: random.Random) -> None:
        name, token = generator.choice(self.users)
        request = (
            f"GET {self.path}?name={name} HTTP/1.0\r\nHost: localhost\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        ).encode()
        began = time.monotonic()
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(str(self.nginx.socket_path))
            s.sendall(request)
            if generator.random() < self.aborted:
                # At any time between the request and its response.
                if generator.random() < 0.5:
                    time.sleep(generator.random() * 0.002)
                self.counts["aborted"] += 1
                return
            answer = b""
            while data := s.recv(65536):
                answer += data
        self.took.append(time.monotonic() - began)
        head, _, body = answer.partition(b"\r\n\r\n")
        status = head[9:12].decode()
        self.counts[status] += 1
        if status != "200" or body.decode() != name:
            self.wrong.append(f"{name}: {head[:80]!r} {body[:80]!r}")

    def run(self, count: int, threads: int = 8) -> None:
        """That many requests, by that many threads."""
        self._run(threads, lambda left: left > 0, count)

    def run_until(self, over: threading.Event, threads: int = 4) -> list[threading.Thread]:
        """Until `over` is set; the caller joins the threads."""
        return self._start(threads, lambda _: not over.is_set(), 0)

    def _run(self, threads: int, go_on: Callable[[int], bool], count: int) -> None:
        for thread in self._start(threads, go_on, count // threads):
            thread.join()

    def _start(
        self, threads: int, go_on: Callable[[int], bool], each: int
    ) -> list[threading.Thread]:
        def work(seed: int) -> None:
            generator = random.Random(seed)
            left = each
            try:
                while go_on(left):
                    self.one(generator)
                    left -= 1
            except Exception as error:
                self.wrong.append(repr(error))

        started = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
        for thread in started:
            thread.start()
        return started
