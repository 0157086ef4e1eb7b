"""tokenstore.jwt: the vectors shared with C and Lua, and tests for Python only."""

from __future__ import annotations

import gc
import json
import os
import pty
import select
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import tokenstore
from cases import load, to_bytes
from tokenstore import jwt

VECTORS = load("jwt.json")
NOW = VECTORS["now"]
ERRORS = {
    "configuration": tokenstore.ConfigurationError,
    "data": tokenstore.DataError,
    "invalid_token": tokenstore.InvalidTokenError,
    "expired_token": tokenstore.ExpiredTokenError,
}
SECRET = bytes(range(64))


def load_key(entry: dict[str, Any]) -> Any:
    value, kind = entry["value"], entry["load"].split()[0]
    options = {name: entry[name] for name in ("kid", "algorithm", "password") if name in entry}
    if kind == "secret":
        return jwt.Key.from_secret(to_bytes(value), **options)
    if kind == "pem":
        return jwt.Key.from_pem(value, **options)
    return jwt.KeySet.from_jwks(value) if kind == "jwks" else jwt.Key.from_jwk(value)


KEYS = {name: load_key(entry) for name, entry in VECTORS["keys"].items()}


def named_key(name: str | list[str]) -> Any:
    return KEYS[name] if isinstance(name, str) else [KEYS[one] for one in name]


def refused(case: dict[str, Any], call: Any) -> Any:
    """The result of `call` if the verdict is ok; None if it raised the expected error."""
    if case["verdict"] == "ok":
        return call()
    with pytest.raises(tokenstore.Error) as caught:
        call()
    assert type(caught.value) is ERRORS[case["verdict"]]
    assert case.get("message", "") in str(caught.value)
    return None


def ids(cases: list[dict[str, Any]]) -> list[str]:
    return [case["name"].encode("ascii", "replace").decode() for case in cases]


# ---- the vectors --------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VECTORS["load"], ids=ids(VECTORS["load"]))
def test_load(case: dict[str, Any]) -> None:
    # `kid` and `algorithm` are options of PEM and secrets, and expected values of a JWK.
    got = refused(case, lambda: load_key(case))
    if isinstance(got, jwt.KeySet):
        assert (len(got), got.skipped) == (case["count"], case["skipped"])
        assert len(list(got)) == len(got)
    elif got is not None:
        assert got.algorithms == tuple(case["algorithms"])
        assert got.can_sign is case["can_sign"]
        assert got.kid == case.get("kid")


@pytest.mark.parametrize("case", VECTORS["decode"], ids=ids(VECTORS["decode"]))
def test_decode(case: dict[str, Any]) -> None:
    token = to_bytes(case["token"])
    policy = ("audience", "issuer", "leeway", "require", "now", "typ", "max_size", "verify_exp")
    options = {"now": NOW, **{name: case[name] for name in policy if name in case}}
    if case.get("any_audience"):
        options["audience"] = jwt.ANY
    key = named_key(case["key"])

    def decode(token: Any) -> dict[str, Any]:
        return jwt.decode(token, key, case["algorithms"], **options)

    claims = refused(case, lambda: decode(token))
    if claims is not None:
        assert case.get("claims", claims) == claims
        assert decode(token.decode()) == claims
        both = jwt.decode_complete(token, key, case["algorithms"], **options)
        assert both.claims == claims
        assert both.header["alg"] in case["algorithms"]


@pytest.mark.parametrize("case", VECTORS["header"], ids=ids(VECTORS["header"]))
def test_header(case: dict[str, Any]) -> None:
    size = {name: case[name] for name in ("max_size",) if name in case}
    header = refused(case, lambda: jwt.get_unverified_header(case["token"], **size))
    assert header == case.get("header")


@pytest.mark.parametrize("case", VECTORS["export"], ids=ids(VECTORS["export"]))
def test_export(case: dict[str, Any]) -> None:
    key = load_key(case)
    assert refused(case, key.thumbprint) == case.get("thumbprint")
    assert refused(case, key.to_jwk) == case.get("public")
    assert refused(case, lambda: key.to_jwk(private=False)) == case.get("public")
    if "private" in case:
        assert key.to_jwk(private=True) == case["private"]
        assert jwt.Key.from_jwk(key.to_jwk(private=True)).can_sign
    else:
        with pytest.raises(tokenstore.ConfigurationError):
            key.to_jwk(private=True)


