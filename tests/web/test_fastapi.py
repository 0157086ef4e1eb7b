"""tokenstore.ext.fastapi beside the contract: dependencies, API tokens, routes, OpenAPI."""

import threading
import time
from collections.abc import Iterator
from typing import Annotated, Any, Optional

import pytest
from fastapi import Depends, FastAPI, Security
from fastapi.testclient import TestClient

import tokenstore
from servers import Server
from tokenstore import Token
from tokenstore.asyncio import RedisTokens, Sessions
from tokenstore.ext.asgi import SessionMiddleware
from tokenstore.ext.fastapi import Bearer, SessionDep, require_session, sessions_router
from tokenstore.web import WebSession


@pytest.fixture
def app(server: Server) -> FastAPI:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, Sessions(server.url, timeout=0.5))
    app.include_router(sessions_router())

    @app.post("/login/{name}")
    async def login(name: str, session: SessionDep) -> None:
        session.login(name)

    @app.get("/me")
    async def me(session: Annotated[WebSession, Depends(require_session())]) -> Optional[str]:
        return session.principal

    @app.get("/fresh")
    async def fresh(session: Annotated[WebSession, Security(require_session(10))]) -> Optional[str]:
        return session.principal

    tokens = RedisTokens(server.url, timeout=0.5)
    bearer = Bearer(tokens, app="api", type="key", refresh=True)
    optional = Bearer(tokens, app="api", type="key", auto_error=False, scheme_name="optional")

    @app.get("/open")
    async def open_to_all(token: Annotated[Optional[Token], Security(optional)]) -> Any:
        return token and token.owner

    @app.get("/key")
    async def key(token: Annotated[Token, Security(bearer)]) -> Any:
        return token.owner

    @app.get("/reports")
    async def reports(token: Annotated[Token, Security(bearer, scopes=["read", "all"])]) -> Any:
        return token.owner

    return app


def client_of(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="https://test", raise_server_exceptions=False)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return client_of(app)


