"""tokenstore.ext.authlib in a real authorization server of Authlib's, on Flask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import (
    ClientCredentialsGrant,
    RefreshTokenGrant,
    ResourceOwnerPasswordCredentialsGrant,
)
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Flask

import tokenstore
from monitored import monitored
from servers import Server
from stored import keys
from tokenstore.ext.authlib import StoredToken, TokenStore


@dataclass
class User:
    id: str


class Client(ClientMixin):
    def __init__(self, name: str) -> None:
        self.name = name

    def get_client_id(self) -> str:
        return self.name

    def check_client_secret(self, secret: str) -> bool:
        return secret == "secret"

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type: str) -> bool:
        return True

    def get_allowed_scope(self, scope: str) -> str:
        return scope or ""


class Provider:
    """The server, and what its clients do."""

    def __init__(self, tokens: TokenStore, is_replaced: bool) -> None:
        self.tokens = tokens
        self.meanwhile: Callable[[], object] = lambda: None
        app = self.app = Flask(__name__)
        app.config.update(
            OAUTH2_REFRESH_TOKEN_GENERATOR=True, OAUTH2_TOKEN_EXPIRES_IN={"password": 100}
        )
        server = AuthorizationServer(app, Client, tokens.save_token)
        provider = self

        class Password(ResourceOwnerPasswordCredentialsGrant):  # type: ignore[misc]
            def authenticate_user(self, username: str, password: str) -> User | None:
                return User(username) if password == "word" else None

        class Refresh(RefreshTokenGrant):  # type: ignore[misc]
            INCLUDE_NEW_REFRESH_TOKEN = is_replaced
            authenticate_refresh_token = tokens.refresh_token
            revoke_old_credential = tokens.settle

            def authenticate_user(self, token: StoredToken) -> User:
                provider.meanwhile()
                return User(str(token.user_id))

        class Revocation(RevocationEndpoint):  # type: ignore[misc]
            query_token = tokens.query_token
            revoke_token = tokens.revoke_token

        class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
            query_token = tokens.query_token

            def check_permission(self, token: StoredToken, client: Client, request: Any) -> bool:
                return client.name == "api"

            def introspect_token(self, token: StoredToken) -> dict[str, Any]:
                return {
                    "sub": token.user_id,
                    "client_id": token.client_id,
                    "scope": token.get_scope(),
                    "exp": token.expires_at,
                    "iat": token.issued_at,
                    "left": token.get_expires_in(),
                }

        class Validator(BearerTokenValidator):  # type: ignore[misc]
            authenticate_token = tokens.access_token

        for grant in (Password, Refresh, ClientCredentialsGrant):
            server.register_grant(grant)
        for endpoint in (Revocation, Introspection):
            server.register_endpoint(endpoint)
        require = ResourceProtector()
        require.register_token_validator(Validator())

        @app.post("/token")
        def token() -> Any:
            return server.create_token_response()

        @app.post("/<any(revocation, introspection):name>")
        def endpoint(name: str) -> Any:
            return server.create_endpoint_response(name)

        @app.get("/me")
        @require("read")  # type: ignore[untyped-decorator]
        def me() -> Any:
            return {"user": current_token.user_id, "client": current_token.client_id}

    def post(self, path: str, client: str = "shop", **form: str) -> Any:
        answer = self.app.test_client().post(path, data=form, auth=(client, "secret"))
        return answer.status_code, answer.json

    def log_in(self, user: str = "bob", **form: str) -> dict[str, str]:
        form = {"scope": "read", "username": user, "password": "word", **form}
        status, token = self.post("/token", grant_type="password", **form)
        assert status == 200
        return dict(token)

    def refresh(self, token: dict[str, str], **form: str) -> Any:
        secret = token["refresh_token"]
        return self.post("/token", grant_type="refresh_token", refresh_token=secret, **form)

    def user_of(self, token: dict[str, str]) -> str | None:
        """Whose resource the access token opens."""
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        answer = self.app.test_client().get("/me", headers=headers)
        assert answer.status_code in (200, 401)
        return str(answer.json["user"]) if answer.status_code == 200 and answer.json else None

    def count(self, user: str = "bob") -> tuple[int, int]:
        """Live refresh and access tokens."""
        store = self.tokens.store
        return store.count("oauth", "refresh_token", user), store.count(
            "oauth", "access_token", user
        )


@pytest.fixture(params=["replaced", "kept"])
def kind(request: pytest.FixtureRequest) -> str:
    """What becomes of a refresh token that was used."""
    return str(request.param)


@pytest.fixture
def provider(server: Server, kind: str) -> Iterator[Provider]:
    with tokenstore.RedisTokens(server.url) as store:
        yield Provider(TokenStore(store), kind == "replaced")


def test_tokens(provider: Provider) -> None:
    token = provider.log_in()
    assert provider.user_of(token) == "bob"
    assert provider.user_of({"access_token": token["refresh_token"]}) is None
    assert provider.user_of({"access_token": "unknown"}) is None
    status, clients = provider.post("/token", grant_type="client_credentials", scope="read")
    assert status == 200
    assert provider.user_of(clients) == "None"
    headers = {"Authorization": f"Bearer {provider.log_in(scope='write')['access_token']}"}
    assert provider.app.test_client().get("/me", headers=headers).status_code == 403


def test_a_url_for_a_store(server: Server) -> None:
    tokens = TokenStore(server.url, app="other", user_id=lambda user: user.id.upper())
    with tokens.store:
        Provider(tokens, True).log_in()
        assert tokens.store.count("other", "access_token", "BOB") == 1


def test_nothing_in_redis_equals_a_token(provider: Provider, server: Server) -> None:
    with monitored(server) as seen:
        token = provider.log_in()
        provider.user_of(token)
        _, next_one = provider.refresh(token)
        provider.post("/introspection", "api", token=token["access_token"])
        provider.post("/revocation", token=token["refresh_token"])
    stored = []
    for key in server.keys():
        found = server("HGETALL", key) if server("TYPE", key) == "hash" else [server("GET", key)]
        stored += [key, *found]
    assert len(seen) > 5
    assert len(stored) > 1
    for each in (token, next_one):
        for name in each.keys() & {"access_token", "refresh_token"}:
            secret = each[name].encode()
            assert not any(
                part in line for line in (*seen, *stored) for part in (secret, secret[:20])
            )
    assert token["refresh_token"] not in repr(provider.tokens.refresh_token(token["refresh_token"]))


def test_lifetimes(provider: Provider) -> None:
    provider.log_in()
    store = provider.tokens.store
    for kind, seconds in (("access_token", 100), ("refresh_token", 90 * 86400)):
        (token,) = store.list("oauth", kind, "bob")
        assert token.expires_at is not None
        assert token.expires_at - token.created_at == pytest.approx(seconds, abs=1)


def test_refresh(provider: Provider, kind: str) -> None:
    token = provider.log_in(scope="read write")
    assert provider.refresh(token, client="other") == (400, {"error": "invalid_grant"})
    assert provider.refresh(token, scope="admin")[0] == 400
    status, next_one = provider.refresh(token, scope="read")
    assert status == 200
    assert provider.user_of(next_one) == provider.user_of(token) == "bob"
    assert ("refresh_token" in next_one) == (kind == "replaced")
    assert provider.refresh(token)[0] == (400 if kind == "replaced" else 200)


def test_a_refresh_token_works_once(provider: Provider, kind: str) -> None:
    token = provider.log_in()
    provider.meanwhile = threading.Barrier(10, timeout=60).wait  # each has found the token
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: provider.refresh(token), range(10)))
    valid = [token for status, token in answers if status == 200]
    assert len(valid) == (1 if kind == "replaced" else 10)
    assert all(provider.user_of(each) == "bob" for each in valid)
    assert provider.count() == (1, 1 + len(valid))


def test_revocation(provider: Provider) -> None:
    token, other = provider.log_in(), provider.log_in()
    status, next_one = provider.refresh(token)
    assert status == 200
    secret = token["access_token"]
    assert provider.post("/revocation", "other", token=secret)[0] == 400
    assert provider.post("/revocation", token="unknown") == (200, {})
    assert provider.user_of(token) == "bob"
    assert provider.post("/revocation", token=secret, token_type_hint="refresh_token") == (200, {})
    assert [provider.user_of(each) for each in (token, next_one, other)] == [None, "bob", "bob"]
    last = next_one.get("refresh_token", token["refresh_token"])
    assert provider.post("/revocation", token=last) == (200, {})
    assert [provider.user_of(each) for each in (token, next_one, other)] == [None, None, "bob"]
    assert provider.count() == (1, 1)
    assert provider.refresh({"refresh_token": last})[0] == 400


@pytest.mark.parametrize("how", ["revoked", "all ended"])
def test_a_refresh_that_is_under_way_revives_nothing(provider: Provider, how: str) -> None:
    token = provider.log_in()
    if how == "revoked":
        provider.meanwhile = lambda: provider.post("/revocation", token=token["refresh_token"])
    else:
        provider.meanwhile = lambda: provider.tokens.end_all("bob")
    assert provider.refresh(token) == (400, {"error": "invalid_grant"})
    assert provider.count() == (0, 0)


def test_ending_all(provider: Provider, server: Server) -> None:
    tokens = [provider.log_in() for _ in range(2)]
    anns = provider.log_in("ann")
    provider.tokens.end_all("bob")
    assert [provider.user_of(each) for each in (*tokens, anns)] == [None, None, "ann"]
    provider.tokens.end_all("ann")
    assert [key for key in keys(server) if server("TYPE", key) == "hash"] == []


def test_introspection(provider: Provider) -> None:
    token = provider.log_in()
    for name, seconds in (("access_token", 100), ("refresh_token", 90 * 86400)):
        assert provider.post("/introspection", token=token[name]) == (200, {"active": False})
        status, answer = provider.post("/introspection", "api", token=token[name])
        assert status == 200
        assert answer.pop("exp") - answer.pop("iat") == answer.pop("left")
        assert answer == {"active": True, "sub": "bob", "client_id": "shop", "scope": "read"}
        assert provider.tokens.query_token(token[name]).get_expires_in() in (seconds, seconds + 1)  # type: ignore[union-attr]
    assert provider.post("/introspection", "api", token="unknown") == (200, {"active": False})
