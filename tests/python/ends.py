"""Ends sessions, for the tests of session events."""

from __future__ import annotations

from servers import Server
from tokenstore.session_events import SessionEnd

SOON = 20  # seconds, for events that should arrive at once


def rjwt(id: str, number: int = 0) -> str:
    return f"{id}:{number:011d}"


def end(server: Server, id: str, number: int = 0) -> SessionEnd:
    """Ends a session by deletion; returns its event."""
    key = rjwt(id, number)
    with server.wire() as wire:
        wire("SET", key, "{}")
        wire("DEL", key)
    return SessionEnd("del", id, key)
