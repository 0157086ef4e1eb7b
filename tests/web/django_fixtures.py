"""Fixtures of the tests of Django: its database, and browsers for each way to run it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

import django_site
from django_browser import Browser, Response, call_asgi, call_wsgi
from servers import Server


@pytest.fixture(scope="session")
def database() -> None:
    django_site.make_database()


@pytest.fixture
def site(server: Server, database: None) -> Iterator[Server]:
    """The project, on an emptied server and with an emptied database."""
    with django_site.sessions_at(server.url):
        yield server
    django_site.empty_database()


def browser_of(kind: str) -> Browser:
    if kind == "wsgi":
        application = get_wsgi_application()

        def call(*request: Any) -> Response:
            return call_wsgi(application, *request)
    else:
        application = get_asgi_application()

        def call(*request: Any) -> Response:
            return asyncio.run(call_asgi(application, *request))

    return Browser(call, "/async/" if kind == "asgi-async" else "/sync/")


KINDS = ["wsgi", "asgi", *(["asgi-async"] if django_site.HAS_ASYNC else [])]


@pytest.fixture(params=KINDS)
def browser(request: pytest.FixtureRequest, site: Server) -> Browser:
    """Under WSGI; under ASGI; and there with views that await the session."""
    return browser_of(request.param)