def test_dependencies_run_in_the_loops_thread() -> None:
    """FastAPI gives those that are plain functions to a pool of threads, which costs more than to ask Redis."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, Sessions("embedded:"))

    @app.get("/login")
    async def login(session: SessionDep) -> list[str]:
        session.login("bob")
        return [thread.name for thread in threading.enumerate()]

    @app.get("/me", dependencies=[Depends(require_session())])
    async def me() -> list[str]:
        return [thread.name for thread in threading.enumerate()]

    client = client_of(app)
    for path in ("/login", "/me"):
        assert not [name for name in client.get(path).json() if "worker" in name]


@pytest.fixture
def tokens(server: Server) -> Iterator[tokenstore.RedisTokens]:
    with tokenstore.RedisTokens(server.url) as tokens:
        yield tokens


# ---- sessions ----------------------------------------------------------------------------------------


def test_a_session_is_required(client: TestClient) -> None:
    answer = client.get("/me")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Log in first"})
    assert answer.headers["www-authenticate"] == "Session"
    client.post("/login/bob")
    assert client.get("/me").json() == "bob"


def test_a_recent_login_is_required(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/fresh").status_code == 401
    client.post("/login/bob")
    assert client.get("/fresh").json() == "bob"
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 60)
    answer = client.get("/fresh")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Log in again"})
    challenge = 'Session error="insufficient_user_authentication", max_age="10"'
    assert answer.headers["www-authenticate"] == challenge
    assert client.get("/me").json() == "bob"
    monkeypatch.undo()
    client.post("/login/bob")
    assert client.get("/fresh").json() == "bob"


def test_without_the_middleware() -> None:
    app = FastAPI()

    @app.get("/")
    async def handle(session: SessionDep) -> None: ...

    with pytest.raises(
        tokenstore.ConfigurationError, match="add tokenstore.ext.asgi.SessionMiddleware"
    ):
        TestClient(app).get("/")


# ---- API tokens --------------------------------------------------------------------------------------


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_token(client: TestClient, tokens: tokenstore.RedisTokens) -> None:
    token = tokens.create(app="api", type="key", owner="bob").token
    assert client.get("/key", headers=bearer(token)).json() == "bob"
    assert client.get("/open", headers=bearer(token)).json() == "bob"
    assert client.get("/open").json() is None


def test_no_valid_token(client: TestClient, tokens: tokenstore.RedisTokens) -> None:
    answer = client.get("/key")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    other = tokens.create(app="api", type="other", owner="bob").token
    for header in (bearer("unknown"), bearer(""), bearer(other), bearer("a b"), bearer("ä" * 40)):
        for path in ("/key", "/open"):
            answer = client.get(path, headers={k: v.encode() for k, v in header.items()})
            assert answer.status_code == 401
            assert 'Bearer error="invalid_token"' in answer.headers["www-authenticate"]
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"scopes": ["all", "read", "write"]}, 200),
        ({"scopes": "read all"}, 200),
        ({"scopes": ["read"]}, 403),
        ({"scopes": "reader allowed"}, 403),
        ({}, 403),
    ],
)
def test_scopes(
    client: TestClient, tokens: tokenstore.RedisTokens, data: dict[str, Any], status: int
) -> None:
    token = tokens.create(app="api", type="key", owner="bob", data=data).token
    answer = client.get("/reports", headers=bearer(token))
    assert answer.status_code == status
    if status == 403:
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer error="insufficient_scope"')
        assert challenge.endswith('scope="read all"')


def test_a_token_while_redis_is_away(
    client: TestClient, server: Server, tokens: tokenstore.RedisTokens
) -> None:
    token = tokens.create(app="api", type="key", owner="bob").token
    server.stop()
    try:
        answer = client.get("/key", headers=bearer(token))
    finally:
        server.cont()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_token_that_was_rotated(server: Server) -> None:
    app = FastAPI()
    store = RedisTokens(server.url, reuse="revoke")
    bearer = Bearer(store, app="api", type="key")

    @app.get("/")
    async def index(token: Annotated[Token, Security(bearer)]) -> Any:
        return token.owner

    with tokenstore.RedisTokens(server.url, reuse="revoke") as tokens:
        old = tokens.create(app="api", type="key", owner="bob").token
        new = tokens.rotate(app="api", type="key", token=old)
        assert new is not None
        client = client_of(app)
        for token in (old, new.token):  # the second one was ended by the first
            answer = client.get("/", headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 401


def test_bearer_takes_the_awaitable_store(tokens: tokenstore.RedisTokens) -> None:
    with pytest.raises(TypeError, match=r"store must be a tokenstore\.asyncio\.RedisTokens"):
        Bearer(tokens, app="api", type="key")  # type: ignore[arg-type]


def test_openapi(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert described["components"]["securitySchemes"] == {
        "session": {"type": "apiKey", "in": "cookie", "name": "session"},
        "bearer": {"type": "http", "scheme": "bearer"},
        "optional": {"type": "http", "scheme": "bearer"},
    }
    paths = described["paths"]
    assert paths["/reports"]["get"]["security"] == [{"bearer": ["read", "all"]}]
    assert paths["/key"]["get"]["security"] == [{"bearer": []}]
    assert paths["/me"]["get"]["security"] == [{"session": []}]
    assert paths["/sessions"]["get"]["security"] == [{"session": []}]


# ---- a page of a user's sessions ---------------------------------------------------------------------


def test_listing_and_ending(app: FastAPI, sessions: tokenstore.Sessions) -> None:
    laptop, phone = client_of(app), client_of(app)
    laptop.post("/login/bob", headers={"user-agent": "Laptop"})
    phone.post("/login/bob", headers={"user-agent": "Phone"})
    client_of(app).post("/login/eve")
    listed = laptop.get("/sessions").json()
    assert [(one["user_agent"], one["current"]) for one in listed] == [
        ("Phone", False),
        ("Laptop", True),
    ]
    assert all("token" not in one and "data" not in one for one in listed)
    assert [one["user_agent"] for one in laptop.get("/sessions?limit=1").json()] == ["Phone"]
    page = laptop.get("/sessions", params={"limit": 1, "after": listed[0]["id"]}).json()
    assert [one["user_agent"] for one in page] == ["Laptop"]

    assert laptop.delete(f"/sessions/{listed[0]['id']}").status_code == 204
    assert laptop.delete(f"/sessions/{listed[0]['id']}").status_code == 404
    assert phone.get("/me").status_code == 401
    assert laptop.delete(f"/sessions/{listed[1]['id']}").status_code == 204
    assert laptop.get("/me").status_code == 401
    assert laptop.get("/sessions").status_code == 401
    assert sessions.count(app="web", owner_id="eve") == 1


def test_the_session_of_another_user(app: FastAPI, sessions: tokenstore.Sessions) -> None:
    bob, eve = client_of(app), client_of(app)
    bob.post("/login/bob")
    eve.post("/login/eve")
    (one,) = bob.get("/sessions").json()
    assert eve.delete(f"/sessions/{one['id']}").status_code == 404
    assert bob.get("/me").json() == "bob"


def test_ending_the_others(app: FastAPI) -> None:
    clients = [client_of(app) for _ in range(3)]
    for client in clients:
        client.post("/login/bob")
    assert clients[0].delete("/sessions").status_code == 204
    assert [client.get("/me").status_code for client in clients] == [200, 401, 401]


def test_the_page_while_redis_is_away(client: TestClient, server: Server) -> None:
    client.post("/login/bob")
    server.stop()
    try:
        answers = [
            client.get("/sessions"),
            client.delete("/sessions/a"),
            client.delete("/sessions"),
        ]
    finally:
        server.cont()
    assert [answer.status_code for answer in answers] == [503] * 3
    assert client.get("/me").json() == "bob"


def test_redis_goes_away_before_the_page(app: FastAPI, server: Server) -> None:
    app.include_router(sessions_router(prefix="/later"), dependencies=[Depends(server.stop)])
    client, other = client_of(app), client_of(app)
    client.post("/login/bob")
    other.post("/login/bob")
    id = other.get("/sessions").json()[0]["id"]
    for method, path in (("GET", "/later"), ("DELETE", f"/later/{id}"), ("DELETE", "/later")):
        try:
            answer = client.request(method, path)
        finally:
            server.cont()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert client.get("/me").json() == "bob"  # of the other nobody knows


def test_a_page_after_a_session_that_ended(client: TestClient) -> None:
    client.post("/login/bob")
    answer = client.get("/sessions", params={"after": "A" * 32})
    assert (answer.status_code, answer.json()["detail"][:20]) == (409, "The session in after")
