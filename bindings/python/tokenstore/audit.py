"""Who created, rotated and ended which token, and which was used when it should not be: docs/reference/audit.md.

Events have ids and owners, never a token or data.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from tokenstore import _core, _options
from tokenstore.errors import ConfigurationError, DataError, Error

__all__ = ["AuditEvent", "Auditor", "acting", "auditor_of", "read_command", "read_entries"]

_log = logging.getLogger("tokenstore.audit")
_problems = logging.getLogger("tokenstore")

_actor: ContextVar[str | None] = ContextVar("tokenstore_actor", default=None)

_LEVELS = {
    "reused": logging.CRITICAL,
    "refused": logging.WARNING,
    "used_after_end": logging.WARNING,
}

STREAM_MAX = 100_000_000


class AuditEvent(NamedTuple):
    """What was done with a token or a session.

    ============================ ==========================================================================================================
    ``at``                       seconds since the epoch, by the server's clock; of ``used_after_end`` by this machine's
    ``kind``                     ``created``, ``rotated``, ``ended``, ``reused``, ``refused`` or ``used_after_end``
    ``name``                     the same in the words of the OWASP Logging Vocabulary: ``session_created`` …
    ``reason``                   of a session that ended: ``logout``, ``revoked``, ``all``, ``others``, ``taken``, ``too_many``, ``reuse``;
                                 ``bound``: it was rotated at a login; else None
    ``app``, ``type``, ``owner`` whose; None where that is not known
    ``sid``                      of the session: rotations keep it; None where several were ended, of ``others`` of the one that was kept
    ``id``                       of the token
    ``count``                    how many tokens
    ``actor``                    who did it (:func:`acting`); None: nobody said
    ``entry``                    the id in the stream, of an event that was read from there
    ============================ ==========================================================================================================
    """

    at: float
    kind: str
    name: str
    reason: str | None = None
    app: str | None = None
    type: str | None = None
    owner: str | None = None
    sid: str | None = None
    id: str | None = None
    count: int = 1  # type: ignore[assignment]  # nobody counts the fields of an event
    actor: str | None = None
    entry: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, without those that are None."""
        return {name: value for name, value in self._asdict().items() if value is not None}


@contextmanager
def acting(actor: str | None) -> Iterator[None]:
    """Within it, in this thread or task, ``actor`` is who does what is done: a user, an administrator, a job.

    ::

        with tokenstore.acting("admin:alice"):
            sessions.kill_all("web", "bob")
    """
    if actor is not None and not isinstance(actor, str):
        raise TypeError(f"actor must be str, not {type(actor).__name__}")
    before = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(before)


# ---- telling ---------------------------------------------------------------------------------------------


class Auditor:
    """The three options of a client: where the events of its stores go."""

    def __init__(self, on_event: Callable[[AuditEvent], object] | None, stream_size: int) -> None:
        self._on_event = on_event
        self._stream_size = stream_size

    def begin(self, op: _core.Op[Any]) -> str | None:
        """Before it runs; who acts."""
        actor = _actor.get()
        _core.audit(op, actor, self._stream_size)
        return actor

    def tell(self, op: _core.Op[Any], actor: str | None) -> list[Any]:
        """When it has ended; what on_event returned, which a caller may have to await."""
        returned = []
        for row in _core.events(op):
            event = _event_of(row, actor)
            write(event)
            if self._on_event is not None:
                try:
                    returned.append(self._on_event(event))
                except Exception:
                    callback_failed()
        return returned


def auditor_of(given: dict[str, Any]) -> Auditor | None:
    """By a client's options, of which it takes its own; None: nobody wants to know."""
    on_event = _options.function("on_event", given.pop("on_event", None))
    audit = _options.flag("audit", given.pop("audit", False))
    size = _options.whole("audit_stream", given.pop("audit_stream", 0)) or 0
    if not 0 <= size <= STREAM_MAX:
        raise ConfigurationError(f"audit_stream must be 0 to {STREAM_MAX}: the most entries that it keeps")
    return Auditor(on_event, size) if on_event is not None or audit or size > 0 else None


def write(event: AuditEvent) -> None:
    """To the logger, one line, whatever names contain."""
    level = _LEVELS.get(event.kind, logging.INFO)
    if _log.isEnabledFor(level):
        from json import dumps

        known = event.to_dict()
        words = [f"{name}={dumps(value)}" for name, value in known.items() if name not in ("at", "name")]
        _log.log(level, "%s %s", event.name, " ".join(words), extra={"audit": known})


def callback_failed() -> None:
    """The change was made, so its caller must not see an exception. Called in an except clause."""
    _problems.exception("on_event failed")


def stream_failed(error: Error) -> None:
    """Likewise, where a change is not written to the stream."""
    _problems.warning("the change was made, but not written to the audit stream: %s", error)


def _event_of(row: tuple[Any, ...], actor: str | None) -> AuditEvent:
    at, kind, name, *texts, count = row
    reason, app, type, owner, sid, id = (text or None for text in texts)
    return AuditEvent(at, kind, name, reason, app, type, owner, sid, id, int(count), actor or None)


# ---- reading the stream ----------------------------------------------------------------------------------


def read_command(prefix: str, after: str | None, count: int, reverse: bool) -> tuple[str | int, ...]:
    """The command for a page of the stream, behind the entry ``after``. XRANGE and XREVRANGE exclude no end before Redis 6.2."""
    _options.text("prefix", prefix)
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"count must be int, not {type(count).__name__}")
    if not 1 <= count <= 100_000:
        raise DataError("count must be 1 to 100000")
    key = f"{prefix}:audit"
    if reverse:
        return ("XREVRANGE", key, "+" if after is None else _before(after), "-", "COUNT", count)
    return ("XRANGE", key, "-" if after is None else _behind(after), "+", "COUNT", count)


def _numbers(entry: str) -> tuple[int, int]:
    parts = entry.split("-") if isinstance(entry, str) else []
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise DataError("after must be the entry of an event that was read")
    return int(parts[0]), int(parts[1])


def _behind(entry: str) -> str:
    ms, number = _numbers(entry)
    return f"{ms}-{number + 1}"


def _before(entry: str) -> str:
    ms, number = _numbers(entry)
    return f"{ms}-{number - 1}" if number > 0 else f"{max(0, ms - 1)}"


def read_entries(reply: Iterable[tuple[bytes, list[bytes]]]) -> list[AuditEvent]:
    """The events in a page. Entries that others wrote, or later versions, are read as far as they can be."""
    events = []
    for entry, words in reply:
        id = entry.decode("ascii", "replace")
        texts = [word.decode("utf-8", "surrogateescape") for word in words]
        events.append(_entry(id, dict(zip(texts[::2], texts[1::2]))))
    return events


def _entry(id: str, fields: Mapping[str, str]) -> AuditEvent:
    count = fields.get("count", "")
    ms = id.partition("-")[0]
    return AuditEvent(
        at=int(ms) / 1000 if ms.isdigit() else 0.0,
        kind=fields.get("kind", ""),
        name=fields.get("event", ""),
        reason=fields.get("reason") or None,
        app=fields.get("app") or None,
        type=fields.get("type") or None,
        owner=fields.get("owner") or None,
        sid=fields.get("sid") or None,
        id=fields.get("id") or None,
        count=int(count) if count.isascii() and count.isdigit() else 1,
        actor=fields.get("actor") or None,
        entry=id,
    )
