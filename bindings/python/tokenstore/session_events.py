"""Session events, as Redis reports them, for ``RedisJWT.events()`` and ``RedisJWT.on()``.

Redis does not queue events for absent subscribers. A lost connection is re-established automatically, and a
possible loss is reported as a :class:`SessionGap`: then check whether known sessions still exist.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union

from tokenstore import _core, _options
from tokenstore._closing import Closing
from tokenstore.client import Client
from tokenstore.errors import Error

if TYPE_CHECKING:
    from typing_extensions import Self

    from tokenstore._types import Duration

__all__ = ["SessionCallbacks", "SessionEnd", "SessionEvent", "SessionEvents", "SessionGap"]

_log = logging.getLogger("tokenstore")


class SessionEnd(NamedTuple):
    """A session has ended.

    ======== ===================================================================================
    ``kind`` ``"expired"``: it expired; ``"del"``: it was ended
    ``id``   the user
    ``rjwt`` the session, as ``verify`` returns it (``repr()`` does not show it)
    ======== ===================================================================================
    """

    kind: Literal["expired", "del"]
    id: str
    rjwt: str

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return self._asdict()

    def __repr__(self) -> str:
        return f"SessionEnd(kind={self.kind!r}, id={self.id!r})"


class SessionGap(NamedTuple):
    """The connection was lost for a while, or the primaries changed: events between these times may be missing.

    Both are seconds since the epoch, by the clock of this machine. Events before ``lost_at`` were delivered,
    and those after ``restored_at`` will be.
    """

    lost_at: float
    restored_at: float
    kind: Literal["gap"] = "gap"

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return self._asdict()


SessionEvent = Union[SessionEnd, SessionGap]
"""What events give; ``kind`` says which of the two it is."""


class SessionEvents(Closing):
    """Listens on a separate connection, on a cluster to every primary, from its creation on.

    ::

        with jwt.events() as events:
            for event in events:  # until close()
                if event.kind == "gap":
                    look_whether_sessions_still_exist()
                else:
                    print(event.id, event.kind)

    ``kea=True`` enables the events on the server (CONFIG SET notify-keyspace-events, on every new connection,
    since a restarted server forgets it), and on its replicas where the client knows them: on a cluster, and by
    Sentinels. After ``keepalive`` seconds of silence a PING checks the connection.

    One thread at a time may wait; each thread needs its own object. A forked child must create its own.
    """

    def __init__(
        self,
        client: Client,
        *,
        kea: bool = False,
        keepalive: Duration = 15,
        _ask: Callable[[], Any] | None = None,
    ) -> None:
        self._client = client
        self._closed = False
        self._pid = os.getpid()
        self._core = _core.SessionEvents(
            client._core, kea, keepalive, _ask or client._core.credentials
        )
        _log.debug("listening for session events at %s", client.url)

    @property
    def closed(self) -> bool:
        """True after :meth:`close`, when its client is closed, and in a forked child."""
        return self._closed or self._client.closed or self._pid != os.getpid()

    def next(self, timeout: Duration | None = None) -> SessionEvent | None:
        """Wait for the next event; None if there is none within ``timeout`` seconds.

        Without a timeout it waits forever; 0 returns only what has arrived. While the server is down, a call
        may take the client's ``connect_timeout`` if that is longer. An error of the server raises
        :class:`ServerError`; later calls retry. After :meth:`close`: :class:`Error`.
        """
        until = None if timeout is None else time.monotonic() + _seconds(timeout)
        while True:
            left = -1 if until is None else math.ceil(max(0.0, until - time.monotonic()) * 1000)
            told: Any = self._core.next(left)
            if told is None:
                return None
            if told[0] == "asked":
                continue
            if told[0] == "gap":
                _log.warning("listening again; session events may have been missed")
                return SessionGap(*told[1:])
            if told[0] != "lost":
                return SessionEnd(*told)
            _log.warning("not listening for session events: %s", told[1])

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SessionEvent:
        while True:
            try:
                event = self.next()
            except Error:
                if self.closed and self._pid == os.getpid():
                    raise StopIteration from None
                raise
            if event is not None:
                return event

    def close(self) -> None:
        """Close the connection; a waiting thread is released within 50 ms. May be called twice."""
        self._closed = True
        self._core.close()

    def __repr__(self) -> str:
        return f"<tokenstore.SessionEvents {self._client.url}{' closed' if self.closed else ''}>"


def _seconds(timeout: Duration) -> float:
    seconds = _options.seconds("timeout", timeout)
    if seconds is None or not 0 <= seconds <= 315360000:
        raise ValueError("timeout must be 0 … 315360000 seconds, or None to wait forever")
    return seconds


Callback = Callable[[Any], object]

KINDS = ("expired", "del", "gap")


class SessionCallbacks:
    """Calls functions when sessions end, for ``RedisJWT.on``.

    One daemon thread, which starts with the first callback and ends with :meth:`close`, or when this object is
    garbage collected. ``listen`` creates the events it reads.
    """

    def __init__(self, listen: Callable[[], SessionEvents]) -> None:
        self._listen = listen
        self._callbacks: dict[str, tuple[Callback, ...]] = {}
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._events: SessionEvents | None = None
        self._thread: threading.Thread | None = None

    def _own_lock(self) -> threading.Lock:
        if self._pid != os.getpid():
            self._begin()  # a forked child: the thread does not exist here, and another one may have held the lock
        return self._lock

    def on(self, kind: str, callback: Callback) -> None:
        """Call ``callback(event)`` for every event of a kind: ``"expired"``, ``"del"`` or ``"gap"``.

        Callbacks are called one after the other, in the order of registration. Their exceptions are logged, and
        the others are still called. Once this returns, no event is missed; it raises like
        :class:`SessionEvents`.
        """
        if kind not in KINDS:
            raise ValueError(f'unknown event {kind!r}: it must be "expired", "del" or "gap"')
        if not callable(callback):
            raise TypeError(f"callback must be callable, not {type(callback).__name__}")
        with self._own_lock():
            if self._events is None or self._events.closed:
                self._events = self._listen()
                self._thread = threading.Thread(
                    target=_call_back,
                    args=(self._events, self._callbacks),
                    name="tokenstore-events",
                    daemon=True,
                )
                self._thread.start()
            self._callbacks[kind] = (*self._callbacks.get(kind, ()), callback)

    def off(self, kind: str, callback: Callback) -> None:
        """Undo one :meth:`on`; no effect if there was none."""
        with self._own_lock():
            left = list(self._callbacks.get(kind, ()))
            if callback in left:
                left.remove(callback)
            self._callbacks[kind] = tuple(left)

    def close(self) -> None:
        """End the thread; waits for a running callback, unless called from one. May be called twice."""
        if self._events is None or self._pid != os.getpid():
            return
        self._events.close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __del__(self) -> None:
        events = getattr(self, "_events", None)
        if events is not None:
            events.close()


# Not a method: the thread must not keep the object alive, because its end stops the thread.
def _call_back(events: SessionEvents, callbacks: dict[str, tuple[Callback, ...]]) -> None:
    while True:
        try:
            event = events.next()
        except Exception as error:  # including exceptions of credentials=
            if events.closed:
                return
            _log.error("not listening for session events, trying again: %s", error)
            continue
        if event is None:
            continue
        for callback in callbacks.get(event.kind, ()):
            try:
                callback(event)
            except BaseException:  # SystemExit too: the other callbacks must still be called
                _log.exception("a callback for the event %r failed", event.kind)
