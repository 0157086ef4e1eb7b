"""A console for the browser: find an owner, see the tokens and sessions, end one, the others, all.

::

    console = tokenstore.console.Console(tokenstore.RedisTokens("redis://…"), authorize=who_may)

    app = console.wsgi      # with a store of tokenstore.asyncio: console.asgi

``tokenstore console URL`` serves one by itself. Pages are HTML without scripts, or JSON. None has a token, a secret or
the data of a session. docs/how-to/console.md describes it.
"""

from __future__ import annotations

from tokenstore.console._app import Console
from tokenstore.console._messages import Actor

__all__ = ["Actor", "Console"]
