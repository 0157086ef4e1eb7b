"""Signed JSON Web Tokens.

::

    from tokenstore import jwt

    key = jwt.Key.from_secret(os.environb[b"JWT_SECRET"])
    token = jwt.encode({"sub": "bob", "exp": time.time() + 3600}, key, algorithm="HS256")
    claims = jwt.decode(token, key, algorithms=["HS256"])

    keys = jwt.KeySet.from_jwks(document)  # the contents of a server's jwks.json
    claims = jwt.decode(token, keys, algorithms=["RS256"], audience="api", issuer="https://…")

Algorithms: HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA,
Ed25519 (RFC 9864's name for the same). The key decides which of them are possible, the list passed to
``decode`` which are accepted; the token only chooses among those. RFC 8725 is followed throughout: see
``docs/reference/jwt.md``.
"""

from __future__ import annotations

import enum
import functools
import os
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Union

from tokenstore import _core, _log, _options
from tokenstore._closing import Closing
from tokenstore._types import Duration, Presented, Text
from tokenstore.errors import ConfigurationError, DataError, ExpiredTokenError, InvalidTokenError

if TYPE_CHECKING:
    from typing_extensions import Self

    from tokenstore import _oauth

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


class Key(_core.Key):
    """A key: a secret, or a public or private key. Immutable; threads may share it.

    ``kind`` is what it is (``"secret"``, ``"RSA"``, ``"P-256"``, ``"P-384"``, ``"P-521"``,
    ``"Ed25519"``), ``algorithms`` those it can be used with, ``can_sign`` whether it can sign, ``kid``
    its key id or None. A weak, invalid or unsupported key raises ConfigurationError.
    """

    __slots__ = ()

    @classmethod
    def from_secret(cls, secret: Text, kid: str | None = None, algorithm: str | None = None) -> Key:
        """A secret for HS256 (at least 32 bytes), HS384 (48) and HS512 (64).

        Other types of keys are rejected, in any encoding: anyone who knows a public key could sign with it.
        ``algorithm`` restricts the key to that one.
        """
        return _core.key_load(cls, "secret", secret, kid, algorithm, None)

    @classmethod
    def from_pem(
        cls,
        pem: Text,
        kid: str | None = None,
        algorithm: str | None = None,
        password: Text | None = None,
    ) -> Key:
        """A public or private key, or a certificate's key, in PEM.

        ``password``: of an encrypted private key; there is never a prompt. A certificate's dates and issuer are
        not checked.
        """
        return _core.key_load(cls, "pem", pem, kid, algorithm, password)

    @classmethod
    def from_jwk(cls, jwk: dict[str, Any] | Text) -> Key:
        """A JWK of kty RSA, EC, OKP (Ed25519) or oct; its kid, alg, use and key_ops apply."""
        return _core.key_load(cls, "jwk", jwk, None, None, None)

    def to_jwk(self, private: bool = False) -> dict[str, str]:
        """The key as a JWK: its public part, or with ``private=True`` both.

        ConfigurationError for a secret, which is not stored, and for a public key with ``private=True``.
        """
        return _core.key_to_jwk(self, private)

    def thumbprint(self) -> str:
        """The SHA-256 thumbprint of the public part (RFC 7638), a suitable ``kid``. Not for a secret."""
        return _core.key_thumbprint(self)

    def __repr__(self) -> str:
        kid = "" if self.kid is None else f" kid={self.kid!r}"
        private = " private" if self.can_sign and self.kind != "secret" else ""
        return f"<{type(self).__name__} {self.kind}{private}{kid}>"

    def __copy__(self) -> Self:
        return self  # it never changes

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("a Key cannot be pickled: pass its PEM, JWK or secret instead")


class KeySet(_core.KeySet):
    """The keys of a JWKS, as published by a server. Immutable; threads may share it.

    Entries that cannot be used here (an unknown ``kty``, ``crv`` or ``alg``, ``"use": "enc"``, a weak key)
    are skipped, as RFC 7517 requires; ``skipped`` is their number.
    """

    __slots__ = ()

    @classmethod
    def from_jwks(cls, jwks: dict[str, Any] | Text) -> KeySet:
        """The keys of a JWKS, as a dict or as its JSON."""
        return _core.keyset_load(cls, jwks)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> RemoteKeySet:
        """The keys published at ``url``: see :class:`RemoteKeySet`."""
        return RemoteKeySet._open(False, url, **options)

    def __iter__(self) -> Iterator[Key]:
        return iter(_core.keyset_keys(self, Key))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}, {self.skipped} skipped>"

    def __copy__(self) -> Self:
        return self  # it never changes

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("a KeySet cannot be pickled: pass its JWKS instead")


