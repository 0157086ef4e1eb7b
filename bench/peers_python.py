"""The packages in Python of peers.py, each behind the same four pages."""

import json
from http.cookies import SimpleCookie

import redis

PEERS = ("tokenstore (Flask)", "tokenstore (Starlette)", "Flask-Session", "django-redis", "starsessions", "fastapi-redis-sdk")


class Client:
    """Calls a page: (path, cookie) -> (session, new cookie or the same)."""

    def __init__(self, get, name):
        self.get, self.name, self.close = get, name, lambda: None

    def __call__(self, path, cookie=None):
        text, headers = self.get(path, {"Cookie": f"{self.name}={cookie}"} if cookie else {})
        jar = SimpleCookie()
        for header in headers:
            jar.load(header)
        morsel = jar.get(self.name)
        body = json.loads(text) if text.startswith("{") else {}  # else an error
        return body, morsel.value if morsel and morsel.value else cookie


def flask_pages(app, session, log_in, log_out, name):
    import flask

    def get(path, headers):
        answer = app.test_client(use_cookies=False).get(path, headers=headers)
        return answer.text, answer.headers.getlist("Set-Cookie")

    client = Client(get, name)

    @app.get("/login")
    def login():
        log_in()
        return {}

    @app.get("/me")
    def me():
        return dict(session)

    @app.get("/set/<field>")
    def change(field):
        dict(session)  # as it is before the other request
        if first := flask.request.args.get("first"):
            client(first, flask.request.cookies.get(name))
        session[field] = 1
        return {}

    @app.get("/logout")
    def logout():
        log_out()
        return {}

    return client


def starlette_pages(middleware, session_of, log_in, log_out, name, app=None):
    from anyio.to_thread import run_sync
    from fastapi import FastAPI, Request
    from fastapi.testclient import TestClient

    app = app or FastAPI()
    for cls, options in middleware:
        app.add_middleware(cls, **options)
    browser = TestClient(app, base_url="https://testserver")
    browser.__enter__()  # one event loop for all

    def get(path, headers):
        browser.cookies.clear()
        answer = browser.get(path, headers=headers)
        return answer.text, answer.headers.get_list("set-cookie")

    client = Client(get, name)
    client.close = lambda: browser.__exit__(None, None, None)

    @app.get("/login")
    async def login(request: Request):
        await log_in(request)
        return {}

    @app.get("/me")
    async def me(request: Request):
        return dict(await session_of(request))

    @app.get("/set/{field}")
    async def change(request: Request, field: str, first: str | None = None):
        session = await session_of(request)
        dict(session)
        if first:
            await run_sync(client, first, request.cookies.get(name))
        session[field] = 1
        return {}

    @app.get("/logout")
    async def logout(request: Request):
        await log_out(request)
        return {}

    return client


def make(peer, server):
    """The pages of one of PEERS, on this server."""
    url = f"redis://127.0.0.1:{server.port}"
    return globals()[f"make_{peer.translate(str.maketrans(' -', '__', '()')).lower()}"](server, url)


def make_tokenstore_flask(server, url):
    import flask

    from tokenstore.ext.flask import FlaskSessions, session

    app = flask.Flask("tokenstore")
    FlaskSessions(app, url, secure=False, cookie="sid", principal="user")
    return flask_pages(app, session, lambda: session.update(user="bob"), lambda: session.logout(), "sid")


def make_flask_session(server, url):
    import flask
    import flask_session

    app = flask.Flask("peer")
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis.from_url(url))
    flask_session.Session(app)
    session = flask.session
    return flask_pages(app, session, lambda: session.update(user="bob"), lambda: session.clear(), "session")


def session_calls(logout):
    """The session of a request, a login and a logout."""

    async def session_of(request):
        return request.session

    async def log_in(request):
        request.session["user"] = "bob"

    async def log_out(request):
        getattr(request.session, logout)()

    return session_of, log_in, log_out


def make_tokenstore_starlette(server, url):
    from tokenstore.ext.asgi import SessionMiddleware

    options = {"store": url, "cookie": "sid", "principal": "user"}
    return starlette_pages([(SessionMiddleware, options)], *session_calls("logout"), "sid")


def make_starsessions(server, url):
    import starsessions
    from starsessions.stores.redis import RedisStore

    options = {"store": RedisStore(url), "lifetime": 3600, "rolling": True, "cookie_https_only": False}
    middleware = [(starsessions.SessionAutoloadMiddleware, {}), (starsessions.SessionMiddleware, options)]
    return starlette_pages(middleware, *session_calls("clear"), "session")


def make_fastapi_redis_sdk(server, url):
    from fastapi import FastAPI
    from redis_fastapi import FastAPIRedis, get_settings

    get_settings().url = url
    get_settings().session_cookie_name = "session"
    app = FastAPI()
    FastAPIRedis(app).lifespan().sessions()
    return starlette_pages([], *session_calls("clear"), "session", app)


def make_django_redis(server, url):
    import django
    from django.conf import settings
    from django.contrib.sessions.middleware import SessionMiddleware
    from django.http import JsonResponse
    from django.test import Client as Browser
    from django.urls import path

    settings.configure(
        ALLOWED_HOSTS=["*"],
        CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}},
        INSTALLED_APPS=["django.contrib.sessions"],
        MIDDLEWARE=[f"{SessionMiddleware.__module__}.SessionMiddleware"],
        ROOT_URLCONF=__name__,
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
    )
    django.setup()

    def get(path, headers):
        answer = Browser().get(path, HTTP_COOKIE=headers.get("Cookie", ""))
        return answer.content.decode(), [morsel.OutputString() for morsel in answer.cookies.values()]

    client = Client(get, "sessionid")

    def login(request):
        request.session["user"] = "bob"
        return JsonResponse({})

    def change(request, field):
        dict(request.session.items())
        if first := request.GET.get("first"):
            client(first, request.COOKIES.get("sessionid"))
        request.session[field] = 1
        return JsonResponse({})

    def logout(request):
        request.session.flush()
        return JsonResponse({})

    global urlpatterns
    urlpatterns = [
        path("login", login),
        path("me", lambda request: JsonResponse(dict(request.session.items()))),
        path("set/<field>", change),
        path("logout", logout),
    ]
    return client
