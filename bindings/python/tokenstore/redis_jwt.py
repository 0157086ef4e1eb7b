"""Signed tokens with sessions in Redis, in the format of the Node package redis-jwt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Union

from tokenstore import _core, _options
from tokenstore._request import request_of
from tokenstore._store import Redis, Store
from tokenstore._types import ClientOptions, Duration, Name, Presented, Text
from tokenstore.client import Client
from tokenstore.errors import ConfigurationError, DataError
from tokenstore.jwt import Key
from tokenstore.session_events import Callback, SessionCallbacks, SessionEvents

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Calls", "RedisJWT"]

Ttl = Union[Duration, str, None]
"""Seconds, a timedelta, or a text such as "15 minutes"; None: no expiry."""

Secret = Union[Text, Key, "list[Key]", "tuple[Key, ...]", None]


class RedisJWT(Store):
    """The client holds a JWT, Redis its session: the token is valid while the session is live.

    ::

        sessions = tokenstore.RedisJWT("redis://localhost:6379", secret=os.environ["JWT_SECRET"])
        token = sessions.sign("507f191e", ttl="15 minutes", data_session={"role": "admin"})
        session = sessions.verify(token, value_session=True)
        session["id"], session["ttl"], session["dataSession"]

    The format is that of the Node package redis-jwt 1.4.0, so both can share a database. Otherwise
    :class:`Sessions` is the better choice: its tokens are shorter and cheaper to check, and Redis never sees
    them.

    ``redis`` is a URL, a :class:`Client` to share, or None: then ``$TOKENSTORE_URL``, else
    ``redis://localhost:6379``. Options of :class:`Client` may be given here too, unless a Client is.
    Instead of ``redis``, the Node package's ``host`` (a path is a unix socket), ``port``, ``db`` and
    ``auth`` may be given; its ``maxretries`` is accepted and ignored, since ``timeout`` limits retries. Threads
    may share an object.

    A user's ``id`` is str, bytes, int or :class:`uuid.UUID`. A token or key that is None is not valid.

    Options:

    ``secret``
        a secret of at least 32 bytes, a :class:`tokenstore.jwt.Key`, or a list of keys: the first
        signs, all verify, so that keys can be changed without ending sessions
    ``algorithm``
        used for signing, and the only one accepted
    ``multiple``
        False: a user has one session, and signing ends the others. True: any number.
    ``max_sessions``
        at most this many instead; signing ends the oldest beyond it
    ``node_writers``
        the Node package signs into the same database: operations on all of a user's sessions find them by SCAN,
        which costs O(all keys). Without it, they find them once :meth:`reindex` has run.
    ``kea``
        enable session events on the server (CONFIG SET notify-keyspace-events), for :meth:`events` and
        :meth:`on`
    ``max_data_size``
        bytes of the data as JSON (default 64 KiB)
    ``max_size``
        bytes of a token (default 8 KiB, up to 1 MiB)
    ``wait_replicas``, ``wait_fsync``, ``wait_timeout``
        as of :class:`RedisTokens`
    """

    def __init__(
        self,
        redis: Redis = None,
        *,
        secret: Secret = None,
        multiple: bool = False,
        kea: bool = False,
        max_sessions: int | None = None,
        algorithm: str = "HS256",
        node_writers: bool = False,
        max_data_size: int = 65536,
        max_size: int = 8192,
        wait_replicas: int = 0,
        wait_fsync: bool = False,
        wait_timeout: Duration = 1,
        host: str | None = None,
        port: int | None = None,
        auth: str | None = None,
        maxretries: int | None = None,
        **client_options: Unpack[ClientOptions],
    ) -> None:
        _options.whole("maxretries", maxretries)
        self._ops = _core.redis_jwt(
            secret=_keys(secret),
            algorithm=algorithm,
            max_sessions=_most(multiple, max_sessions),
            node_writers=bool(node_writers),
            max_data_size=max_data_size,
            max_size=max_size,
            wait_replicas=wait_replicas,
            wait_fsync=wait_fsync,
            wait_timeout=wait_timeout,
        )
        super().__init__(_target(redis, host, port, auth), **client_options)
        self._kea = bool(kea)
        self._callbacks: SessionCallbacks | None = None

    def sign(
        self,
        id: Name,
        ttl: Ttl = None,
        data_token: dict[str, Any] | None = None,
        data_session: dict[str, Any] | None = None,
    ) -> str:
        """Start a session of the user ``id`` and return its token.

        ``data_token`` is in the token, readable by every holder; ``data_session`` stays in Redis. Of two racing
        logins of a user who may have one session exactly one survives.

        On a server that evicts keys, the user's other sessions are found by SCAN if there are at most 100 000
        keys; with more, some may be missed. A warning in the log says which.
        """
        return self._driver.run(self._ops.sign(id, ttl, data_token, data_session))

    def create(
        self,
        id: Name,
        data: dict[str, Any] | None = None,
        ttl: Ttl = None,
        request: Mapping[str, Any] | None = None,
    ) -> str:
        """:meth:`sign` with ``data`` as the session's data, plus the client.

        ``request`` is a WSGI environ, an ASGI scope, or a mapping with ``address`` and
        ``user_agent``; both are kept in the session's data as ``request``. Bytes that are not UTF-8
        are read as Latin-1.
        """
        if data is not None and not isinstance(data, dict):
            raise TypeError(f"data must be a dict, not {type(data).__name__}")
        if request is not None:
            if data is not None and "request" in data:
                raise DataError(
                    "data has a member named request, which is reserved for the client's address and user agent"
                )
            data = {**(data or {}), "request": request_of(request)}
        return self._driver.run(self._ops.sign(id, ttl, None, data))

    def verify(self, token: Presented, value_session: bool = False) -> dict[str, Any]:
        """The contents of the token and its session: ``{id, rjwt, ttl, iat, dataToken?, dataSession?}``.

        ``rjwt`` is the session's key, ``ttl`` its seconds (-1: no expiry). ``dataSession`` is there
        with ``value_session=True``, if the session has data. One round trip. Raises :class:`InvalidTokenError`
        if the signature, the format or the session is not valid.
        """
        return self._driver.run(self._ops.verify(token, value_session))

    def list(self, id: Name) -> list[dict[str, Any]]:
        """The user's live sessions, newest first: ``{id, rjwt, ttl, dataSession?}`` each."""
        return self._driver.run(self._ops.list(id))

    def destroy(self, rjwt: Presented, *, wait_replicas: int = 0) -> bool:
        """End the session with this key (``verify(token)["rjwt"]``). True if it was live.

        ``wait_replicas``, here and below: at least so many replicas, if the store has fewer.
        """
        return self._driver.run(self._ops.destroy(rjwt, wait_replicas))

    def destroy_multiple(self, id: Name, *, wait_replicas: int = 0) -> int:
        """End all sessions of the user: "log out everywhere". How many were live.

        On a server that evicts keys it finds them by SCAN over all keys, and logs a warning.
        """
        return self._driver.run(self._ops.destroy_multiple(id, wait_replicas))

    def reindex(self, timeout: Duration | None = None) -> int:
        """Add sessions that the Node package wrote to their user's index; how many.

        By SCAN over all keys, in batches, while others work: a large database needs a longer
        ``timeout`` than the client's. Safe to repeat.
        """
        return self._driver.run(self._ops.reindex(), timeout)

    def events(self, *, keepalive: Duration = 15) -> SessionEvents:
        """Listen to session events, from now on, on a separate connection.

        ``for event in sessions.events()``: ``event.kind`` is ``"expired"``, ``"del"``, or ``"gap"`` after a
        lost connection. Guarantees: ``docs/reference/session-events.md``.
        """
        return SessionEvents(self._client, kea=self._kea, keepalive=keepalive)

    def on(self, kind: str, callback: Callback) -> None:
        """Call ``callback(event)``, in a separate thread, when a session ends.

        ``kind`` is ``"expired"``, ``"del"`` or ``"gap"``. Once this returns, no event is missed without a
        ``"gap"``. The thread ends with :meth:`close`.
        """
        if self._callbacks is None:
            client, kea = self._client, self._kea  # not self: keep no reference to it
            self._callbacks = SessionCallbacks(lambda: SessionEvents(client, kea=kea))
        self._callbacks.on(kind, callback)

    def off(self, kind: str, callback: Callback) -> None:
        """Undo one :meth:`on`; no effect if there was none."""
        if self._callbacks is not None:
            self._callbacks.off(kind, callback)

    def close(self) -> None:
        """Stop the callbacks, and close the client, unless it was passed in. May be called twice."""
        if self._callbacks is not None:
            self._callbacks.close()
        super().close()

    def exec(self) -> Client:
        """The raw :class:`Client`: ``sessions.exec().execute("PING")``."""
        return self._client

    def call(self) -> Calls:
        """The Node package's helpers."""
        return Calls(self)

    destroyMultiple = destroy_multiple


