"""The stores of tokenstore.asyncio.

A store's methods build an operation and pass it to the driver: ``return self._driver.run(op)``. The driver here
returns an awaitable, so the same methods are used, each wrapped in a coroutine function of its name: an invalid
argument then raises where the call is awaited. Only methods that use a result before they return are rewritten,
and the most frequent ones, which saves a tenth of their time. Type checkers read ``_stores.pyi``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import tokenstore
from tokenstore import redis_jwt
from tokenstore._closing import AsyncClosing
from tokenstore._request import request_of
from tokenstore._store import Store
from tokenstore._types import AsyncClientOptions, Duration, Id, Name, Presented
from tokenstore.asyncio._client import Client
from tokenstore.asyncio._events import SessionCallbacks, SessionEvents

if TYPE_CHECKING:
    from tokenstore.session_events import Callback
    from tokenstore.values import Session, Token

__all__ = [
    "Calls",
    "RedisJWT",
    "RedisJwt",
    "RedisTokens",
    "Sessions",
    "SpotsSessions",
    "Tokenstore",
]


def awaited(method: Callable[..., Any]) -> Callable[..., Any]:
    """The coroutine function of a method that returns an awaitable."""

    @functools.wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await method(self, *args, **kwargs)

    return call


def await_all(cls: type, blocking: type, *but: str) -> None:
    """Adds to `cls` awaitable versions of the public methods of `blocking` that it does not define."""
    made: dict[Any, Any] = {}  # keeps aliases identical
    for name, method in vars(blocking).items():
        if inspect.isfunction(method) and not name.startswith("_") and name not in but:
            again = made.get(method) or vars(cls).get(name) or awaited(method)
            made[method] = again
            setattr(cls, name, again)


class AsyncStore(Store, AsyncClosing):
    """A client, closed with the store unless it is shared."""

    _module = "tokenstore.asyncio"
    _client_type = Client
    _client_options = AsyncClientOptions

    async def aclose(self) -> None:
        """Close the client, unless it was passed in. May be called twice."""
        if self._owns_client:
            await self._client.aclose()

    def close(self) -> None:
        raise TypeError(f"this {type(self).__name__} must be closed with: await store.aclose()")

    def __enter__(self) -> Any:
        raise TypeError(f"this {type(self).__name__} must be used with: async with")


class RedisTokens(tokenstore.RedisTokens, AsyncStore):
    __doc__ = tokenstore.RedisTokens.__doc__

    async def get(
        self,
        app: Name,
        type: Name,
        token: Presented,
        refresh: Duration | bool | None = None,
        expiry: bool = False,
        fresh: bool = False,
    ) -> Token | None:
        """Find a token: None if there is none. One round trip.

        ``refresh`` slides the expiry: the token lives at least this long from now (``max_age`` permitting),
        written at most once per ``touch_interval``; with True, as long as its own ``idle``, and one without
        ``idle`` is unchanged. It never shortens: a token that lives longer, or has no
        expiry, is unchanged. If the server cannot write (a replica, full memory …) the token is returned with
        the expiry it has. ``expiry=True`` fills in ``expires_at``. With a ``near_cache``, ``fresh=True`` asks the server
        all the same.

        A token that was rotated finds the new one while its grace lasts, with ``superseded`` set, in one more round
        trip; all calls with a token do. After it, None, or :class:`TokenReusedError` (``reuse``).
        """
        return await self._driver.run(self._ops.get(app, type, token, refresh, expiry, fresh))


class Sessions(tokenstore.Sessions, AsyncStore):
    __doc__ = tokenstore.Sessions.__doc__

    async def get(
        self,
        app: Name,
        token: Presented,
        refresh: Duration | bool | None = None,
        expiry: bool = False,
        fresh: bool = False,
    ) -> Session | None:
        """Find a session: None if there is none. One round trip.

        ``refresh`` slides the expiry to this long from now, with True by the session's own ``idle``, and never
        shortens it; ``expiry=True`` fills in ``expires_at``. A token in its grace finds the session, with
        ``superseded`` set. With a ``near_cache``, ``fresh=True`` asks the server all the same. See
        :meth:`RedisTokens.get`.
        """
        return await self._driver.run(self._ops.get(app, token, refresh, expiry, fresh))

    async def create(
        self,
        app: Name,
        owner_id: Name | None = None,
        data: dict[str, Any] | None = None,
        duration: Duration | None = None,
        *,
        idle: Duration | None = None,
        request: Any = None,
    ) -> str:
        """Start a session; returns the token for the user. No duration: no expiry.

        Without an ``owner_id`` it is anonymous. ``idle`` and ``request`` as in :meth:`RedisTokens.create`.
        """
        op = self._ops.create(app, owner_id, data, duration, idle, request_of(request))
        return (await self._driver.run(op)).token

    async def update(
        self,
        app: Name,
        token: Presented,
        data: dict[str, Any] | None = None,
        unset: Iterable[str] | None = None,
        keep_null: bool = False,
        replace: bool = False,
        expect: dict[str, Any] | None = None,
        refresh: Duration | bool | None = None,
    ) -> bool:
        """Set top-level fields of the session's data: None deletes a field, the rest is set.

        True if the session was found. The expiry is unchanged. ``unset``, ``keep_null``, ``replace``,
        ``expect`` and ``refresh`` as in :meth:`RedisTokens.update`.
        """
        op = self._ops.update(app, token, data, unset, keep_null, replace, expect, refresh)
        return await self._driver.run(op) is not None

    async def update_by_id(
        self,
        app: Name,
        owner_id: Name,
        id: Id,
        data: dict[str, Any] | None = None,
        unset: Iterable[str] | None = None,
        keep_null: bool = False,
        replace: bool = False,
        expect: dict[str, Any] | None = None,
        refresh: Duration | bool | None = None,
    ) -> bool:
        """As :meth:`update`, for the user's session with this ``id`` of a listing: no token is needed."""
        op = self._ops.update_by_id(
            app, owner_id, id, data, unset, keep_null, replace, expect, refresh
        )
        return await self._driver.run(op) is not None

    async def kill_all(
        self, app: Name, owner_id: Name, keep: Presented = None, *, wait_replicas: int = 0
    ) -> bool:
        """End all sessions of this user. True if there were any.

        ``keep`` is a token or an id of this user that stays: log out the others. If it is not live, or None,
        all are ended.
        """
        return await self._driver.run(self._ops.kill_all(app, owner_id, keep, wait_replicas)) > 0

    async def rotate(
        self,
        app: Name,
        token: Presented,
        duration: Duration | None = None,
        *,
        grace: Duration | None = None,
        owner_id: Name | None = None,
        data: dict[str, Any] | None = None,
    ) -> str | None:
        """Give the session a new token, at a login for instance; the old one is invalid at once.

        Returns the new token, None if there is no such session. The remaining time is kept, or is ``duration``
        from now. ``grace``, ``owner_id`` and ``data`` as in :meth:`RedisTokens.rotate`.
        """
        session = await self._driver.run(
            self._ops.rotate(app, token, duration, grace, owner_id, data)
        )
        return None if session is None else session.token


