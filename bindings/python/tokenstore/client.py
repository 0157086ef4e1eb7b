"""The connection to Redis or Valkey: a pool that stores and threads can share."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

from tokenstore import _core, _options, audit
from tokenstore._audited import AuditedDriver
from tokenstore._closing import Closing
from tokenstore._measures import Measured, when_made
from tokenstore._types import ClientOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tokenstore._types import Duration, NearCacheStats
    from tokenstore.audit import AuditEvent

__all__ = ["Argument", "BaseClient", "Client", "refuse_unknown"]

Argument = Union[str, bytes, bytearray, memoryview, int, float]
"""One argument of a command; str is sent as UTF-8, numbers as decimal text."""

_log = logging.getLogger("tokenstore")

_DEFAULT_URL = "redis://localhost:6379"


class BaseClient(Measured):
    """Common to clients, blocking or not: a server and its options."""

    _module = "tokenstore"
    _audited: Any = AuditedDriver

    def __init__(self, url: str | None, options: Mapping[str, Any]) -> None:
        refuse_unknown(self, options, ClientOptions.__annotations__)
        if url is None:
            url = os.environ.get("TOKENSTORE_URL") or _DEFAULT_URL
        _options.text("url", url)
        given = dict(options)
        if given.get("address_map") is not None:
            given["address_map"] = _options.address_map(given["address_map"])
        if url.startswith("embedded:") and given.get("server") is None:
            from tokenstore import _embedded

            given["server"] = _embedded.server()
        self._auditor = audit.auditor_of(given)
        credentials = _options.function("credentials", given.pop("credentials", None))
        self._core = _core.Client(url, given, credentials)
        self._driver: Any = self._core  # runs operations
        self._url = self._core.describe()
        _log.debug("client made for %s", self._url)
        for tell in when_made:
            tell(self)

    def _driver_of_stores(self) -> Any:
        """What runs the operations of stores, which may be audited."""
        return self._driver if self._auditor is None else self._audited(self._driver, self._auditor)

    @property
    def url(self) -> str:
        """The server's URL, without user, password and options."""
        return self._url

    @property
    def closed(self) -> bool:
        """True once it was closed."""
        return self._core.closed

    def near_cache_stats(self) -> NearCacheStats | None:
        """What the near cache of this process does; None without ``near_cache``.

        ``hits`` and ``misses`` count tokens; ``invalidations`` entries that a change dropped, ``evictions`` those that others
        displaced, ``flushes`` lost connections and orders to drop all. ``alive``: does it answer now?
        ``oldest_proof``: so many seconds ago the server was last known to tell of changes, of several the one that was
        asked first.
        """
        return self._core.near_cache_stats()

    nearCacheStats = near_cache_stats

    def __repr__(self) -> str:
        return f"<{self._module}.Client {self._url}{' closed' if self.closed else ''}>"


