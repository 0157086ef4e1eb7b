"""A benchmark worker for web frameworks: reads jobs from stdin, one per line, prints "ok" when a job is done.

usage: worker_web.py FRAMEWORK ours|near|PEER PORT

One application, /read and /write, is called as its server would call it, without a network between: by WSGI or ASGI. A job is
a name and a count of requests, all of one session that is logged in; the answer to it has the 99th percentile of their times,
in µs.
"""

import asyncio
import io
import statistics
import sys
import time

DATA = {"name": "n" * 20, "roles": ["a", "b"], "visits": 0}
COOKIE = "session"


def url(port):
    return f"redis://127.0.0.1:{port}"


def store(kind, port, module):
    """A Sessions of ours; `near` has a near cache."""
    return module.Sessions(url(port), **({"near_cache": 1000} if kind == "near" else {}))


# ---- applications ----------------------------------------------------------------------------------


def flask_app(kind, port):
    import flask

    app = flask.Flask(__name__)
    if kind == "flask-session":
        import flask_session
        import redis

        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis(port=int(port)))
        flask_session.Session(app)
    else:
        import tokenstore
        from tokenstore.ext.flask import FlaskSessions

        FlaskSessions(app, store(kind, port, tokenstore), secure=False)

    @app.get("/login")
    def login():
        flask.session.update(DATA)
        return "ok"

    @app.get("/read")
    def read():
        return flask.session["name"]

    @app.get("/write")
    def write():
        flask.session["visits"] += 1
        return "ok"

    return app.wsgi_app


def django_app(kind, port):
    import django
    from django.conf import settings
    from django.http import HttpResponse
    from django.urls import path

    engine = {"SESSION_ENGINE": "tokenstore.ext.django.sessions", "TOKENSTORE": {"url": url(port)}}
    if kind == "near":
        engine["TOKENSTORE"]["near_cache"] = 1000
    if kind == "django-redis":
        cache = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url(port)}
        engine = {"SESSION_ENGINE": "django.contrib.sessions.backends.cache", "CACHES": {"default": cache}}

    def login(request):
        request.session.update(DATA)
        return HttpResponse("ok")

    def read(request):
        return HttpResponse(request.session["name"])

    def write(request):
        request.session["visits"] += 1
        return HttpResponse("ok")

    urls = type(sys)("bench_urls")
    urls.urlpatterns = [path("login", login), path("read", read), path("write", write)]
    sys.modules["bench_urls"] = urls
    settings.configure(
        SECRET_KEY="x" * 50,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="bench_urls",
        SESSION_COOKIE_NAME=COOKIE,
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
        **engine,
    )
    django.setup()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def starlette_app(kind, port):
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    if kind == "starsessions":
        from starsessions import SessionAutoloadMiddleware, SessionMiddleware
        from starsessions.stores.redis import RedisStore

        kept = RedisStore(url(port))
        middleware = [
            Middleware(SessionMiddleware, store=kept, cookie_https_only=False, lifetime=36_000),
            Middleware(SessionAutoloadMiddleware),
        ]
    else:
        import tokenstore.asyncio
        from tokenstore.ext.asgi import SessionMiddleware

        middleware = [Middleware(SessionMiddleware, store=store(kind, port, tokenstore.asyncio), secure=False)]

    async def login(request):
        request.session.update(DATA)
        return PlainTextResponse("ok")

    async def read(request):
        return PlainTextResponse(request.session["name"])

    async def write(request):
        request.session["visits"] += 1
        return PlainTextResponse("ok")

    routes = [Route("/login", login), Route("/read", read), Route("/write", write)]
    return Starlette(routes=routes, middleware=middleware)


def fastapi_app(kind, port):
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse

    app = FastAPI()
    if kind == "fastapi-redis-sdk":
        from redis_fastapi import FastAPIRedis, SessionDep, get_settings

        get_settings().url = url(port)
        get_settings().session_cookie_https_only = False
        FastAPIRedis(app).lifespan().sessions()
    else:
        import tokenstore.asyncio
        from tokenstore.ext.asgi import SessionMiddleware
        from tokenstore.ext.fastapi import SessionDep

        app.add_middleware(SessionMiddleware, store=store(kind, port, tokenstore.asyncio), secure=False)

    @app.get("/login")
    async def login(session: SessionDep):
        session.update(DATA)
        return PlainTextResponse("ok")

    @app.get("/read")
    async def read(session: SessionDep):
        return PlainTextResponse(session["name"])

    @app.get("/write")
    async def write(session: SessionDep):
        session["visits"] += 1
        return PlainTextResponse("ok")

    return app


# ---- callers ---------------------------------------------------------------------------------------


def cookie_of(headers):
    (line,) = [value for name, value in headers if name.lower() == "set-cookie"]
    return line.partition(";")[0]


def p99(times):
    return statistics.quantiles(times, n=100)[-1] * 1e6 if len(times) > 1 else 0


class Wsgi:
    def __init__(self, app):
        self.app = app
        self.cookie = ""
        self.cookie = cookie_of(self.call("/login"))

    def call(self, path):
        began = []
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": "localhost",
            "HTTP_COOKIE": self.cookie,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        body = self.app(environ, lambda status, headers, exc_info=None: began.append((status, headers)))
        assert b"".join(body)
        if hasattr(body, "close"):
            body.close()
        ((status, headers),) = began
        assert status.startswith("200"), status
        return headers

    def do(self, path, count):
        times = []
        for _ in range(count):
            began = time.perf_counter()
            self.call(path)
            times.append(time.perf_counter() - began)
        return times


class Asgi:
    def __init__(self, app):
        self.app = app
        self.loop = asyncio.new_event_loop()
        self.lifespan = app.router.lifespan_context(app)  # held: it ends with this process
        self.loop.run_until_complete(self.lifespan.__aenter__())
        self.cookie = ""
        self.cookie = cookie_of(self.loop.run_until_complete(self.call("/login")))

    async def call(self, path):
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"cookie", self.cookie.encode())]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("192.0.2.1", 1234),
            "server": ("localhost", 80),
        }
        await self.app(scope, receive, send)
        assert sent[0]["status"] == 200, sent[0]
        return [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]

    async def many(self, path, count):
        times = []
        for _ in range(count):
            began = time.perf_counter()
            await self.call(path)
            times.append(time.perf_counter() - began)
        return times

    def do(self, path, count):
        return self.loop.run_until_complete(self.many(path, count))


WSGI = {"flask": flask_app, "django": django_app}
ASGI = {"starlette": starlette_app, "fastapi": fastapi_app}


def main():
    framework, kind, port = sys.argv[1:]
    is_wsgi = framework in WSGI
    caller = Wsgi(WSGI[framework](kind, port)) if is_wsgi else Asgi(ASGI[framework](kind, port))
    print("ok", flush=True)
    for line in sys.stdin:
        name, count = line.split()
        print("ok", p99(caller.do(f"/{name}", int(count))), flush=True)


main()