@pytest.mark.parametrize("case", VECTORS["encode"], ids=ids(VECTORS["encode"]))
def test_encode(case: dict[str, Any]) -> None:
    key = KEYS[case["key"]]
    size = {name: case[name] for name in ("max_size",) if name in case}
    token = refused(
        case, lambda: jwt.encode(case["claims"], key, case["algorithm"], case.get("headers"), **size)
    )
    if token is not None:
        assert case.get("token", token) == token
        check = KEYS[case.get("check", case["key"])]
        assert jwt.decode(token, check, [case["algorithm"]], now=NOW, **size) == case["claims"]


def test_the_vectors_are_many() -> None:
    assert len(VECTORS["load"]) + len(VECTORS["decode"]) + len(VECTORS["encode"]) > 800


# ---- arguments ----------------------------------------------------------------------------------


@pytest.fixture
def key() -> jwt.Key:
    return jwt.Key.from_secret(SECRET, kid="one")


def test_wrong_types_raise_type_error(key: jwt.Key) -> None:
    token = jwt.encode({}, key, "HS256")
    calls: list[Any] = [
        lambda: jwt.decode(token, "secret", ["HS256"]),  # type: ignore[arg-type]
        lambda: jwt.decode(token, b"x" * 64, ["HS256"]),  # type: ignore[arg-type]
        lambda: jwt.decode(token, [key, "x"], ["HS256"]),  # type: ignore[list-item]
        lambda: jwt.decode(token, key, "HS256"),
        lambda: jwt.decode(token, key, None),  # type: ignore[arg-type]
        lambda: jwt.decode(token, key, [1]),  # type: ignore[list-item]
        lambda: jwt.decode(token, key, ["HS256"], max_size="1"),  # type: ignore[arg-type]
        lambda: jwt.decode(token, key, ["HS256"], audience=1),  # type: ignore[arg-type]
        lambda: jwt.decode(token, key, ["HS256"], audience=["a", 1]),  # type: ignore[list-item]
        lambda: jwt.decode(token, key, ["HS256"], require="exp"),
        lambda: jwt.decode(token, key, ["HS256"], leeway="1"),  # type: ignore[arg-type]
        lambda: jwt.decode(token, key, ["HS256"], now="1"),  # type: ignore[arg-type]
        lambda: jwt.decode(token, key, ["HS256"], typ=1),  # type: ignore[arg-type]
        lambda: jwt.encode([], key, "HS256"),  # type: ignore[arg-type]
        lambda: jwt.encode({}, "secret", "HS256"),  # type: ignore[arg-type]
        lambda: jwt.encode({}, [key], "HS256"),  # type: ignore[arg-type]
        lambda: jwt.encode({}, key, None),  # type: ignore[arg-type]
        lambda: jwt.encode({}, key, "HS256", headers=[]),  # type: ignore[arg-type]
        lambda: jwt.Key.from_secret(1),  # type: ignore[arg-type]
        lambda: jwt.Key.from_secret(SECRET, kid=1),  # type: ignore[arg-type]
        lambda: jwt.Key.from_secret(SECRET, algorithm=1),  # type: ignore[arg-type]
        lambda: jwt.Key.from_jwk([]),  # type: ignore[arg-type]
        lambda: jwt.KeySet.from_jwks(None),  # type: ignore[arg-type]
        lambda: jwt.Key(),
        lambda: jwt.KeySet(),
    ]
    for call in calls:
        with pytest.raises((TypeError, AttributeError)):
            call()


def test_collections_of_arguments(key: jwt.Key) -> None:
    token = jwt.encode({"aud": "a", "iss": "i"}, key, "HS256")
    for make in (list, tuple, set, frozenset):
        claims = jwt.decode(
            token,
            key,
            make(["HS256"]),
            audience=make(["a"]),
            issuer=make(["i"]),
            require=make(["aud"]),
        )
        assert claims == {"aud": "a", "iss": "i"}
    for key_list in ([key], (key,), [jwt.Key.from_secret(b"y" * 64), key]):
        assert jwt.decode(token, key_list, ["HS256"], audience="a")
    for name in ("audience", "issuer"):
        with pytest.raises(tokenstore.ConfigurationError, match=name):
            jwt.decode(token, key, ["HS256"], **{name: []})  # type: ignore[arg-type]


def test_bytes_and_str_are_the_same(key: jwt.Key) -> None:
    token = jwt.encode({"aud": "é"}, key, "HS256")
    for audience in ("é", "é".encode()):
        assert jwt.decode(token.encode(), key, ["HS256"], audience=audience)
    for hostile in ("\udcff", "\ud800", "é", token + "\udcff"):
        with pytest.raises(tokenstore.InvalidTokenError):
            jwt.decode(hostile, key, ["HS256"])


