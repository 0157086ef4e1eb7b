"""Sessions for Litestar.

::

    app = Litestar(handlers, plugins=[SessionPlugin("redis://…")])

    @post("/login")
    async def login(request: Request) -> None:
        session_of(request).login("bob")     # that is request.session, for type checkers
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection
from litestar.middleware import DefineMiddleware
from litestar.plugins import InitPlugin

from tokenstore.ext.asgi import App, SessionMiddleware, unavailable
from tokenstore.web import AsyncWebSessions, Options, WebSession

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["SessionPlugin", "session_of"]


def session_of(request: ASGIConnection[Any, Any, Any, Any]) -> WebSession:
    """``request.session``, for type checkers."""
    session: WebSession = request.scope["session"]  # type: ignore[assignment]
    return session


class SessionPlugin(InitPlugin):
    """Adds :class:`tokenstore.ext.asgi.SessionMiddleware`, whose arguments it takes.

    ``request.clear_session()`` is a logout. The attribute ``web``, a :class:`tokenstore.web.AsyncWebSessions`, lists a
    user's sessions.
    """

    def __init__(
        self,
        store: Any = None,
        *,
        on_unavailable: App | None = unavailable,
        **options: Unpack[Options],
    ) -> None:
        self.web = AsyncWebSessions(store, **options)
        self._arguments = {"store": self.web.store, "on_unavailable": on_unavailable, **options}

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Called by Litestar."""
        make: Any = SessionMiddleware  # Litestar's types of ASGI are not those of all others
        app_config.middleware.insert(0, DefineMiddleware(make, **self._arguments))
        return app_config
