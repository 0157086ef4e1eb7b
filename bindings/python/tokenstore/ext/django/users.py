"""A user's sessions: listed, and ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from tokenstore.ext.django.conf import stores
from tokenstore.values import Session

__all__ = [
    "UserSession",
    "aend_session",
    "aend_sessions",
    "auser_sessions",
    "end_session",
    "end_sessions",
    "owner_of",
    "user_sessions",
]


@dataclass(frozen=True)
class UserSession:
    """One session of a user, for a page of devices. Nothing in it logs anybody in."""

    id: str
    """Ends it: ``end_session(user, id)``. It stays over rotations."""
    created: datetime
    """When the user logged in."""
    seen: datetime
    """When it was last used, as far as uses are written: by saves, and with ``SESSION_SAVE_EVERY_REQUEST``."""
    expires: datetime | None
    address: str | None
    user_agent: str | None
    is_current: bool
    """It is the session of the request that was given."""


def user_sessions(user: Any, request: Any = None) -> list[UserSession]:
    """The user's live sessions, newest first. ``request`` marks its own as ``is_current``.

    ``user`` is a user, or a user's primary key.
    """
    each = stores()
    current = None if request is None else request.session.sid
    return _shown(each.blocking.list(each.app, owner_of(user)), current)


async def auser_sessions(user: Any, request: Any = None) -> list[UserSession]:
    """As :func:`user_sessions`."""
    each = stores()
    current = None if request is None else await request.session.asid()
    return _shown(await each.awaitable.list(each.app, owner_of(user)), current)


def end_sessions(user: Any, keep: Any = None) -> bool:
    """End all sessions of the user. True if there were any.

    ``keep`` stays: a request, whose session is meant, or an id of :func:`user_sessions`.
    """
    each = stores()
    return each.blocking.kill_all(each.app, owner_of(user), keep=_kept(keep))


async def aend_sessions(user: Any, keep: Any = None) -> bool:
    """As :func:`end_sessions`."""
    each = stores()
    return await each.awaitable.kill_all(each.app, owner_of(user), keep=_kept(keep))


def end_session(user: Any, id: str) -> bool:
    """End one session of the user, by its id. True if it was live."""
    each = stores()
    return each.blocking.kill_by_id(each.app, owner_of(user), id)


async def aend_session(user: Any, id: str) -> bool:
    """As :func:`end_session`."""
    each = stores()
    return await each.awaitable.kill_by_id(each.app, owner_of(user), id)


def owner_of(user: Any) -> str:
    """The text that a session has as ``_auth_user_id``."""
    meta = getattr(user, "_meta", None)
    return str(user) if meta is None else meta.pk.value_to_string(user)


def _kept(keep: Any) -> str | None:
    if keep is None or isinstance(keep, str):
        return keep
    session = getattr(keep, "session", None)
    if session is None:
        raise TypeError(
            f"keep must be a request with a session, or the id of a session, not {type(keep).__name__}"
        )
    key: str | None = session._session_key  # not session_key, which may save
    return key


def _shown(sessions: Iterable[Session], current: str | None) -> list[UserSession]:
    return [
        UserSession(
            id=session.sid,
            created=_time(session.created_at),
            seen=_time(session.seen_at or session.created_at),
            expires=None if session.expires_at is None else _time(session.expires_at),
            address=(session.request or {}).get("address"),
            user_agent=(session.request or {}).get("user_agent"),
            is_current=session.sid == current,
        )
        for session in sessions
    ]


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
