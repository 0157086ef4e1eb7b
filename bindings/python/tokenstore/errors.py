"""Everything that tokenstore raises.

::

    Error
    ├── ConfigurationError      (also ValueError)     a wrong URL or option
    ├── ConnectionError         (also builtin)        no server could be reached: nothing happened
    ├── TimeoutError            (also builtin)        the deadline passed: nothing happened
    ├── OutcomeUnknownError                           sent, no answer: it may have happened
    ├── ServerError                                   Redis answered with an error
    ├── DataError               (also ValueError)     what was given or stored is not valid
    ├── LimitError                                    an answer is too large to be read
    ├── InvalidTokenError
    │   └── ExpiredTokenError
    └── SpikeError
        └── SpikeAuthError

A call on something that was closed raises plain :class:`Error`. A wrong argument *type* raises
TypeError, as anywhere in Python. "Not found" is a result, never an exception. No message ever holds
a token, a secret, a password or session data.
"""

from __future__ import annotations

import builtins

__all__ = [
    "ConfigurationError",
    "ConnectionError",
    "DataError",
    "Error",
    "ExpiredTokenError",
    "InvalidTokenError",
    "LimitError",
    "OutcomeUnknownError",
    "ServerError",
    "SpikeAuthError",
    "SpikeError",
    "TimeoutError",
]


class Error(Exception):
    """The root of all errors of this package."""


class ConfigurationError(Error, ValueError):
    """A URL or an option is wrong; the message names it."""


class ConnectionError(Error, builtins.ConnectionError):
    """The server could not be reached, or refused us, within the retries.

    What was asked for did not happen.
    """


class TimeoutError(Error, builtins.TimeoutError):
    """The deadline passed before the request was sent, or it only wanted to read.

    What was asked for did not happen.
    """


class OutcomeUnknownError(Error):
    """The request was sent and no answer came: it may or may not have happened.

    Look (``get``, ``list``) before doing it again.
    """


class ServerError(Error):
    """The server answered with an error of its own."""

    @property
    def code(self) -> str:
        """The server's word for it, such as ``"WRONGPASS"`` or ``"NOPERM"``; else ``"ERR"``."""
        from tokenstore import _core  # which imports this module

        return _core.quoted_word(str(self))


class DataError(Error, ValueError):
    """What was given cannot be stored, or what is stored is not valid.

    Of given data the message names the path: ``data.user.items[3] is NaN …``.
    """


class LimitError(Error):
    """A limit was reached: an answer was larger than ``max_reply_size``.

    The server has done what it was asked; nothing was tried again. The message says what to do.
    """


class InvalidTokenError(Error):
    """The token is not good."""


class ExpiredTokenError(InvalidTokenError):
    """The token was good once."""


class SpikeError(Error):
    """Could not obtain an access token.

    The attributes are what the server said, None where it did not. They are cut to fit, free of control
    characters, and never hold a secret.
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
    """Seconds: before that the server is not asked again, and this is raised at once."""


class SpikeAuthError(SpikeError):
    """The authorization server refused the client."""
