"""authlib's authorization server on Flask, for the tests.

    python authlib_server.py '{"port": PORT, "jwks": {"keys": [private]}, "clients": [{"client_id": …,
        "client_secret": …, "token_endpoint_auth_method": …, "jwks": {…}}, …]}'

A client's method may also be client_secret_jwt or private_key_jwt (its JWTBearerClientAssertion). The end of
the audience (parameter `resource` or `audience`) selects the token: /opaque, or a JWT (its
JWTBearerTokenGenerator) signed with /RS256 or /ES256. It prints "ready" when it listens.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from authlib.common.security import generate_token
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, Response, jsonify, request
from joserfc.jwk import JWKRegistry, KeySet, OctKey
from werkzeug.serving import make_server

OPTIONS = json.loads(sys.argv[1])
URL = f"http://127.0.0.1:{OPTIONS['port']}"
KEYS = {key["alg"]: key for key in OPTIONS["jwks"]["keys"]}


class Client(ClientMixin):
    def __init__(self, given: dict[str, Any]) -> None:
        self.id = given["client_id"]
        self.secret = given.get("client_secret")
        self.method = given["token_endpoint_auth_method"]
        self.jwks = given.get("jwks")

    def get_client_id(self) -> str:
        return str(self.id)

    def check_client_secret(self, secret: str) -> bool:
        return bool(self.secret == secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        if method == JWTBearerClientAssertion.CLIENT_AUTH_METHOD:
            return self.method in ("client_secret_jwt", "private_key_jwt")
        return bool(method == self.method)

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"

    def get_allowed_scope(self, scope: str) -> str:
        return scope or ""


CLIENTS = {given["client_id"]: Client(given) for given in OPTIONS["clients"]}
_seen: set[str] = set()


class Assertion(JWTBearerClientAssertion):
    """For both kinds, as registered for the client."""

    def get_audiences(self) -> list[str]:
        return [URL, URL + "/oauth2/token"]

    def validate_jti(self, claims: Any, jti: str) -> bool:
        new = jti not in _seen
        _seen.add(jti)
        return new

    def resolve_client_public_key(self, client: Client) -> Any:
        if client.method == "client_secret_jwt":
            return OctKey.import_key(client.secret)
        return KeySet.import_key_set(client.jwks or {"keys": []})


class Grant(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = (
        "client_secret_basic",
        "client_secret_post",
        Assertion.CLIENT_AUTH_METHOD,
        "none",
    )


class Generator(JWTBearerTokenGenerator):
    def get_jwks(self) -> Any:
        return JWKRegistry.import_key(KEYS[self.alg])

    def get_audiences(self, client: Any, user: Any, scope: Any) -> str:
        return audience()


def audience() -> str:
    return request.form.get("resource") or request.form.get("audience") or ""


_opaque = BearerTokenGenerator(lambda **_: generate_token(42), expires_generator=60)
_jwt = {alg: Generator(URL, alg, expires_generator=60) for alg in KEYS}


def generate(**given: Any) -> Any:
    kind = audience().rsplit("/", 1)[-1]
    return (_opaque if kind == "opaque" else _jwt[kind if kind in _jwt else "RS256"])(**given)


app = Flask(__name__)
server = AuthorizationServer(app, CLIENTS.get, lambda token, of: None)
server.register_grant(Grant)
server.register_client_auth_method(Assertion.CLIENT_AUTH_METHOD, Assertion())
server.register_token_generator("default", generate)


@app.post("/oauth2/token")
def token() -> Response:
    return server.create_token_response()  # type: ignore[no-any-return]


@app.get("/.well-known/oauth-authorization-server")
def metadata() -> Response:
    found = AuthorizationServerMetadata(
        issuer=URL,
        authorization_endpoint=URL + "/oauth2/authorize",
        token_endpoint=URL + "/oauth2/token",
        token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
        jwks_uri=URL + "/.well-known/jwks.json",
        response_types_supported=["code"],
    )
    return jsonify(found)


@app.get("/.well-known/jwks.json")
def jwks() -> Response:
    keys = [JWKRegistry.import_key(key).as_dict(private=False) for key in KEYS.values()]
    return jsonify(keys=keys)


if __name__ == "__main__":
    listening = make_server("127.0.0.1", OPTIONS["port"], app, threaded=True)
    print("ready", flush=True)
    listening.serve_forever()
