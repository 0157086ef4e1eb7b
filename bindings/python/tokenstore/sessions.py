"""Login sessions: RedisTokens with the vocabulary of sessions."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tokenstore import _core
from tokenstore._request import request_of
from tokenstore._store import Redis, Store
from tokenstore._types import (
    ClientOptions,
    Duration,
    Encoding,
    Id,
    Name,
    Pepper,
    Presented,
    Reuse,
    Text,
    WhenFull,
)
from tokenstore.errors import ConfigurationError
from tokenstore.values import Session

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Sessions", "SpotsSessions"]


class Sessions(Store):
    """Login sessions of an application's users.

    ::

        sessions = tokenstore.Sessions("redis://localhost:6379")
        token = sessions.create(app="web", owner_id="bob", data={"role": "admin"}, duration=3600)
        session = sessions.get(app="web", token=token, refresh=3600)

    ``redis`` (also called ``connection_string``) and all other options are those of
    :class:`RedisTokens`. A session is a token of type ``"session"``: with the same prefix and pepper, both
    classes see the same sessions.
    """

    def __init__(
        self,
        redis: Redis = None,
        *,
        connection_string: Redis = None,
        prefix: Text = "ts",
        token_size: int = 32,
        token_encoding: Encoding = "base64url",
        pepper: Pepper | None = None,
        max_age: Duration | None = None,
        touch_interval: Duration | None = None,
        max_per_owner: int | None = None,
        when_full: WhenFull = "oldest",
        reuse: Reuse = "ignore",
        reuse_window: Duration | None = None,
        max_data_size: int = 65536,
        wait_replicas: int = 0,
        wait_fsync: bool = False,
        wait_timeout: Duration = 1,
        **client_options: Unpack[ClientOptions],
    ) -> None:
        if redis is not None and connection_string is not None:
            raise ConfigurationError(
                "redis and connection_string are the same option: give only one"
            )
        self._ops = _core.sessions(
            Session,
            prefix=prefix,
            token_size=token_size,
            token_encoding=token_encoding,
            pepper=pepper,
            max_age=max_age,
            touch_interval=touch_interval,
            max_per_owner=max_per_owner,
            when_full=when_full,
            reuse=reuse,
            reuse_window=reuse_window,
            max_data_size=max_data_size,
            wait_replicas=wait_replicas,
            wait_fsync=wait_fsync,
            wait_timeout=wait_timeout,
        )
        super().__init__(connection_string if redis is None else redis, **client_options)
        self._ops.store.use(self._client._core)

    def create(
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
        return self._driver.run(op).token

    def get(
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
        return self._driver.run(self._ops.get(app, token, refresh, expiry, fresh))

    def get_by_id(self, app: Name, owner_id: Name, id: Id) -> Session | None:
        """Find the user's session with this ``id`` or ``sid`` of a listing: without the token, with ``expires_at``."""
        return self._driver.run(self._ops.get_by_id(app, owner_id, id))

    def refresh(self, app: Name, token: Presented, duration: Duration) -> bool:
        """Let the session expire ``duration`` from now, earlier or later than before. False if there is
        none."""
        return self._driver.run(self._ops.refresh(app, token, duration))

    def update(
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
        return self._driver.run(op) is not None

    def update_by_id(
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
        return self._driver.run(op) is not None

    def update_all(self, app: Name, owner_id: Name, data: dict[str, Any]) -> int:
        """Set fields in the data of all live sessions of this user, in one step; how many there are.

        See :meth:`RedisTokens.update_all`.
        """
        return self._driver.run(self._ops.update_all(app, owner_id, data))

    def take(self, app: Name, token: Presented) -> Session | None:
        """Find the session and end it: exactly one caller gets it, all others None.

        See :meth:`RedisTokens.take`.
        """
        return self._driver.run(self._ops.take(app, token))

    def kill(self, app: Name, token: Presented, *, wait_replicas: int = 0) -> bool:
        """End the session. True if it was live.

        ``wait_replicas``, here and below: at least so many replicas, if the store has fewer.
        """
        return self._driver.run(self._ops.kill(app, token, wait_replicas))

    def kill_all(
        self, app: Name, owner_id: Name, keep: Presented = None, *, wait_replicas: int = 0
    ) -> bool:
        """End all sessions of this user. True if there were any.

        ``keep`` is a token or an id of this user that stays: log out the others. If it is not live, or None,
        all are ended.
        """
        return self._driver.run(self._ops.kill_all(app, owner_id, keep, wait_replicas)) > 0

    def kill_by_id(self, app: Name, owner_id: Name, id: Id, *, wait_replicas: int = 0) -> bool:
        """End the session with this ``id`` of a listing. True if it was live."""
        return self._driver.run(self._ops.kill_by_id(app, owner_id, id, wait_replicas))

    def count(self, app: Name, owner_id: Name) -> int:
        """How many live sessions this user has."""
        return self._driver.run(self._ops.count(app, owner_id))

    def list(
        self,
        app: Name,
        owner_id: Name,
        limit: int | None = None,
        after: Id | None = None,
    ) -> builtins.list[Session]:
        """The user's live sessions, newest first, without the tokens, with ``expires_at``.

        In pages as :meth:`RedisTokens.list`: at most ``limit``, following the one whose id is ``after``;
        unreadable records are skipped as there.
        """
        return self._driver.run(self._ops.list(app, owner_id, limit, after))

    def rotate(
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
        session = self._driver.run(self._ops.rotate(app, token, duration, grace, owner_id, data))
        return None if session is None else session.token

    def get_many(
        self, app: Name, tokens: Iterable[Presented], fresh: bool = False
    ) -> builtins.list[Session | None]:
        """Find many at once: a list in the order asked, None where there is no such session. ``fresh`` as in
        :meth:`get`."""
        return self._driver.run(self._ops.get_many(app, tokens, fresh))

    getMany = get_many
    killAll = kill_all
    killById = kill_by_id
    getById = get_by_id
    updateById = update_by_id
    updateAll = update_all


SpotsSessions = Sessions
