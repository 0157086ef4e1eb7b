"""Sessions for Quart: as :mod:`tokenstore.ext.flask`, with ``tokenstore.asyncio``.

::

    sessions = tokenstore.ext.quart.QuartSessions(app, "redis://…")     # or .init_app(app)
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import quart
from quart.sessions import SessionInterface

from tokenstore.ext.flask import FlaskSession, apply, options_of, refusal, replace
from tokenstore.web import UNAVAILABLE, AsyncWebSessions, Options, WebSession

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tokenstore.asyncio import Client, Sessions

__all__ = ["QuartSessions", "session"]

session = cast("WebSession", quart.session)
"""``quart.session``, for type checkers."""


def _refuse(error: Exception) -> WebSession:
    raise refusal(error) from error


class QuartSessions(SessionInterface):
    """Quart's sessions in Redis: see :class:`tokenstore.ext.flask.FlaskSessions`.

    ``store`` is a :class:`tokenstore.asyncio.Sessions`, or what one is made of. A session is read when the request
    begins; that Redis could not be asked is raised when it is used. What a WebSocket changes is not stored.
    """

    web: AsyncWebSessions

    def __init__(
        self,
        app: quart.Quart | None = None,
        store: Sessions | Client | str | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._store = store
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: quart.Quart) -> None:
        """Use it for the sessions of this app."""
        store = app.config.get("TOKENSTORE_URL") if self._store is None else self._store
        self.web = AsyncWebSessions(store, **options_of(app, self._options))
        app.session_interface = self  # type: ignore[assignment]

    async def open_session(self, app: quart.Quart, request: Any) -> Any:
        """Called by Quart when a request begins."""
        headers = request.headers
        try:
            found = await self.web.open(headers.get("Cookie"), headers.get("Authorization"))
        except UNAVAILABLE as error:
            return FlaskSession(partial(_refuse, error))
        return FlaskSession(lambda: found)

    async def save_session(self, app: quart.Quart, session: Any, response: Any) -> None:
        """Called by Quart when a response is ready, and with None after a WebSocket."""
        if response is None:
            return
        try:
            apply(await self.web.commit(session, response.status_code, quart.request), response)
        except UNAVAILABLE as error:
            other = await app.make_response(await app.handle_user_exception(refusal(error)))
            replace(response, other)
