"""TLS in Spike: credentials are sent only to a verified server, and redirects are not followed."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import tokenstore
from authorization import Answer, Asked, Endpoint, Signer, endpoint, granted
from certs import Pair, Pki
from lua_process import Lua, get, log, opaque, quote
from tokenstore import Spike, get_token_creator

AUDIENCE = "https://api.example/a"
SECRET = "secret-canary"
BAD = [
    "expired",
    "not yet valid",
    "wrong host",
    "unknown CA",
    "self-signed",
    "wrong EKU",
    "missing intermediate",
]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    assert sorted(made.bad) == sorted(BAD)
    return made


@contextmanager
def serving(
    pair: Pair, answer: Callable[[Asked], Answer] = lambda asked: granted()
) -> Iterator[Endpoint]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    with endpoint(answer, context) as server:
        yield server


def spike(server: Endpoint, **options: Any) -> Spike:
    return Spike(server.url, "id", SECRET, token_format="opaque", **options)


def creator(server: Endpoint, **options: Any) -> dict[str, Any]:
    return {
        "ClientId": "id",
        "ClientSecret": SECRET,
        "spikeURL": server.url,
        "tokenAudience": AUDIENCE,
        **options,
    }


def test_a_good_certificate(pki: Pki) -> None:
    for pair in (pki.good, pki.chained):
        with serving(pair) as server, spike(server, ca=pki.ca.cert) as s:
            assert s.get_token(AUDIENCE) == "opaque-token"


def test_a_ca_that_nobody_named(pki: Pki) -> None:
    with serving(pki.good) as server, spike(server) as s:
        with pytest.raises(tokenstore.SpikeError, match="certificate was rejected"):
            s.get_token(AUDIENCE)
        assert server.asked == []


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_certificate_is_refused_at_once(pki: Pki, fault: str) -> None:
    with serving(pki.bad[fault]) as server, spike(server, ca=pki.ca.cert) as s:
        with pytest.raises(tokenstore.SpikeError, match="certificate was rejected") as caught:
            s.get_token(AUDIENCE)
        assert "tries" not in str(caught.value)  # a retry cannot help
        assert SECRET not in str(caught.value)
        assert server.asked == []


@pytest.mark.parametrize("fault", BAD)
def test_no_verification_takes_it_and_warns(
    pki: Pki, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(pki.bad[fault]) as server:
        with spike(server, ca=pki.ca.cert, verify=False) as s:
            assert s.get_token(AUDIENCE) == "opaque-token"
    assert [r.levelname for r in caplog.records if "not verified" in r.message] == ["WARNING"]


@pytest.mark.parametrize("given", [{}, {"httpsValidation": True}])
def test_https_validation_is_the_default(pki: Pki, given: dict[str, bool]) -> None:
    with serving(pki.bad["self-signed"], Signer().answer) as server:
        with get_token_creator(creator(server, **given)) as create:
            with pytest.raises(tokenstore.SpikeError, match="certificate was rejected"):
                create()
        assert server.asked == []


def test_https_validation_false_works_and_warns(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    with serving(pki.bad["self-signed"], Signer().answer) as server:
        with get_token_creator(creator(server, httpsValidation=False)) as create:
            assert create().count(".") == 2
    assert [r.levelname for r in caplog.records if "not verified" in r.message] == ["WARNING"]


def test_bad_certificates_in_lua(lua: Lua, pki: Pki) -> None:
    for fault in BAD:
        with serving(pki.bad[fault]) as server:
            opaque(lua, server, ca=pki.ca.cert)
            lua.fails("spike", "certificate was rejected", get(AUDIENCE))
            assert server.asked == []
            assert "not verified" not in log(lua)
            opaque(lua, server, verify=False)
            assert lua(get(AUDIENCE)) == "opaque-token"
            assert log(lua).count("warning: TLS certificates are not verified") == 1
            lua("lines = {}")


def test_https_validation_in_lua(lua: Lua, pki: Pki) -> None:
    with serving(pki.bad["self-signed"], Signer().answer) as server:
        for given in ({}, {"httpsValidation": True}):
            lua(f"create = assert(tokenstore.get_token_creator({quote(creator(server, **given))}))")
            lua.fails("spike", "certificate was rejected", "return create()")
        assert server.asked == []
        lua(f"given = {quote(creator(server, httpsValidation=False))} given.logger = log")
        lua("create = assert(tokenstore.get_token_creator(given))")
        assert lua("return create()").count(".") == 2
        assert "warning: TLS certificates are not verified" in log(lua)


# ---- redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_receives_nothing(pki: Pki, status: int) -> None:
    """Neither to another server nor to another path."""
    with serving(pki.good) as other:
        for where in (other.url + "/oauth2/token", "/elsewhere"):
            moved = Answer(status, headers={"Location": where})
            with (
                serving(pki.good, lambda asked, m=moved: m) as server,
                spike(server, ca=pki.ca.cert) as s,
            ):
                with pytest.raises(tokenstore.SpikeError, match=f"answered {status}"):
                    s.get_token(AUDIENCE)
                assert [a.path for a in server.asked] == ["/oauth2/token"]
        assert other.asked == []


def test_a_redirect_of_the_key_is_not_followed() -> None:
    """A redirect could replace the key."""

    def answer(asked: Asked) -> Answer:
        if asked.method == "POST":
            return granted("a.b.c")
        return Answer(302, headers={"Location": other.url + "/key.pem"})

    with endpoint(lambda asked: granted()) as other, endpoint(answer) as server:
        with Spike(server.url, "id", SECRET, retry={"retries": 0}) as s:
            with pytest.raises(tokenstore.SpikeError, match="key endpoint answered 302"):
                s.get_token(AUDIENCE)
        assert other.asked == []
        assert all("authorization" not in a.headers for a in server.asked if a.method == "GET")


def test_a_redirect_in_lua(lua: Lua) -> None:
    with endpoint(lambda asked: granted()) as other:
        moved = Answer(307, headers={"Location": other.url + "/oauth2/token"})
        with endpoint(lambda asked: moved) as server:
            opaque(lua, server)
            lua.fails("spike", "answered 307", get(AUDIENCE))
            assert len(server.asked) == 1
        assert other.asked == []
