"""Tokens in the format of the Node package tokenstore, so that both can share a database."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from tokenstore import _core
from tokenstore._store import Redis, Store
from tokenstore._types import ClientOptions, Duration, Id, Name, Presented, Text
from tokenstore.values import NodeToken

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Tokenstore"]


class Tokenstore(Store):
    """The tokens of the Node package tokenstore, read and written as it does.

    ::

        store = tokenstore.Tokenstore("redis://localhost:6379")
        token = store.add("bob", {"role": "admin"}, duration=3600)
        found = store.get_key(token.key)

    A token has a ``key``, the secret that its client presents, and an ``id``, which identifies it in listings.
    Use it to share a database with that package. Otherwise :class:`RedisTokens` is the better choice: there
    Redis never sees a token.

    ``redis`` is a URL, a :class:`Client` to share, or None: then ``$TOKENSTORE_URL``, else
    ``redis://localhost:6379``. Options of :class:`Client` may be given here too, unless a Client
    is. A Client that is passed in stays open when the store is closed. Threads may share a store.

    Options:

    ``prefix``
        prefix of the keys in Redis; on a cluster it needs a hash tag: ``"{token}"``
    ``size``
        characters of a key: 8 … 256. Below 16 a key can be guessed.
    ``hash_size``
        bytes of randomness in a hash: 8 … 64. The Node package has 8.
    ``max_data_size``
        bytes of the attrs as JSON, and of a hashed value (default 64 KiB)
    ``wait_replicas``, ``wait_fsync``, ``wait_timeout``
        as of :class:`RedisTokens`

    Everywhere: ids, keys and hashes are str or bytes, and an id may be a :class:`uuid.UUID`; None is
    not found. ``owner_id`` may also be an int or a UUID. It and stored keys are UTF-8, not empty, up to 1024
    bytes, without NUL. Durations are seconds or a timedelta, from 1 s to ten years; None means no expiry.
    ``attrs`` is a dict that JSON represents exactly – anything that would be read back changed is rejected
    with a :class:`DataError` that names the path.
    """

    def __init__(
        self,
        redis: Redis = None,
        *,
        prefix: Text = "token",
        size: int = 24,
        hash_size: int = 16,
        max_data_size: int = 65536,
        wait_replicas: int = 0,
        wait_fsync: bool = False,
        wait_timeout: Duration = 1,
        **client_options: Unpack[ClientOptions],
    ) -> None:
        self._ops = _core.tokenstore(
            NodeToken,
            prefix=prefix,
            size=size,
            hash_size=hash_size,
            max_data_size=max_data_size,
            wait_replicas=wait_replicas,
            wait_fsync=wait_fsync,
            wait_timeout=wait_timeout,
        )
        super().__init__(redis, **client_options)

    def add(
        self,
        owner_id: Name,
        attrs: dict[str, Any] | None = None,
        key: Text | None = None,
        duration: Duration | None = None,
    ) -> NodeToken:
        """Create a token. Its ``key`` is the secret, its ``id`` is public.

        ``key`` is stored instead of a random one, to restore a token of a lost database. One of another length
        than ``size``, or already in use, raises :class:`DataError`.
        """
        return self._driver.run(self._ops.add(owner_id, attrs, key, duration))

    def get(self, id: Id) -> NodeToken | None:
        """Find a token by its id: None if there is none. Two round trips."""
        return self._driver.run(self._ops.get(id))

    def get_key(self, key: Presented) -> NodeToken | None:
        """Find a token by its key: None if there is none. One round trip."""
        return self._driver.run(self._ops.get_key(key))

    def set(self, id: Id, attrs: dict[str, Any]) -> bool:
        """Replace the attrs of a token; everything else stored with it, and its expiry, are unchanged.

        False if there is no such token.
        """
        return self._driver.run(self._ops.set(id, attrs))

    def delete(self, id: Id, *, wait_replicas: int = 0) -> bool:
        """End a token by its id. True if it was live.

        ``wait_replicas``, here and below: at least so many replicas, if the store has fewer.
        """
        return self._driver.run(self._ops.delete(id, wait_replicas))

    def delete_key(self, key: Presented, *, wait_replicas: int = 0) -> bool:
        """End a token by its key. True if it was live."""
        return self._driver.run(self._ops.delete_key(key, wait_replicas))

    def list(self, owner_id: Name) -> builtins.list[NodeToken]:
        """The owner's live tokens, with their keys, in no order. Three round trips.

        Ids without a token are dropped. Unreadable records are skipped, with a warning in the log; if there is
        nothing else, it raises :class:`DataError`.
        """
        return self._driver.run(self._ops.list(owner_id))

    def make_hash(self, value: Text, ttl: Duration = 3600) -> str:
        """Store a value under a random name, for a link in a mail for instance."""
        return self._driver.run(self._ops.make_hash(value, ttl))

    def get_hash(self, hash: Presented) -> str | None:
        """The value of ``hash``; None if there is none."""
        return self._driver.run(self._ops.get_hash(hash))

    def take_hash(self, hash: Presented) -> str | None:
        """The value of ``hash``, once: of racing callers exactly one gets it."""
        return self._driver.run(self._ops.take_hash(hash))

    def del_hash(self, hash: Presented) -> bool:
        """End a hash. True if it was live."""
        return self._driver.run(self._ops.del_hash(hash))

    def reset(self, timeout: Duration | None = None) -> int:
        """Remove every token and every hash of this prefix; how many tokens there were.

        By SCAN, in batches: it reads every name in the database, so a large one needs a longer ``timeout`` than
        the client's. If it fails midway, call it again.
        """
        return self._driver.run(self._ops.reset(), timeout)

    def quit(self) -> None:
        """The Node package's name of :meth:`close`."""
        self.close()

    set_attrs = set
    setAttrs = set
    getKey = get_key
    del_key = delete_key
    delKey = delete_key
    deleteKey = delete_key
    makeHash = make_hash
    getHash = get_hash
    takeHash = take_hash
    delHash = del_hash


# "del" is a Python keyword: getattr(store, "del")(id).
setattr(Tokenstore, "del", Tokenstore.delete)