class Calls:
    """The helpers of redis-jwt's ``call()``. Their pattern is the user's id, literally.

    A key is ``<id>:<11 letters or digits>``; any other is not found, whatever Redis has there.
    """

    def __init__(self, sessions: RedisJWT) -> None:
        self._driver = sessions._driver
        self._ops = sessions._ops

    def ping(self) -> str:
        """``"PONG"``."""
        return self._driver.run(self._ops.ping())

    def create(self, key: Text, value: Text, ttl: Ttl = None) -> bool:
        """Store ``value`` as the session ``key``; the user's others end as with ``sign``. True."""
        return self._driver.run(self._ops.put(key, value, ttl))

    def exists(self, key: Presented) -> bool:
        """True if there is such a session."""
        return self._driver.run(self._ops.exists(key))

    def ttl(self, key: Presented) -> int:
        """The remaining seconds; -1: no expiry, -2: no such session."""
        return self._driver.run(self._ops.ttl(key))

    def get_value_by_key(self, key: Presented) -> str | None:
        """The stored value, as JSON text; None if there is no such session."""
        return self._driver.run(self._ops.get_value(key))

    def get_values_by_pattern(self, pattern: Name) -> list[str]:
        """The stored value of each session of the user, as JSON texts."""
        return self._driver.run(self._ops.get_values(pattern))

    def get_count_by_pattern(self, pattern: Name) -> int:
        """How many sessions the user has."""
        return self._driver.run(self._ops.count(pattern))

    def get_info(self, section: Text = "") -> Any:
        """Redis' INFO on ``section`` as text, of a cluster that of any node; for ``"DBSIZE"`` the number of keys."""
        return self._driver.run(self._ops.get_info(section))

    def destroy(self, key: Presented, *, wait_replicas: int = 0) -> bool:
        """End the session. True if it was live."""
        return self._driver.run(self._ops.destroy(key, wait_replicas))

    def destroy_multiple(self, key: Name, *, wait_replicas: int = 0) -> int:
        """End all sessions of the user; how many were live."""
        return self._driver.run(self._ops.destroy_multiple(key, wait_replicas))

    getValueByKey = get_value_by_key
    getValuesByPattern = get_values_by_pattern
    getCountByPattern = get_count_by_pattern
    getInfo = get_info
    destroyMultiple = destroy_multiple