def _ms(name: str, given: Duration) -> int:
    """An invalid number of seconds becomes -1, which the core rejects."""
    value = _options.seconds(name, given)
    if value is None:
        raise TypeError(f"{name} must be seconds or a timedelta, not NoneType")
    return round(value * 1000) if 0 <= value <= 1e10 else -1


def _path(name: str, given: Any) -> bytes | None:
    value = _options.path(name, given)
    if value is not None and "\0" in value:
        raise ConfigurationError(f"{name} contains a NUL byte")
    return None if value is None else os.fsencode(value)


class RemoteKeys:
    """Private: what ``RemoteKeySet`` has in common with that of ``tokenstore.asyncio.jwt``."""

    __slots__ = ("_core",)

    _core: _oauth.RemoteKeys

    def __init__(self) -> None:
        raise TypeError(f"{type(self).__name__} cannot be created directly: use KeySet.from_url")

    @classmethod
    def _open(
        cls,
        nonblocking: bool,
        url: str,
        *,
        max_age: Duration = 600,
        max_stale: Duration = 3600,
        min_interval: Duration = 10,
        timeout: Duration = 5,
        ca: str | os.PathLike[str] | None = None,
        cert: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        verify: bool = True,
        logger: _log.Logger | None = None,
    ) -> Self:
        from tokenstore import _oauth  # here, because it loads libcurl

        text = _options.text("url", url)
        if text is None:
            raise TypeError("url must be str, not NoneType")
        chosen = _log.logger_of(logger, "tokenstore.jwt")
        self = cls.__new__(cls)
        self._core = _oauth.RemoteKeys(
            log=functools.partial(_log.write, chosen),
            url=text.encode("utf-8", "surrogateescape"),
            ca=_path("ca", ca),
            cert=_path("cert", cert),
            key=_path("key", key),
            proxy=_path("proxy", proxy),
            insecure=not _options.flag("verify", verify),
            nonblocking=nonblocking,
            max_age_ms=_ms("max_age", max_age),
            max_stale_ms=_ms("max_stale", max_stale),
            interval_ms=_ms("min_interval", min_interval),
            timeout_ms=_ms("timeout", timeout),
        )
        if not verify:
            chosen.warning(
                "the server of the keys is not verified: an attacker on the network can replace them"
            )
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __copy__(self) -> Self:
        return self  # it owns resources that cannot be duplicated

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("a RemoteKeySet cannot be pickled: pass its URL instead")


class RemoteKeySet(RemoteKeys, Closing):
    """The public keys at a URL, a JWKS or PEM; fetched when first needed.

    Created by ``KeySet.from_url(url, …)``, and passed to ``decode`` like any key set. Threads may share it.

    ``max_age=600``
        seconds after which they are fetched again, in the background, while the old ones are used; the server's
        ``Cache-Control: max-age`` may shorten it
    ``max_stale=3600``
        how much longer the old ones are used while the server cannot be reached, with a warning in the log
    ``min_interval=10``
        seconds between two fetches for tokens whose key is unknown, unless the last one helped
    ``timeout=5``
        seconds for a fetch
    ``ca``, ``cert``, ``key``, ``proxy``, ``verify=True``
        as for :class:`tokenstore.Spike`. http is allowed for this host only, unless ``verify`` is False
    ``logger``
        one with ``info`` and ``warning``; else ``logging.getLogger("tokenstore.jwt")``

    Only public keys are used: a published secret or private key proves nothing. If no keys can be
    obtained, ``decode`` raises ConnectionError, TimeoutError or DataError, which says nothing about the token.
    """

    __slots__ = ()

    def __iter__(self) -> Iterator[Key]:
        """The current keys, fetched if there are none."""
        return iter(self._core.list(Key, True) or ())

    def close(self) -> None:
        """Cancel a fetch in progress; ``decode`` raises from now on. May be called twice."""
        self._core.close()


