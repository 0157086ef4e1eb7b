"""Client authentication: the requests. tests/oauth has the servers that check them."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tokenstore
from authorization import (
    Answer,
    Asked,
    endpoint,
    granted,
    new_key,
)
from callers import LUAS, SOAK
from certs import Pki
from lua_process import BEGIN, Lua, get, quote
from servers import Server
from tokenstore import Spike, get_token_creator, jwt

AUDIENCE = "https://api.example/a"
SECRET = "a secret for post and for assertions, of more than 32 bytes-canary"
PRIVATE = new_key("client-key")
PUBLIC = {name: PRIVATE[name] for name in ("kty", "n", "e", "kid", "use", "alg")}
OTHERS = subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x"],
    check=True, capture_output=True, text=True,
).stdout  # fmt: skip
QUICK = {"retries": 0, "total": 5}

Fetch = Callable[[str, dict[str, Any]], str]


def by_python(url: str, options: dict[str, Any]) -> str:
    with Spike(url, **{"retry": QUICK, **options}) as spike:
        return spike.get_token(AUDIENCE)


@pytest.fixture(params=["python", *(LUAS if SOAK else LUAS[:1])])
def fetch(request: pytest.FixtureRequest) -> Iterator[Fetch]:
    """Gets one token, in Python and in Lua, in `make soak` in each."""
    if request.param == "python":
        yield by_python
        return
    lua = Lua(request.param)
    lua(BEGIN)

    def by_lua(url: str, options: dict[str, Any]) -> str:
        given = {"url": url, "retry": QUICK, **options}
        lua(f"options = {quote(given)} options.logger = log spike = assert(tokenstore.Spike(options))")
        results = lua.all(get(AUDIENCE))
        lua("spike:close()")
        assert results[0] is not None, results
        return str(results[0])

    yield by_lua
    assert lua.end() == 0


# ---- requests ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [PRIVATE, jwt.Key.from_jwk(PRIVATE), json.dumps(PRIVATE).encode()], ids=["dict", "Key", "bytes"])
def test_a_key_in_each_form(key: Any) -> None:
    with endpoint(lambda asked: granted()) as server:
        by_python(server.url, {"client_id": "me", "client_auth": "private_key_jwt", "client_key": key, "token_format": "opaque"})
        (asked,) = server.asked
    public = jwt.Key.from_jwk(PUBLIC)
    audience = server.url + "/oauth2/token"
    assert jwt.decode(asked.form["client_assertion"], public, ["RS256"], audience=audience)["sub"] == "me"


def raw_basic(asked: Asked) -> tuple[str, str]:
    """As read by a server that does not decode."""
    user, _, password = base64.b64decode(asked.headers["authorization"].split()[1]).decode().partition(":")
    return user, password


def test_raw_credentials_are_sent_as_they_are(fetch: Fetch) -> None:
    options = {"client_id": "a b%c/\u00e9~*", "client_secret": "d:e f%+=\u00e9", "token_format": "opaque"}
    with endpoint(lambda asked: granted()) as server:
        fetch(server.url, {**options, "client_auth": "basic_raw"})
        assert raw_basic(server.asked[0]) == (options["client_id"], options["client_secret"])


def test_token_creators_send_raw_credentials() -> None:
    """Like both Node packages."""
    with endpoint(lambda asked: granted()) as server:
        creator = get_token_creator(
            ClientId="a b%", ClientSecret="c d%", spikeURL=server.url, tokenAudience=AUDIENCE, retries=0
        )
        with creator, pytest.raises(tokenstore.SpikeError):  # no key: the token request came first
            creator()
        assert raw_basic(server.tokens_asked[0]) == ("a b%", "c d%")


def test_post_and_none_send_parameters_alone(fetch: Fetch) -> None:
    with endpoint(lambda asked: granted()) as server:
        fetch(server.url, {"client_id": "i d", "client_secret": "s&=", "client_auth": "post", "token_format": "opaque"})
        fetch(server.url, {"client_id": "i d", "client_auth": "none", "token_format": "opaque"})
        post, none = server.asked
    assert "authorization" not in post.headers
    assert (post.form["client_id"], post.form["client_secret"]) == ("i d", "s&=")
    assert "authorization" not in none.headers
    assert none.form["client_id"] == "i d"
    assert "client_secret" not in none.form


def test_an_assertion_is_new_for_each_request(fetch: Fetch) -> None:
    answers = iter([Answer(500), granted()])
    with endpoint(lambda asked: next(answers)) as server:
        fetch(server.url, {
            "client_id": "me", "client_auth": "client_secret_jwt", "client_secret": SECRET, "token_format": "opaque",
            "retry": {"retries": 1, "min": 0, "max": 0}})  # fmt: skip
        forms = [asked.form for asked in server.asked]
    assert len(forms) == 2
    ids = set()
    for form in forms:
        assert form["client_id"] == "me"
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert "client_secret" not in form
        claims = jwt.decode(form["client_assertion"], jwt.Key.from_secret(SECRET), ["HS256"],
                            audience=server.url + "/oauth2/token", issuer="me", require=["exp", "iat", "jti"])  # fmt: skip
        assert claims["sub"] == "me"
        assert 0 < claims["exp"] - time.time() <= 60
        ids.add(claims["jti"])
    assert len(ids) == 2


@pytest.mark.parametrize("auth", ["client_secret_jwt", "private_key_jwt"])
def test_an_assertion_for_the_issuer(fetch: Fetch, auth: str) -> None:
    """As RFC 10070 requires: only that."""
    key = {"client_secret": SECRET} if auth == "client_secret_jwt" else {"client_key": json.dumps(PRIVATE)}
    with endpoint(lambda asked: granted()) as server:
        fetch(server.url, {"client_id": "me", "client_auth": auth, "token_format": "opaque",
                           "assertion_audience": "https://issuer.example/", **key})  # fmt: skip
        (asked,) = server.asked
    claims = asked.form["client_assertion"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["aud"] == "https://issuer.example/"


def test_an_assertion_is_signed_as_was_asked_for(fetch: Fetch) -> None:
    with endpoint(lambda asked: granted()) as server:
        options = {"client_id": "me", "client_auth": "private_key_jwt", "client_key": json.dumps({**PRIVATE, "alg": "PS256"}), "token_format": "opaque"}
        fetch(server.url, options)
        options["client_key"] = json.dumps({n: v for n, v in PRIVATE.items() if n != "alg"})
        fetch(server.url, options)
        fetch(server.url, {**options, "client_algorithm": "RS512"})
        tokens = [asked.form["client_assertion"] for asked in server.asked]
    headers = [json.loads(base64.urlsafe_b64decode(t.split(".")[0] + "==")) for t in tokens]
    assert [h["alg"] for h in headers] == ["PS256", "RS256", "RS512"]
    assert {h["kid"] for h in headers} == {"client-key"}


def test_a_certificate_alone(tmp_path: Path, fetch: Fetch) -> None:
    pki = Pki(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.good.cert, pki.good.key)
    context.load_verify_locations(pki.ca.cert)
    context.verify_mode = ssl.CERT_REQUIRED
    mine = pki.ca.sign("client", "extendedKeyUsage=clientAuth")
    with endpoint(lambda asked: granted(), context) as server:
        fetch(server.url, {"client_id": "me", "client_auth": "tls", "token_format": "opaque",
                           "ca": str(pki.ca.cert), "cert": str(mine.cert), "key": str(mine.key)})  # fmt: skip
        (asked,) = server.asked
    assert "authorization" not in asked.headers
    assert asked.form["client_id"] == "me"


def test_clients_of_two_certificates_do_not_share(tmp_path: Path, redis: Server) -> None:
    """Tokens may be bound to them (RFC 8705, 3)."""
    pki = Pki(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.good.cert, pki.good.key)
    context.load_verify_locations(pki.ca.cert)
    context.verify_mode = ssl.CERT_REQUIRED
    tokens = iter(f"token-{i}" for i in range(9))
    with endpoint(lambda asked: granted(next(tokens)), context) as server:
        one, two = (pki.ca.sign(name, "extendedKeyUsage=clientAuth") for name in ("one", "two"))
        options = {"client_id": "me", "token_format": "opaque", "redis": redis.url, "ca": str(pki.ca.cert)}
        got = [
            by_python(server.url, {**options, "cert": str(mine.cert), "key": str(mine.key)})
            for mine in (one, two, one)
        ]
    assert got == ["token-0", "token-1", "token-0"]


def test_an_assertion_names_its_certificate(tmp_path: Path, fetch: Fetch) -> None:
    """By x5t#S256, as Entra requires; compared with openssl."""
    pki = Pki(tmp_path)
    mine = pki.ca.sign("client", "extendedKeyUsage=clientAuth")
    der = subprocess.run(
        ["openssl", "x509", "-in", str(mine.cert), "-outform", "DER"], check=True, capture_output=True
    ).stdout
    options = {"client_id": "me", "client_key": mine.key.read_text(), "token_format": "opaque"}
    with endpoint(lambda asked: granted()) as server:
        fetch(server.url, {**options, "client_certificate": mine.cert.read_text()})
        token = server.asked[0].form["client_assertion"]
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    expected = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    assert header["x5t#S256"] == expected


