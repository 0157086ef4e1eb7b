"""Session events as an async iterator.

The core listens on a separate connection. One thread per object waits for it, so that the loop never blocks.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from tokenstore import session_events
from tokenstore._closing import AsyncClosing
from tokenstore.errors import Error

if TYPE_CHECKING:
    from typing_extensions import Self

    from tokenstore._types import Duration
    from tokenstore.asyncio._client import Client
    from tokenstore.session_events import Callback, SessionEvent

__all__ = ["SessionCallbacks", "SessionEvents"]

_log = logging.getLogger("tokenstore")


class SessionEvents(AsyncClosing):
    """Listens on a separate connection, from ``async with`` (or the first wait) on.

    ::

        async with SessionEvents(client, kea=True) as events:
            async for event in events:  # until aclose()
                if event.kind == "gap":
                    await look_whether_sessions_still_exist()
                else:
                    print(event.id, event.kind)

    The options and the events are those of :class:`tokenstore.session_events.SessionEvents`. A task that is
    cancelled while it waits loses no event: the next waiting task gets it. One task at a time may wait.
    """

    def __init__(self, client: Client, *, kea: bool = False, keepalive: Duration = 15) -> None:
        given: Any = client  # has what the blocking class needs of a client
        self._credentials = client._core.credentials
        self._question: concurrent.futures.Future[Any] | None = None
        self._make = partial(session_events.SessionEvents, given, kea=kea, keepalive=keepalive)
        self._events: session_events.SessionEvents | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._pending: asyncio.Future[SessionEvent | None] | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """True after :meth:`aclose`, when its client is closed, and in a forked child."""
        return self._closed or (self._events is not None and self._events.closed)

    async def next(self, timeout: float | None = None) -> SessionEvent | None:
        """Wait for the next event; None if there is none within ``timeout`` seconds."""
        events = await self.listen()
        if self._pending is None:
            self._pending = self._in_the_thread(events.next)
        pending = self._pending
        done, _ = await asyncio.wait({pending}, timeout=timeout)
        if not done:
            return None
        self._pending = None
        return pending.result()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionEvent:
        while True:
            try:
                event = await self.next()
            except Error:
                if self.closed:
                    raise StopAsyncIteration from None
                raise
            if event is not None:
                return event

    async def aclose(self) -> None:
        """Close the connection, and end the thread. A waiting task is released. May be called twice."""
        self._closed = True
        if self._events is not None and not self._events.closed:
            self._events.close()
        if self._question is not None:
            self._question.cancel()
        if self._pending is not None:
            await asyncio.wait({self._pending})
            if self._pending is not None and not self._pending.cancelled():
                self._pending.exception()  # no longer needed
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def listen(self) -> session_events.SessionEvents:
        """Start listening, unless it has started: no event is missed once this returns."""
        if self._closed:
            raise Error("these events are closed")
        if self._events is None:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "tokenstore-events")
            ask = None if self._credentials is None else self._asker(self._credentials)
            self._events = await self._in_the_thread(partial(self._make, _ask=ask))
        return self._events

    def _asker(self, credentials: Callable[[], Any]) -> Callable[[], Any]:
        """Called by the thread for user and password: runs the function in this loop."""
        loop = asyncio.get_running_loop()

        async def ask() -> Any:
            pair = credentials()
            return await pair if inspect.isawaitable(pair) else pair

        def wait() -> Any:
            self._question = asyncio.run_coroutine_threadsafe(ask(), loop)
            if self._closed:  # aclose was called first
                self._question.cancel()
            try:
                return self._question.result()
            except concurrent.futures.CancelledError:
                raise Error("these events are closed") from None

        return wait

    def _in_the_thread(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        assert self._thread is not None
        return asyncio.get_running_loop().run_in_executor(self._thread, function)


class SessionCallbacks:
    """Calls functions when sessions end, for ``RedisJWT.on``. One task, in the loop that started it."""

    def __init__(self, events: SessionEvents) -> None:
        self._events = events
        self._callbacks: dict[str, tuple[Callback, ...]] = {}
        self._task: asyncio.Task[None] | None = None

    async def on(self, kind: str, callback: Callback) -> None:
        """As :meth:`tokenstore.RedisJWT.on`; an awaitable result of the callback is awaited."""
        if kind not in session_events.KINDS:
            raise ValueError(f'unknown event {kind!r}: it must be "expired", "del" or "gap"')
        if not callable(callback):
            raise TypeError(f"callback must be callable, not {type(callback).__name__}")
        await self._events.listen()
        self._callbacks[kind] = (*self._callbacks.get(kind, ()), callback)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._call_back())

    def off(self, kind: str, callback: Callback) -> None:
        """Undo one :meth:`on`; no effect if there was none."""
        left = list(self._callbacks.get(kind, ()))
        if callback in left:
            left.remove(callback)
        self._callbacks[kind] = tuple(left)

    async def aclose(self) -> None:
        """End the task; waits for a running callback, unless called from one."""
        task, self._task = self._task, None
        await self._events.aclose()
        if task is not None and task is not asyncio.current_task():
            await asyncio.wait({task})

    async def _call_back(self) -> None:
        async for event in self._retrying():
            for callback in self._callbacks.get(event.kind, ()):
                try:
                    result = callback(event)
                    if inspect.isawaitable(result):
                        await result
                except Exception:
                    _log.exception("a callback for the event %r failed", event.kind)

    async def _retrying(self) -> AsyncIterator[SessionEvent]:
        while not self._events.closed:
            try:
                async for event in self._events:
                    yield event
            except Error as error:
                _log.error("not listening for session events, trying again: %s", error)
