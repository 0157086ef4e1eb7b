"""A hundred clients with random ids and secrets of OSpike's alphabet: all get tokens."""

from __future__ import annotations

import pytest

from asking import Driver, NoTokenError
from conftest import Make, Start
from real_servers import SERVERS, MockServer, NodeOauth, OidcProviderOverTls, RealServer

# The first does not authenticate clients, the second identifies them only by certificates.
WITHOUT = (MockServer, OidcProviderOverTls)


def logged_in(server: RealServer, driver: Driver, method: str) -> list[str]:
    """The clients that got a token."""
    audience = server.audience("opaque", "many")
    options = server.options(method)
    del options["jwks_url"]
    options["token_format"] = "opaque"
    found = []
    for id, secret in server.more.items():
        with driver.open({**options, "client_id": id, "client_secret": secret}) as get:
            try:
                found.append((id, bool(get(audience)))[0])
            except NoTokenError as error:
                print(id, error)
    return found


@pytest.mark.parametrize("method", ["basic", "basic_raw"])
@pytest.mark.parametrize(
    "kind", [kind for kind in SERVERS if kind not in WITHOUT], ids=lambda kind: kind.name
)
def test_a_hundred_clients(start: Start, make: Make, kind: type[RealServer], method: str) -> None:
    server = start(kind)
    assert len(server.more) == 100
    assert logged_in(server, make("python"), method) == list(server.more)


def test_a_hundred_clients_in_each_language(start: Start, driver: Driver) -> None:
    """With the server that does not decode credentials, like OSpike."""
    server = start(NodeOauth)
    assert logged_in(server, driver, "basic") == list(server.more)
