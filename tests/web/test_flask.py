"""tokenstore.ext.flask and .quart beside the contract: Flask-Login, settings, flashed messages, templates, workers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import flask_login
import httpx2
import pytest
import quart
import werkzeug.exceptions

import tokenstore
import tokenstore.asyncio
from servers import Server
from tokenstore.ext.flask import FlaskSessions, session
from tokenstore.ext.quart import QuartSessions


def app_of(store: Any, **options: Any) -> tuple[flask.Flask, FlaskSessions]:
    app = flask.Flask(__name__)
    return app, FlaskSessions(app, store, **options)


def client_of(app: flask.Flask) -> Any:
    """Sends Secure cookies, too."""
    client = app.test_client()
    client.environ_base["wsgi.url_scheme"] = "https"
    return client


def test_flask_login(sessions: tokenstore.Sessions) -> None:
    app, _ = app_of(sessions)
    app.secret_key = "for the cookie of remember-me"
    manager = flask_login.LoginManager(app)

    class User(flask_login.UserMixin):
        def __init__(self, id: str) -> None:
            self.id = id

    manager.user_loader(User)

    @app.post("/visit")
    def visit() -> str:
        session["cart"] = ["book"]
        return ""

    @app.post("/login")
    def login() -> str:
        flask_login.login_user(User("bob"))
        return ""

    @app.get("/")
    def index() -> Any:
        user = flask_login.current_user
        return [user.is_authenticated and user.get_id(), session.principal, session.get("cart")]

    @app.post("/logout")
    def logout() -> str:
        flask_login.logout_user()
        return ""

    client = client_of(app)
    client.post("/visit")
    visitor = client.get_cookie("session").value
    client.post("/login")
    token = client.get_cookie("session").value
    assert sessions.get(app="web", token=visitor) is None
    found = sessions.get(app="web", token=token)
    assert found is not None
    assert found.owner_id == "bob"
    assert client.get("/").json == ["bob", "bob", ["book"]]
    assert sessions.count(app="web", owner_id="bob") == 1

    client.post("/logout")
    assert sessions.get(app="web", token=token) is None
    assert client.get("/").json == [
        False,
        None,
        ["book"],
    ]  # Flask-Login keeps what is not the user's
    assert sessions.count(app="web", owner_id="bob") == 0


def test_a_login_of_ours_is_one_of_flask_login(sessions: tokenstore.Sessions) -> None:
    app, _ = app_of(sessions)
    app.secret_key = "for the cookie of remember-me"

    class User(flask_login.UserMixin):
        def __init__(self, id: str) -> None:
            self.id = id

    flask_login.LoginManager(app).user_loader(User)

    @app.post("/login")
    def login() -> str:
        session.login("bob")
        return ""

    @app.get("/")
    def index() -> Any:
        return [flask_login.current_user.get_id()]

    client = client_of(app)
    client.post("/login")
    assert client.get("/").json == ["bob"]
    sessions.kill_all(app="web", owner_id="bob")
    assert client.get("/").json == [None]


def test_flashed_messages(sessions: tokenstore.Sessions) -> None:
    app, _ = app_of(sessions)

    @app.post("/")
    def save() -> str:
        flask.flash("saved", "good")
        flask.flash("twice")
        return ""

    @app.get("/")
    def show() -> Any:
        return flask.get_flashed_messages(with_categories=True)

    client = client_of(app)
    client.post("/")
    assert client.get("/").json == [["good", "saved"], ["message", "twice"]]
    assert client.get("/").json == []
    assert client.get_cookie("session") is None  # of the anonymous session nothing is left


def test_templates(sessions: tokenstore.Sessions, server: Server) -> None:
    app, _ = app_of(sessions)

    @app.get("/with")
    def with_session() -> str:
        return flask.render_template_string("{{ session.get('n') }} {{ session.principal }}")

    @app.get("/without")
    def without() -> str:
        return flask.render_template_string("no session")

    client = client_of(app)
    answer = client.get("/with")
    assert (answer.text, answer.headers["Vary"]) == ("None None", "Cookie")
    answer = client.get("/without", headers={"Cookie": "session=unknown"})
    assert "Vary" not in answer.headers


def test_an_unused_session_is_not_read(sessions: tokenstore.Sessions, server: Server) -> None:
    app, _ = app_of(sessions)

    @app.get("/")
    def nothing() -> str:
        assert flask.session is not None
        return ""

    token = sessions.create(app="web", owner_id="bob")
    before = int(server.info("stats", "total_commands_processed"))
    assert client_of(app).get("/", headers={"Cookie": f"session={token}"}).status_code == 200
    assert int(server.info("stats", "total_commands_processed")) == before + 1  # INFO


def test_settings(server: Server, sessions: tokenstore.Sessions) -> None:
    app = flask.Flask(__name__)
    app.config.update(
        TOKENSTORE_URL=server.url,
        SESSION_COOKIE_NAME="shop",
        SESSION_COOKIE_DOMAIN="example.org",
        SESSION_COOKIE_PATH="/a",
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_PARTITIONED=True,
    )
    extension = FlaskSessions(app_name="shop", path="/b")
    extension.init_app(app)

    @app.get("/")
    def login() -> str:
        session.permanent = True
        session.login("bob")
        return str(session.permanent)

    line = client_of(app).get("/").headers["Set-Cookie"]
    assert line.startswith("shop=")
    assert line.endswith(
        "; path=/b; Max-Age=7776000; httponly; samesite=strict; secure; domain=example.org; partitioned"
    )
    assert sessions.count(app="shop", owner_id="bob") == 1
    extension.web.store.close()


def test_test_clients_sessions(sessions: tokenstore.Sessions) -> None:
    app, _ = app_of(sessions, secure=False)

    @app.get("/")
    def index() -> Any:
        return [session.principal, session.get("n")]

    client = app.test_client()
    with client.session_transaction() as changed:
        changed["n"] = 1
        changed.login("bob")
    assert client.get("/").json == ["bob", 1]


def test_listing_and_ending(sessions: tokenstore.Sessions) -> None:
    app, extension = app_of(sessions)

    @app.get("/login")
    def login() -> str:
        session.login("bob")
        return ""

    @app.get("/devices")
    def devices() -> Any:
        found = extension.web.list(session)
        return [[one.sid, one.request["user_agent"], one.sid == session.sid] for one in found]

    @app.get("/end/<sid>")
    def end(sid: str) -> Any:
        return [extension.web.end(session, sid)]

    laptop, phone = client_of(app), client_of(app)
    laptop.get("/login", headers={"User-Agent": "Laptop"})
    phone.get("/login", headers={"User-Agent": "Phone"})
    listed = laptop.get("/devices").json
    assert [row[1:] for row in listed] == [["Phone", False], ["Laptop", True]]
    assert laptop.get(f"/end/{listed[0][0]}").json == [True]
    assert laptop.get(f"/end/{listed[0][0]}").json == [False]
    assert phone.get("/devices").json == []
    assert phone.get(f"/end/{listed[1][0]}").json == [False]
    assert laptop.get(f"/end/{listed[1][0]}").json == [True]
    assert laptop.get("/devices").json == []


@pytest.mark.parametrize("framework", ["flask", "quart"])
def test_the_apps_page_while_redis_is_away(server: Server, framework: str) -> None:
    sorry: Callable[[Any], Any] = lambda error: (f"sorry, {type(error).__name__}", 503)  # noqa: E731
    if framework == "flask":
        with tokenstore.Sessions(server.url, timeout=0.3) as store:
            app, _ = app_of(store)
            app.errorhandler(werkzeug.exceptions.ServiceUnavailable)(sorry)
            app.get("/<name>")(lambda name: session.login(name) or "")
            client = client_of(app)
            assert client.get("/bob").status_code == 200
            server.stop()
            try:
                answers = [client.get("/bob"), app.test_client().get("/bob")]
            finally:
                server.cont()
            texts = [(answer.status_code, answer.text) for answer in answers]
    else:
        texts = asyncio.run(ask_quart(server, sorry))
    assert texts == [(503, "sorry, ServiceUnavailable")] * 2


async def ask_quart(server: Server, sorry: Any) -> list[tuple[int, str]]:
    async with tokenstore.asyncio.Sessions(server.url, timeout=0.3) as store:
        app = quart.Quart(__name__)
        QuartSessions(app, store, secure=False)

        @app.errorhandler(werkzeug.exceptions.ServiceUnavailable)
        async def handler(error: Any) -> Any:
            return sorry(error)

        @app.get("/<name>")
        async def login(name: str) -> str:
            quart.session.login(name)  # type: ignore[attr-defined]
            return ""

        client = app.test_client()
        assert (await client.get("/bob")).status_code == 200
        server.stop()
        try:
            answers = [await client.get("/bob"), await app.test_client().get("/bob")]
        finally:
            server.cont()
        return [(answer.status_code, await answer.get_data(as_text=True)) for answer in answers]


def test_a_url_for_quart(server: Server) -> None:
    """Its connections end with the loop: an open one would be a ResourceWarning, which fails the test."""

    async def run() -> None:
        app = quart.Quart(__name__)
        app.config["TOKENSTORE_URL"] = server.url
        QuartSessions().init_app(app)

        @app.get("/")
        async def login() -> str:
            quart.session["n"] = 1
            return ""

        async with app.test_app():
            answer = await app.test_client().get("/")
            assert answer.status_code == 200
            assert answer.headers["Set-Cookie"].startswith("session=")

    asyncio.run(run())


PRELOADED = """
import os
import flask
from tokenstore.ext.flask import FlaskSessions, session

