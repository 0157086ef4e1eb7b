"""The examples in docs/how-to/providers, run unchanged (except for names of hosts and files) against emulated
providers (emulated.py). In Python, and in Lua 5.4."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt as joserfc
from joserfc.jwk import RSAKey

import tokenstore
from authorization import Endpoint, endpoint
from certs import openssl
from conftest import Make, absent
from emulated import ACCOUNT, ENTRA, Provider, entra_version_1, google_self_signed, providers
from servers import Server
from servers import running as running_redis

PAGES = Path(__file__).parents[2] / "docs/how-to/providers"
PROVIDERS = providers()


def block(name: str, language: str) -> str | None:
    page, number = name.split()
    found = re.findall(
        rf"^```{language}\n(.*?)^```", (PAGES / f"{page}.md").read_text(), re.M | re.S
    )
    return found[int(number)] if int(number) < len(found) else None


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with running_redis(transport="tcp") as server:
        yield server


class Place:
    """A directory with the files that the pages read, and the emulated cluster."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = RSAKey.generate_key(2048, {"kid": "of-the-client"})
        pem = self.key.as_pem(private=True).decode()
        (directory / "client-key.pem").write_text(pem)
        account = {"client_email": ACCOUNT, "private_key": pem, "private_key_id": "the-keys-id"}
        (directory / "service-account.json").write_text(json.dumps(account))
        self.token = directory / "token"
        certificate = directory / "client.pem"
        openssl("req", "-x509", "-new", "-key", directory / "client-key.pem", "-subj", "/CN=client", "-days", "10",
                "-out", certificate)  # fmt: skip
        der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        digest = base64.urlsafe_b64encode(hashlib.sha256(der).digest())
        self.thumbprint = digest.rstrip(b"=").decode()

    def write_token(self, audience: str) -> None:
        """As the kubelet does."""
        now = int(time.time())
        claims = {
            "iss": "https://cluster.example",
            "sub": "system:serviceaccount:default:orders",
            "aud": [audience],
        }
        claims |= {"aud": audience, "iat": now, "exp": now + 600}
        self.token.write_text(joserfc.encode({"alg": "RS256"}, claims, self.key))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def prepare(
    place: Place, redis: Server, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, Provider, Endpoint], str]:
    """The block, adapted to this endpoint."""
    redis("FLUSHALL")

    def of(code: str, provider: Provider, server: Endpoint) -> str:
        provider.url = server.url
        provider.client_key = place.key
        provider.thumbprint = place.thumbprint
        for host in provider.hosts:
            code = code.replace(host, server.url)
        code = code.replace("redis://localhost:6379", redis.url)
        code = code.replace("/var/run/secrets/tokens/spike", str(place.token))
        code = code.replace('"client-key.pem"', json.dumps(str(place.directory / "client-key.pem")))
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", server.url + "/")
        monkeypatch.setenv("AZURE_TENANT_ID", "11111111-2222-3333-4444-555555555555")
        monkeypatch.setenv("AZURE_CLIENT_ID", "my-client-id")
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(place.token))
        return code

    return of


def audience_of(name: str, server: Endpoint) -> str:
    """The audience of the token in the file."""
    return "api://AzureADTokenExchange" if name == "entra 2" else server.url + "/realms/my-realm"


@pytest.mark.parametrize("name", PROVIDERS)
def test_python(name: str, place: Place, prepare: Any) -> None:
    provider = PROVIDERS[name]
    code = block(name, "python")
    assert code is not None
    with endpoint(provider) as server:
        place.write_token(audience_of(name, server))
        names: dict[str, Any] = {}
        exec(prepare(code, provider, server), names)
        assert names["token"]
        if "spike" in names:
            names["spike"].close()


@pytest.mark.parametrize(
    "name", [name for name in PROVIDERS if block(name, "lua") and name != "github 0"]
)
def test_lua(name: str, place: Place, prepare: Any, make: Make) -> None:
    reason = absent("lua5.4")
    if reason is not None:
        pytest.skip(reason)
    provider = PROVIDERS[name]
    code = block(name, "lua")
    assert code is not None
    with endpoint(provider) as server:
        place.write_token(audience_of(name, server))
        assert make("lua5.4").lua(prepare(code, provider, server) + "\nspike:close() return token")


