"""Django's sessions in Redis: revocable, never half-written, and not to be read out of a dump.

Two settings turn it on::

    SESSION_ENGINE = "tokenstore.ext.django.sessions"
    TOKENSTORE = {"url": "redis://localhost:6379"}

The devices page, the admin page and ``manage.py endsessions`` come with ``"tokenstore.ext.django"`` in
``INSTALLED_APPS``.
"""

from tokenstore.ext.django.users import (
    UserSession,
    aend_session,
    aend_sessions,
    auser_sessions,
    end_session,
    end_sessions,
    user_sessions,
)

__all__ = [
    "UserSession",
    "aend_session",
    "aend_sessions",
    "auser_sessions",
    "end_session",
    "end_sessions",
    "user_sessions",
]
