"""Sessions for Flask: ``flask.session`` on the server, with Flask-Login's user as its owner.

::

    sessions = tokenstore.ext.flask.FlaskSessions(app, "redis://…")     # or .init_app(app)

    @app.post("/login")
    def login():
        session.login("bob")                     # or flask_login.login_user(user)
        session["cart"] = ["book"]               # a dict; only what changes is stored
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import flask
from flask.sessions import SessionInterface
from werkzeug.exceptions import ServiceUnavailable

from tokenstore.web import UNAVAILABLE, Effect, Options, Store, WebSession, WebSessions

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["FlaskSession", "FlaskSessions", "session"]

_log = logging.getLogger("tokenstore")

session = cast("WebSession", flask.session)
"""``flask.session``, for type checkers."""

_CONFIG = {
    "SESSION_COOKIE_NAME": "cookie",
    "SESSION_COOKIE_DOMAIN": "domain",
    "SESSION_COOKIE_PATH": "path",
    "SESSION_COOKIE_SAMESITE": "same_site",
    "SESSION_COOKIE_PARTITIONED": "partitioned",
}
"""Settings of the app that are options here; not SESSION_COOKIE_SECURE, which is False where nobody has set it."""


class FlaskSession(WebSession):
    """A session that is read at its first use. If Redis cannot be asked then, that is a response of 503."""

    def __init__(self, read: Callable[[], WebSession]) -> None:
        super().__init__()
        self._read_it = read

    def _notice(self) -> None:
        if not self._is_used:
            found = self._read_it()
            self.__dict__.update(found.__dict__, _is_over=self._is_over)
            dict.update(self, dict.items(found))
        super()._notice()

    @property
    def accessed(self) -> bool:
        """True once it was used: the response depends on the cookie."""
        return self._is_used

    @accessed.setter
    def accessed(self, value: bool) -> None:
        """Flask sets it at less than a use."""

    @property
    def permanent(self) -> bool:
        """The option ``persistent`` decides; to set this has no effect."""
        return True

    @permanent.setter
    def permanent(self, value: bool) -> None: ...


def refusal(error: Exception) -> ServiceUnavailable:
    """The exception of a request that cannot be served, because Redis cannot be asked."""
    _log.error("the session could not be read or stored: %s", error)
    return ServiceUnavailable(retry_after=1)


def options_of(app: Any, options: Options) -> Options:
    """The options, with those that the app's settings have."""
    settings = {
        option: app.config[name] for name, option in _CONFIG.items() if app.config.get(name)
    }
    return cast("Options", {"principal": "_user_id", **settings, **options})


def apply(effect: Effect, response: Any) -> None:
    """Set the headers of a response."""
    if effect.vary is not None:
        response.vary.add(effect.vary)
    if effect.set_cookie is not None:
        response.headers.add("Set-Cookie", effect.set_cookie)
        response.headers.setdefault("Cache-Control", "no-store")


def replace(response: Any, other: Any) -> None:
    """Make a response that has been made already into another one."""
    response.status = other.status
    response.headers = other.headers
    response.response = other.response


class FlaskSessions(SessionInterface):
    """Flask's sessions in Redis.

    ``store`` is a :class:`tokenstore.Sessions`, or a URL or a :class:`tokenstore.Client` to make one of; without it, the
    setting ``TOKENSTORE_URL`` of the app. Other options are those of :class:`tokenstore.web.Policy`. Where they are not
    given, the settings ``SESSION_COOKIE_NAME``, ``_DOMAIN``, ``_PATH``, ``_SAMESITE`` and ``_PARTITIONED`` apply;
    ``principal`` is ``"_user_id"``, so that ``login_user`` and ``logout_user`` of Flask-Login are a login and a logout.

    A session is read when it is first used. While Redis cannot be asked that is an
    :class:`werkzeug.exceptions.ServiceUnavailable`, as for ``@app.errorhandler(503)``. The attribute ``web``, a
    :class:`tokenstore.web.WebSessions`, lists a user's sessions.
    """

    web: WebSessions

    def __init__(
        self, app: flask.Flask | None = None, store: Store = None, **options: Unpack[Options]
    ) -> None:
        self._store = store
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Use it for the sessions of this app."""
        store = app.config.get("TOKENSTORE_URL") if self._store is None else self._store
        self.web = WebSessions(store, **options_of(app, self._options))
        app.session_interface = self

    def open_session(self, app: flask.Flask, request: flask.Request) -> Any:
        """Called by Flask when a request begins."""

        def read() -> WebSession:
            headers = request.headers
            try:
                return self.web.open(headers.get("Cookie"), headers.get("Authorization"))
            except UNAVAILABLE as error:
                raise refusal(error) from error

        return FlaskSession(read)

    def save_session(self, app: flask.Flask, session: Any, response: flask.Response) -> None:
        """Called by Flask when a response is ready."""
        try:
            apply(self.web.commit(session, response.status_code, flask.request), response)
        except UNAVAILABLE as error:
            replace(response, app.make_response(app.handle_user_exception(refusal(error))))
