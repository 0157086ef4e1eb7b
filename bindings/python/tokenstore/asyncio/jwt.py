"""tokenstore.jwt for asyncio: ``decode`` is awaited, since the keys of ``KeySet.from_url`` may have to be
fetched.

::

    from tokenstore.asyncio import jwt

    keys = jwt.KeySet.from_url("https://login.example/jwks.json")
    claims = await jwt.decode(token, keys, algorithms=["RS256"], audience="api")

The core fetches in its own thread; a waiting task polls for the end, so it can be cancelled at any time, and
needs no executor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any, Callable

from tokenstore._closing import AsyncClosing
from tokenstore._types import Presented, Text
from tokenstore.jwt import (
    ANY,
    Audience,
    ConfigurationError,
    DataError,
    Decoded,
    ExpiredTokenError,
    InvalidTokenError,
    Key,
    Keys,
    RemoteKeys,
    Seconds,
    decode_with,
    encode,
    get_unverified_header,
)
from tokenstore.jwt import KeySet as _KeySet
from tokenstore.jwt import RemoteKeySet as _RemoteKeySet

__all__ = [
    "ANY",
    "ConfigurationError",
    "DataError",
    "Decoded",
    "ExpiredTokenError",
    "InvalidTokenError",
    "Key",
    "KeySet",
    "RemoteKeySet",
    "decode",
    "decode_complete",
    "encode",
    "get_unverified_header",
]

_FIRST, _LONGEST = 0.001, 0.02  # seconds between polls


class KeySet(_KeySet):
    __doc__ = _KeySet.__doc__

    __slots__ = ()

    @classmethod
    def from_url(cls, url: str, **options: Any) -> RemoteKeySet:  # type: ignore[override]
        """The keys published at ``url``: see :class:`RemoteKeySet`."""
        return RemoteKeySet._open(True, url, **options)


class RemoteKeySet(RemoteKeys, AsyncClosing):
    __doc__ = _RemoteKeySet.__doc__

    __slots__ = ()

    async def __aiter__(self) -> AsyncIterator[Key]:
        """The current keys, fetched if there are none."""
        pause = _FIRST
        while (keys := self._core.list(Key, False)) is None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST)
        for key in keys:
            yield key

    async def aclose(self) -> None:
        """Cancel a fetch in progress; ``decode`` raises from now on. May be called twice."""
        await asyncio.get_running_loop().run_in_executor(None, self._core.close)

    def __repr__(self) -> str:
        return "<tokenstore.asyncio.jwt.RemoteKeySet>"


async def _decode(decode: Callable[[int], Any]) -> Any:
    """The final result of `decode(seen)`; an int means that newer keys are being fetched."""
    seen, pause = 0, _FIRST
    while isinstance(result := decode(seen), int):
        seen = result
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST)
    return result


async def decode(
    token: Presented,
    key: Keys | RemoteKeySet,
    algorithms: Collection[str],
    audience: Audience = None,
    issuer: Text | Collection[Text] | None = None,
    leeway: Seconds = 0,
    require: Collection[str] = (),
    now: float | None = None,
    typ: str | None = None,
    max_size: int = 8192,
    verify_exp: bool = True,
) -> dict[str, Any]:
    """As :func:`tokenstore.jwt.decode`. It waits only if keys must be fetched."""
    claims: dict[str, Any] = await _decode(
        lambda seen: decode_with(
            seen,
            key,
            token,
            algorithms,
            None if audience is ANY else audience,
            issuer,
            leeway,
            require,
            now,
            typ,
            max_size,
            False,
            audience is ANY,
            verify_exp,
        )
    )
    return claims


async def decode_complete(
    token: Presented,
    key: Keys | RemoteKeySet,
    algorithms: Collection[str],
    audience: Audience = None,
    issuer: Text | Collection[Text] | None = None,
    leeway: Seconds = 0,
    require: Collection[str] = (),
    now: float | None = None,
    typ: str | None = None,
    max_size: int = 8192,
    verify_exp: bool = True,
) -> Decoded:
    """As ``decode``, including the header: ``Decoded(header, claims)``."""
    both = await _decode(
        lambda seen: decode_with(
            seen,
            key,
            token,
            algorithms,
            None if audience is ANY else audience,
            issuer,
            leeway,
            require,
            now,
            typ,
            max_size,
            True,
            audience is ANY,
            verify_exp,
        )
    )
    return Decoded(*both)
