"""From a host to a connected socket: resolves names and tries addresses, as core/io does (resolve.c,
connect.c)."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from tokenstore import _core
from tokenstore.errors import ConfigurationError, ConnectionError

__all__ = ["Resolver", "reach", "reach_unix"]

_ATTEMPTS = 8  # at a time
_ADDRESSES = 32  # of a name; more are ignored
_ASK_AGAIN = 0.001  # seconds between attempts on a unix socket whose backlog is full

Address = tuple[Any, ...]  # family, address


class Resolver:
    """The addresses of a host. Used by any thread.

    ``getaddrinfo`` has no deadline and cannot be cancelled, so each lookup runs in a separate thread that is
    not joined at the end. (asyncio.run waits for the loop's executor.) Several loops share one lookup.
    """

    def __init__(self, host: str, port: int) -> None:
        self.last: Address | None = None  # the last address that answered
        self._host, self._port = host, port
        self._pid = 0
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]]] | None = None

    @property
    def looks(self) -> bool:
        """True if a lookup is in progress."""
        return self._waiting is not None

    async def resolve(self) -> list[Address]:
        """The addresses in the order to try: the one that answered last, then alternating families."""
        try:
            found = self._ask(socket.AI_NUMERICHOST | socket.AI_NUMERICSERV)
        except socket.gaierror:
            if ":" in self._host:
                raise ConfigurationError(_why_no_ipv6(self._host)) from None
            try:
                found = await self._look_up()
            except OSError as error:
                why = error.strerror or str(error)
                raise ConnectionError(
                    f"cannot connect: the host name cannot be resolved: {why}"
                ) from None
        return self._sort(found)

    def _ask(self, flags: int = 0) -> list[Address]:
        # A str would first be encoded as IDNA, and raise UnicodeError for a name that merely does not exist.
        host = self._host.encode()
        found = socket.getaddrinfo(host, self._port, type=socket.SOCK_STREAM, flags=flags)
        return [(family, address) for family, _, _, _, address in found[:_ADDRESSES]]

    async def _look_up(self) -> list[Address]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if self._pid != os.getpid():  # the parent's thread does not exist here
            self._pid, self._lock, self._waiting = os.getpid(), threading.Lock(), None
        with self._lock:
            first = self._waiting is None
            waiting = self._waiting = self._waiting or []
            waiting.append((loop, answer))
        if first:
            threading.Thread(target=self._look, name="tokenstore-resolve", daemon=True).start()
        found, error = await answer
        if error is not None:
            raise error
        return found  # type: ignore[no-any-return]

    def _look(self) -> None:
        outcome: tuple[Any, BaseException | None]
        try:
            outcome = self._ask(), None
        except OSError as error:
            outcome = None, error
        with self._lock:
            waiting, self._waiting = self._waiting or [], None
        for loop, answer in waiting:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(_set, answer, outcome)

    def _sort(self, found: Iterable[Address]) -> list[Address]:
        left = list(dict.fromkeys(found))
        ordered = [left.pop(left.index(self.last))] if self.last in left else []
        while left:
            family = ordered[-1][0] if ordered else None
            other = next((a for a in left if a[0] != family), left[0])
            left.remove(other)
            ordered.append(other)
        return ordered


def _set(answer: asyncio.Future[Any], outcome: object) -> None:
    if not answer.done():
        answer.set_result(outcome)


def _why_no_ipv6(host: str) -> str:
    address, _, zone = host.partition("%")
    try:
        socket.inet_pton(socket.AF_INET6, address)
    except OSError:
        zone = ""
    if not zone:
        return "the host in brackets is not an IPv6 address: correct the URL"
    try:
        socket.if_nametoindex(zone)
        why = "only a link-local address (fe80::...) has one: remove it"
    except OSError:
        why = "this machine has no network interface of that name"
    return f'the IPv6 address in the URL has the zone "{zone}", and {why}'


# ---- sockets -----------------------------------------------------------------------------------


async def reach(addresses: list[Address], patience: float) -> socket.socket:
    """A socket connected to the first address that answers. Attempts are staggered, so an address that drops
    all packets costs only that pause (RFC 8305); each has `patience` seconds. Raises the error of the first
    that failed, the preferred one."""
    attempts: set[asyncio.Task[socket.socket]] = set()
    sock = None
    try:
        sock = await _first(addresses, patience, attempts)
        await _give_up(attempts)
    except GeneratorExit:  # the loop was closed: nothing can be awaited, and each attempt ends like this
        for attempt in attempts:
            if attempt.done():
                _close(attempt)
        raise
    except BaseException:
        if sock is not None:
            sock.close()
        await _give_up(attempts)
        raise
    return sock


async def _first(
    addresses: list[Address], patience: float, attempts: set[asyncio.Task[socket.socket]]
) -> socket.socket:
    """Attempts in progress are left in `attempts`."""
    left = addresses[::-1]
    error: BaseException | None = None
    while left or attempts:
        if left and len(attempts) < _ATTEMPTS:
            attempts.add(asyncio.ensure_future(_try(left.pop(), patience)))
        pause = _core.STAGGER if left and len(attempts) < _ATTEMPTS else None
        done, _ = await asyncio.wait(
            attempts, timeout=pause, return_when=asyncio.FIRST_COMPLETED
        )
        for attempt in done:
            attempts.discard(attempt)
            if attempt.exception() is None:
                return attempt.result()
            error = error or attempt.exception()
    assert error is not None
    raise error


async def _give_up(attempts: set[asyncio.Task[socket.socket]]) -> None:
    for attempt in attempts:
        attempt.add_done_callback(_close)  # it may have connected before the cancellation
        attempt.cancel()
    if attempts:
        await asyncio.wait(attempts)


def _close(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


async def _try(to: Address, patience: float) -> socket.socket:
    family, address = to
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        for level, name, value in _core.SOCKET_OPTIONS:
            with suppress(OSError):  # not essential
                sock.setsockopt(level, name, value)
        await asyncio.wait_for(
            asyncio.get_running_loop().sock_connect(sock, address), patience
        )
    except BaseException:
        sock.close()
        raise
    return sock


async def reach_unix(path: str, patience: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.wait_for(_knock(sock, path), patience)
    except BaseException:
        sock.close()
        raise
    return sock


async def _knock(sock: socket.socket, path: str) -> None:
    while True:  # connects at once, or must be retried
        try:
            sock.connect(path)
            return
        except BlockingIOError:
            await asyncio.sleep(_ASK_AGAIN)
