"""django-oauth-toolkit for the tests, on a database in memory.

    python toolkit_server.py '{"port": PORT, "keys": [PEM, …], "clients": [{"client_id": …, "client_secret": …}, …]}'

The audience is RFC 8707's `resource`. For one that ends in /opaque it issues the toolkit's own tokens,
otherwise JWTs by oauthlib's signed_token_generator: RS256, no kid, signed with the first key; without a
resource they have no `aud`.
It prints "ready" when it listens.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from oauthlib.common import generate_token
from oauthlib.oauth2.rfc6749.tokens import signed_token_generator

OPTIONS = json.loads(sys.argv[1])
ISSUER = f"http://127.0.0.1:{OPTIONS['port']}/oauth2"


def access_token(request: Any, refresh_token: bool = False) -> str:
    audience = getattr(request, "resource", None) or ""
    if audience.endswith("/opaque"):
        return str(generate_token())
    # Its table requires unique tokens, and two of the same second would be equal.
    claims = {"iss": ISSUER, "client_id": request.client.client_id, "jti": generate_token()}
    if audience:
        claims["aud"] = audience
    return str(signed_token_generator(OPTIONS["keys"][0], **claims)(request))


settings.configure(
    SECRET_KEY="for the tests alone",
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    # The tables are created directly: migrations take seconds.
    MIGRATION_MODULES={"auth": None, "contenttypes": None, "oauth2_provider": None},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    ROOT_URLCONF="__main__",
    LOGGING_CONFIG=None,
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_ISS_ENDPOINT": ISSUER,
        "OIDC_RSA_PRIVATE_KEY": OPTIONS["keys"][0],
        "OIDC_RSA_PRIVATE_KEYS_INACTIVE": OPTIONS["keys"][1:],
        "ACCESS_TOKEN_GENERATOR": access_token,
        "ACCESS_TOKEN_EXPIRE_SECONDS": 60,
    },
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import Application  # noqa: E402

urlpatterns = [path("oauth2/", include("oauth2_provider.urls"))]


class Quiet(WSGIRequestHandler):
    def log_message(self, *unused: object) -> None:
        pass


if __name__ == "__main__":
    call_command("migrate", run_syncdb=True, verbosity=0)
    Application.objects.bulk_create(
        Application(
            client_type="confidential",
            authorization_grant_type="client-credentials",
            hash_client_secret=False,  # PBKDF2 takes a third of a second per request
            **client,
        )
        for client in OPTIONS["clients"]
    )
    # One thread, because an in-memory database belongs to one connection.
    server = make_server("127.0.0.1", OPTIONS["port"], get_wsgi_application(), handler_class=Quiet)
    print("ready", flush=True)
    server.serve_forever()
