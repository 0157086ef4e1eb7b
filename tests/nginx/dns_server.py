"""A name server for nginx's resolver, with configurable answers and delays."""

from __future__ import annotations

import socket
import struct
import threading
import time


class NameServer:
    """`names`: IPv4 addresses by name; others do not exist. `delay`: seconds before each answer; None:
    never."""

    def __init__(self, names: dict[str, list[str]], delay: float | None = 0) -> None:
        self.names = names
        self.delay = delay
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> NameServer:
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            if not query:
                return
            self.asked += 1
            if self.delay is not None:
                time.sleep(self.delay)
                self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12 : at + 5]
        addresses = self.names.get(".".join(labels), [])
        code = 0x8180 if addresses else 0x8183
        records = b"".join(
            struct.pack("!HHHIH4s", 0xC00C, 1, 1, 1, 4, socket.inet_aton(address))
            for address in addresses
        )
        return query[:2] + struct.pack("!HHHHH", code, 1, len(addresses), 0, 0) + question + records
