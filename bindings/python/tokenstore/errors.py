"""Everything that tokenstore raises.

::

    Error
    ├── ConfigurationError      (also ValueError)     a wrong URL or option
    ├── ConnectionError         (also builtin)        could not reach the server: nothing happened
    ├── TimeoutError            (also builtin)        the deadline passed: nothing happened
    ├── OutcomeUnknownError                           sent, no reply: it may have happened
    ├── NotReplicatedError                            it happened, but too few replicas have it
    ├── ServerError                                   Redis answered with an error
    ├── DataError               (also ValueError)     given or stored data is not valid
    ├── ConflictError                                 the data is not as expected: nothing changed
    ├── LimitError                                    a reply is too large
    ├── InvalidTokenError
    │   ├── ExpiredTokenError
    │   └── TokenReusedError                          a rotated token came back
    └── SpikeError
        └── SpikeAuthError

A call on a closed object raises plain :class:`Error`. A wrong argument *type* raises TypeError. "Not found" is
a result, never an exception. No message contains a token, a secret, a password or session data.
"""

from __future__ import annotations

import builtins

__all__ = [
    "ConfigurationError",
    "ConflictError",
    "ConnectionError",
    "DataError",
    "Error",
    "ExpiredTokenError",
    "InvalidTokenError",
    "LimitError",
    "NotReplicatedError",
    "OutcomeUnknownError",
    "ServerError",
    "SpikeAuthError",
    "SpikeError",
    "TimeoutError",
    "TokenReusedError",
]


class Error(Exception):
    """The base class of all errors of this package."""


class ConfigurationError(Error, ValueError):
    """A URL or an option is invalid; the message names it."""


class ConnectionError(Error, builtins.ConnectionError):
    """The server could not be reached, or did not accept the connection, within the retries.

    The operation did not happen.
    """


class TimeoutError(Error, builtins.TimeoutError):
    """The deadline passed before the request was sent, or during a read.

    The operation did not happen.
    """


class OutcomeUnknownError(Error):
    """The request was sent, but no reply was received: it may or may not have happened.

    Check (``get``, ``list``) before repeating it.
    """


class NotReplicatedError(Error):
    """The change was made, but within ``wait_timeout`` fewer replicas had it than ``wait_replicas``.

    It is not undone, and usually gets there a little later. A failover until then may lose it.
    """

    replicas: int = 0
    """How many have it; with ``wait_fsync``, on disk."""
    result: object = None
    """What the change returned, such as the new :class:`Token`; of Sessions the :class:`Session`, or a number."""


class ServerError(Error):
    """The server answered with an error."""

    @property
    def code(self) -> str:
        """The server's error code, such as ``"WRONGPASS"`` or ``"NOPERM"``; else ``"ERR"``."""
        from tokenstore import _core  # here, because it imports this module

        return _core.quoted_word(str(self))


class DataError(Error, ValueError):
    """The given data cannot be stored, or the stored data is not valid.

    For given data the message names the path: ``data.user.items[3] is NaN …``.
    """


class ConflictError(Error):
    """The stored data is not what ``update(expect=…)`` expects; the message names the field.

    Nothing was changed. Read it again, and decide anew.
    """


class LimitError(Error):
    """A reply was larger than ``max_reply_size``.

    The server executed the command; nothing was retried. The message says what to do.
    """


class InvalidTokenError(Error):
    """The token is not valid."""


class ExpiredTokenError(InvalidTokenError):
    """The token has expired; nothing else is wrong with it."""


class TokenReusedError(InvalidTokenError):
    """A token was presented that had been rotated, after its grace, in a store with ``reuse="revoke"``.

    Somebody has a copy of it (RFC 9700, 4.14), so the token that followed from it has been ended. The client must log
    in again.
    """

    owner: str | None = None
    """Whose tokens they were; None: anonymous."""
    sid: str | None = None
    """The ``sid`` of all of them."""


class SpikeError(Error):
    """Could not obtain an access token.

    The attributes are the server's answer; None if absent. They are truncated, free of control characters, and
    never contain a secret.
    """

    status: int | None = None
    """The HTTP status."""
    error: str | None = None
    """The code of RFC 6749 (5.2), such as ``"invalid_scope"``."""
    error_description: str | None = None
    error_uri: str | None = None
    location: str | None = None
    """Where a redirect leads, without its query. It is not followed."""
    retry_after: float | None = None
    """Seconds until the next request to the server. Until then, this error is raised at once."""


class SpikeAuthError(SpikeError):
    """The authorization server rejected the client or the request."""