def _keys(secret: Secret) -> tuple[Key, ...]:
    if secret is None:
        return ()  # the core reports what is missing
    if isinstance(secret, Key):
        return (secret,)
    if isinstance(secret, (str, bytes)):
        return (Key.from_secret(secret),)
    if isinstance(secret, (list, tuple)):
        return tuple(secret)
    raise TypeError(f"secret must be str, bytes, a Key or a list of Keys, not {type(secret).__name__}")


def _most(multiple: bool, max_sessions: int | None) -> int | None:
    if multiple and max_sessions is not None:
        raise ConfigurationError("give either multiple=True or max_sessions, not both")
    return max_sessions if multiple or max_sessions is not None else 1


def _target(redis: Redis, host: str | None, port: int | None, auth: str | None) -> Redis:
    """The URL for the Node package's options."""
    host, port, auth = _options.text("host", host), _options.whole("port", port), _options.text("auth", auth)
    if host is None and port is None and auth is None:
        return redis
    if redis is not None:
        raise ConfigurationError("the server is given twice: as redis, and as host, port or auth")
    user = f":{_quoted(auth)}@" if auth else ""
    host = "127.0.0.1" if host is None else host
    if host.startswith("/"):
        return f"redis+unix://{user}{_quoted(host, '/')}"
    # With a colon it is an IPv6 address. Characters that are invalid in a host must not end it in the URL.
    host = f"[{_quoted(host, ':')}]" if ":" in host else _quoted(host)
    return f"redis://{user}{host}:{6379 if port is None else port}"


def _quoted(text: str, safe: str = "") -> str:
    from urllib.parse import quote  # rarely needed; it costs a tenth of `import tokenstore`

    return quote(text, safe, errors="surrogateescape")


RedisJwt = RedisJWT
"""The Node package's spelling."""
