"""Spike in tokenstore.asyncio.

A token in memory is returned at once, without leaving the loop. A few threads wait for Redis, the server, or
another process that is fetching, one per audience, however many tasks ask; if all are busy, the next audience
waits for a free one. A fetch without waiting tasks ends. The core renews in the background, as for threads.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Callable

import tokenstore
from tokenstore import _core
from tokenstore._closing import AsyncClosing
from tokenstore.errors import Error, TimeoutError
from tokenstore.spike import spike_options

if TYPE_CHECKING:
    from tokenstore._types import Duration, Text
    from tokenstore.spike import Logger

__all__ = ["Spike", "TokenCreator", "getTokenCreator", "get_token_creator"]


_THREADS = 8


class _Fetch:
    """A fetch in progress, and the number of tasks waiting for it."""

    __slots__ = ("abandoned", "asking", "future", "loop", "waiting")

    future: asyncio.Future[str]

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting = 0
        self.abandoned = False
        self.asking: concurrent.futures.Future[Any] | None = None  # the function's future result

    def abandon(self) -> None:
        """No task waits any more; its thread must not wait for the function."""
        self.abandoned = True
        self.future.cancel()  # if no thread has started it
        if self.asking is not None:
            self.asking.cancel()


def _one(texts: Text | Sequence[str] | None) -> Text | tuple[str, ...] | None:
    return texts if texts is None or isinstance(texts, (str, bytes)) else tuple(texts)


class Spike(tokenstore.Spike, AsyncClosing):
    __doc__ = tokenstore.Spike.__doc__

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._function: Any = None
        self._asked = threading.local()  # a thread's fetch
        self._renewals: set[asyncio.Task[None]] = set()
        super().__init__(*args, **kwargs)
        del self.__dict__["get_token"], self.__dict__["getToken"]  # the blocking ones
        self._fetching: dict[tuple[object, ...], _Fetch] = {}
        self._threads: tuple[int, ThreadPoolExecutor] | None = None

    def _in_a_thread(self, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        pid = os.getpid()
        if (
            self._threads is None or self._threads[0] != pid
        ):  # a forked child has none of the parent's threads threads
            self._threads = (pid, ThreadPoolExecutor(_THREADS, "tokenstore-spike"))
        return asyncio.get_running_loop().run_in_executor(self._threads[1], function, *args)

    @classmethod
    async def discover(cls, issuer: str, *args: Any, **options: Any) -> Any:
        """As :meth:`tokenstore.Spike.discover`."""
        spike = cls(issuer, *args, discovery=True, **options)
        try:
            await spike.initialize()
        except BaseException:
            await spike.aclose()
            raise
        return spike

    def _asking(self, function: Any) -> Any:
        self._function = function
        return None if function is None else self._ask_in_loop

    def _ask_in_loop(self) -> Text:
        """Called by the fetching thread: the function runs in the loop of the waiting tasks."""
        fetch = self._asked.fetch
        fetch.asking = asyncio.run_coroutine_threadsafe(self._ask(), fetch.loop)
        if fetch.abandoned:
            fetch.asking.cancel()
        try:
            return fetch.asking.result()
        except concurrent.futures.CancelledError:
            raise Error("the client is closed, or no caller is waiting for this token") from None

    async def _ask(self) -> Any:
        given = self._function()
        return await given if inspect.isawaitable(given) else given

    def _get_in(self, fetch: _Fetch, *args: Any, **kwargs: Any) -> str:
        self._asked.fetch = fetch
        return self._core.get(*args, **kwargs)

    async def _renew(self, audience: Any, scope: Any, resource: Any) -> None:
        try:
            self._core.renew(await self._ask(), audience, scope, resource)
        except Exception as error:
            kind = type(error).__name__  # its message may contain the secret
            self._log(
                "w", f"not renewed: could not obtain the client's secret or assertion: {kind}"
            )

    async def get_token(
        self,
        audience: Text | None = None,
        *,
        scope: Text | Sequence[str] | None = None,
        resource: Text | Sequence[str] | None = None,
        timeout: Duration | None = None,
    ) -> str:
        """An access token for ``audience``, valid for at least ``expiration_offset`` seconds.

        ``scope``, ``resource`` and ``timeout`` are those of :meth:`tokenstore.Spike.get_token`.

        Raises :class:`SpikeAuthError` if the server rejected the client or the request, :class:`SpikeError` if
        no valid token could be obtained: it says what was tried. A cancelled caller leaves the fetch to the
        others; without others, it ends.
        """
        seconds = _core.timeout(timeout)
        token = self._core.peek(audience, scope, resource)
        loop = asyncio.get_running_loop()
        if token is not None:
            if self._function is not None and self._core.wants(audience, scope, resource):
                renewal = loop.create_task(self._renew(audience, scope, resource))
                self._renewals.add(renewal)
                renewal.add_done_callback(self._renewals.discard)
            return token
        key = (loop, audience, _one(scope), _one(resource))
        fetch = self._fetching.get(key)
        if fetch is None:
            fetch = self._fetching[key] = _Fetch(loop)
            get = functools.partial(self._get_in, fetch, audience, scope=scope, resource=resource)
            fetch.future = self._in_a_thread(get)
            fetch.future.add_done_callback(lambda _: self._forget(key, fetch))
        fetch.waiting += 1
        try:
            await asyncio.wait({fetch.future}, timeout=seconds)
            if not fetch.future.done():
                raise TimeoutError(f"no access token within {seconds:g} s")
            return fetch.future.result()
        finally:
            fetch.waiting -= 1
            if fetch.waiting == 0 and not fetch.future.done():
                self._forget(key, fetch)
                fetch.abandon()
                self._core.abandon(audience, scope, resource)

    def _forget(self, key: tuple[object, ...], fetch: _Fetch) -> None:
        if self._fetching.get(key) is fetch:
            del self._fetching[key]

    async def invalidate(
        self,
        audience: Text | None,
        token: Text,
        *,
        scope: Text | Sequence[str] | None = None,
        resource: Text | Sequence[str] | None = None,
    ) -> None:
        """Forget ``token``, which ``audience`` answered with 401; the next call fetches another."""
        await self._in_a_thread(self._core.invalidate, token, audience, scope, resource)

    async def initialize(self) -> None:
        """Fetch the public key now, to learn early whether the server can be reached. May be called twice."""
        await self._in_a_thread(self._core.initialize)

    async def is_initialized(self) -> bool:
        """Is the public key loaded (or not needed), and this open?"""
        return self._core.is_initialized()

    async def aclose(self) -> None:
        """Cancel fetches in progress, stop renewing, and close what was opened here. May be called twice."""
        for fetch in self._fetching.values():
            if fetch.asking is not None:
                fetch.asking.cancel()
        for renewal in self._renewals:
            if renewal.get_loop() is asyncio.get_running_loop():
                renewal.cancel()
        closer = ThreadPoolExecutor(1)  # all others may be waiting for a server
        await asyncio.get_running_loop().run_in_executor(closer, super().close)
        closer.shutdown(wait=False)
        if self._threads is not None and self._threads[0] == os.getpid():
            self._threads[1].shutdown(wait=False)
            self._threads = None  # later callers get the error from a new one

    getToken = get_token
    isInitialized = is_initialized

    def close(self) -> None:
        raise TypeError("close this Spike with: await spike.aclose()")

    def __enter__(self) -> Any:
        raise TypeError("use this Spike with: async with")

    def __repr__(self) -> str:
        return super().__repr__().replace("tokenstore.", "tokenstore.asyncio.")


class TokenCreator(AsyncClosing):
    """The result of :func:`get_token_creator`: ``await creator()`` for a token."""

    def __init__(self, spike: Spike, audience: str) -> None:
        self._spike = spike
        self._audience = audience

    async def __call__(self) -> str:
        """The access token."""
        return await self._spike.get_token(self._audience)

    async def aclose(self) -> None:
        """Close the underlying objects. May be called twice."""
        await self._spike.aclose()


def get_token_creator(
    options: Mapping[str, Any] | None = None, /, *, logger: Logger | None = None, **more: Any
) -> TokenCreator:
    """As :func:`tokenstore.get_token_creator`; its result is awaited."""
    given, audience = spike_options(options, more)
    return TokenCreator(Spike(**given, logger=logger), audience)


getTokenCreator = get_token_creator
