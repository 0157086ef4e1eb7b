"""The connection to Redis or Valkey: a pool that any number of stores and threads can share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Union

from tokenstore import _core

if TYPE_CHECKING:
    from typing_extensions import Self

    from tokenstore._types import Duration, Path

__all__ = ["Argument", "BaseClient", "Client"]

Argument = Union[str, bytes, bytearray, memoryview, int, float]
"""One argument of a command; str is sent as UTF-8, numbers as decimal text."""

_log = logging.getLogger("tokenstore")

_DEFAULT_URL = "redis://localhost:6379"


class BaseClient:
    """What clients have in common, blocking or not: a server and the options to reach it."""

    _module = "tokenstore"

    def __init__(
        self,
        url: str | None = None,
        *,
        connect_timeout: Duration | None = None,
        timeout: Duration | None = None,
        pool_size: int | None = None,
        client_name: str | None = None,
        max_reply_size: int | None = None,
        db: int | None = None,
        ca: Path | None = None,
        cert: Path | None = None,
        key: Path | None = None,
        server_name: str | None = None,
        server: Path | None = None,
    ) -> None:
        if url is None:
            url = os.environ.get("TOKENSTORE_URL") or _DEFAULT_URL
        texts = {
            "connect_timeout": _seconds("connect_timeout", connect_timeout),
            "timeout": _seconds("timeout", timeout),
            "pool_size": _integer("pool_size", pool_size),
            "client_name": _text("client_name", client_name),
            "max_reply_size": _integer("max_reply_size", max_reply_size),
            "db": _integer("db", db),
            "ca": _path("ca", ca),
            "cert": _path("cert", cert),
            "key": _path("key", key),
            "server_name": _text("server_name", server_name),
            "server": _path("server", server),
        }
        self._core = _core.Client(url, {n: t for n, t in texts.items() if t is not None})
        self._driver: Any = self._core  # what runs operations
        self._url = self._core.describe()
        _log.debug("client made for %s", self._url)

    @property
    def url(self) -> str:
        """Where the server is, without user, password and options."""
        return self._url

    @property
    def closed(self) -> bool:
        """True once it was closed."""
        return self._core.closed

    def __repr__(self) -> str:
        return f"<{self._module}.Client {self._url}{' closed' if self.closed else ''}>"


class Client(BaseClient):
    """A pool of connections to one server. Safe to share between threads; survives ``fork``.

    ``url`` is one of ::

        redis://[user[:password]@]host[:port][/db]
        rediss://…                                   TLS, verified against the system's CAs
        redis+unix:///path/to.sock[?db=0]            also unix://
        embedded:                                    a private server that ends with this process
        embedded:/some/dir                           … that keeps its data there

    and when left out ``$TOKENSTORE_URL``, else ``redis://localhost:6379``. Nothing is connected
    before the first command (but ``embedded:`` starts its server here).

    Options, each also possible as a query parameter of the URL (the keyword wins):

    ``connect_timeout``
        seconds for one attempt to connect, TLS and AUTH included (default 2)
    ``timeout``
        one deadline for a whole operation, retries included (default 5)
    ``pool_size``
        the most connections at a time (default 16); a thread that finds none free waits
    ``client_name``
        shown by ``CLIENT LIST``
    ``max_reply_size``
        bytes; a larger reply closes the connection (default 64 MiB)
    ``db``
        the database number
    ``ca``, ``cert``, ``key``, ``server_name``
        for TLS: a file of CA certificates, our certificate and its key, the name to verify
    ``server``
        for ``embedded:``: the binary to start

    A wrong URL or option raises :class:`ConfigurationError`, which names it.
    """

    def execute(self, *args: Argument, timeout: Duration | None = None) -> Any:
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
        ========================= ==================

        Nobody here knows what the command does, so it is sent once: when no answer comes, that is
        an :class:`OutcomeUnknownError`. Commands that turn a connection into something else
        (SUBSCRIBE, MONITOR, MULTI without EXEC in the same pipeline) do not belong here: the
        connection is shared.
        """
        reply = self._core.run(_core.commands((args,)), timeout)[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def pipeline(
        self,
        commands: Iterable[Sequence[Argument]],
        *,
        raise_errors: bool = True,
        timeout: Duration | None = None,
    ) -> list[Any]:
        """Run several commands in one round trip on one connection; a list of their replies.

        All are sent and all are answered, whatever becomes of one of them; then the first error
        is raised, or with ``raise_errors=False`` each error stands as a :class:`ServerError` in
        its place in the list. An empty list of commands is an empty list of replies.
        """
        batch = tuple(commands)
        if not batch:
            return []
        replies: list[Any] = self._core.run(_core.commands(batch), timeout)
        if raise_errors:
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    def close(self) -> None:
        """Close the connections and end an embedded server that this process started.

        Twice is fine. Calls under way in other threads end by themselves; later ones raise
        :class:`Error`.
        """
        if not self._core.closed:
            self._core.close()
            _log.debug("client closed for %s", self._url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


# Options go over as text, the way they stand in a URL, so that the core has one place that reads
# and checks them. Here only their Python types are checked.


def _seconds(name: str, value: Duration | None) -> str | None:
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be seconds or a timedelta, not {type(value).__name__}")
    return format(value, "f") if isinstance(value, float) else str(int(value))


def _integer(name: str, value: int | None) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    return str(int(value))


def _text(name: str, value: str | None) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    return value


def _path(name: str, value: Path | None) -> str | None:
    if value is None:
        return None
    return _text(name, os.fspath(value) if isinstance(value, os.PathLike) else value)
