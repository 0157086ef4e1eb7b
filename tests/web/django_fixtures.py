"""Fixtures of the tests of Django: its database, and browsers for each way to run it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import django_site
from django_browser import Browser, browser_of
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


KINDS = ["wsgi", "asgi", *(["asgi-async"] if django_site.HAS_ASYNC else [])]


@pytest.fixture(params=KINDS)
def browser(request: pytest.FixtureRequest, site: Server) -> Browser:
    """Under WSGI; under ASGI; and there with views that await the session."""
    return browser_of(request.param)
