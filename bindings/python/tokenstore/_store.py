"""Common to all stores: an own or shared client, close, with, repr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union

from tokenstore import _core
from tokenstore._closing import Closing
from tokenstore._types import ClientOptions
from tokenstore.client import BaseClient, Client, refuse_unknown
from tokenstore.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Unpack

Redis = Union[str, Client, None]
"""A URL, a Client to share, or None: ``$TOKENSTORE_URL``, else ``redis://localhost:6379``."""


class Store(Closing):
    """A client, closed with the store unless it is shared."""

    # tokenstore.asyncio has its own.
    _module = "tokenstore"
    _client_type: Any = Client
    _client_options: Any = ClientOptions

    def __init__(self, redis: Redis, **options: Unpack[ClientOptions]) -> None:
        refuse_unknown(self, options, self._client_options.__annotations__)
        if isinstance(redis, self._client_type):
            for name in options:
                raise ConfigurationError(
                    f"{name} is an option of the client that was passed in: give it there"
                )
            self._client: Client = redis
        elif redis is None or isinstance(redis, str):
            self._client = self._client_type(redis, **options)
        else:
            name = type(redis).__name__
            if isinstance(redis, BaseClient):
                name = f"a {redis._module}.Client"
            raise TypeError(f"redis must be a URL, a {self._module}.Client or None, not {name}")
        self._owns_client = self._client is not redis
        self._driver: _core.Client = self._client._driver_of_stores()

    @property
    def client(self) -> Client:
        """The :class:`Client` underneath: ``tokens.client.execute("PING")``."""
        return self._client

    def close(self) -> None:
        """Close the client, unless it was passed in. May be called twice."""
        if self._owns_client:
            self._client.close()

    def __repr__(self) -> str:
        return f"<{self._module}.{type(self).__name__} at {self._client.url}>"
