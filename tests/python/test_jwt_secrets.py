"""Keys of other kinds are rejected as HMAC secrets in any encoding; everything else is accepted."""

from __future__ import annotations

import base64
from typing import Any

import pytest

import tokenstore
from cases import load, to_bytes
from tokenstore import RedisJWT, jwt

VECTORS = load("jwt_secrets.json")
REFUSED = [(case["name"], to_bytes(case["value"])) for case in VECTORS["refused"]]
TAKEN = [(case["name"], to_bytes(case["value"])) for case in VECTORS["taken"]]


def spellings(secret: bytes) -> list[Any]:
    """As bytes, and as str if it is text."""
    try:
        return [secret, secret.decode()]
    except UnicodeDecodeError:
        return [secret]


def ways(secret: Any) -> list[Any]:
    """All functions that accept HMAC secrets."""
    data = secret.encode() if isinstance(secret, str) else secret
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(data).rstrip(b"=").decode()}
    return [
        lambda: jwt.Key.from_secret(secret),
        lambda: jwt.Key.from_jwk(jwk),
        lambda: RedisJWT("redis://127.0.0.1:1", secret=secret),
    ]


@pytest.mark.parametrize(("name", "secret"), REFUSED, ids=[name for name, _ in REFUSED])
def test_refused(name: str, secret: bytes) -> None:
    for one in spellings(secret):
        for way in ways(one):
            with pytest.raises(tokenstore.ConfigurationError, match="another type"):
                way()
    jwks = {"keys": [{"kty": "oct", "k": base64.urlsafe_b64encode(secret).rstrip(b"=").decode()}]}
    assert len(jwt.KeySet.from_jwks(jwks)) == 0


@pytest.mark.parametrize(("name", "secret"), TAKEN, ids=[name for name, _ in TAKEN])
def test_taken(name: str, secret: bytes) -> None:
    for one in spellings(secret):
        for way in ways(one):
            assert way() is not None
