"""Hosted providers as their public documentation describes them: their requests and responses.

None of them can be reached from a test. The emulations follow the pages linked in docs/how-to/providers, and reject
anything that those do not allow. Assertions are verified by joserfc, not by this project.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from authorization import Answer, Asked

BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS = ["RS256", "PS256", "ES256"]


class RefusedError(Exception):
    """A provider's error response (RFC 6749), with the reason."""


def want(good: bool, error: str, why: str) -> None:
    if not good:
        raise RefusedError(error, why)


@dataclass
class Provider:
    """`grant` returns the claims of a token, or text for an opaque one, or raises RefusedError."""

    hosts: tuple[str, ...]  # as in the documentation; the emulation replaces them all
    token_path: str
    grant: Callable[[Provider, Asked], dict[str, Any] | str]
    jwks_path: str = ""
    issuer_path: str = ""
    methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post", "private_key_jwt")
    status: int = 200
    url: str = ""  # its URL when it runs
    client_key: Any = None  # the public key that assertions are signed with
    thumbprint: str = ""  # of its certificate
    key: RSAKey = field(
        default_factory=lambda: RSAKey.generate_key(2048, {"kid": "of-the-provider"})
    )
    seen: set[str] = field(default_factory=set)

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "GET":
            return self.published(asked.path)
        try:
            want(asked.path == self.token_path, "not_found", asked.path)
            given = self.grant(self, asked)
        except RefusedError as error:
            kind, why = error.args
            status = {"invalid_client": 401, "not_found": 404}.get(kind, 400)
            return Answer(status, {"error": kind, "error_description": why})
        return Answer(self.status, self.answer(given))

    def published(self, path: str) -> Answer:
        if path == self.jwks_path:
            return Answer(
                200, {"keys": [{**self.key.as_dict(private=False), "alg": "RS256", "use": "sig"}]}
            )
        if (
            self.issuer_path
            and path == self.issuer_path.rstrip("/") + "/.well-known/openid-configuration"
        ):
            metadata = {
                "issuer": self.url + self.issuer_path,
                "token_endpoint": self.url + self.token_path,
                "jwks_uri": self.url + self.jwks_path,
                "token_endpoint_auth_methods_supported": list(self.methods),
            }
            return Answer(200, metadata)
        return Answer(404, {"error": "not_found"})

    def answer(self, given: dict[str, Any] | str) -> dict[str, Any]:
        token = given
        if isinstance(given, dict):
            now = int(time.time())
            claims = {"iat": now, "exp": now + 3600, **given}
            token = jwt.encode(
                {"alg": "RS256", "kid": self.key.kid, "typ": "JWT"}, claims, self.key
            )
        return {"access_token": token, "token_type": "Bearer", "expires_in": 3599}

    # ---- checks of providers ----

    def basic(self, asked: Asked, client: str, secret: str) -> None:
        kind, _, text = asked.headers.get("authorization", "").partition(" ")
        shown = base64.b64decode(text).decode() if kind == "Basic" else ""
        want(shown == f"{client}:{secret}", "invalid_client", "Basic credentials")

    def post(self, asked: Asked, client: str, secret: str) -> None:
        want("authorization" not in asked.headers, "invalid_request", "two ways at once")
        want(asked.form.get("client_id") == client, "invalid_client", "client_id")
        want(asked.form.get("client_secret") == secret, "invalid_client", "client_secret")

    def assertion(
        self, asked: Asked, subject: str, audience: str, *headers: str, issuer: str = ""
    ) -> dict[str, Any]:
        """Header and claims of a valid assertion."""
        form = asked.form
        want(form.get("client_assertion_type") == BEARER, "invalid_client", "client_assertion_type")
        want("client_secret" not in form, "invalid_client", "a secret as well")
        return self.signed(form["client_assertion"], audience, issuer or subject, subject, *headers)

    def signed(
        self, text: str, audience: str, issuer: str, subject: str, *headers: str
    ) -> dict[str, Any]:
        token = jwt.decode(text, self.client_key, ASSERTION_ALGORITHMS)
        claims, now = token.claims, time.time()
        want(claims.get("aud") == audience, "invalid_client", f"aud is {claims.get('aud')}")
        want(claims.get("iss") == issuer, "invalid_client", "iss")
        want(claims.get("sub", "") == subject, "invalid_client", "sub")
        want(now < claims["exp"] <= now + 3600, "invalid_client", "exp")
        want(claims.get("iat", now) <= now + 1, "invalid_client", "iat")
        for name in headers:
            want(name in token.header, "invalid_client", f"no {name} in the header")
        if "jti" in claims:
            want(claims["jti"] not in self.seen, "invalid_client", "jti was seen before")
            self.seen.add(claims["jti"])
        return {**token.header, **claims}


# ---- Microsoft Entra ID: client credentials flow, certificate credentials, access tokens --------------------

TENANT = "/11111111-2222-3333-4444-555555555555"


