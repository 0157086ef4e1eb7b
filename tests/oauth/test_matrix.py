"""Every method, format and algorithm of each server, in each language.

Unsupported features are listed in real_servers.py, with the reason, and tested too.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from asking import Driver, InPython, NoTokenError
from conftest import Start
from real_servers import (
    ALGORITHMS,
    FORMATS,
    METHODS,
    ODD,
    SERVERS,
    Authlib,
    MockServer,
    OidcProvider,
    OidcProviderOverTls,
    RealServer,
    Toolkit,
    new_key,
)

# Options with credentials unknown to the server.
STRANGERS: dict[str, dict[str, Any]] = {
    "basic": {"client_id": "stranger", "client_secret": ODD},
    "basic_raw": {"client_id": "stranger", "client_secret": ODD},
    "post": {"client_id": "stranger", "client_secret": ODD},
    "client_secret_jwt": {"client_id": "stranger", "client_secret": ODD},
    "private_key_jwt": {"client_id": "stranger", "client_key": json.dumps(new_key("ES256"))},
    "client_assertion": {"client_id": "stranger", "client_assertion": lambda: "e30.e30.e30"},
    "none": {"client_id": "stranger"},
}

by_name = pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)


def part(token: str, number: int) -> dict[str, Any]:
    text = token.split(".")[number]
    loaded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return loaded


def spike(server: RealServer, method: str, form: str) -> dict[str, Any]:
    """Options for tokens of this form."""
    options = server.options(method)
    if form == "opaque":
        options["token_format"] = "opaque"
        del options["jwks_url"]
    return options


CASES = [
    pytest.param(kind, method, form, id=f"{kind.name}-{method}-{form}")
    for kind in SERVERS
    for method in kind.methods
    for form in kind.formats
]


@pytest.mark.parametrize(("kind", "method", "form"), CASES)
def test_each_method(
    start: Start, driver: Driver, kind: type[RealServer], method: str, form: str
) -> None:
    server = start(kind)
    audience = server.audience(form)
    with driver.open(spike(server, method, form)) as get:
        token = get(audience)
        assert get(audience) == token
    if form == "jwt":
        assert part(token, 1)["aud"] == audience
        if kind is not MockServer:  # its tokens do not contain the client
            assert part(token, 1)["client_id"] == server.takes[method]["client_id"]


@pytest.mark.parametrize(
    "kind", [kind for kind in SERVERS if kind.algorithms], ids=lambda kind: kind.name
)
def test_each_algorithm(start: Start, driver: Driver, kind: type[RealServer]) -> None:
    server = start(kind)
    method = server.methods[0]
    audiences = [server.audience(algorithm, "algorithms") for algorithm in server.algorithms]
    with driver.open(spike(server, method, "jwt")) as get:
        seen = {part(get(audience), 0)["alg"] for audience in audiences}
    assert seen == set(server.algorithms)


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        pytest.param(kind, algorithm, id=f"{kind.name}-{algorithm}")
        for kind in (OidcProvider, Authlib)
        for algorithm in kind.assertions
    ],
)
def test_assertions_signed_with_each_kind_of_key(
    start: Start, driver: Driver, kind: type[RealServer], algorithm: str
) -> None:
    server = start(kind)
    audience = server.audience("jwt")
    options = spike(server, "private_key_jwt", "jwt")
    options["client_key"] = json.dumps(server.client_keys[algorithm])
    with driver.open(options) as get:
        assert part(get(audience), 1)["client_id"] == options["client_id"]


def test_a_request_as_json(start: Start, driver: Driver) -> None:
    """Supported by one of them, as by OSpike; RFC 6749 has only forms."""
    server = start(MockServer)
    audience = server.audience("jwt", "json")
    with driver.open(spike(server, "basic", "jwt") | {"body_format": "json"}) as get:
        assert part(get(audience), 1)["aud"] == audience


def test_tokens_without_an_audience(start: Start, driver: Driver) -> None:
    """As with Keycloak and Cognito: signature and issuer are still checked."""
    server = start(Toolkit)
    options = spike(server, "basic", "jwt") | {"audience_parameter": driver.nothing}
    options |= {"expect_audience": driver.nothing, "issuer": server.issuer}
    with driver.open(options) as get:
        assert "aud" not in part(get("https://api.example/a"), 1)
    with driver.open(options | {"issuer": "https://other.example"}) as get:
        with pytest.raises(NoTokenError, match="iss"):
            get("https://api.example/a")


@pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_jwt"])
@pytest.mark.parametrize("kind", [OidcProvider, Authlib], ids=lambda kind: kind.name)
def test_assertions_for_the_issuer(
    start: Start, driver: Driver, kind: type[RealServer], method: str
) -> None:
    """As RFC 10070 requires; one for another audience is rejected."""
    server = start(kind)
    audience = server.audience("jwt", "issuer")
    options = spike(server, method, "jwt")
    with driver.open(options | {"assertion_audience": server.url}) as get:
        assert get(audience)
    with driver.open(options | {"assertion_audience": "https://other.example"}) as get:
        with pytest.raises(NoTokenError, match="40[01] invalid_client"):
            get(audience)


# ---- unsupported features ------------------------------------------------------------------------------


@by_name
def test_what_a_server_has_not_is_listed(kind: type[RealServer]) -> None:
    takes = {method.split()[0] for method in kind.methods}
    server = kind()
    server.remove()
    assert set(server.takes) == set(kind.methods)
    assert not takes & set(kind.lacks)
    assert takes | set(kind.lacks) == set(METHODS)
    assert set(kind.formats) | set(kind.lacks_formats) == set(FORMATS)
    assert bool(kind.lacks_algorithms) == (set(kind.algorithms) != set(ALGORITHMS))


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        pytest.param(kind, method, id=f"{kind.name}-{method}")
        for kind in SERVERS
        for method in kind.lacks
        if method in STRANGERS  # the listener decides whether to request a certificate
    ],
)
def test_what_a_server_has_not_it_refuses(
    start: Start, kind: type[RealServer], method: str
) -> None:
    server = start(kind)
    audience = server.audience(kind.formats[0])
    options = spike(server, server.methods[0], kind.formats[0])
    for name in server.takes[server.methods[0]]:
        del options[name]
    options |= {"client_auth": method, **STRANGERS[method]}
    with InPython().open(options) as get, pytest.raises(NoTokenError, match=r"40[01] invalid_"):
        get(audience)


# oauth2-mock-server does not authenticate clients: it only shows that it accepts such requests.
CHECKING = [kind for kind in SERVERS if kind is not MockServer]


@pytest.mark.parametrize("kind", CHECKING, ids=lambda kind: kind.name)
def test_wrong_secrets_are_refused(start: Start, driver: Driver, kind: type[RealServer]) -> None:
    """So the other tests succeed because of the right ones."""
    server = start(kind)
    audience = server.audience(kind.formats[0])
    for method in server.methods:
        options = spike(server, method, kind.formats[0])
        if "client_assertion_file" in options:
            wrong = new_key("RS256", "client-RS256")
            options["client_assertion_file"] = server.assertion(options["client_id"], wrong)
        elif "client_secret" in options:
            options["client_secret"] = "wrong" + options["client_secret"]
        elif "client_key" in options:
            options["client_key"] = json.dumps(new_key("RS256", "client-RS256"))
        elif kind is OidcProviderOverTls:
            options["client_id"] = {"signed": "alone", "alone": "signed"}[options["client_id"]]
        else:
            options["client_id"] = "stranger"
        with (
            driver.open(options) as get,
            pytest.raises(NoTokenError, match=r"40[01] invalid_") as caught,
        ):
            get(audience)
        assert "canary" not in str(caught.value)
