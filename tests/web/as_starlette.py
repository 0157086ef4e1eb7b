"""A pytest plug-in: Starlette's tests of its SessionMiddleware get ours, under its name and with its options."""

from __future__ import annotations

import os
from typing import Any

import starlette.middleware.sessions as theirs

from tokenstore.asyncio import Sessions
from tokenstore.ext.asgi import SessionMiddleware
from tokenstore.web import WebSession

store = Sessions(os.environ["TOKENSTORE_URL"])


def with_their_options(
    app: Any,
    secret_key: str,
    session_cookie: str = "session",
    max_age: int | None = 14 * 86400,
    https_only: bool = False,
    **same: Any,
) -> SessionMiddleware:
    return SessionMiddleware(
        app,
        store,
        cookie=session_cookie,
        idle=max_age,
        absolute=None,
        persistent=max_age is not None,
        secure=https_only,
        **same,
    )


theirs.SessionMiddleware = with_their_options
theirs.Session = WebSession