def test_leeway_as_timedelta(key: jwt.Key) -> None:
    token = jwt.encode({"exp": NOW - 5}, key, "HS256")
    assert jwt.decode(token, key, ["HS256"], now=NOW, leeway=timedelta(seconds=6))
    with pytest.raises(tokenstore.ExpiredTokenError):
        jwt.decode(token, key, ["HS256"], now=NOW, leeway=timedelta(seconds=5))


def test_the_clock_is_the_default(key: jwt.Key) -> None:
    assert jwt.decode(jwt.encode({"exp": time.time() + 30}, key, "HS256"), key, ["HS256"])
    with pytest.raises(tokenstore.ExpiredTokenError):
        jwt.decode(jwt.encode({"exp": time.time() - 1}, key, "HS256"), key, ["HS256"])
    with pytest.raises(tokenstore.InvalidTokenError):
        jwt.decode(jwt.encode({"nbf": time.time() + 30}, key, "HS256"), key, ["HS256"])


def test_datetimes(key: jwt.Key) -> None:
    moment = datetime(2030, 1, 2, 3, 4, 5, 600000, tzinfo=timezone.utc)
    elsewhere = moment.astimezone(timezone(timedelta(hours=5)))
    given = {"exp": moment, "nbf": NOW, "iat": elsewhere}
    kept = dict(given)
    claims = jwt.decode(jwt.encode(given, key, "HS256"), key, ["HS256"])
    assert claims == {"exp": 1893553445, "nbf": NOW, "iat": 1893553445}
    assert given == kept
    with pytest.raises(tokenstore.DataError, match="time zone"):
        jwt.encode({"exp": datetime(2030, 1, 1)}, key, "HS256")


def test_what_claims_cannot_hold(key: jwt.Key) -> None:
    for value, where in (
        (float("nan"), "claims.x"),
        (2**53, "claims.x"),
        ({1: 2}, "claims.x"),
        (object(), "claims.x"),
        ("\ud800", "claims.x"),
    ):
        with pytest.raises(tokenstore.DataError, match=where):
            jwt.encode({"x": value}, key, "HS256")
    with pytest.raises(tokenstore.DataError, match=r"headers\.x"):
        jwt.encode({}, key, "HS256", headers={"x": float("inf")})


# ---- keys ---------------------------------------------------------------------------------------


def test_keys_show_what_they_are_and_no_more(key: jwt.Key) -> None:
    assert repr(key) == "<Key secret kid='one'>"
    assert repr(KEYS["rfc7520-rsa"]) == "<Key RSA private>"
    assert repr(KEYS["rfc7520-rsa public"]) == "<Key RSA>"
    assert repr(KEYS["set"]) == "<KeySet of 4, 5 skipped>"
    assert [k.kid for k in KEYS["set"]] == ["a", "b", "c", "e"]
    with pytest.raises(AttributeError):
        key.kid = "two"  # type: ignore[misc]


def test_subclasses_make_their_own() -> None:
    class Mine(jwt.Key):
        pass

    mine = Mine.from_secret(SECRET)
    assert type(mine) is Mine
    assert jwt.decode(jwt.encode({}, mine, "HS256"), mine, ["HS256"]) == {}


def test_a_key_outlives_its_set() -> None:
    keys = list(jwt.KeySet.from_jwks(VECTORS["keys"]["set"]["value"]))
    gc.collect()
    assert keys[1].algorithms[0] == "RS256"


def test_jwk_forms() -> None:
    jwk = VECTORS["keys"]["rfc7520-rsa"]["value"]
    for form in (jwk, json.dumps(jwk), json.dumps(jwk).encode()):
        assert jwt.Key.from_jwk(form).can_sign
    with pytest.raises(tokenstore.DataError, match=r"jwk\.n"):
        jwt.Key.from_jwk({"kty": "RSA", "n": float("nan")})


def test_a_key_ring_signs_with_one_and_checks_with_several() -> None:
    old, new = (jwt.Key.from_secret(bytes([i]) * 64, kid=str(i)) for i in range(2))
    for signer in (old, new):
        token = jwt.encode({"by": signer.kid}, signer, "HS512")
        assert jwt.decode(token, [new, old], ["HS512"]) == {"by": signer.kid}
    with pytest.raises(tokenstore.InvalidTokenError):
        jwt.decode(jwt.encode({}, old, "HS512"), [new], ["HS512"])


# ---- no leaks, no races -------------------------------------------------------------------------


