"""An issuer's metadata: its URL, checks, and use. tests/nginx runs these too."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

import pytest

from authorization import (
    Answer,
    Asked,
    Endpoint,
    Signer,
    endpoint,
    granted,
    new_key,
)
from callers import QUICK, Caller, Failed
from servers import Server

A, B = "https://api.example/a", "https://api.example/b"
OIDC = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"
SECRET = "a secret that is long enough for HMAC, too-canary"
ALONE = {"client_id": "id", "client_secret": SECRET, "retry": QUICK}
CLIENT = {**ALONE, "discovery": True}


class Issuer(Signer):
    """Publishes its metadata at `place`, changed by `more`; None omits a member."""

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        self.issuer = ""
        self.place = OIDC
        self.more: dict[str, Any] = {}
        self.instead: list[Answer] = []  # for the first requests for metadata
        self.elsewhere = Answer(404)
        self.claims: dict[str, Any] = {}

    def answer(self, asked: Asked) -> Answer:
        base = "http://" + asked.headers["host"]
        if "/.well-known/" in asked.path and self.instead:
            return self.instead.pop(0)
        if asked.path == self.place:
            found = {"issuer": self.issuer, "token_endpoint": base + "/t", "jwks_uri": base + "/keys", **self.more}
            return Answer(200, {name: one for name, one in found.items() if one is not None})
        if asked.path == "/keys":
            return Answer(200, self.public, content_type="application/x-pem-file")
        if asked.path == "/t":
            return granted(self.token(asked.form["audience"], **{"iss": self.issuer, "jti": str(time.monotonic_ns()), **self.claims}))
        return self.elsewhere


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def server(issuer: Issuer) -> Iterator[Endpoint]:
    issuer.reset()
    with endpoint(issuer.answer) as running:
        issuer.issuer = running.url
        yield running


def paths(server: Endpoint) -> list[str]:
    return [a.path for a in server.asked]


def test_what_is_published_is_used_and_kept(call: Caller, server: Endpoint) -> None:
    call.open(server.url, **CLIENT)
    assert call.get(audience=A) != call.get(audience=B)
    call.close()
    assert paths(server) == [OIDC, "/t", "/keys", "/t"]


@pytest.mark.parametrize(
    ("path", "place", "asked"),
    [
        ("", OIDC, [OIDC]),
        ("/", OIDC, [OIDC]),
        ("/realms/one", "/realms/one" + OIDC, ["/realms/one" + OIDC]),
        ("/realms/one/", "/realms/one" + OIDC, ["/realms/one" + OIDC]),
        ("", OAUTH, [OIDC, OAUTH]),
        ("/realms/one", OAUTH + "/realms/one", ["/realms/one" + OIDC, OAUTH + "/realms/one"]),
        ("/realms/one/", OAUTH + "/realms/one", ["/realms/one" + OIDC, OAUTH + "/realms/one"]),
    ],
)
@pytest.mark.parametrize("elsewhere", [Answer(404), Answer(200, "<html>", content_type="text/html")], ids=["404", "a page"])
def test_where_it_is(
    call: Caller, server: Endpoint, issuer: Issuer, path: str, place: str, asked: list[str], elsewhere: Answer
) -> None:
    issuer.issuer += path
    issuer.place = place
    issuer.elsewhere = elsewhere
    call.fetch(issuer.issuer, {"audience": A}, **CLIENT)
    assert paths(server) == [*asked, "/t", "/keys"]


def test_discover_reads_it_at_once(call: Caller, server: Endpoint) -> None:
    call.discover(server.url, **ALONE)
    assert paths(server) == [OIDC, "/keys"]
    assert call.get(audience=A)
    call.close()
    assert paths(server) == [OIDC, "/keys", "/t"]


def test_discover_says_when_it_cannot(call: Caller, server: Endpoint, issuer: Issuer) -> None:
    issuer.place = "/nowhere"
    with pytest.raises(Failed, match="metadata: the server answered 404") as caught:
        call.discover(server.url, **ALONE)
    assert caught.value.code == "spike"
    assert paths(server) == [OIDC, OAUTH]


def test_an_opaque_token_wants_no_key(call: Caller, server: Endpoint, issuer: Issuer) -> None:
    issuer.more = {"jwks_uri": None}
    call.discover(server.url, **ALONE, token_format="opaque")
    assert paths(server) == [OIDC]
    assert call.get(audience=A)
    call.close()
    assert paths(server) == [OIDC, "/t"]


def test_a_server_that_is_busy_is_asked_again(call: Caller, server: Endpoint, issuer: Issuer) -> None:
    issuer.instead = [Answer(503), Answer(429), Answer(hang_up=True)]
    retry = {"retries": 3, "min": 0.01, "max": 0.02, "total": 5}
    assert call.fetch(server.url, {"audience": A}, **{**CLIENT, "retry": retry})
    assert paths(server) == [OIDC, OIDC, OIDC, OIDC, "/t", "/keys"]


def test_its_tokens_are_shared(call: Caller, server: Endpoint, redis: Server) -> None:
    options = {**CLIENT, "redis": redis.url}
    token = call.fetch(server.url, {"audience": A}, **options)
    server.asked.clear()
    assert call.fetch(server.url, {"audience": A}, **options) == token
    assert paths(server) in ([OIDC, "/keys"], [])  # nginx's workers share more


# ---- rejected ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"issuer": "https://other.example"}, r"for another issuer, https://other\.example: write the issuer exactly"),
        ({"issuer": None}, "has no issuer"),
        ({"issuer": 7}, "has no issuer"),
        ({"token_endpoint": None}, "token_endpoint is missing"),
        ({"token_endpoint": "http://spike.example/t"}, "token_endpoint is missing or not an https URL"),
        ({"token_endpoint": "http://127.evil.example/t"}, "not an https URL"),
        ({"token_endpoint": "http://localhost.evil.example/t"}, "not an https URL"),
        ({"token_endpoint": "http://localhost@evil.example/t"}, "not an https URL"),
        ({"token_endpoint": "ftp://localhost/t"}, "not an https URL"),
        ({"jwks_uri": "http://spike.example/keys"}, "jwks_uri is not an https URL"),
        ({"jwks_uri": None}, "has no jwks_uri"),
    ],
)
def test_metadata_that_breaks_a_rule(
    call: Caller, server: Endpoint, issuer: Issuer, more: dict[str, Any], why: str
) -> None:
    issuer.more = more
    with pytest.raises(Failed, match=why) as caught:
        call.fetch(server.url, {"audience": A}, **CLIENT)
    assert caught.value.code == "spike"
    if more != {"jwks_uri": None}:
        assert "/t" not in paths(server)


def test_the_last_slash_counts(call: Caller, server: Endpoint) -> None:
    """RFC 8414, 3.3: identical."""
    with pytest.raises(Failed, match="including any trailing slash"):
        call.fetch(server.url + "/", {"audience": A}, **CLIENT)
    assert paths(server) == [OIDC]


@pytest.mark.parametrize(
    "url", ["http://spike.example", "http://127.evil.example", "https://u@spike.example", "spike.example", "ftp://localhost"]
)
def test_an_issuer_is_https(call: Caller, url: str) -> None:
    with pytest.raises(Failed, match="with discovery the url is the issuer: https") as caught:
        call.fetch(url, {"audience": A}, **CLIENT)
    assert caught.value.code == "configuration"


def test_a_token_of_another_issuer_is_refused(call: Caller, server: Endpoint, issuer: Issuer) -> None:
    issuer.claims = {"iss": "https://other.example"}
    with pytest.raises(Failed, match="not the expected one"):
        call.fetch(server.url, {"audience": A}, **CLIENT)
    assert call.fetch(server.url, {"audience": A}, **CLIENT, issuer="https://other.example")


# ---- client authentication -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("methods", "options", "by"),
    [
        (None, {}, "basic"),
        (["client_secret_post", "client_secret_basic"], {}, "basic"),
        (["client_secret_post"], {}, "post"),
        (["client_secret_jwt", "private_key_jwt"], {}, "jwt"),
        (["client_secret_basic", "private_key_jwt"], {"client_key": "KEY", "client_secret": None}, "jwt"),
        (["client_secret_post"], {"client_auth": "basic"}, "basic"),
    ],
)
def test_the_way_that_the_server_takes(
    call: Caller, server: Endpoint, issuer: Issuer, methods: list[str] | None, options: dict[str, Any], by: str
) -> None:
    issuer.more = {"token_endpoint_auth_methods_supported": methods}
    given = {**CLIENT, **options}
    if "client_key" in given:
        given["client_key"] = json.dumps(new_key("k"))
        del given["client_secret"]
    call.fetch(server.url, {"audience": A}, **given)
    asked = next(a for a in server.asked if a.path == "/t")
    assert ("authorization" in asked.headers) == (by == "basic")
    assert (asked.form.get("client_secret") == SECRET) == (by == "post")
    assert ("client_assertion" in asked.form) == (by == "jwt")
    if by == "jwt":
        part = asked.form["client_assertion"].split(".")[1]
        assert json.loads(urlsafe_b64decode(part + "=="))["aud"] == server.url + "/t"


def test_a_server_that_takes_no_secret(call: Caller, server: Endpoint, issuer: Issuer) -> None:
    issuer.more = {"token_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"]}
    with pytest.raises(Failed, match="no client authentication with a secret") as caught:
        call.fetch(server.url, {"audience": A}, **CLIENT)
    assert caught.value.code == "configuration"
    assert "/t" not in paths(server)