# ---- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({}, "client_secret is missing"),
        ({"client_auth": "basic_raw"}, "client_secret is missing"),
        ({"client_auth": "post"}, "client_secret is missing"),
        ({"client_auth": "client_secret_jwt"}, "client_secret is missing"),
        ({"client_auth": "client_secret_jwt", "client_secret": "short-canary"}, "too short"),
        ({"client_auth": "private_key_jwt"}, "client_key is missing"),
        ({"client_auth": "private_key_jwt", "client_key": json.dumps(PUBLIC)}, "must be a private key"),
        ({"client_auth": "private_key_jwt", "client_key": "no-key-canary"}, "PEM"),
        ({"client_auth": "private_key_jwt", "client_key": json.dumps(PRIVATE), "client_algorithm": "ES256"}, "client_algorithm"),
        ({"client_auth": "private_key_jwt", "client_key": json.dumps(PRIVATE), "client_algorithm": "x"}, "unknown algorithm"),
        ({"client_secret": "s-canary", "client_key": json.dumps(PRIVATE)}, "choose one with client_auth"),
        ({"client_auth": "tls"}, "cert is missing"),
        ({"client_key": json.dumps(PRIVATE), "client_certificate": "canary"}, "client_certificate is not a readable PEM certificate"),
        ({"client_key": json.dumps(PRIVATE), "client_certificate": OTHERS}, "client_certificate does not match client_key"),
        ({"client_secret": "s-canary", "client_certificate": "c-canary"}, "client_certificate is given without client_key"),
        ({"client_auth": "Basic", "client_secret": "s-canary"}, "client_auth must be"),
        ({"client_id": "a:b", "client_auth": "basic_raw", "client_secret": "s-canary"}, "client_id contains a ':'"),
        ({"client_id": "", "client_auth": "none"}, "client_id is missing"),
    ],
)  # fmt: skip
def test_faults(lua: Lua, options: dict[str, Any], part: str) -> None:
    given = {"url": "https://spike.example", "client_id": "me", "token_format": "opaque", **options}
    with pytest.raises(tokenstore.ConfigurationError, match=part) as caught:
        Spike(**given)
    message = lua.fails("configuration", part, f"return tokenstore.Spike({quote(given)})")
    assert "canary" not in str(caught.value) + message
