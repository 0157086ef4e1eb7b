"""FastAPI: the session and API tokens as dependencies, and routes for a page of a user's sessions.

::

    app.add_middleware(tokenstore.ext.asgi.SessionMiddleware, store="redis://…")
    app.include_router(sessions_router())

    @app.post("/cart")
    async def cart(item: str, session: SessionDep): session.setdefault("cart", []).append(item)

    @app.post("/password", dependencies=[Depends(require_session(issued_within=300))])
    async def password(): …

    bearer = Bearer(tokenstore.asyncio.RedisTokens("redis://…"), app="api", type="key")

    @app.get("/reports")
    async def reports(token: Annotated[Token, Security(bearer, scopes=["reports:read"])]): …
"""

# Without "from __future__ import annotations": FastAPI evaluates the annotations of dependencies.

import logging
import time
from collections.abc import Mapping
from typing import Annotated, Any, Optional, Union

from fastapi import APIRouter, Depends, HTTPException, Query, Response, Security
from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from tokenstore._options import seconds
from tokenstore._types import Duration, Name
from tokenstore.asyncio import RedisTokens
from tokenstore.errors import ConfigurationError, DataError, InvalidTokenError
from tokenstore.values import Token
from tokenstore.web import UNAVAILABLE, AsyncWebSessions, WebSession, bearer_token

__all__ = ["Bearer", "SessionDep", "SessionInfo", "require_session", "sessions_router"]

_log = logging.getLogger("tokenstore")


def _unavailable(error: Exception) -> HTTPException:
    _log.error("a token or session could not be read or changed: %s", error)
    return HTTPException(
        503, "Service Unavailable", {"Retry-After": "1", "Cache-Control": "no-store"}
    )


# ---- sessions ----------------------------------------------------------------------------------------


def _session_of(connection: HTTPConnection) -> WebSession:
    session = connection.scope.get("session")
    if not isinstance(session, WebSession):
        raise ConfigurationError(
            "there is no session: add tokenstore.ext.asgi.SessionMiddleware to the app"
        )
    return session


async def get_session(connection: HTTPConnection) -> WebSession:
    """The session of the request, as :data:`SessionDep` gives it."""
    return _session_of(connection)  # async: FastAPI calls a plain function in another thread


SessionDep = Annotated[WebSession, Depends(get_session)]
"""``async def handler(session: SessionDep)``: the session, perhaps of nobody."""


class _RequiredSession(SecurityBase):
    """See :func:`require_session`."""

    def __init__(self, issued_within: Optional[float], cookie: str) -> None:
        self.model = APIKey.model_validate({"in": APIKeyIn.cookie, "name": cookie})
        self.scheme_name = "session"
        self._issued_within = issued_within

    async def __call__(self, connection: HTTPConnection) -> WebSession:
        session = _session_of(connection)
        if session.principal is None:
            raise HTTPException(401, "Log in first", {"WWW-Authenticate": "Session"})
        limit, created_at = self._issued_within, session.created_at
        if limit is not None and created_at is not None and time.time() - created_at > limit:
            challenge = f'Session error="insufficient_user_authentication", max_age="{limit:.0f}"'
            raise HTTPException(401, "Log in again", {"WWW-Authenticate": challenge})
        return session


def require_session(issued_within: Optional[Duration] = None, *, cookie: str = "session") -> Any:
    """A dependency that gives the session of a user who is logged in; otherwise the response is 401.

    With ``issued_within``, the login is at most so many seconds ago: for what asks for the password again. ``cookie`` is
    the cookie's name in OpenAPI.
    """
    return _RequiredSession(seconds("issued_within", issued_within), cookie)


# ---- API tokens --------------------------------------------------------------------------------------


