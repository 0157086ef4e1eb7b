"""docs/how-to/coming-from.md: sessions of the real other stores, taken along by the functions of the page."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import flask
import flask_session
import pytest
import redis
import redis.asyncio
import starsessions
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starsessions.stores.redis import RedisStore

import tokenstore
from servers import Server
from tokenstore.ext.asgi import SessionMiddleware
from tokenstore.ext.flask import FlaskSessions, session

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/coming-from.md"


def blocks_of(*headings: str) -> Iterator[str]:
    """The Python blocks below these headings that define functions."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.M)
    for heading in headings:
        (section,) = (each for each in sections if each.startswith(heading + "\n"))
        blocks = re.findall(r"^```python\n(.*?)^```", section, re.M | re.S)
        yield from (block for block in blocks if "def " in block)


def functions_of(*headings: str) -> dict[str, Any]:
    """What these blocks define."""
    names: dict[str, Any] = {}
    for block in blocks_of(*headings):
        exec(block, names)
    return names


@pytest.fixture
def old(server: Server) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=str(server.socket_path)) as old:
        yield old


def test_flask_session(server: Server, old: redis.Redis, sessions: tokenstore.Sessions) -> None:
    before = flask.Flask(__name__)
    before.config.update(SESSION_TYPE="redis", SESSION_REDIS=old)
    flask_session.Session(before)

    @before.post("/<user>")
    def log_in(user: str) -> str:
        flask.session.update(
            {"_user_id": user, "cart": ["book"]} if user != "nobody" else {"n": b"\0"}
        )
        return ""

    browsers = {user: before.test_client() for user in ("bob", "ann", "nobody")}
    for user, browser in browsers.items():
        browser.post(f"/{user}")

    page = functions_of("Live sessions", "Flask-Session")
    found = list(page["of_flask_session"](old))
    assert len(found) == 3
    assert page["take_along"](sessions.client, found) == (2, 1)
    assert page["take_along"](sessions.client, found) == (0, 1)
    old.delete(*old.scan_iter("session:*"))

    after = flask.Flask(__name__)
    plugin = FlaskSessions(after, server.url, secure=False)

    @after.get("/")
    def show() -> dict[str, Any]:
        return {"principal": session.principal, "fields": dict(session)}

    @after.post("/rotate")
    def rotate() -> str:
        session.rotate()
        return ""

    bob = after.test_client()
    cookie = browsers["bob"].get_cookie("session")
    assert cookie is not None
    bob.set_cookie("session", cookie.value)
    theirs = {"principal": "bob", "fields": {"_user_id": "bob", "cart": ["book"]}}
    assert bob.get("/").json == theirs
    bob.post("/rotate")
    now = bob.get_cookie("session")
    assert now is not None
    assert now.value != cookie.value
    assert bob.get("/").json == theirs
    assert sessions.count(app="web", owner_id="bob") == 1
    plugin.web.store.close()


DJANGO = """
import sys
import django
from django.conf import settings
ENGINE, URL, COOKIE = sys.argv[1:]
settings.configure(
    SECRET_KEY="x" * 50, SESSION_ENGINE=ENGINE, TOKENSTORE={"url": f"redis+{URL}"}, USE_TZ=True,
    CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": URL}},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
)
django.setup()
from importlib import import_module
SessionStore = import_module(ENGINE).SessionStore
"""

BEFORE = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
session = SessionStore()
session.update({"_auth_user_id": "7", "cart": ["book"]})
session.save()
PAGE
print(session.session_key, take_along(f"redis+{URL}", of_django_redis(), app="django", idle=None, absolute=1000))
"""

AFTER = """
session = SessionStore(COOKIE)
assert dict(session.items()) == {"_auth_user_id": "7", "cart": ["book"]}, dict(session.items())
session["cart"] = []
session.save()
session.cycle_key()
session.save()
assert SessionStore(session.session_key)["cart"] == []
assert session.session_key != COOKIE and session.owner == "7"
"""


@pytest.mark.parametrize("backend", ["cache", "cached_db"])
def test_django_redis(server: Server, sessions: tokenstore.Sessions, backend: str) -> None:
    def run(program: str, engine: str, cookie: str) -> str:
        url = f"unix://{server.socket_path}"
        command = [sys.executable, "-c", DJANGO + program, engine, url, cookie]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    functions = "".join(blocks_of("Live sessions", "django-redis and cached_db"))
    before = BEFORE.replace("PAGE", functions)
    cookie, _, taken = run(before, f"django.contrib.sessions.backends.{backend}", "").partition(" ")
    assert taken.strip() == "(1, 0)"
    assert sessions.count(app="django", owner_id=7) == 1
    run(AFTER, "tokenstore.ext.django.sessions", cookie)


def test_starsessions(server: Server, old: redis.Redis, sessions: tokenstore.Sessions) -> None:
    async def log_in(request: Request) -> JSONResponse:
        request.session.update({"user_id": "bob", "cart": ["book"]})
        return JSONResponse(None)

    async def show(request: Request) -> JSONResponse:
        session: Any = request.session
        return JSONResponse({"principal": session.principal, "fields": dict(session)})

    connection = redis.asyncio.Redis(unix_socket_path=str(server.socket_path))
    store = RedisStore(connection=connection)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await connection.aclose()

    before = Starlette(
        routes=[Route("/", log_in)],
        lifespan=lifespan,
        middleware=[
            Middleware(
                starsessions.SessionMiddleware, store=store, lifetime=1000, cookie_https_only=False
            ),
            Middleware(starsessions.SessionAutoloadMiddleware),
        ],
    )
    with TestClient(before) as browser:
        browser.get("/")
        cookie = browser.cookies["session"]
        assert old.exists(f"starsessions.{cookie}")
        page = functions_of("Live sessions", "starsessions")
        assert page["take_along"](sessions.client, page["of_starsessions"](old)) == (1, 0)

    after = Starlette(
        routes=[Route("/", show)],
        middleware=[Middleware(SessionMiddleware, server.url, principal="user_id", secure=False)],
    )
    with TestClient(after, cookies={"session": cookie}) as browser:
        assert browser.get("/").json() == {
            "principal": "bob",
            "fields": {"user_id": "bob", "cart": ["book"]},
        }
