"""Opaque tokens with an owner and data."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
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
    NewToken,
    Pepper,
    Presented,
    Reuse,
    Text,
    WhenFull,
)
from tokenstore.values import Token

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["RedisTokens"]


class RedisTokens(Store):
    """Tokens for any purpose: sessions, API keys, password resets, invitations.

    ::

        tokens = tokenstore.RedisTokens("redis://localhost:6379")
        token = tokens.create(app="web", type="login", owner="bob", data={"role": "admin"},
                              duration=3600)
        found = tokens.get(app="web", type="login", token=token.token)

    ``redis`` is a URL, a :class:`Client` to share, or None: then ``$TOKENSTORE_URL``, else
    ``redis://localhost:6379``. Options of :class:`Client` may be given here too, unless a Client
    is. A Client that is passed in stays open when the store is closed.

    Redis never sees a token, only a digest of it; so a dump of the database, MONITOR or the slow log reveals
    none. Threads may share a store.

    Options:

    ``prefix``
        prefix of the keys in Redis; stores with different prefixes share nothing
    ``token_size``
        bytes of randomness in a token: 16 … 256
    ``token_encoding``
        their encoding: ``"base64url"``, ``"base64"`` or ``"hex"``
    ``pepper``
        16 … 64 bytes that key the digest: without them, tokens cannot be checked against a
        stolen database. All stores that share tokens need the same one. To replace it, a list: the first makes
        tokens, each finds them; at most 8.
    ``max_age``
        no token lives longer than this after its creation, however it is refreshed, even if it was created
        before the store had a ``max_age``
    ``touch_interval``
        with ``get(refresh=…)``: at most one write per interval (default: the lesser of 60 s and a
        tenth of the duration; 0 writes every time)
    ``max_per_owner``
        live tokens of one (app, type, owner): what create does beyond it says ``when_full``
    ``when_full``
        ``"oldest"``: create ends the oldest; ``"idle"``: the one that was not used for the longest time;
        ``"refuse"``: it raises :class:`LimitError`
    ``reuse``
        ``"revoke"``: a token that was rotated and is presented after its grace ends what became of it, and raises
        :class:`TokenReusedError` (:meth:`get_many` does not find it). ``"ignore"``: it is not found
    ``reuse_window``
        with ``reuse="revoke"``: seconds after a rotation in which that is known, default a day
    ``max_data_size``
        bytes of the data as JSON (default 64 KiB)
    ``wait_replicas``
        a change counts as done when so many replicas have it; else it raises :class:`NotReplicatedError`
    ``wait_fsync``
        … when it is on the disk of the primary, and of ``wait_replicas`` replicas (Redis 7.2)
    ``wait_timeout``
        seconds to wait for that (default 1): less than the client's ``timeout``

    Everywhere: ``app``, ``type`` and ``owner`` are str (stored as UTF-8), bytes, int or
    :class:`uuid.UUID` (stored as their text), not empty, up to 1024 bytes, without NUL. A presented token is
    str, bytes or None; None, a missing cookie, is not found. Durations are seconds or a timedelta, from 1 s to
    ten years; None means no expiry. ``data`` is a dict that JSON represents exactly – anything that would be
    read back changed is rejected with a :class:`DataError` that names the path.
    """

    def __init__(
        self,
        redis: Redis = None,
        *,
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
        self._ops = _core.redis_tokens(
            Token,
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
        super().__init__(redis, **client_options)
        self._ops.store.use(self._client._core)
        self._prefix = prefix

    def create(
        self,
        app: Name,
        type: Name,
        owner: Name | None = None,
        data: dict[str, Any] | None = None,
        duration: Duration | None = None,
        custom_token: Text | None = None,
        *,
        idle: Duration | None = None,
        request: Any = None,
    ) -> Token:
        """Create a token; its secret is in ``.token`` of the result, and nowhere else.

        Without an ``owner`` it is anonymous: no listing has it. An owner who has ``max_per_owner`` live tokens
        loses one, or this raises :class:`LimitError`: ``when_full``. ``custom_token`` is stored instead of a
        random one; one already in use (of this app and type) raises :class:`DataError`.

        With ``idle`` the token ends when it was not used for so long, and at ``duration`` after its creation at
        the latest; ``get(refresh=True)`` counts as a use. ``request`` is kept beside the data, and shown by
        :meth:`list`: a WSGI environ, an ASGI scope, a request object of Flask, Django, Starlette or FastAPI, or
        a mapping with ``address`` and ``user_agent``. 256 bytes are kept of each.
        """
        return self._driver.run(
            self._ops.create(
                app, type, owner, data, duration, custom_token, idle, request_of(request)
            )
        )

    def get(
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
        return self._driver.run(self._ops.get(app, type, token, refresh, expiry, fresh))

    def get_by_id(self, app: Name, type: Name, owner: Name, id: Id) -> Token | None:
        """Find the owner's token with this ``id`` or ``sid`` of a listing: without the secret, with ``expires_at``."""
        return self._driver.run(self._ops.get_by_id(app, type, owner, id))

    def refresh(self, app: Name, type: Name, token: Presented, duration: Duration) -> bool:
        """Let the token expire ``duration`` from now, earlier or later than before (``max_age`` permitting).

        False if there is no such token.
        """
        return self._driver.run(self._ops.refresh(app, type, token, duration))

    def update(
        self,
        app: Name,
        type: Name,
        token: Presented,
        data: dict[str, Any] | None = None,
        unset: Iterable[str] | None = None,
        keep_null: bool = False,
        replace: bool = False,
        expect: dict[str, Any] | None = None,
        refresh: Duration | bool | None = None,
    ) -> Token | None:
        """Set fields of the token's data and return it with all of them; None if not found.

        Only top-level fields named in ``data`` change: None deletes the field,
        :data:`tokenstore.UNSET` leaves it unchanged. Concurrent updates of different fields are all kept. The
        expiry is unchanged. All in one step:

        ``unset``
            names of further fields to delete
        ``keep_null``
            None is stored instead of deleting the field
        ``replace``
            ``data`` becomes the whole data, exactly
        ``expect``
            fields and what they must be now – UNSET: absent –, or nothing is changed and
            :class:`ConflictError` is raised. Numbers are compared by value, dicts in any order. If the
            answer is lost (:class:`OutcomeUnknownError`) and the call is repeated, a ConflictError may be due
            to the first one
        ``refresh``
            slide the expiry as :meth:`get` does – with True by the token's own ``idle`` –, at every call; fills
            in ``expires_at``

        A field in both ``data`` and ``unset``, or ``unset`` with ``replace``, is a :class:`DataError`.
        """
        return self._driver.run(
            self._ops.update(app, type, token, data, unset, keep_null, replace, expect, refresh)
        )

    def update_by_id(
        self,
        app: Name,
        type: Name,
        owner: Name,
        id: Id,
        data: dict[str, Any] | None = None,
        unset: Iterable[str] | None = None,
        keep_null: bool = False,
        replace: bool = False,
        expect: dict[str, Any] | None = None,
        refresh: Duration | bool | None = None,
    ) -> Token | None:
        """As :meth:`update`, for the owner's token with this ``id`` of a listing: its secret is not needed.

        The result is without the secret, too.
        """
        return self._driver.run(
            self._ops.update_by_id(
                app, type, owner, id, data, unset, keep_null, replace, expect, refresh
            )
        )

    def update_all(self, app: Name, type: Name, owner: Name, data: dict[str, Any]) -> int:
        """Set fields in the data of all live tokens of this owner, as :meth:`update` does; how many there are.

        All in one step, or none: if the data of one would be too large, :class:`DataError` is raised. Their
        expiries are unchanged. Unreadable records are skipped, with a warning in the log; if there is nothing
        else, it raises :class:`DataError`.
        """
        return self._driver.run(self._ops.update_all(app, type, owner, data))

    def take(self, app: Name, type: Name, token: Presented) -> Token | None:
        """Find the token and end it: exactly one caller gets it, all others None.

        For magic links and one-time codes. It is never sent twice: if the answer is lost, that is an
        :class:`OutcomeUnknownError`, and the token may be gone.
        """
        return self._driver.run(self._ops.take(app, type, token))

    def delete(self, app: Name, type: Name, token: Presented, *, wait_replicas: int = 0) -> bool:
        """End the token. True if it was live; False if there was no such token.

        ``wait_replicas``, here and below: at least so many replicas, if the store has fewer.
        """
        return self._driver.run(self._ops.delete(app, type, token, wait_replicas))

    def delete_all(
        self,
        app: Name,
        type: Name,
        owner: Name,
        keep: Presented = None,
        *,
        wait_replicas: int = 0,
    ) -> int:
        """End all tokens of this owner; how many were live (of more than 10 000, how many there were).

        ``keep`` is a token or an id of this owner that stays and is not counted: log out the others. If it is
        not live, or None, all are ended.
        """
        return self._driver.run(self._ops.delete_all(app, type, owner, keep, wait_replicas))

    def delete_by_id(
        self, app: Name, type: Name, owner: Name, id: Id, *, wait_replicas: int = 0
    ) -> bool:
        """End the token with this ``id`` of a listing. True if it was live."""
        return self._driver.run(self._ops.delete_by_id(app, type, owner, id, wait_replicas))

    def count(self, app: Name, type: Name, owner: Name) -> int:
        """How many live tokens this owner has."""
        return self._driver.run(self._ops.count(app, type, owner))

    def list(
        self,
        app: Name,
        type: Name,
        owner: Name,
        limit: int | None = None,
        after: Id | None = None,
    ) -> list[Token]:
        """The owner's live tokens, newest first, without the secrets, with ``expires_at``.

        In pages: ``limit`` is the maximum size of a page, and ``after`` the ``id`` of the last token of the
        previous one. Tokens created in the meantime do not shift the pages. An ``after`` that has ended raises
        :class:`DataError`: start again. A list larger than ``max_reply_size`` raises :class:`LimitError`.
        Unreadable records are skipped, with a warning in the log; if there is nothing else, it raises
        :class:`DataError`.
        """
        return self._driver.run(self._ops.list(app, type, owner, limit, after))

    def rotate(
        self,
        app: Name,
        type: Name,
        token: Presented,
        duration: Duration | None = None,
        *,
        grace: Duration | None = None,
        owner: Name | None = None,
        data: dict[str, Any] | None = None,
    ) -> Token | None:
        """Replace the secret: a new token with the same data and ``sid``. None if there is no such token.

        The remaining time is kept, or is ``duration`` from now. The old token is invalid at once; of two racing
        callers one gets the new token. With ``grace``, for so many seconds the old token still finds the new one, with
        ``superseded`` set, and to rotate it again gives the very same new token: parallel requests, and one whose answer was
        lost, all end at one token.

        ``owner`` makes an anonymous token this owner's, at a login: created now, and without a grace; a token of
        another owner raises :class:`DataError`. ``data`` is set as in :meth:`update`. ``max_per_owner`` counts as in :meth:`create`.
        """
        return self._driver.run(self._ops.rotate(app, type, token, duration, grace, owner, data))

    def create_many(self, tokens: Iterable[Mapping[str, Any]]) -> builtins.list[Token]:
        """Create many at once: each item is a mapping with the arguments of :meth:`create`.

        Returns the tokens in order. All or nothing: if one cannot be created, none is kept.
        """
        if not isinstance(tokens, Iterable):
            raise TypeError(f"tokens must be an iterable of mappings, not {type(tokens).__name__}")
        items = [_new_token(number, item) for number, item in enumerate(tokens)]
        return self._driver.run(self._ops.create_many(items))

    def get_many(
        self, app: Name, type: Name, tokens: Iterable[Presented], fresh: bool = False
    ) -> builtins.list[Token | None]:
        """Find many at once: a list in the given order, None where there is no such token. ``fresh`` as in
        :meth:`get`."""
        return self._driver.run(self._ops.get_many(app, type, tokens, fresh))

    deleteAll = delete_all
    deleteById = delete_by_id
    getById = get_by_id
    updateById = update_by_id
    updateAll = update_all
    createMany = create_many
    getMany = get_many


_NEEDED = ("app", "type")
_OPTIONAL = ("owner", "data", "duration", "custom_token", "idle", "request")


def _new_token(number: int, item: Mapping[str, Any]) -> NewToken:
    if not isinstance(item, Mapping):
        raise TypeError(f"tokens[{number}] must be a mapping, not {type(item).__name__}")
    for name in item:
        if name not in _NEEDED and name not in _OPTIONAL:
            raise TypeError(f"tokens[{number}] has {name!r}, which create does not take")
    for name in _NEEDED:
        if name not in item:
            raise TypeError(f"tokens[{number}]: {name!r} is missing")
    get = item.get
    return (
        item["app"],
        item["type"],
        get("owner"),
        get("data"),
        get("duration"),
        get("custom_token"),
        get("idle"),
        request_of(get("request")),
    )
