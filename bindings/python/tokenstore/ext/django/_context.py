"""What the request under way is, for code that is not given it: who asks, and with which session."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from asgiref.sync import SyncToAsync
from django.core.signals import request_finished, request_started

if TYPE_CHECKING:
    from tokenstore.ext.django.sessions import SessionStore

__all__ = ["note_session", "origin", "session"]

_environ: ContextVar[Mapping[str, Any] | None] = ContextVar("tokenstore_environ", default=None)
_session: ContextVar[weakref.ref[SessionStore] | None] = ContextVar(
    "tokenstore_session", default=None
)
# By the object that asgiref has for the threads of each ASGI request. A ContextVar would not do: Django 5 sends
# request_started in a task of its own, whose context is lost.
_scopes: weakref.WeakKeyDictionary[Any, Mapping[str, Any]] = weakref.WeakKeyDictionary()


def origin() -> Mapping[str, Any] | None:
    """The WSGI environ or the ASGI scope; None outside of requests."""
    threads = SyncToAsync.thread_sensitive_context.get(None)
    return _environ.get() if threads is None else _scopes.get(threads)


def session() -> SessionStore | None:
    """The session that this request has read; None if it has read none."""
    noted = _session.get()
    return None if noted is None else noted()


def note_session(store: SessionStore) -> None:
    _session.set(weakref.ref(store))


def _begin(environ: Any = None, scope: Any = None, **unused: Any) -> None:
    threads = SyncToAsync.thread_sensitive_context.get(None)
    if threads is not None and scope is not None:
        _scopes[threads] = scope
    _environ.set(environ)
    _session.set(None)


def _end(**unused: Any) -> None:
    _environ.set(None)
    _session.set(None)


request_started.connect(_begin, dispatch_uid="tokenstore.begin")
request_finished.connect(_end, dispatch_uid="tokenstore.end")
