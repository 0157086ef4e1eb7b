"""What is stored when, and which cookie is sent: the rules of :mod:`tokenstore.web`, without I/O."""

from __future__ import annotations

import builtins
import logging
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from tokenstore._options import seconds
from tokenstore._web_cookie import Cookie, bearer_token, cookie_values
from tokenstore._web_json import Default, ObjectHook
from tokenstore._web_session import Changes, WebSession
from tokenstore.errors import ConfigurationError, TokenReusedError

if TYPE_CHECKING:
    from tokenstore._types import Duration, Id, Name
    from tokenstore.values import Session

__all__ = ["Call", "Effect", "Options", "Policy", "Steps"]

_log = logging.getLogger("tokenstore")
_T = TypeVar("_T")

_DAY = 86400


@dataclass(frozen=True)
class Call:
    """A method of :class:`tokenstore.Sessions` that is to be called."""

    name: str
    arguments: dict[str, Any] = field(repr=False)


Steps = Generator[Call, Any, _T]
"""Yields calls, takes their results, and returns."""


@dataclass(frozen=True)
class Effect:
    """What the response needs."""

    set_cookie: str | None = field(default=None, repr=False)
    """A Set-Cookie header, or None."""
    token: str | None = field(default=None, repr=False)
    """The token in it; None if the client has the right one, or is to have none."""
    vary: str | None = None
    """The request header that it depends on, for ``Vary``: None if the session was not used."""


class Options(TypedDict, total=False):
    """The options of :class:`Policy`, which every plug-in takes."""

    app_name: Name
    cookie: str
    idle: Duration | None
    absolute: Duration | None
    grace: Duration | None
    principal: str | None
    persistent: bool
    bearer: bool
    secure: bool
    same_site: str
    path: str
    domain: str | None
    partitioned: bool
    default: Default
    object_hook: ObjectHook


