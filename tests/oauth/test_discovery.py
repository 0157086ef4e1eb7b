"""The metadata of real servers supplies all optional settings of Spike."""

from __future__ import annotations

import pytest

from asking import Driver, InPython, NoTokenError
from conftest import Start
from real_servers import SERVERS, MockServer, RealServer
from test_matrix import part


@pytest.mark.parametrize(
    "kind", [kind for kind in SERVERS if not kind.lacks_metadata], ids=lambda kind: kind.name
)
def test_the_issuer_is_enough(start: Start, driver: Driver, kind: type[RealServer]) -> None:
    server = start(kind)
    if (
        kind is MockServer
    ):  # its metadata lists only "none", and no secret is sent to such a server
        options = server.options("none")
    else:
        options = server.options("auto" if "auto" in kind.methods else kind.methods[0])
        del options["client_auth"]
    for name in ("url", "token_url", "jwks_url"):
        del options[name]
    audience = server.audience("jwt", "discovery")
    with driver.open(options | {"url": server.issuer, "discovery": True}) as get:
        token = get(audience)
    assert (part(token, 1)["iss"], part(token, 1)["aud"]) == (server.issuer, audience)


@pytest.mark.parametrize(
    "kind", [kind for kind in SERVERS if kind.lacks_metadata], ids=lambda kind: kind.name
)
def test_without_metadata_nothing_is_guessed(start: Start, kind: type[RealServer]) -> None:
    server = start(kind)
    options = server.options("auto") | {"url": server.issuer, "discovery": True}
    for name in ("token_url", "jwks_url"):
        del options[name]
    with InPython().open(options) as get, pytest.raises(NoTokenError, match="metadata"):
        get("https://api.example")
