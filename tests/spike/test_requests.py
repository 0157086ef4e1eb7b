"""Token requests: audience, scope and resource, in the form that a server requires; the check of `aud`; and
separate caching of different requests. tests/nginx runs these too."""

from __future__ import annotations

import json
import time
import urllib.parse
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from authorization import (
    CLIENT_ID,
    CLIENT_SECRET,
    Answer,
    Asked,
    Endpoint,
    Provider,
    Signer,
    endpoint,
    granted,
)
from callers import QUICK, Caller, Failed
from servers import Server

A = "https://api.example/a"
R1, R2 = "https://api.example/r1", "https://api.example/r2"
ISSUER = "https://issuer.example"
CLIENT = {"client_id": "id", "client_secret": "s", "retry": QUICK}
HASH = "spike-tokens-for-clientId-id"


class Authority(Signer):
    """Its tokens contain the request, and a configurable `aud`."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: dict[str, Any] = {}

    def answer(self, asked: Asked) -> Answer:
        if asked.method == "GET":
            return super().answer(asked)
        form = asked.body.decode()
        claims = {"asked": form, "jti": str(time.monotonic_ns()), "sub": "id", **self.claims}
        audience = asked.form.get("audience", asked.form.get("resource", A))
        given = {"aud": audience, **claims}
        return granted(self.signed({name: one for name, one in given.items() if one is not None}))


@pytest.fixture(scope="module")
def signer() -> Authority:
    return Authority()


@pytest.fixture
def server(signer: Authority) -> Iterator[Endpoint]:
    signer.claims = {}
    with endpoint(signer.answer) as running:
        yield running


def claims(token: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    return loaded


OPEN = {"token_format": "opaque"}
GRANT = ("grant_type", "client_credentials")


@pytest.mark.parametrize(
    ("options", "asked", "sent"),
    [
        ({}, {"audience": A}, [("audience", A)]),
        ({}, {"audience": A, "scope": "a b"}, [("audience", A), ("scope", "a b")]),
        ({}, {"scope": ["a", "b"]}, [("scope", "a b")]),
        ({}, {}, []),
        ({"scope": "read"}, {"audience": A}, [("audience", A), ("scope", "read")]),
        ({"scope": ["read", "write"]}, {}, [("scope", "read write")]),
        ({"scope": "read"}, {"scope": "more"}, [("scope", "more")]),
        ({"audience_parameter": "resource"}, {"audience": A}, [("resource", A)]),
        ({"audience_parameter": None}, {"audience": A}, []),
        ({"audience_parameter": None, "scope": "{audience}/.default"}, {"audience": "api://x"}, [("scope", "api://x/.default")]),
        ({"audience_parameter": None, "scope": "{audience}/r {audience}/w"}, {"audience": "x"}, [("scope", "x/r x/w")]),
        ({"scope": "{audience}/.default"}, {"scope": "{audience}"}, [("scope", "{audience}")]),
        ({}, {"audience": A, "resource": R1}, [("audience", A), ("resource", R1)]),
        ({}, {"resource": [R1, R2]}, [("resource", R1), ("resource", R2)]),
        ({"parameters": {"tenant": "t", "resource": R1}}, {"audience": A}, [("audience", A), ("resource", R1), ("tenant", "t")]),
        ({"parameters": {"tenant": "t", "resource": R1}}, {"resource": R2}, [("resource", R2), ("tenant", "t")]),
    ],
)  # fmt: skip
def test_what_is_sent(
    call: Caller, options: dict[str, Any], asked: dict[str, Any], sent: list[tuple[str, str]]
) -> None:
    with endpoint(lambda _: granted()) as opaque:
        call.fetch(opaque.url, asked, **CLIENT, **OPEN, **options)
        (request,) = opaque.asked
    assert urllib.parse.parse_qsl(request.body.decode(), strict_parsing=True) == [GRANT, *sent]


REQUESTS: list[dict[str, Any]] = [
    {"audience": A},
    {"audience": A, "scope": "s"},
    {"audience": A, "scope": "s t"},
    {"audience": A, "resource": "s"},
    {"audience": A, "scope": "s", "resource": "t"},
    {"resource": A},
    {"audience": "s", "resource": A},
    {"scope": "s", "resource": A},
]


def test_each_request_has_a_token_of_its_own(call: Caller, server: Endpoint, redis: Server) -> None:
    """In memory, and in Redis for the next process; each request gets its own token."""
    options = {**CLIENT, "redis": redis.url}
    call.open(server.url, **options)
    tokens = [call.get(**asked) for asked in REQUESTS]
    assert [call.get(**asked) for asked in REQUESTS] == tokens
    call.close()
    assert all(one != other for one, other in combinations(tokens, 2))
    assert len(server.tokens_asked) == len(REQUESTS)
    assert redis("HGETALL", HASH) == [
        A.encode(),
        tokens[0].encode(),
    ]  # Node's HASH has only the plain one
    call.open(server.url, **options)
    assert [call.get(**asked) for asked in REQUESTS] == tokens
    call.close()
    assert len(server.tokens_asked) == len(REQUESTS)


def test_clients_that_ask_otherwise_do_not_share(
    call: Caller, server: Endpoint, redis: Server
) -> None:
    """The same audience and Redis, but different requests or checks."""
    ways: list[dict[str, Any]] = [
        {},
        {"scope": "{audience}"},
        {"scope": A + "/x"},
        {"audience_parameter": "resource"},
        {"audience_parameter": None, "expect_audience": A},
        {"parameters": {"x": "y"}},
        {"headers": {"X-Tenant": "one"}},
        {"headers": {"X-Tenant": "two"}},
        {"host_header": "tenant.example", "scope": "{audience}"},
    ]
    tokens = [
        call.fetch(server.url, {"audience": A}, redis=redis.url, **CLIENT, **way) for way in ways
    ]
    assert len(set(tokens)) == len(ways)
    again = [
        call.fetch(server.url, {"audience": A}, redis=redis.url, **CLIENT, **way) for way in ways
    ]
    assert again == tokens


def test_a_token_of_a_scope_is_invalidated_alone(
    call: Caller, server: Endpoint, redis: Server
) -> None:
    call.open(server.url, redis=redis.url, **CLIENT)
    plain, scoped = call.get(audience=A), call.get(audience=A, scope="s")
    call.invalidate(plain, audience=A, scope="s")  # not that one
    assert call.get(audience=A) == plain
    assert call.get(audience=A, scope="s") == scoped
    call.invalidate(scoped, audience=A, scope="s")
    assert call.get(audience=A) == plain
    assert call.get(audience=A, scope="s") != scoped
    call.close()


# ---- the check of `aud` ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aud", "options", "asked"),
    [
        (A, {}, {"audience": A}),
        (["other", A], {}, {"audience": A}),
        ("account", {"expect_audience": "account"}, {"audience": A}),
        ("account", {"expect_audience": "account"}, {"scope": "s"}),
        ("account", {"expect_audience": "account"}, {}),
        ("api://a-id", {"expect_audience": "api://{audience}-id"}, {"audience": "a"}),
        (R1, {}, {"resource": R1}),
        (R2, {}, {"resource": [R1, R2]}),
        (None, {"expect_audience": None, "issuer": ISSUER}, {"audience": A}),
        ("whatever", {"expect_audience": None, "issuer": ISSUER}, {"scope": "s"}),
    ],
)
def test_the_audience_that_is_expected(
    call: Caller, server: Endpoint, signer: Authority, redis: Server, aud: Any,
    options: dict[str, Any], asked: dict[str, Any],
) -> None:  # fmt: skip
    signer.claims = {"aud": aud, "iss": ISSUER}
    token = call.fetch(server.url, asked, redis=redis.url, **CLIENT, **options)
    assert call.fetch(server.url, asked, redis=redis.url, **CLIENT, **options) == token


@pytest.mark.parametrize(
    ("given", "options", "asked", "why"),
    [
        ({"aud": "other"}, {}, {"audience": A}, "another audience"),
        ({"aud": A}, {"expect_audience": "account"}, {"audience": A}, "another audience"),
        ({"aud": "other"}, {}, {"audience": A, "resource": "other"}, "another audience"),
        ({"aud": "other"}, {}, {"resource": [R1, R2]}, "another audience"),
        ({"iss": "other"}, {"expect_audience": None, "issuer": ISSUER}, {"audience": A}, "not the expected one"),
        ({"iss": ISSUER, "exp": 1}, {"expect_audience": None, "issuer": ISSUER}, {"audience": A}, "ended|expired|time is over"),
    ],
)  # fmt: skip
def test_another_audience_is_refused(
    call: Caller, server: Endpoint, signer: Authority, given: dict[str, Any],
    options: dict[str, Any], asked: dict[str, Any], why: str,
) -> None:  # fmt: skip
    signer.claims = given
    with pytest.raises(Failed, match=why) as caught:
        call.fetch(server.url, asked, **CLIENT, **options)
    assert caught.value.code == "spike"


def test_a_forged_token_without_aud_is_refused(call: Caller, server: Endpoint) -> None:
    other = Authority()
    other.claims = {"iss": ISSUER}
    real = server.answer
    server.answer = lambda asked: real(asked) if asked.method == "GET" else other.answer(asked)
    with pytest.raises(Failed, match="signature"):
        call.fetch(server.url, {"audience": A}, expect_audience=None, issuer=ISSUER, **CLIENT)


@pytest.mark.parametrize("asked", [{}, {"scope": "s"}])
def test_what_aud_must_be_has_to_be_known(
    call: Caller, server: Endpoint, asked: dict[str, Any]
) -> None:
    with pytest.raises(Failed, match="the expected aud is unknown") as caught:
        call.fetch(server.url, asked, **CLIENT)
    assert caught.value.code == "configuration"
    assert server.tokens_asked == []


def test_a_template_wants_an_audience(call: Caller, server: Endpoint) -> None:
    for options in ({"scope": "{audience}/.default"}, {"expect_audience": "{audience}/x"}):
        with pytest.raises(Failed, match=r"contains \{audience\}, but no audience was given"):
            call.fetch(server.url, {"resource": R1}, **CLIENT, **options)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"expect_audience": None}, "issuer is missing"),
        ({"expect_audience": ""}, "expect_audience must be 1 to"),
        ({"audience_parameter": "aud"}, "audience_parameter must be"),
        ({"audience_parameter": ""}, "audience_parameter must be"),
    ],
)
def test_faults(call: Caller, options: dict[str, Any], why: str) -> None:
    with pytest.raises(Failed, match=why) as caught:
        call.fetch("https://spike.example", {}, **CLIENT, **options)
    assert caught.value.code == "configuration"


@pytest.mark.parametrize("name", ["audience", "scope", "resource"])
def test_limits(call: Caller, server: Endpoint, name: str) -> None:
    with pytest.raises(Failed, match=f"{name} must be 1 to") as caught:
        call.fetch(server.url, {"audience": A, name: "x" * 5000}, **CLIENT)
    assert caught.value.code == "data"


def test_one_resource_alone_is_sent_as_json(call: Caller, server: Endpoint) -> None:
    options = {**CLIENT, **OPEN, "body_format": "json"}
    with endpoint(lambda _: granted()) as opaque:
        call.fetch(opaque.url, {"resource": R1}, **options)
        assert json.loads(opaque.asked[0].body)["resource"] == R1
        with pytest.raises(Failed, match="one resource"):
            call.fetch(opaque.url, {"resource": [R1, R2]}, **options)


def test_timeout(call: Caller) -> None:
    def slow(asked: Asked) -> Answer:
        return granted(delay=5)

    with endpoint(slow) as opaque:
        call.open(opaque.url, **CLIENT, **OPEN)
        begin = time.monotonic()
        with pytest.raises(Failed) as caught:
            call.get(audience=A, timeout=0.3)
        assert caught.value.code in ("timeout", "spike")
        assert time.monotonic() - begin < 3
        call.close()


@pytest.mark.parametrize("timeout", [0, -1, 315360001])
def test_a_timeout_that_no_call_can_have(call: Caller, server: Endpoint, timeout: float) -> None:
    call.open(server.url, **CLIENT)
    with pytest.raises(Failed, match="timeout must be more than 0 and at most 315360000 seconds") as caught:
        call.get(audience=A, timeout=timeout)
    assert caught.value.code == "data"
    call.close()


# ---- a real server -----------------------------------------------------------------------------------------


def test_a_real_server_by_resource(call: Caller, authority_server: Provider) -> None:
    options = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "jwks_url": authority_server.jwks_url,
    }
    token = call.fetch(
        authority_server.url,
        {"audience": A, "scope": "read"},
        audience_parameter="resource",
        **options,
    )
    assert claims(token)["aud"] == A
    assert claims(token)["scope"] == "read"
    token = call.fetch(authority_server.url, {"resource": R1}, **options)
    assert claims(token)["aud"] == R1
    assert authority_server.issued == [A, R1]