def _entra(provider: Provider, asked: Asked) -> dict[str, Any]:
    scope = asked.form.get("scope", "")
    want(asked.form.get("grant_type") == "client_credentials", "unsupported_grant_type", "")
    want(scope == "api://orders/.default", "invalid_scope", scope)
    want(
        "audience" not in asked.form and "resource" not in asked.form, "invalid_request", "audience"
    )
    return {
        "aud": "66666666-7777-8888-9999-000000000000",
        "iss": provider.url + TENANT + "/v2.0",
        "azp": "my-client-id",
        "ver": "2.0",
        "nbf": int(time.time()),
    }


def entra_version_1(provider: Provider, asked: Asked) -> dict[str, Any]:
    """The tokens of an API without version 2 in its manifest."""
    provider.post(asked, "my-client-id", "my-secret")
    issuer = provider.url + TENANT.replace("/", "/sts/") + "/"  # sts.windows.net in the real service
    return {**_entra(provider, asked), "aud": "api://orders", "iss": issuer, "ver": "1.0"}


def _entra_by_secret(provider: Provider, asked: Asked) -> dict[str, Any]:
    provider.post(asked, "my-client-id", "my-secret")
    return _entra(provider, asked)


def _entra_by_certificate(provider: Provider, asked: Asked) -> dict[str, Any]:
    shown = provider.assertion(
        asked, "my-client-id", provider.url + TENANT + "/oauth2/v2.0/token", "x5t#S256", "typ"
    )
    want(shown["x5t#S256"] == provider.thumbprint, "invalid_client", "x5t#S256")
    want(shown["alg"] == "PS256" and shown["exp"] <= time.time() + 600, "invalid_client", "header")
    return _entra(provider, asked)


def _entra_by_workload(provider: Provider, asked: Asked) -> dict[str, Any]:
    want(asked.form.get("client_id") == "my-client-id", "invalid_client", "client_id")
    provider.assertion(
        asked,
        "system:serviceaccount:default:orders",
        "api://AzureADTokenExchange",
        issuer="https://cluster.example",
    )
    return _entra(provider, asked)


ENTRA = {
    "hosts": ("https://login.microsoftonline.com",),
    "token_path": TENANT + "/oauth2/v2.0/token",
    "jwks_path": TENANT + "/discovery/v2.0/keys",
    "issuer_path": TENANT + "/v2.0",
}


# ---- Auth0: client credentials flow, private key JWT -----------------------------------------------------------


def _auth0(provider: Provider, asked: Asked) -> dict[str, Any]:
    want(asked.form.get("audience") == "https://api.example", "access_denied", "audience")
    return {
        "iss": provider.url + "/",
        "sub": "my-client@clients",
        "aud": "https://api.example",
        "azp": "my-client",
        "gty": "client-credentials",
    }


def _auth0_by_secret(provider: Provider, asked: Asked) -> dict[str, Any]:
    provider.post(asked, "my-client", "my-secret")
    return _auth0(provider, asked)


def _auth0_by_key(provider: Provider, asked: Asked) -> dict[str, Any]:
    shown = provider.assertion(asked, "my-client", provider.url + "/", "kid")
    want("jti" in shown and shown["exp"] <= time.time() + 300, "invalid_client", "jti, exp")
    return _auth0(provider, asked)


AUTH0 = {
    "hosts": ("https://my-tenant.eu.auth0.com",),
    "token_path": "/oauth/token",
    "jwks_path": "/.well-known/jwks.json",
    "issuer_path": "/",
}


# ---- Keycloak: service accounts --------------------------------------------------------------------------------


def _keycloak(provider: Provider, asked: Asked) -> dict[str, Any]:
    provider.basic(asked, "my-client", "my-secret")
    want("audience" not in asked.form, "invalid_request", "it takes no audience")
    claims = {"iss": provider.url + "/realms/my-realm", "typ": "Bearer", "azp": "my-client"}
    # As added by an Audience mapper of the scope "orders".
    return claims | ({"aud": "orders-api"} if asked.form.get("scope") == "orders" else {})


KEYCLOAK = {
    "hosts": ("https://keycloak.example",),
    "token_path": "/realms/my-realm/protocol/openid-connect/token",
    "jwks_path": "/realms/my-realm/protocol/openid-connect/certs",
    "issuer_path": "/realms/my-realm",
}


# ---- Okta: custom authorization server, private_key_jwt -------------------------------------------------------


def _okta(provider: Provider, asked: Asked) -> dict[str, Any]:
    server = provider.url + "/oauth2/default"
    provider.assertion(asked, "my-client", server + "/v1/token")
    want(asked.form.get("scope") == "orders.read", "invalid_scope", "scope")
    want("audience" not in asked.form, "invalid_request", "it takes no audience")
    return {
        "iss": server,
        "aud": "api://default",
        "cid": "my-client",
        "scp": ["orders.read"],
        "sub": "my-client",
    }


OKTA = {
    "hosts": ("https://my-org.okta.com",),
    "token_path": "/oauth2/default/v1/token",
    "jwks_path": "/oauth2/default/v1/keys",
    "issuer_path": "/oauth2/default",
}