app = flask.Flask(__name__)
sessions = FlaskSessions(app, os.environ["TOKENSTORE_URL"])
assert sessions.web.store.client.ping()  # it is connected before the fork

@app.get("/")
def count():
    session["n"] = session.get("n", 0) + 1
    return [os.getpid(), session["n"]]
"""


@pytest.fixture
def gunicorn(server: Server, tmp_path: Path) -> Iterator[str]:
    """The socket of a gunicorn that loads the app before it forks two workers."""
    (tmp_path / "page.py").write_text(PRELOADED)
    path = tmp_path / "gunicorn.sock"
    command = [sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-b", f"unix:{path}"]
    command += ["--no-control-socket", "page:app"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"TOKENSTORE_URL": server.url},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        output: list[str] = []
        for line in process.stderr:
            output.append(line)
            if sum("Booting worker" in line for line in output) == 2:
                break
        else:
            pytest.fail("".join(output))
        try:
            yield str(path)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def test_forked_workers(gunicorn: str) -> None:
    pids: set[int] = set()
    headers: dict[str, str] = {}
    n = 0
    while len(pids) < 2 or n < 10:
        assert n < 200, "one worker answered all requests"
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=gunicorn)) as client:
            answer = client.get("http://test/", headers=headers)
        n += 1
        pid, seen = answer.json()
        assert seen == n
        pids.add(pid)
        if n == 1:
            token = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
            headers = {"cookie": f"session={token}"}


def test_a_change_amid_a_stream_is_logged(
    sessions: tokenstore.Sessions, caplog: pytest.LogCaptureFixture
) -> None:
    app, _ = app_of(sessions)

    @app.get("/")
    def page() -> flask.Response:
        @flask.stream_with_context
        def body() -> Iterator[str]:
            flask.session["late"] = 1
            yield "a"

        return flask.Response(body())

    token = sessions.create(app="web", owner_id="bob")
    client = client_of(app)
    client.set_cookie("session", token)
    assert client.get("/").text == "a"
    assert [record.getMessage() for record in caplog.records if record.name == "tokenstore"] == [
        "a session was changed after its response had begun, so the change is not stored: change it before a body is "
        "streamed or a WebSocket accepted"
    ]
    session = sessions.get(app="web", token=token)
    assert session is not None
    assert session.data == {}