class Bearer(SecurityBase):
    """A dependency that gives the :class:`tokenstore.Token` of ``Authorization: Bearer …``, as RFC 6750 has it.

    ``store`` is a :class:`tokenstore.asyncio.RedisTokens`; ``app`` and ``type`` are those of its tokens, and
    ``refresh`` is that of its ``get``. The scopes of a token are the field ``scopes`` of its data, a list, or a text with
    blanks between them; ``Security(bearer, scopes=[…])`` asks for some. The response is 401 without a valid token, 403
    without a scope, 503 while Redis cannot be asked. With ``auto_error=False`` a request without the header gets None.
    """

    def __init__(
        self,
        store: RedisTokens,
        app: Name,
        type: Name,
        *,
        refresh: Union[Duration, bool, None] = None,
        auto_error: bool = True,
        scheme_name: str = "bearer",
        description: Optional[str] = None,
    ) -> None:
        if not isinstance(store, RedisTokens):
            raise TypeError(f"store must be a tokenstore.asyncio.RedisTokens, not {store!r}")
        self.model = HTTPBearer(description=description)
        self.scheme_name = scheme_name
        self._store = store
        self._wanted: dict[str, Any] = {"app": app, "type": type, "refresh": refresh}
        self._auto_error = auto_error

    async def __call__(self, connection: HTTPConnection, scopes: SecurityScopes) -> Optional[Token]:
        presented = bearer_token(connection.headers.get("authorization"))
        if presented is None:
            if self._auto_error:
                raise _denied(401, "Authenticate", scopes)
            return None
        try:
            token = await self._store.get(token=presented, **self._wanted)
        except InvalidTokenError:
            token = None
        except UNAVAILABLE as error:
            raise _unavailable(error) from error
        if token is None:
            raise _denied(401, "The token is unknown or has expired", scopes, "invalid_token")
        if not set(scopes.scopes) <= _scopes_of(token.data):
            raise _denied(403, "The token lacks a scope", scopes, "insufficient_scope")
        return token


def _scopes_of(data: Mapping[str, Any]) -> set[str]:
    scopes = data.get("scopes", ())
    return set(scopes.split() if isinstance(scopes, str) else scopes)


def _denied(status: int, detail: str, scopes: SecurityScopes, error: str = "") -> HTTPException:
    parameters = [f'error="{error}", error_description="{detail}"'] if error else []
    if scopes.scopes:
        parameters.append(f'scope="{scopes.scope_str}"')
    challenge = " ".join(["Bearer", ", ".join(parameters)]).strip()
    headers = {"WWW-Authenticate": challenge, "Cache-Control": "no-store"}
    return HTTPException(status, detail, headers)


# ---- a page of a user's sessions ---------------------------------------------------------------------


class SessionInfo(BaseModel):
    """A session in a listing, without its token and its data."""

    id: str
    current: bool
    created_at: float
    seen_at: Optional[float]
    expires_at: Optional[float]
    address: Optional[str]
    user_agent: Optional[str]


def sessions_router(*, prefix: str = "/sessions", cookie: str = "session") -> APIRouter:
    """Routes for whoever is logged in: list one's sessions, end one, log out the others.

    ``GET /sessions`` (``?limit=&after=`` in pages), ``DELETE /sessions/{id}``, ``DELETE /sessions``.
    """
    router = APIRouter(prefix=prefix, tags=["sessions"])
    required = require_session(cookie=cookie)

    @router.get("")
    async def list_sessions(
        connection: HTTPConnection,
        session: Annotated[WebSession, Security(required)],
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        after: Optional[str] = None,
    ) -> list[SessionInfo]:
        """The sessions of the user, newest first."""
        try:
            found = await _web(connection).list(session, limit, after)
        except UNAVAILABLE as error:
            raise _unavailable(error) from error
        except DataError as error:
            raise HTTPException(409, "The session in after has ended: start again") from error
        return [_info(one, session) for one in found]

    @router.delete("/{id}", status_code=204)
    async def end_session(
        connection: HTTPConnection, id: str, session: Annotated[WebSession, Security(required)]
    ) -> Response:
        """End one of the user's sessions."""
        try:
            was_live = await _web(connection).end(session, id)
        except UNAVAILABLE as error:
            raise _unavailable(error) from error
        if not was_live:
            raise HTTPException(404, "There is no such session")
        return Response(status_code=204)

    @router.delete("", status_code=204)
    async def end_other_sessions(session: Annotated[WebSession, Security(required)]) -> Response:
        """End all sessions of the user but this one."""
        session.logout_others()
        return Response(status_code=204)

    return router


def _web(connection: HTTPConnection) -> AsyncWebSessions:
    web = connection.scope["tokenstore.web"]
    assert isinstance(web, AsyncWebSessions)
    return web


def _info(stored: Any, session: WebSession) -> SessionInfo:
    request = stored.request or {}
    return SessionInfo(
        id=stored.sid,
        current=stored.sid == session.sid,
        created_at=stored.created_at,
        seen_at=stored.seen_at,
        expires_at=stored.expires_at,
        address=request.get("address"),
        user_agent=request.get("user_agent"),
    )
