"""Sessions that end, for the tests of who listens to that."""

from __future__ import annotations

from servers import Server
from tokenstore.session_events import SessionEnd

SOON = 20  # seconds, for what should come at once


def rjwt(id: str, number: int = 0) -> str:
    return f"{id}:{number:011d}"


def end(server: Server, id: str, number: int = 0) -> SessionEnd:
    """Ends a session by deletion; the event that tells of it."""
    key = rjwt(id, number)
    with server.wire() as wire:
        wire("SET", key, "{}")
        wire("DEL", key)
    return SessionEnd("del", id, key)
