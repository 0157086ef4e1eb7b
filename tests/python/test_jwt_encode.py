"""Tokens of encode are accepted by decode: with random claims and headers."""

from __future__ import annotations

import copy
import pickle
import random
from typing import Any

import pytest

import tokenstore
from tokenstore import jwt

KEY = jwt.Key.from_secret(b"k" * 64)
TIMES = [0, 1, 1.5, 1e308, 5e-324, 2**53 - 1, 1_700_000_000, -1, -1.5, "1", None, True, [], {}]
AUDIENCES = ["a", "", "\u00e9", ["a"], ["a", "b"], [], [""], ["", "a"], ["a", 5], [["a"]], 5, None, True, {"a": 1}]
OTHERS = ["x", "", 0, None, True, [], {}, ["x"], {"a": {"b": [1, 2.5]}}, "\U0001f600", 1e-300]
CLAIMS: dict[str, list[Any]] = {"exp": TIMES, "nbf": TIMES, "iat": TIMES, "aud": AUDIENCES, "iss": OTHERS,
                                "sub": OTHERS, "jti": OTHERS, "EXP": OTHERS, "": OTHERS, "x": OTHERS}  # fmt: skip
HEADERS: dict[str, list[Any]] = {"typ": ["JWT", "at+jwt", "", None, 5], "kid": ["k", "", None, 5, ["k"]],
                                 "cty": ["json", "JWT", "application/jwt", "", None, 5], "alg": ["HS256", "none"],
                                 "crit": [["exp"], [], None], "b64": [True, False], "zip": ["DEF"],
                                 "x": OTHERS, "jwk": OTHERS}  # fmt: skip


def drawn(pool: dict[str, list[Any]], chance: random.Random) -> dict[str, Any]:
    names = chance.sample(sorted(pool), chance.randint(0, 4))
    return {name: chance.choice(pool[name]) for name in names}


def right_arguments(claims: dict[str, Any]) -> dict[str, Any]:
    """Arguments with which a token with these claims is valid, if possible."""
    nbf, exp = claims.get("nbf", 0), claims.get("exp", 1e308)
    arguments: dict[str, Any] = {"now": nbf if nbf > 0 else exp / 2 or 0.5, "leeway": 0 if exp > 1e-300 else 1}
    if "aud" in claims:
        aud = claims["aud"]
        arguments["audience"] = aud if isinstance(aud, str) else next(one for one in aud if one)
    if isinstance(claims.get("iss"), str) and claims["iss"]:
        arguments["issuer"] = claims["iss"]
    return arguments


def test_what_encode_makes_decode_takes() -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    made = refused = 0
    for _ in range(20_000):
        claims, headers = drawn(CLAIMS, chance), drawn(HEADERS, chance)
        if chance.random() < 0.5:
            headers = {}
        what = (seed, claims, headers)
        try:
            token = jwt.encode(claims, KEY, "HS256", headers)
        except tokenstore.DataError:
            refused += 1
            continue
        made += 1
        try:
            assert jwt.decode(token, KEY, ["HS256"], **right_arguments(claims)) == claims, what
        except tokenstore.Error as error:
            raise AssertionError(f"{error}: {what}") from error
    assert made > 3000
    assert refused > 3000


@pytest.mark.parametrize("token", [None, "", b"", 5, 1.5, True, [], {}, object(), ["a.b.c"], "\udcff", "\ud800 "])
def test_what_is_no_token_is_invalid(token: Any) -> None:
    for decode in (jwt.decode, jwt.decode_complete):
        with pytest.raises(jwt.InvalidTokenError, match="the token is not valid"):
            decode(token, KEY, ["HS256"])


def test_the_errors_are_those_of_the_package() -> None:
    for name in ("InvalidTokenError", "ExpiredTokenError", "ConfigurationError", "DataError"):
        assert getattr(jwt, name) is getattr(tokenstore, name)
        assert name in jwt.__all__


def test_keys_are_copied_as_what_never_changes() -> None:
    """Settings with a key can be copied; a pickle would contain the secret."""
    settings = {"key": KEY, "set": jwt.KeySet.from_jwks({"keys": []})}
    assert copy.deepcopy(settings) == settings
    assert copy.copy(KEY) is KEY
    for thing in settings.values():
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="cannot be pickled: pass"):
                pickle.dumps(thing, protocol)


def test_max_size() -> None:
    claims = {"groups": ["g" * 36] * 250}
    with pytest.raises(tokenstore.DataError, match="max_size"):
        jwt.encode(claims, KEY, "HS256")
    token = jwt.encode(claims, KEY, "HS256", max_size=16384)
    assert 11_000 < len(token) < 16_384
    assert jwt.decode(token, KEY, ["HS256"], max_size=16384) == claims
    assert jwt.decode_complete(token, KEY, ["HS256"], max_size=16384).claims == claims
    with pytest.raises(tokenstore.InvalidTokenError, match=f"{len(token)} bytes, and max_size is 8192"):
        jwt.decode(token, KEY, ["HS256"])
    for size in (0, -1, 2**20 + 1, 2**70):
        with pytest.raises(tokenstore.ConfigurationError, match="max_size must be"):
            jwt.decode(token, KEY, ["HS256"], max_size=size)
        with pytest.raises(tokenstore.ConfigurationError, match="max_size must be"):
            jwt.encode(claims, KEY, "HS256", max_size=size)
