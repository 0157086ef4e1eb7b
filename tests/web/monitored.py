"""What a server, or each primary of a cluster, is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from servers import Server


@contextmanager
def monitored(server: Server) -> Iterator[list[bytes]]:
    """The lines of MONITOR meanwhile; complete at the end."""
    seen: list[bytes] = []
    with ExitStack() as stack:
        wires = [stack.enter_context(primary.wire()) for primary in server.primaries]
        for wire in wires:
            wire("MONITOR")
        yield seen
        for primary, wire in zip(server.primaries, wires):
            primary("PING", "the-end")
            while True:
                line = wire.file.readline()
                assert line, "the server closed the connection"
                seen.append(line)
                if b"the-end" in line:
                    break
