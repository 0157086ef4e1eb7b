"""A proxy in front of a server, for readers: it knows which connections are links, those that CLIENT TRACKING was switched on for, and can
harm these alone."""

from __future__ import annotations

import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from servers import Server


def none() -> float:
    return 0.0


class Pair:
    """A reader's connection, and that to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.proxy, self.client = proxy, client
        self.server = socket.socket(socket.AF_UNIX)
        self.is_link = self.silent = False

    def start(self) -> None:
        self.server.connect(str(self.proxy.upstream))
        self._down_pump = threading.Thread(target=self._down, daemon=True)
        self._up_pump = threading.Thread(target=self._up, daemon=True)
        self._down_pump.start()
        self._up_pump.start()

    def _up(self) -> None:
        with suppress(OSError):
            while data := self.client.recv(1 << 16):
                self.is_link = self.is_link or b"TRACKING" in data
                if self.is_link:
                    time.sleep(self.proxy.question_delay())
                self.server.sendall(data)
        self._end(self.server)
        self._down_pump.join()
        self.client.close()
        self.server.close()

    def _down(self) -> None:
        with suppress(OSError):
            while data := self.server.recv(1 << 16):
                time.sleep((self.proxy.link_delay if self.is_link else self.proxy.data_delay)())
                if not self.silent:
                    self.client.sendall(data)
        if not self.silent:
            self._end(self.client)

    def lives(self) -> bool:
        return self._up_pump.is_alive()

    def join(self) -> None:
        self._up_pump.join()

    @staticmethod
    def _end(end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """As seen from both sides."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._end(end)


class Proxy:
    """How late the next bytes come: `link_delay`, `data_delay`, of the server, by what kind of connection; `question_delay`, of a
    link's reader."""

    def __init__(self, server: Server) -> None:
        assert server.socket_path is not None
        self.upstream = server.socket_path
        self.directory = tempfile.TemporaryDirectory(prefix="ts-proxy-")
        self.path = Path(self.directory.name) / "proxy.sock"
        self.url = f"redis+unix://{self.path}"
        self.link_delay: Callable[[], float] = none
        self.data_delay: Callable[[], float] = none
        self.question_delay: Callable[[], float] = none
        self.refuses = False
        self._pairs: set[Pair] = set()
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(100)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuses:
                    client.close()
                else:
                    pair = Pair(self, client)
                    pair.start()
                    with self._lock:
                        self._pairs = {pair, *(other for other in self._pairs if other.lives())}

    def links(self) -> list[Pair]:
        with self._lock:
            return [pair for pair in self._pairs if pair.is_link]

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.reset()
            pair.join()
        self.directory.cleanup()
