"""The setting TOKENSTORE, and the stores that it describes."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from tokenstore.errors import ConfigurationError
from tokenstore.sessions import Sessions

if TYPE_CHECKING:
    import tokenstore.asyncio

__all__ = ["Stores", "stores"]


class Stores:
    """The same sessions by two stores: for Django's blocking methods, and for its ``a…`` methods.

    Of ``TOKENSTORE``, these are ours, and all others are options of :class:`tokenstore.Sessions`:

    ``url``
        of the server; default ``$TOKENSTORE_URL``, else ``redis://localhost:6379``
    ``app``
        the name under which the sessions are kept (default ``"django"``)
    ``grace``
        seconds for which requests under way still find a session by the key that it had before (default 10)
    ``absolute``
        seconds after which a session ends, counted from the login, however it is used; default: none
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        options = dict(given)
        self._url = options.pop("url", None)
        self.app = options.pop("app", "django")
        self.grace = options.pop("grace", 10)
        if "absolute" in options:
            options["max_age"] = options.pop("absolute")
        self._options = options
        self.blocking = Sessions(self._url, **options)

    @functools.cached_property
    def awaitable(self) -> tokenstore.asyncio.Sessions:
        from tokenstore.asyncio import Sessions

        options, url = dict(self._options), self._url
        if isinstance(url, str) and url.startswith("embedded:"):
            url = self.blocking.client.url  # the server that the other one has started
            options.pop("server", None)
        return Sessions(url, **options)


_lock = threading.Lock()
_stores: Stores | None = None


def stores() -> Stores:
    """Those of this process; made at the first call."""
    global _stores
    with _lock:
        if _stores is None:
            given = getattr(settings, "TOKENSTORE", {})
            if not isinstance(given, Mapping):
                raise ImproperlyConfigured(f"TOKENSTORE must be a dict, not {type(given).__name__}")
            try:
                _stores = Stores(given)
            except (ConfigurationError, TypeError) as error:
                raise ImproperlyConfigured(f"TOKENSTORE: {error}") from error
        return _stores


def _forget(*, setting: str, **unused: Any) -> None:
    """In tests, where settings change."""
    global _stores
    if setting == "TOKENSTORE":
        with _lock:
            if _stores is not None:
                _stores.blocking.close()
            _stores = None


setting_changed.connect(_forget, dispatch_uid="tokenstore.stores")
