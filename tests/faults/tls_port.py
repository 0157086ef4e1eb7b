"""How a TLS port reacts to a plain client: an alert, EOF, or a reset."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket], None]


def alert(s: socket.socket) -> None:
    """The alert protocol_version, as OpenSSL sends it."""
    s.recv(100)
    s.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
    s.close()


def close(s: socket.socket) -> None:
    s.recv(100)
    s.close()


def reset(s: socket.socket) -> None:
    s.recv(1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


ANSWERS = [alert, close, reset]


@contextmanager
def tls_port(answer: Answer) -> Iterator[int]:
    """Its number."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    answer(listener.accept()[0])

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
