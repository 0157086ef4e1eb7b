"""``manage.py check``: cookie settings that browsers would not keep, so that nobody could log in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from tokenstore.errors import ConfigurationError
from tokenstore.web import Cookie

__all__ = ["check_cookie"]


def check_cookie(**unused: Any) -> list[CheckMessage]:
    """An error for each setting of the cookie that browsers would not keep."""
    try:
        Cookie(
            settings.SESSION_COOKIE_NAME,
            secure=settings.SESSION_COOKIE_SECURE,
            same_site=settings.SESSION_COOKIE_SAMESITE or "Lax",  # what browsers do without it
            path=settings.SESSION_COOKIE_PATH,
            domain=settings.SESSION_COOKIE_DOMAIN,
        )
    except ConfigurationError as error:
        return [Error(f"SESSION_COOKIE_…: {error}", id="tokenstore.E001")]
    return []