SpotsSessions = Sessions


class Tokenstore(tokenstore.Tokenstore, AsyncStore):
    __doc__ = tokenstore.Tokenstore.__doc__

    async def quit(self) -> None:
        """The Node package's name of :meth:`aclose`."""
        await self.aclose()


class RedisJWT(tokenstore.RedisJWT, AsyncStore):
    __doc__ = tokenstore.RedisJWT.__doc__

    async def verify(self, token: Presented, value_session: bool = False) -> dict[str, Any]:
        """The contents of the token and its session: ``{id, rjwt, ttl, iat, dataToken?, dataSession?}``.

        ``rjwt`` is the session's key, ``ttl`` its seconds (-1: no expiry). ``dataSession`` is there
        with ``value_session=True``, if the session has data. One round trip. Raises :class:`InvalidTokenError`
        if the signature, the format or the session is not valid.
        """
        return await self._driver.run(self._ops.verify(token, value_session))

    def events(self, *, keepalive: Duration = 15) -> SessionEvents:
        """Session events: an async iterator, on a separate connection.

        ``async with sessions.events() as events: async for event in events: …``
        """
        return SessionEvents(self._client, kea=self._kea, keepalive=keepalive)

    async def on(self, kind: str, callback: Callback) -> None:
        """Call ``callback(event)``, in this loop, when a session ends.

        ``kind`` is ``"expired"``, ``"del"`` or ``"gap"``. An awaitable result is awaited. Once this returns, no
        event is missed without a ``"gap"``. It ends with :meth:`aclose`.
        """
        if self._called is None:
            self._called = SessionCallbacks(self.events())
        await self._called.on(kind, callback)

    async def off(self, kind: str, callback: Callback) -> None:
        """Undo one :meth:`on`; no effect if there was none."""
        if self._called is not None:
            self._called.off(kind, callback)

    async def aclose(self) -> None:
        """Stop the callbacks, and close the client, unless it was passed in. May be called twice."""
        if self._called is not None:
            await self._called.aclose()
        await super().aclose()

    close = AsyncStore.close
    _called: SessionCallbacks | None = None

    def call(self) -> Calls:
        """The Node package's helpers, as awaitables."""
        return Calls(self)


class Calls(redis_jwt.Calls):
    __doc__ = redis_jwt.Calls.__doc__


RedisJwt = RedisJWT

await_all(RedisTokens, tokenstore.RedisTokens)
await_all(Sessions, tokenstore.Sessions)
await_all(Tokenstore, tokenstore.Tokenstore)
await_all(RedisJWT, tokenstore.RedisJWT, "exec", "call", "events", "close")
await_all(Calls, redis_jwt.Calls)
setattr(Tokenstore, "del", Tokenstore.delete)