Keys = Union[Key, KeySet, RemoteKeySet, "list[Key]", "tuple[Key, ...]"]
Seconds = Union[float, timedelta]


class _Any(enum.Enum):
    ANY = "any audience"

    def __repr__(self) -> str:
        return "tokenstore.jwt.ANY"


#: As ``audience`` of ``decode``: accepts any ``aud``, which the caller checks.
ANY: Final = _Any.ANY

Audience = Union[Text, Collection[Text], _Any, None]


class Decoded(NamedTuple):
    """The result of ``decode_complete``."""

    header: dict[str, Any]
    claims: dict[str, Any]


def decode_with(seen: int | None, key: Any, *given: Any) -> Any:
    """Private: with the arguments of ``_core.jwt_decode``. ``seen`` is for keys at a URL: None waits for them."""
    if isinstance(key, RemoteKeys):
        return key._core.decode(seen, *given)
    return _core.jwt_decode(key, *given)


def decode(
    token: Presented,
    key: Keys,
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
    """Verify a token and return its claims.

    ``token``: the presented token; None, or anything else that is not a string, is not valid. ``key``: a Key, a
    KeySet (``KeySet.from_url`` too) or a list of Keys; those that match the token's algorithm and kid are
    tried, at most 16. ``algorithms``: those to accept. ``audience``: the token's ``aud`` must name it, or one
    of them; without it a token that has an ``aud`` is rejected. ``ANY``
    accepts any ``aud``, for callers that check it themselves. ``issuer``: ``iss`` must be it, or one of them.
    ``leeway``: how far ``exp`` and ``nbf`` may be off, up to a day. ``require``: required claims. ``now``:
    seconds since the epoch; default: the clock. ``typ``: the required ``typ`` of the header, such as
    ``"at+jwt"``. ``max_size``: bytes of the token. ``verify_exp``: False accepts an expired token, for a logout
    or a renewal; everything else is still checked.

    Raises ExpiredTokenError if only ``exp`` is wrong, InvalidTokenError if anything else is, ConfigurationError
    for invalid arguments, whatever the token.
    """
    claims: dict[str, Any] = decode_with(
        None,
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
    return claims


def decode_complete(
    token: Presented,
    key: Keys,
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
    return Decoded(
        *decode_with(
            None,
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


def get_unverified_header(token: Presented, max_size: int = 8192) -> dict[str, Any]:
    """The header of an unverified token, for choosing a key and for logs: do not trust it.

    Raises InvalidTokenError if there is no header.
    """
    return _core.jwt_header(token, max_size)


def _with_timestamps(claims: dict[str, Any]) -> dict[str, Any] | None:
    """The claims with datetimes as seconds; None if there are no datetimes."""
    times = {n: t for n in ("exp", "nbf", "iat") if isinstance(t := claims.get(n), datetime)}
    for name, time in times.items():
        if time.tzinfo is None:
            raise DataError(f"claims.{name} is a datetime without a time zone: add one")
    return {**claims, **{n: int(t.timestamp()) for n, t in times.items()}} if times else None


def encode(
    claims: dict[str, Any],
    key: Key,
    algorithm: str,
    headers: dict[str, Any] | None = None,
    max_size: int = 8192,
) -> str:
    """Create a token with these claims, signed with ``key``.

    ``exp``, ``nbf`` and ``iat`` are seconds since the epoch, or datetimes with a time zone. The header is
    alg, ``"typ": "JWT"`` and the key's kid; ``headers`` may change typ or kid, remove one with None, and add
    others.

    Raises ConfigurationError if the key cannot sign with ``algorithm``; DataError if the claims or headers
    cannot be written, if ``decode`` would always reject the token (``aud`` of another type, ``cty`` "JWT",
    ``exp`` before ``nbf`` …), or if it would be longer than ``max_size`` bytes.
    """
    try:
        return _core.jwt_encode(claims, key, algorithm, headers, max_size)
    except DataError:
        # Datetimes are handled only here: most callers pass numbers.
        seconds = _with_timestamps(claims)
        if seconds is None:
            raise
    return _core.jwt_encode(seconds, key, algorithm, headers, max_size)