class Client(BaseClient, Closing):
    """A pool of connections to one server. Safe to share between threads; survives ``fork``.

    ``url`` is one of ::

        redis://[user[:password]@]host[:port][/db]
        rediss://…                                   TLS, verified against the system's CAs
        redis+unix:///path/to.sock[?db=0]            also unix://
        redis+cluster://host:port,host:port          a cluster, by some of its nodes; rediss+cluster://
        redis+sentinel://host:port,host:port/name    the primary that Sentinels know by this name; rediss+sentinel://
        embedded:                                    a private server that ends with this process
        embedded:/some/dir                           … that keeps its data there
        embedded:cluster                             … three of them, as a cluster

    (``valkey`` may replace ``redis`` in each); the default is ``$TOKENSTORE_URL``, else
    ``redis://localhost:6379``. It connects at the first command (but ``embedded:`` starts its server here).

    Options. Each but ``credentials`` may also be a query parameter of the URL (the keyword takes precedence):

    ``connect_timeout``
        seconds for one attempt to connect, TLS and AUTH included (default 2)
    ``timeout``
        one deadline for a whole operation, retries included (default 5)
    ``max_connection_age``
        seconds before a connection is replaced (default 300; 0: never), less up to a fifth at random: a demoted
        server, or one whose name has moved, is left within this time
    ``pool_size``
        the maximum number of connections, of a cluster to each node (default 16); further threads wait
    ``near_cache``
        so many records are kept in memory until the server says that they changed (default 0: none); see
        docs/explanation/near-cache.md
    ``near_cache_staleness``
        seconds; when it is not certain for so long that the server tells of changes, it is asked (default 2)
    ``near_cache_tracking``
        of which changes the server tells: by default of all keys with the stores' prefixes (``"broadcast"``); with
        ``near_cache_tracking="keys"`` of those that were read, for fleets of many processes
    ``client_name``
        shown by ``CLIENT LIST``
    ``max_reply_size``
        memory for one reply in bytes: those of its strings, and 16 for each item (default 64 MiB); a larger
        one raises :class:`LimitError`
    ``db``
        the database number
    ``credentials``
        a function that returns ``(user, password)``, called before each new connection is opened; a user of
        None is the default user. It is for changing passwords and expiring tokens, and overrides those of the
        URL. If the server rejects its result, it is called once more. Several threads may call it at once; its
        time counts against ``timeout``; its exceptions reach the caller of the operation. Not for the URL
    ``ca``, ``cert``, ``key``, ``server_name``
        for TLS: a file of CA certificates, the client certificate and its key, the name to verify
    ``sentinel_user``, ``sentinel_password``
        for ``redis+sentinel://``: how to log in at the Sentinels; user and password of the URL are the server's
    ``address_map``
        for clusters and Sentinels behind NAT or in containers: a dict from addresses that nodes announce to where they
        are reached, ``{"10.0.0.5:7000": "localhost:17000"}``; an entry without a port is for any, and keeps it
    ``server``
        for ``embedded:``: the binary to start
    ``audit``
        True: what stores create, rotate and end is logged by the logger ``tokenstore.audit``; see docs/reference/audit.md. Not for
        the URL, like the following
    ``on_event``
        a function that is called with each such :class:`~tokenstore.audit.AuditEvent`, too
    ``audit_stream``
        about so many of them are kept in the stream ``<prefix>:audit``, too (default 0: none)

    An invalid URL or option raises :class:`ConfigurationError`, which names it.
    """

    def __init__(self, url: str | None = None, **options: Unpack[ClientOptions]) -> None:
        super().__init__(url, options)

    def execute(
        self,
        *args: Argument,
        key: str | bytes | None = None,
        node: str | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Run one command, binary-safe, and return its reply.

        ========================= ==================
        reply of Redis            result
        ========================= ==================
        bulk string               bytes
        status (``+OK``)          str
        integer                   int
        nil                       None
        array                     list
        error                     raises ServerError
        error *inside* an array   a ServerError in its place
        beyond ``max_reply_size`` raises LimitError
        ========================= ==================

        The command's effect is not known here, so it is sent once: without a reply, it raises
        :class:`OutcomeUnknownError`. The connection is shared, so a command that would change it for others
        (SELECT, AUTH, SUBSCRIBE, WATCH, CLIENT SETNAME, MULTI without its EXEC in the same pipeline …) is not
        sent: it raises :class:`DataError`, which says what to do instead.

        On a cluster it goes to the node that has its first key. ``key`` names another key whose node is meant,
        for commands that have none (DBSIZE); on one server it changes nothing. ``node``, ``"host:port"`` as in
        the result of :meth:`for_each_primary`, names the node itself: then MOVED is an error like any other, and
        another name raises :class:`ConfigurationError`.
        """
        reply = self._core.run(_core.commands((args,), key, node), timeout)[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def pipeline(
        self,
        commands: Iterable[Sequence[Argument]],
        *,
        raise_errors: bool = True,
        key: str | bytes | None = None,
        node: str | None = None,
        timeout: Duration | None = None,
    ) -> list[Any]:
        """Run several commands in one round trip on one connection; a list of their replies.

        All are sent and all are answered, even if one fails; then the first error is raised, or with
        ``raise_errors=False`` each error is a :class:`ServerError` (or :class:`LimitError`) in its place in the
        list. An empty list of commands returns an empty list of replies.

        On a cluster each goes to the node that has its first key, one without a key with the command before it,
        and from MULTI to EXEC all go together; with ``key`` all go to the node that has this key, with ``node`` to
        that one.
        """
        batch = tuple(commands)
        if not batch:
            return []
        replies: list[Any] = self._core.run(_core.commands(batch, key, node), timeout)
        if raise_errors:
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    def for_each_primary(self, *args: Argument, timeout: Duration | None = None) -> dict[str, Any]:
        """Run one command on every primary of a cluster, on all at the same time; the reply of each, by
        ``"host:port"`` as the nodes announce themselves. On one server there is one entry.

        Raises the error of the first node that has one, which names it. Commands that are known to read (INFO,
        SCAN …), or that may be made twice (CONFIG SET, SCRIPT LOAD …), are sent again where a replica takes over;
        any other is sent once. Primaries without slots are left out.
        """
        return self._core.run(_core.each(args), timeout)

    def audit_events(
        self, prefix: str = "ts", *, after: str | None = None, count: int = 100, reverse: bool = False
    ) -> list[AuditEvent]:
        """What is in the audit stream of the stores with this prefix: the oldest ``count``, with ``reverse`` the newest first.

        ``after``, the ``entry`` of the last event of the page before, gives the next page. Of RedisJWT the prefix is
        ``"rjwt-sessions"``. Without a stream there are none. See docs/reference/audit.md.
        """
        return audit.read_entries(self.execute(*audit.read_command(prefix, after, count, reverse)))

    def ping(self, *, timeout: Duration | None = None) -> bool:
        """True if the server answers and has accepted the login, even if the ACL does not allow PING.

        Otherwise it raises like any operation: :class:`ConnectionError`, :class:`ServerError` (a wrong
        password), :class:`TimeoutError`.
        """
        return self._core.run(_core.ping(), timeout)

    def close(self) -> None:
        """Close the connections and stop an embedded server that this process started.

        May be called twice. Calls in progress in other threads complete; later ones raise :class:`Error`.
        """
        if not self._core.closed:
            self._core.close()
            _log.debug("client closed for %s", self._url)

    auditEvents = audit_events
    forEachPrimary = for_each_primary


def refuse_unknown(made: object, options: Iterable[str], known: Collection[str]) -> None:
    """TypeError for an unknown option; it names the class that the caller used."""
    for name in options:
        if name not in known:
            raise TypeError(f"{type(made).__name__} has no option {name!r}")
