"""Invalid tokens, each for one reason: they must be rejected."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any, Callable

from authorization import Signer
from tokenstore import jwt

FORGED_FOR = "https://api.example/a"


def _part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"aud": FORGED_FOR, "iat": now, "exp": now + 3600, **more}


def _without(claim: str) -> Callable[[Signer], str]:
    def made(signer: Signer) -> str:
        claims = {name: value for name, value in _claims().items() if name != claim}
        return jwt.encode(claims, jwt.Key.from_pem(signer.private), algorithm="ES256")

    return made


def _of_nobody(algorithm: str) -> Callable[[Signer], str]:
    """Without a signature."""
    return lambda signer: f"{_part({'alg': algorithm})}.{_part(_claims())}."


def _with_public_key_as_secret(signer: Signer) -> str:
    text = f"{_part({'alg': 'HS256'})}.{_part(_claims())}"
    return text + "." + _part(hmac.new(signer.public, text.encode(), hashlib.sha256).digest())


def _with_its_own_key(signer: Signer) -> str:
    """The header contains the key that it was signed with."""
    other = Signer()
    key = {"jwk": {"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}, "jku": "http://127.0.0.1:1/"}
    return jwt.encode(_claims(), jwt.Key.from_pem(other.private), "ES256", headers=key)


def _changed(signer: Signer) -> str:
    header, _, signature = signer.token(FORGED_FOR).split(".")
    return f"{header}.{_part(_claims(admin=True))}.{signature}"


FORGED: dict[str, Callable[[Signer], str]] = {
    "for another": lambda signer: signer.token("https://api.example/b"),
    "for several others": lambda signer: signer.token("", aud=["b", "c"]),
    "for nobody": _without("aud"),
    "without an end": _without("exp"),
    "expired": lambda signer: signer.token(FORGED_FOR, iat=1, exp=int(time.time()) - 1),
    "long expired": lambda signer: signer.token(FORGED_FOR, iat=1, exp=2),
    "within the offset": lambda signer: signer.token(FORGED_FOR, exp=int(time.time()) + 5),
    "not yet": lambda signer: signer.token(FORGED_FOR, nbf=int(time.time()) + 600),
    "another's key": lambda signer: Signer().token(FORGED_FOR),
    "its own key": _with_its_own_key,
    "changed": _changed,
    "none": _of_nobody("none"),
    "no signature": _of_nobody("ES256"),
    "the public key as a secret": _with_public_key_as_secret,
    "no JWT": lambda signer: "abc",
}