def test_arguments_are_given_back(key: jwt.Key) -> None:
    token = jwt.encode({"aud": "an audience"}, key, "HS256")
    names, audiences, keys = ["HS256"], ["an audience\udcff", "an audience"], [key]
    held = [token, names, names[0], audiences, *audiences, keys, key]
    before = [sys.getrefcount(one) for one in held]
    for wrong in ({}, {"issuer": 5}, {"require": [5]}, {"now": "x"}, {"typ": 5}, {"issuer": "x"}):
        for _ in range(20):
            try:
                jwt.decode(token, keys, names, audiences, **wrong)  # type: ignore[arg-type]
            except (TypeError, tokenstore.Error):
                assert wrong
    assert [sys.getrefcount(one) for one in held] == before


def test_threads_share_a_key_while_lists_change() -> None:
    private, public = KEYS["rfc7515-p256"], KEYS["rfc7515-p256 public"]
    keys = [public]
    audiences = ["x" * 40, "api"]
    stop = threading.Event()
    errors: list[BaseException] = []

    def change() -> None:
        while not stop.is_set():
            keys[:] = [jwt.Key.from_jwk(VECTORS["keys"]["rfc7515-p256 public"]["value"])]
            audiences[:] = ["y" * 40, "a" + "pi"]

    def work() -> None:
        try:
            for i in range(200):
                token = jwt.encode({"n": i, "aud": "api"}, private, "ES256")
                assert jwt.decode(token, keys, ["ES256"], audiences) == {"n": i, "aud": "api"}
        except BaseException as error:
            errors.append(error)

    changer = threading.Thread(target=change)
    workers = [threading.Thread(target=work) for _ in range(4)]
    for thread in (changer, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    changer.join()
    assert errors == []


# ---- checks left to the caller ------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 0, 1, "no", "False", []])
def test_verify_exp_is_a_bool(value: Any) -> None:
    """A falsy value must not turn it off."""
    token = jwt.encode({"exp": 1}, jwt.Key.from_secret(SECRET), "HS256")
    with pytest.raises(TypeError, match="verify_exp"):
        jwt.decode(token, jwt.Key.from_secret(SECRET), ["HS256"], verify_exp=value)


def test_any_is_alone() -> None:
    key = jwt.Key.from_secret(SECRET)
    token = jwt.encode({"aud": "a"}, key, "HS256")
    assert repr(jwt.ANY) == "tokenstore.jwt.ANY"
    with pytest.raises(TypeError, match="audience"):
        jwt.decode(token, key, ["HS256"], audience=[jwt.ANY])  # type: ignore[list-item]
    with pytest.raises(tokenstore.InvalidTokenError, match="aud"):
        jwt.decode(token, key, ["HS256"], audience="any audience")


@pytest.mark.parametrize("token", [None, 5, "", b"\xff", "a.b", [], object()])
def test_what_has_no_header(token: Any) -> None:
    with pytest.raises(tokenstore.InvalidTokenError):
        jwt.get_unverified_header(token)


# ---- passwords and export ---------------------------------------------------------------------------

ENCRYPTED = load("jwt_encrypted.json")


def test_arguments_of_passwords_and_export() -> None:
    pem = ENCRYPTED["pem"]["PKCS#8 rfc8037-ed25519"]
    key = jwt.Key.from_pem(pem, password=ENCRYPTED["password"].encode())
    for wrong in (1, ["x"], True):
        with pytest.raises(TypeError, match="password"):
            jwt.Key.from_pem(pem, password=wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="private"):
            key.to_jwk(private=wrong if wrong is not True else 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        jwt.Key.from_pem(pem, ENCRYPTED["password"], "EdDSA", None, None)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ENCRYPTED["pem"])
def test_no_password_is_in_a_message(name: str) -> None:
    for password in ("canary-of-a-password", None):
        with pytest.raises(tokenstore.ConfigurationError) as caught:
            jwt.Key.from_pem(ENCRYPTED["pem"][name], password=password)
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize("password", [None, "wrong"])
@pytest.mark.parametrize("name", ["PKCS#8 rfc7520-rsa", "PKCS#1 rfc7520-rsa"])
def test_nobody_is_asked_for_a_password(name: str, password: str | None) -> None:
    """At a terminal, where OpenSSL would prompt."""
    code = "import os, sys; from tokenstore import jwt; jwt.Key.from_pem(sys.argv[1], password={!r})"
    child, terminal = pty.fork()
    if child == 0:
        pem = ENCRYPTED["pem"][name]
        os.execv(sys.executable, [sys.executable, "-c", code.format(password), pem])
    shown = b""
    begin = time.monotonic()
    while time.monotonic() < begin + 10 and select.select([terminal], [], [], 10)[0]:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the child is gone
            break
    os.close(terminal)
    os.waitpid(child, 0)
    assert b"ConfigurationError" in shown
    assert b"phrase" not in shown.lower()
