"""get_token_creator beside the corresponding Node packages: each uses the other's stored tokens, and no
client gets another's.

spike-get-token depends on fs@0.0.1-security, which is not in the registry; package.json overrides it with
another package, as Node's own fs is loaded anyway. spike-token-manager 0.0.5 is not in the registry:
SPIKE_TOKEN_MANAGER may name a built copy.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tokenstore
from authorization import Answer, Asked, Endpoint, _openssl, endpoint, granted, wait_until
from lua_process import ABI, BEGIN, Lua, is_there, quote
from node import MISSING, Node, node
from node import is_there as is_installed
from servers import Server
from tokenstore import jwt

AUDIENCE = "https://api.example/a"
OSPIKE = string.ascii_letters + string.digits + "-._~"
CLIENTS = {
    "".join(secrets.choice(OSPIKE) for _ in range(24)): "".join(secrets.choice(OSPIKE) for _ in range(48))
    for _ in range(2)
}  # fmt: skip

Token = Callable[[dict[str, Any]], str]


class Spike:
    """A server like OSpike: accepts JSON or a form, does not decode credentials, and signs with RS256."""

    def __init__(self, directory: Path) -> None:
        private = _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        self.key = jwt.Key.from_pem(private)
        self.public = directory / "spike.pem"
        self.public.write_bytes(_openssl("pkey", "-pubout", given=private))

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "GET":
            return Answer(body=self.public.read_bytes(), content_type="application/x-pem-file")
        user, _, password = (
            base64.b64decode(asked.headers["authorization"].split()[1]).decode().partition(":")
        )
        if CLIENTS.get(user) != password:
            return Answer(401, {"error": "invalid_client"})
        given = json.loads(asked.body) if "json" in asked.headers["content-type"] else asked.form
        return granted(self.token(user, given["audience"]))

    def token(self, client: str, audience: str = AUDIENCE, lifetime: int = 3600) -> str:
        now = int(time.time())
        claims = {
            "aud": audience,
            "clientId": client,
            "iat": now,
            "exp": now + lifetime,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode(claims, self.key, algorithm="RS256")


@pytest.fixture(scope="module")
def spike(tmp_path_factory: pytest.TempPathFactory) -> Spike:
    return Spike(tmp_path_factory.mktemp("spike"))


@pytest.fixture(scope="module")
def endpoint_of(spike: Spike) -> Iterator[Endpoint]:
    with endpoint(spike) as running:
        yield running


@pytest.fixture
def asked(endpoint_of: Endpoint) -> list[Asked]:
    """The requests to the server from here on."""
    endpoint_of.asked.clear()
    return endpoint_of.asked


PACKAGES = ["spike-get-token"]
if "SPIKE_TOKEN_MANAGER" in os.environ:
    PACKAGES.append("spike-token-manager")


@pytest.fixture(scope="module", params=PACKAGES)
def package(request: pytest.FixtureRequest, shared_server: Server) -> Iterator[Node]:
    if request.param == "spike-get-token" and not is_installed(request.param):
        pytest.skip(MISSING)
    with node(request.param, shared_server) as process:
        yield process


def test_both_packages_are_tried() -> None:
    if len(PACKAGES) == 1:
        pytest.skip(
            "spike-token-manager is not in the npm registry: SPIKE_TOKEN_MANAGER names a directory that has it"
        )


@pytest.fixture
def theirs(package: Node, server: Server, endpoint_of: Endpoint) -> Token:
    """A token by a new getTokenCreator of the package."""

    def get(options: dict[str, Any]) -> str:
        server("CONFIG", "RESETSTAT")
        before = len(endpoint_of.tokens_asked)
        token = package("token", options)
        asked = len(endpoint_of.tokens_asked) - before
        # spike-get-token sends two requests, and does not wait until it has stored the tokens.
        wait_until(lambda: written(server) >= asked)
        return str(token)

    return get


def written(server: Server) -> int:
    """The number of stores."""
    stats = server("INFO", "commandstats").decode()
    return sum(int(calls) for calls in re.findall(r"cmdstat_h?set:calls=(\d+)", stats))


@pytest.fixture(params=["python", *filter(is_there, ABI)])
def ours(request: pytest.FixtureRequest) -> Iterator[Token]:
    """A token by a new get_token_creator, in Python and in each Lua."""
    if request.param == "python":

        def by_python(options: dict[str, Any]) -> str:
            with tokenstore.get_token_creator(options) as get_token:
                return get_token()

        yield by_python
        return
    lua = Lua(request.param)
    lua(BEGIN)

    def by_lua(options: dict[str, Any]) -> str:
        lua(
            f"given = {quote(options)} given.logger = log create = assert(tokenstore.get_token_creator(given))"
        )
        token = lua("return assert(create())")
        lua("create:close()")
        return str(token)

    yield by_lua
    assert lua.end() == 0


@pytest.fixture
def options(server: Server, endpoint_of: Endpoint, spike: Spike) -> dict[str, Any]:
    """Options for either side."""
    client, secret = next(iter(CLIENTS.items()))
    return {
        "clientId": client,
        "clientSecret": secret,
        "spikeURL": endpoint_of.url + "/oauth2/token",
        "tokenGrantType": "client_credentials",
        "tokenAudience": AUDIENCE,
        "tokenRedisKeyName": "tokens-of-",
        "spikePublicKeyFullPath": str(spike.public),
        "useRedis": True,
        "redisHost": server.url,
        "httpsValidation": True,
        "retries": 1,
        "sleepBetweenRetries": 10,
    }


def of_another(options: dict[str, Any]) -> dict[str, Any]:
    """The same for the other client."""
    client, secret = list(CLIENTS.items())[1]
    return {**options, "clientId": client, "clientSecret": secret}


def client_of(token: str) -> str:
    part = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["clientId"])


def test_ours_uses_what_theirs_has_stored(
    theirs: Token, ours: Token, options: dict[str, Any], asked: list[Asked]
) -> None:
    token = theirs(options)
    count = len(asked)
    assert ours(options) == theirs(options)
    assert client_of(token) == options["clientId"]
    assert len(asked) == count


def test_theirs_uses_what_ours_has_stored(
    theirs: Token, ours: Token, options: dict[str, Any], asked: list[Asked]
) -> None:
    token = ours(options)
    assert theirs(options) == token
    assert len(asked) == 1


def test_no_client_gets_anothers(
    theirs: Token, ours: Token, options: dict[str, Any], package: Node
) -> None:
    """In spike-get-token all clients with one tokenRedisKeyName share a key and its token: ours do not."""
    theirs(options)
    assert client_of(ours(of_another(options))) == of_another(options)["clientId"]
    assert client_of(ours(options)) == options["clientId"]


def test_a_token_that_has_ended_is_replaced(
    theirs: Token, ours: Token, options: dict[str, Any], spike: Spike, server: Server
) -> None:
    old = spike.token(options["clientId"], lifetime=-60)
    server("SET", options["tokenRedisKeyName"], old)
    server("HSET", options["tokenRedisKeyName"] + options["clientId"], AUDIENCE, old)
    token = ours(options)
    assert token != old
    assert theirs(options) == token
