"""What the request under way is, for code that is not given it: who asks, and with which session."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.core.signals import request_finished, request_started

if TYPE_CHECKING:
    from tokenstore.ext.django.sessions import SessionStore

__all__ = ["note_session", "origin", "session"]

# Under ASGI, Django 5 sends request_started in a task of its own, where what is set here is lost: the origin is unknown
# there until the login.
_origin: ContextVar[Mapping[str, Any] | None] = ContextVar("tokenstore_origin", default=None)
_session: ContextVar[weakref.ref[SessionStore] | None] = ContextVar(
    "tokenstore_session", default=None
)


def origin() -> Mapping[str, Any] | None:
    """The WSGI environ or the ASGI scope; None outside of requests."""
    return _origin.get()


def session() -> SessionStore | None:
    """The session that this request has read; None if it has read none."""
    noted = _session.get()
    return None if noted is None else noted()


def note_session(store: SessionStore) -> None:
    _session.set(weakref.ref(store))


def _begin(environ: Any = None, scope: Any = None, **unused: Any) -> None:
    _origin.set(environ if environ is not None else scope)
    _session.set(None)


def _end(**unused: Any) -> None:
    _origin.set(None)
    _session.set(None)


request_started.connect(_begin, dispatch_uid="tokenstore.begin")
request_finished.connect(_end, dispatch_uid="tokenstore.end")
