"""``jwt decode``: what a JSON Web Token says, and whether that is verified."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from tokenstore import jwt
from tokenstore._cli.common import Options, UsageError, read_file, read_secret
from tokenstore._cli.output import is_for_people, print_record
from tokenstore._cli.paint import paint
from tokenstore._cli.terminal import moment, plain
from tokenstore.errors import InvalidTokenError

__all__ = ["decode"]

_SECRET = "TOKENSTORE_JWT_SECRET"
_NAMES = ("verified", "problem", "header", "claims")
_TIMES = ("exp", "iat", "nbf", "auth_time")


def decode(options: Options) -> bool:
    """The token from stdin. False if there is a key, and the token is not valid."""
    key = _key(options)
    token = read_secret("JWT: ")
    record: dict[str, Any] = dict.fromkeys(_NAMES)
    record["verified"] = False
    try:
        header = jwt.get_unverified_header(token)
        if key is None:
            record |= {"problem": "no key was given", "header": header, "claims": _unverified_claims(token)}
        else:
            record |= {"verified": True, "header": header, "claims": _verified_claims(options, token, key, header)}
    except InvalidTokenError as error:
        record["problem"] = str(error)
    if is_for_people(options):
        _print(record)
    else:
        print_record(options, _NAMES, record, lambda _: ())
    return record["claims"] is not None


def _print(record: dict[str, Any]) -> None:
    if record["verified"]:
        paint(("verified: ", "bold"), ("signature and times are valid", ""))
    elif record["claims"] is None:
        paint(("NOT VALID: ", "bold reverse"), (plain(record["problem"]), ""))
        return
    else:
        paint(("NOT VERIFIED: ", "bold reverse"), ("no key was given, so anybody may have written this", ""))
    for part in ("header", "claims"):
        paint((part, "bold"))
        for name, value in record[part].items():
            print(f"  {plain(name)}: {plain(_text_of(name, value))}")


def _text_of(name: str, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    is_time = name in _TIMES and isinstance(value, (int, float)) and 0 <= value < 2**36
    return f"{text} ({moment(value)})" if is_time else text


def _verified_claims(options: Options, token: bytes, key: Any, header: dict[str, Any]) -> dict[str, Any]:
    """Without --algorithm, the key says which are possible."""
    algorithms = options.algorithm or _algorithms_of(key) or [header["alg"]]
    audience = options.audience or jwt.ANY
    return jwt.decode(token, key, algorithms, audience=audience, issuer=options.issuer, leeway=options.leeway)


def _algorithms_of(key: Any) -> list[str]:
    """None of keys that are yet to be fetched."""
    if isinstance(key, jwt.RemoteKeySet):
        return []
    keys = [key] if isinstance(key, jwt.Key) else key
    return sorted({name for one in keys for name in one.algorithms})


def _unverified_claims(token: bytes) -> dict[str, Any]:
    try:
        payload = token.split(b".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    except (ValueError, IndexError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise InvalidTokenError("the claims are not a JSON object")
    return claims


def _key(options: Options) -> Any:
    """That of --key-file or --jwks-url, else the secret in the environment; None if there is none."""
    if options.key_file is not None and options.jwks_url is not None:
        raise UsageError("give --key-file or --jwks-url, not both")
    if options.key_file == "-":
        raise UsageError("--key-file: stdin has the token, so the key must be in a file")
    if options.jwks_url is not None:
        return jwt.KeySet.from_url(options.jwks_url)
    if options.key_file is not None:
        return _key_of(read_file(options.key_file))
    secret = os.environb.get(_SECRET.encode())
    return jwt.Key.from_secret(secret) if secret else None


def _key_of(content: bytes) -> Any:
    """A PEM, a JWK or a JWKS; else the file is the secret, byte for byte."""
    text = content.lstrip()
    if text.startswith(b"-----BEGIN"):
        return jwt.Key.from_pem(content)
    if text.startswith(b"{"):
        return jwt.KeySet.from_jwks(content) if b'"keys"' in content else jwt.Key.from_jwk(content)
    return jwt.Key.from_secret(content)
