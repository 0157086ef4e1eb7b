"""The ends of sessions as an async iterator.

Redis tells them on a connection of its own, to which the core listens; here a thread waits for it, one for each
object that listens, so that the loop never does.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

from tokenstore import session_events
from tokenstore.errors import Error

if TYPE_CHECKING:
    from typing_extensions import Self

    from tokenstore._types import Duration
    from tokenstore.asyncio._client import Client
    from tokenstore.session_events import SessionEvent

__all__ = ["SessionEvents"]


class SessionEvents:
    """Listens on a connection of its own, from ``async with`` (or the first wait) on.

    ::

        async with SessionEvents(client, kea=True) as events:
            async for event in events:  # until aclose()
                if event.kind == "gap":
                    await look_whether_sessions_still_exist()
                else:
                    print(event.id, event.kind)

    The options and the events are those of :class:`tokenstore.session_events.SessionEvents`. A task that is
    cancelled while it waits loses no event: the next one that waits gets it. One task at a time may wait.
    """

    def __init__(self, client: Client, *, kea: bool = False, keepalive: Duration = 15) -> None:
        given: Any = client  # what the blocking class asks of a client, this one has
        self._listen = lambda: session_events.SessionEvents(given, kea=kea, keepalive=keepalive)
        self._events: session_events.SessionEvents | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._pending: asyncio.Future[SessionEvent | None] | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """True after :meth:`aclose`, when its client is closed, and in a forked child."""
        return self._closed or (self._events is not None and self._events.closed)

    async def next(self, timeout: float | None = None) -> SessionEvent | None:
        """Wait for the next event; None when there is none within ``timeout`` seconds."""
        events = await self._begin()
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
        """End the connection, and the thread. A task that waits is released. Twice is fine."""
        self._closed = True
        if self._events is not None and not self._events.closed:
            self._events.close()
        if self._pending is not None:
            await asyncio.wait({self._pending})
            if self._pending is not None and not self._pending.cancelled():
                self._pending.exception()  # of no interest any more
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _begin(self) -> session_events.SessionEvents:
        if self._closed:
            raise Error("these events are closed")
        if self._events is None:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "tokenstore-events")
            self._events = await self._in_the_thread(self._listen)
        return self._events

    def _in_the_thread(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        assert self._thread is not None
        return asyncio.get_running_loop().run_in_executor(self._thread, function)