# ---- Amazon Cognito: token endpoint, verifying JSON web tokens ------------------------------------------------


def _cognito(provider: Provider, asked: Asked) -> dict[str, Any]:
    provider.basic(asked, "my-app-client", "my-secret")
    want(asked.form.get("scope") == "orders/read", "invalid_scope", "scope")
    want("audience" not in asked.form, "invalid_request", "it takes no audience")
    return {
        "iss": provider.url + "/eu-central-1_AbCdEfGhI",
        "client_id": "my-app-client",
        "sub": "my-app-client",
        "token_use": "access",
        "scope": "orders/read",
        "version": 2,
    }


COGNITO = {
    "hosts": ("https://cognito-idp.eu-central-1.amazonaws.com",),
    "token_path": "/oauth2/token",
    "jwks_path": "/eu-central-1_AbCdEfGhI/.well-known/jwks.json",
    "issuer_path": "/eu-central-1_AbCdEfGhI",
}


# ---- a server that trusts a Kubernetes cluster
# ---------------------------------------------------------------


def _kubernetes(provider: Provider, asked: Asked) -> dict[str, Any]:
    server = provider.url + "/realms/my-realm"
    want(asked.form.get("client_id") == "my-client", "invalid_client", "client_id")
    provider.assertion(
        asked, "system:serviceaccount:default:orders", server, issuer="https://cluster.example"
    )
    return {"iss": server, "aud": asked.form["audience"], "client_id": "my-client"}


KUBERNETES = {
    "hosts": ("https://login.example",),
    "token_path": "/realms/my-realm/token",
    "jwks_path": "/realms/my-realm/keys",
    "issuer_path": "/realms/my-realm",
}


# ---- GitHub: installation access tokens -----------------------------------------------------------------------


class GitHub(Provider):
    def answer(self, given: dict[str, Any] | str) -> dict[str, Any]:
        return {
            "token": given,
            "expires_at": "2030-01-01T00:00:00Z",
            "permissions": {"contents": "read"},
        }


def _github(provider: Provider, asked: Asked) -> str:
    kind, _, text = asked.headers["authorization"].partition(" ")
    claims = jwt.decode(text, provider.client_key, ["RS256"]).claims
    now = time.time()
    want(kind == "Bearer" and claims["iss"] == "Iv23liMyClientId", "invalid_client", "iss")
    want(claims["iat"] < now < claims["exp"] <= now + 600, "invalid_client", "times")
    return "ghs_token"


GITHUB = {
    "hosts": ("https://api.github.com",),
    "token_path": "/app/installations/12345678/access_tokens",
    "status": 201,
}


# ---- Google: service accounts -----------------------------------------------------------------------------------

ACCOUNT = "my-service@my-project.iam.gserviceaccount.com"


def google_self_signed(provider: Provider, token: str) -> None:
    """Checks of a Google API."""
    provider.signed(token, "https://pubsub.googleapis.com/", ACCOUNT, ACCOUNT, "kid")


def _google(provider: Provider, asked: Asked) -> str:
    want(
        asked.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "unsupported_grant_type",
        "",
    )
    shown = provider.signed(asked.form["assertion"], provider.url + "/token", ACCOUNT, "", "kid")
    want(shown.get("scope") == "https://www.googleapis.com/auth/pubsub", "invalid_scope", "scope")
    return "ya29.token"


GOOGLE = {"hosts": ("https://oauth2.googleapis.com",), "token_path": "/token"}


# ---- OSpike ---------------------------------------------------------------------------------------------------------


class Spike(Provider):
    """Its public key is a PEM."""

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/.well-known/publickey.pem":
            return Answer(
                200, self.key.as_pem(private=False), content_type="application/x-pem-file"
            )
        return super().__call__(asked)


def _spike(provider: Provider, asked: Asked) -> dict[str, Any]:
    provider.basic(asked, "my-client", "my-secret")
    return {"aud": asked.form["audience"], "sub": "my-client", "iss": provider.url}


SPIKE = {"hosts": ("https://spike.example",), "token_path": "/oauth2/token"}


def providers() -> dict[str, Provider]:
    """By page and number of its block."""
    return {
        "spike 0": Spike(grant=_spike, **SPIKE),
        "entra 0": Provider(grant=_entra_by_secret, **ENTRA),
        "entra 1": Provider(grant=_entra_by_certificate, **ENTRA),
        "entra 2": Provider(grant=_entra_by_workload, **ENTRA),
        "auth0 0": Provider(grant=_auth0_by_secret, **AUTH0),
        "auth0 1": Provider(grant=_auth0_by_key, **AUTH0),
        "keycloak 0": Provider(grant=_keycloak, **KEYCLOAK),
        "okta 0": Provider(grant=_okta, **OKTA),
        "cognito 0": Provider(grant=_cognito, **COGNITO),
        "kubernetes 0": Provider(grant=_kubernetes, **KUBERNETES),
        "github 0": GitHub(grant=_github, **GITHUB),
        "google 1": Provider(grant=_google, **GOOGLE),
    }