def test_every_block_is_run() -> None:
    """Or tested separately below."""
    for page in PAGES.glob("*.md"):
        for number in range(len(re.findall("^```python\n", page.read_text(), re.M))):
            assert f"{page.stem} {number}" in PROVIDERS or f"{page.stem} {number}" == "google 0"


def test_what_they_refuse(place: Place, prepare: Any) -> None:
    """The emulations do check: with a wrong secret, key or audience none issues a token."""
    wrong = [
        ("my-secret", "another"),
        ("orders.read", "other"),
        ("api://orders", "api://x"),
        ("orders/read", "x"),
    ]
    for name in ("spike 0", "entra 0", "auth0 0", "keycloak 0", "okta 0", "cognito 0"):
        provider = PROVIDERS[name]
        for right, other in wrong:
            code = block(name, "python")
            assert code is not None
            if right not in code:
                continue
            with endpoint(provider) as server:
                with pytest.raises(Exception, match=r"40[01] (invalid_client|invalid_scope)"):
                    exec(prepare(code.replace(right, other), provider, server), {})


def test_what_the_pages_say_besides(place: Place, prepare: Any) -> None:
    """An audience added by a Keycloak mapper and required; Entra's tokens of version 1."""
    keycloak, entra = block("keycloak 0", "python"), block("entra 0", "python")
    assert keycloak is not None
    assert entra is not None
    provider = PROVIDERS["keycloak 0"]
    with endpoint(provider) as server:
        demanding = prepare(keycloak, provider, server).replace(
            "expect_audience=None", 'expect_audience="orders-api"'
        )
        with pytest.raises(tokenstore.SpikeError, match="aud"):
            exec(demanding, {})
        exec(demanding.replace("discovery=True", 'discovery=True, scope="orders"'), {})
    provider = Provider(grant=entra_version_1, **ENTRA)
    with endpoint(provider) as server:
        code = re.sub(r"    expect_audience=.*\n", "", prepare(entra, provider, server))
        with pytest.raises(tokenstore.SpikeError, match="iss"):
            exec(code, {})
        issuer = f'issuer="{server.url}/sts/" + TENANT + "/"'
        exec(code.replace("discovery=True", f"discovery=True, {issuer}"), {})


def test_a_renewed_token_in_the_file_is_used(place: Place, prepare: Any) -> None:
    provider = PROVIDERS["kubernetes 0"]
    code = block("kubernetes 0", "python")
    assert code is not None
    with endpoint(provider) as server:
        place.token.write_text("over")
        with pytest.raises(Exception, match="invalid_client|500|no token|answered"):
            exec(prepare(code, provider, server), {})
        names: dict[str, Any] = {}
        place.write_token(audience_of("kubernetes 0", server))
        exec(prepare(code, provider, server), names)
        first = server.tokens_asked[-1].form["client_assertion"]
        time.sleep(1)
        place.write_token(audience_of("kubernetes 0", server))
        assert names["spike"].get_token("https://other.example")
        assert server.tokens_asked[-1].form["client_assertion"] != first
        names["spike"].close()


def test_what_google_and_github_are_shown(place: Place, prepare: Any, make: Make) -> None:
    for language in ("python", "lua"):
        provider = PROVIDERS["google 1"]
        code = block("google 0", language)
        assert code is not None
        with endpoint(provider) as server:
            code = prepare(code, provider, server)
            if language == "python":
                names: dict[str, Any] = {}
                exec(code, names)
                token = names["token"]
            elif absent("lua5.4") is None:
                token = make("lua5.4").lua(code + "\nreturn token")
        google_self_signed(provider, token)
    code = block("github 0", "lua")
    assert code is not None
    if absent("lua5.4") is None:
        token = make("lua5.4").lua(
            prepare(code, PROVIDERS["github 0"], server) + "\nreturn app_token"
        )
        assert joserfc.decode(token, place.key, ["RS256"]).claims["iss"] == "Iv23liMyClientId"
