"""The values that stores return; none prints a secret.

The fields of Token and Session are in ``_core.Record``, so that the extension can fill one in a fraction of a
microsecond; all behaviour is here.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tokenstore import _core

__all__ = ["NodeToken", "Session", "Token"]


# In the order of Record's arguments.
_NAMES = (
    "app",
    "type",
    "owner",
    "data",
    "token",
    "id",
    "created_at",
    "expires_at",
    "sid",
    "idle",
    "seen_at",
    "request",
    "superseded",
)


class _Value(_core.Record):
    __slots__ = ()

    def _fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in _NAMES)

    def __eq__(self, other: object) -> bool:
        if self.__class__ is not other.__class__:
            return NotImplemented
        assert isinstance(other, _Value)
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((self.app, self.type, self.owner, self.id))

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__class__, self._fields()

    def to_dict(self, secret: bool = False) -> dict[str, Any]:
        """The fields by name, JSON-serialisable; ``token`` only with ``secret=True``.

        ``data`` is this value's own dict, not a copy.
        """
        return {n: getattr(self, n) for n in self._names if secret or n != "token"}

    _names: ClassVar[tuple[str, ...]]


class Token(_Value):
    """One token of :class:`tokenstore.RedisTokens`.

    ============== =============================================================================
    ``app``        the application it belongs to
    ``type``       the kind of token
    ``owner``      whose it is; None if it is anonymous
    ``data``       a dict of this value; changing it does not change Redis
    ``token``      the secret; None in a listing
    ``id``         public: identifies the token in listings and logs; the token cannot be derived from it
    ``created_at`` seconds since the epoch, by the server's clock
    ``expires_at`` seconds since the epoch; None if it has no expiry *or was not requested*
    ``sid``        public: as ``id``, but rotations keep it
    ``idle``       seconds after which it ends unused; None if that is unlimited
    ``seen_at``    seconds since the epoch: its last use that was written (``touch_interval``), or None
    ``request``    of its creation: a dict of ``address`` and ``user_agent``, or None
    ``superseded`` True if the token that found it was rotated, and its grace lasts
    ============== =============================================================================

    ``repr()`` and ``str()`` show neither ``token`` nor ``data``. Pickling keeps both.
    """

    __slots__ = ()
    _names = _NAMES

    def __repr__(self) -> str:
        return (
            f"Token(app={self.app!r}, type={self.type!r}, owner={self.owner!r}, id={self.id!r}, "
            f"created_at={self.created_at!r}, expires_at={self.expires_at!r})"
        )


class Session(_Value):
    """One session of :class:`tokenstore.Sessions`.

    ``app``, ``owner_id``, ``data``, ``token``, ``id``, ``created_at``, ``expires_at``, ``sid``, ``idle``,
    ``seen_at``, ``request`` and ``superseded``, as :class:`Token` explains them; ``owner`` is ``owner_id``, ``type`` is ``"session"``.
    """

    __slots__ = ()
    _names = tuple("owner_id" if name == "owner" else name for name in _NAMES if name != "type")

    @property
    def owner_id(self) -> str | Any:
        """The user, or None."""
        return self.owner

    def __repr__(self) -> str:
        return (
            f"Session(app={self.app!r}, owner_id={self.owner!r}, id={self.id!r}, "
            f"created_at={self.created_at!r}, expires_at={self.expires_at!r})"
        )


class NodeToken(dict[str, Any]):
    """One token of :class:`tokenstore.Tokenstore`: the stored dict, with attributes for its parts.

    ============ ===============================================================================
    ``owner_id`` whose it is
    ``attrs``    a dict of this value; changing it does not change Redis
    ``key``      the secret, for the client
    ``id``       public: identifies the token in listings and logs; the key cannot be derived from it
    ============ ===============================================================================

    ``token["key"]`` is ``token.key``; further stored members are in the dict too.
    ``repr()`` and ``str()`` show neither ``key`` nor ``attrs``.
    """

    __slots__ = ()

    @property
    def owner_id(self) -> str:
        """The owner."""
        return self["owner_id"]  # type: ignore[no-any-return]

    @property
    def attrs(self) -> dict[str, Any]:
        """The data; {} if the Node package stored none."""
        return self.get("attrs", {})  # type: ignore[no-any-return]

    @property
    def key(self) -> str:
        """The secret."""
        return self["key"]  # type: ignore[no-any-return]

    @property
    def id(self) -> str:
        """The public id."""
        return self["id"]  # type: ignore[no-any-return]

    def to_dict(self, secret: bool = False) -> dict[str, Any]:
        """A plain dict of the stored members; ``key`` only with ``secret=True``."""
        return {name: value for name, value in self.items() if secret or name != "key"}

    def __repr__(self) -> str:
        return f"NodeToken(owner_id={self.get('owner_id')!r}, id={self.get('id')!r})"
