"""The ends of sessions in tokenstore.asyncio.

Who listens is the core, as for the blocking classes: a thread for each object waits there, and hands over what
it hears. So reconnecting, gaps and keepalive are the same, and an event loop that is busy misses nothing.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections import deque
from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

from tokenstore import _core
from tokenstore.errors import Error
from tokenstore.session_events import SessionEvent, check_callback, read_notice, seconds

if TYPE_CHECKING:
    from typing_extensions import Self

    from tokenstore._types import Duration
    from tokenstore.asyncio._client import Client

__all__ = ["AsyncSessionCallbacks", "AsyncSessionEvents"]

_log = logging.getLogger("tokenstore")

_AHEAD = 1000  # events that the thread may be ahead of who reads them


class _Inbox:
    """Where the thread puts what it hears. It outlives who listens, for the thread holds it."""

    def __init__(self, core: _core.SessionEvents, loop: asyncio.AbstractEventLoop) -> None:
        self.core = core
        self.loop = loop
        self.told: deque[Any] = deque()
        self.room = threading.Semaphore(_AHEAD)
        self.waiter: asyncio.Future[None] | None = None
        self.ended: asyncio.Future[None] = loop.create_future()

    def put(self, told: Any, last: bool) -> None:
        self.told.append(told)
        if last and not self.ended.done():
            self.ended.set_result(None)
        self.wake()

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def read(self) -> None:
        """The thread."""
        last = False
        while not last:
            self.room.acquire()
            told: Any = None
            try:
                told = self.core.next(-1)
            except (Error, MemoryError) as error:
                told = error
                last = type(error) is Error  # closed; of anything else it may recover
            if told is None:
                continue
            try:
                self.loop.call_soon_threadsafe(self.put, told, last)
            except RuntimeError:  # the loop is closed: nobody will ever ask
                self.core.close()
                return


class AsyncSessionEvents:
    """Listens on a connection of its own; see :class:`tokenstore.SessionEvents`.

    ::

        async with await jwt.events() as events:
            async for event in events:  # until aclose()
                print(event.kind)

    It belongs to the event loop in which it was made; one task at a time may wait. Cancelling a task that
    waits loses nothing.
    """

    def __init__(self, client: Client, inbox: _Inbox) -> None:
        self._client = client
        self._inbox = inbox
        self._closed = False
        thread = threading.Thread(target=inbox.read, name="tokenstore-events", daemon=True)
        thread.start()

    @classmethod
    async def listen(cls, client: Client, kea: bool, keepalive: Duration) -> Self:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        core = await loop.run_in_executor(None, _core.SessionEvents, client._core, kea, keepalive)
        return cls(client, _Inbox(core, loop))

    @property
    def closed(self) -> bool:
        """True once it was closed, or its client."""
        return self._closed or self._client.closed

    async def next(self, timeout: Duration | None = None) -> SessionEvent | None:
        """Wait for the next event; None when there is none within ``timeout`` seconds."""
        inbox = self._inbox
        if inbox.waiter is not None:
            raise RuntimeError(
                "another task is waiting for these events: each needs events of its own"
            )
        until = None if timeout is None else inbox.loop.time() + seconds(timeout)
        while True:
            while inbox.told:
                event = self._take()
                if event is not None:
                    return event
            if self._closed or inbox.ended.done():
                raise Error("the events are closed")
            if until is not None and inbox.loop.time() >= until:
                return None
            await self._wait(until)

    def _take(self) -> SessionEvent | None:
        told = self._inbox.told.popleft()
        self._inbox.room.release()
        if isinstance(told, BaseException):
            raise told
        return read_notice(told)

    async def _wait(self, until: float | None) -> None:
        inbox = self._inbox
        inbox.waiter = inbox.loop.create_future()
        timer = None if until is None else inbox.loop.call_at(until, inbox.wake)
        try:
            await inbox.waiter
        finally:
            inbox.waiter = None
            if timer is not None:
                timer.cancel()

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
        """End the connection; a task that waits is released. Twice is fine."""
        self._end()
        if asyncio.get_running_loop() is self._inbox.loop:
            await asyncio.shield(self._inbox.ended)

    def _end(self) -> None:
        self._closed = True
        self._inbox.core.close()
        self._inbox.room.release()  # the thread may wait for that

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self._end()

    def __repr__(self) -> str:
        closed = " closed" if self.closed else ""
        return f"<tokenstore.asyncio.AsyncSessionEvents {self._client.url}{closed}>"


class AsyncSessionCallbacks:
    """Calls functions when sessions end, in one task; they may be coroutine functions."""

    def __init__(self, listen: Callable[[], Awaitable[AsyncSessionEvents]]) -> None:
        self._listen = listen
        self._callbacks: dict[str, tuple[Callable[[Any], object], ...]] = {}
        self._beginning: asyncio.Lock | None = None
        self._events: AsyncSessionEvents | None = None
        self._task: asyncio.Task[None] | None = None

    async def on(self, kind: str, callback: Callable[[Any], object]) -> None:
        """Let ``callback(event)`` be called, and awaited if it has to be, for every event of a kind."""
        check_callback(kind, callback)
        if self._beginning is None:
            self._beginning = asyncio.Lock()
        async with self._beginning:
            if self._events is None or self._events.closed:
                self._events = await self._listen()
                self._task = asyncio.create_task(self._call_back(self._events))
            self._callbacks[kind] = (*self._callbacks.get(kind, ()), callback)

    def off(self, kind: str, callback: Callable[[Any], object]) -> None:
        """Undo one :meth:`on`."""
        left = list(self._callbacks.get(kind, ()))
        if callback in left:
            left.remove(callback)
        self._callbacks[kind] = tuple(left)

    async def aclose(self) -> None:
        """End the task; a callback that is running is waited for, unless this comes from one."""
        if self._events is None:
            return
        await self._events.aclose()
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait([self._task])

    async def _call_back(self, events: AsyncSessionEvents) -> None:
        while True:
            try:
                event = await events.next()
            except (Error, MemoryError) as error:
                if events.closed:
                    return
                _log.error("nobody listens for ends of sessions, trying again: %s", error)
                continue
            for callback in self._callbacks.get(event.kind, ()) if event is not None else ():
                try:
                    result = callback(event)
                    if inspect.isawaitable(result):
                        await result
                except Exception:
                    _log.exception("a callback for an event failed")