class Policy:
    """The rules for the sessions of an application.

    ``app_name``
        ``app`` in the calls of :class:`tokenstore.Sessions` (default ``"web"``)
    ``cookie``
        its name (default ``"session"``). With ``"__Host-…"``, browsers take it from this host alone
    ``idle``
        a session that was not used for so long ends (default two weeks; None: not for that)
    ``absolute``
        it ends so long after the login, or its creation (default 90 days; None: not for that)
    ``grace``
        seconds that the old token finds the session after ``rotate()`` (default 10; None: not at all). A login has none
    ``principal``
        the name of a field that holds who is logged in: to set it is a login, to delete it is a logout. For code that
        does not call ``session.login`` itself
    ``persistent``
        browsers keep the cookie for ``absolute``, or for ``idle``. False: until they are closed
    ``bearer``
        True: ``Authorization: Bearer …`` is read, too, and goes before the cookie
    ``secure``, ``same_site``, ``path``, ``domain``, ``partitioned``
        the cookie's attributes (defaults True, ``"lax"``, ``"/"``, None, False); it is always HttpOnly
    ``default``, ``object_hook``
        for values that JSON lacks, as in :mod:`json`: ``default=tokenstore.web.to_text`` stores datetime, Decimal and
        UUID as text. Without it such a value is a :class:`tokenstore.DataError` that names its field
    """

    def __init__(
        self,
        *,
        app_name: Name = "web",
        cookie: str = "session",
        idle: Duration | None = 14 * _DAY,
        absolute: Duration | None = 90 * _DAY,
        grace: Duration | None = 10,
        principal: str | None = None,
        persistent: bool = True,
        bearer: bool = False,
        secure: bool = True,
        same_site: str = "lax",
        path: str = "/",
        domain: str | None = None,
        partitioned: bool = False,
        default: Default = None,
        object_hook: ObjectHook = None,
    ) -> None:
        self.app_name = app_name
        self.cookie = Cookie(
            cookie,
            secure=secure,
            same_site=same_site,
            path=path,
            domain=domain,
            partitioned=partitioned,
        )
        self.idle = seconds("idle", idle)
        self.absolute = seconds("absolute", absolute)
        self.grace = seconds("grace", grace)
        for name in ("idle", "absolute", "grace"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= 315360000:
                raise ConfigurationError(f"{name} must be from 1 s to ten years, or None")
        if self.idle is not None and self.absolute is not None and self.idle > self.absolute:
            raise ConfigurationError("idle must not be longer than absolute")
        self._is_bearer = bearer
        self._keeps = (self.absolute or self.idle) if persistent else None
        self._of_session: dict[str, Any] = {
            "principal_field": principal,
            "default": default,
            "object_hook": object_hook,
        }

    # ---- before the request is handled -------------------------------------------------------------

    def open(self, cookies: str | None, authorization: str | None = None) -> Steps[WebSession]:
        """The session of a request, by its headers ``Cookie`` and ``Authorization``; an empty one if it has none."""
        header = bearer_token(authorization) if self._is_bearer else None
        tokens = cookie_values(cookies, self.cookie.name) if header is None else [header]
        for token in tokens:
            session = yield from self.find(token, is_bearer=header is not None)
            if session is not None:
                return session
        return WebSession(**self._of_session)

    def find(self, token: str, *, is_bearer: bool = False) -> Steps[WebSession | None]:
        """The session of this token; None if there is none."""
        stored = yield from self._present("get", token)
        if stored is None:
            return None
        return WebSession(stored=stored, token=token, is_bearer=is_bearer, **self._of_session)

    # ---- when the response begins ------------------------------------------------------------------

    def commit(self, session: WebSession, status: int = 200, request: Any = None) -> Steps[Effect]:
        """Store what the request changed, and say what its response needs.

        ``status`` is that of the response. ``request`` is kept with a new session, as by ``Sessions.create``.
        """
        if not session.accessed:
            return Effect()
        vary = "Authorization" if session._is_bearer else "Cookie"
        if status >= 500:
            return Effect(vary=vary)
        what = session.settle()
        token: str | None
        for token in session._left:
            yield from self._present("kill", token)
        if session._logs_in:
            token = yield from self._log_in(session, what, request)
        elif session.stored is not None:
            token = yield from self._go_on(session, session.stored, what)
        else:
            token = (yield self._create(None, what[0], request)) if what[0] else None
        if session._ends_others and session.principal is not None:
            keep = token or session._token
            yield self._call("kill_all", owner_id=session.principal, keep=keep)
        if token is not None and not session._is_bearer:
            return Effect(self.cookie.line(token, self._keeps), token, vary)
        is_left = token is None and session._left
        return Effect(self.cookie.deletion() if is_left else None, None, vary)

    def _log_in(self, session: WebSession, what: Changes, request: Any) -> Steps[Any]:
        """The token of the owner's session. A login always leads to one, whatever became of that before it."""
        stored, owner = session.stored, session.principal
        fields, changed, _ = what
        if stored is not None and stored.owner_id is None:
            # In one step, so that nobody who knows the old token has what the login brings.
            duration = stored.idle or self.absolute
            token = yield from self._rotate(session, what, owner_id=owner, duration=duration)
            if token is not None:
                return token
        elif stored is not None and not (yield from self._present("kill", session._token)):
            fields = changed  # it was ended meanwhile: what it held is not carried on
        return (yield self._create(owner, fields, request))

    def _go_on(self, session: WebSession, stored: Session, what: Changes) -> Steps[str | None]:
        """The token for the cookie; None if the client has the right one."""
        _, changed, unset = what
        is_live: Any = True
        token: str | None = None
        is_due = _is_due(stored)
        if session._rotates or self._is_behind(session, stored):
            # Of an anonymous one this may be a login that does not say so: nothing known before may lead to it.
            grace = None if stored.owner_id is None else self.grace
            is_live = token = yield from self._rotate(session, what, grace=grace)
        elif changed or unset:
            is_live = yield from self._present(
                "update",
                session._token,
                data=changed,
                unset=unset,
                keep_null=True,
                refresh=True if is_due else None,  # a use costs the server twice as much
            )
        elif is_due:
            is_live = yield from self._present("get", session._token, refresh=True)
        if not is_live:
            _log.info("a session was ended before the request that used it: nothing was saved")
            return None
        is_used = is_due or changed or unset
        if is_used and token is None and self._keeps is not None and self.absolute is None:
            return session._token  # the cookie has to last as much longer as the session
        return token

    def _is_behind(self, session: WebSession, stored: Session) -> bool:
        """Has the client yet to learn of a rotation? To rotate the old token again gives the very same new one."""
        is_owned = stored.owner_id is not None and self.grace is not None
        return stored.superseded and is_owned and not session._is_bearer

    def _rotate(self, session: WebSession, what: Changes, **arguments: Any) -> Steps[str | None]:
        _, changed, unset = what
        nulls = {name: value for name, value in changed.items() if value is None}
        data = {name: value for name, value in changed.items() if value is not None}
        data.update(dict.fromkeys(unset))  # to rotate, None is "delete": nulls are for an update
        token = yield from self._present("rotate", session._token, data=data or None, **arguments)
        if token is not None and nulls:
            yield from self._present("update", token, data=nulls, keep_null=True)
        return token  # type: ignore[no-any-return]

    # ---- a page of the principal's sessions --------------------------------------------------------

    def list(
        self, session: WebSession, limit: int | None = None, after: Id | None = None
    ) -> Steps[builtins.list[Session]]:
        """The live sessions of whoever is logged in, as :meth:`tokenstore.Sessions.list`; of nobody none."""
        if session.principal is None:
            return []
        found: builtins.list[Session] = yield self._call(
            "list", owner_id=session.principal, limit=limit, after=after
        )
        return found

    def end(self, session: WebSession, id: Id) -> Steps[bool]:
        """End one of these sessions by its ``id`` or ``sid``, at once; this one ends as by ``logout``.

        True if it was live.
        """
        stored, owner = session.stored, session.principal
        if owner is None:
            return False
        if stored is not None and id in (stored.sid, stored.id):
            session.logout()
            return True
        was_live: bool = yield self._call("kill_by_id", owner_id=owner, id=id)
        return was_live

    # ------------------------------------------------------------------------------------------------

    def _call(self, name: str, **arguments: Any) -> Call:
        return Call(name, {"app": self.app_name, **arguments})

    def _present(self, name: str, token: str | None, **arguments: Any) -> Steps[Any]:
        """A call about a token; None, as for one that is not found, if it was reused."""
        try:
            return (yield self._call(name, token=token, **arguments))
        except TokenReusedError as error:
            _log.warning("a session was ended, a token of it was reused: sid %s", error.sid)
            return None

    def _create(self, owner: str | None, data: dict[str, Any], request: Any) -> Call:
        return self._call(
            "create",
            owner_id=owner,
            data=data,
            duration=self.absolute,
            idle=self.idle,
            request=request,
        )


def _is_due(stored: Session) -> bool:
    """May its use have to be written? The store decides by the server's clock, and does it once per interval; this
    spares most requests the question. A clock behind the server's asks too often, never too late."""
    if stored.idle is None:
        return False
    passed = time.time() - (stored.seen_at or stored.created_at)
    return not 0 <= passed < min(60, stored.idle / 10)
