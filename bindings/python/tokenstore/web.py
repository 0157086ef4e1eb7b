"""Sessions of web frameworks, without a framework: what happens before a request is handled, and after.

::

    web = tokenstore.web.WebSessions(tokenstore.Sessions("redis://…"), app_name="shop")

    session = web.open(environ.get("HTTP_COOKIE"))
    session["cart"] = ["book"]                      # the handler: a dict, and login, logout, rotate
    effect = web.commit(session, status=200)        # effect.set_cookie, effect.vary: headers of the response

:class:`Policy` decides, and does no I/O: each of its steps is a generator that yields the calls of a
:class:`tokenstore.Sessions` to make, and takes their results. :class:`WebSessions` makes them, :class:`AsyncWebSessions`
awaits them. The rules are the same in every plug-in of ``tokenstore.ext``:

- A cookie that is not known is never adopted: a new session has a new token.
- A request that did not use its session costs no write, and its response has neither cookie nor ``Vary``.
- Only changed fields are written, by ``update``, which never creates: what has been logged out stays so.
- A login gives a new token and makes the session its owner's.
- A response of 500 or more stores nothing.
- If Redis cannot be asked, that is an error, and not a session that is empty.
"""

from __future__ import annotations

import builtins
import logging
from typing import TYPE_CHECKING, Any, TypeVar, Union

import tokenstore
from tokenstore._web_cookie import Cookie, bearer_token, cookie_values
from tokenstore._web_json import plain, to_text
from tokenstore._web_policy import Call, Effect, Options, Policy, Steps
from tokenstore._web_session import Changes, WebSession, changes, owner_text
from tokenstore.errors import (
    ConnectionError,
    Error,
    NotReplicatedError,
    OutcomeUnknownError,
    ServerError,
    TimeoutError,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tokenstore._types import Id
    from tokenstore.asyncio import Sessions as AsyncSessions
    from tokenstore.values import Session

__all__ = [
    "UNAVAILABLE",
    "AsyncWebSessions",
    "Call",
    "Changes",
    "Cookie",
    "Effect",
    "Options",
    "Policy",
    "Steps",
    "Store",
    "WebSession",
    "WebSessions",
    "arun",
    "bearer_token",
    "changes",
    "cookie_values",
    "owner_text",
    "plain",
    "run",
    "to_text",
]

_log = logging.getLogger("tokenstore")
_T = TypeVar("_T")

UNAVAILABLE = (ConnectionError, TimeoutError, OutcomeUnknownError, NotReplicatedError, ServerError)
"""Errors that are a response of 503: the server cannot be asked now. Others are mistakes in the program."""


def run(store: tokenstore.Sessions, steps: Steps[_T]) -> _T:
    """Make the calls of ``steps``, and return its result."""
    try:
        call = next(steps)
        while True:
            try:
                result = getattr(store, call.name)(**call.arguments)
            except NotReplicatedError as error:
                result = _made(call, error)
            except Error as error:
                call = steps.throw(error)
                continue
            call = steps.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def arun(store: AsyncSessions, steps: Steps[_T]) -> _T:
    """As :func:`run`, awaiting them."""
    try:
        call = next(steps)
        while True:
            try:
                result = await getattr(store, call.name)(**call.arguments)
            except NotReplicatedError as error:
                result = _made(call, error)
            except Error as error:
                call = steps.throw(error)
                continue
            call = steps.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _made(call: Call, error: NotReplicatedError) -> Any:
    """What the call made, for too few replicas: a session that goes on is worth more than that promise, its end is not."""
    if call.name.startswith("kill"):
        raise error
    _log.warning("%s", error)
    return error.result.token if call.name in ("create", "rotate") else True  # type: ignore[attr-defined]


Store = Union[tokenstore.Sessions, tokenstore.Client, str, None]
"""Sessions, or what they are made of: a Client, a URL, None."""


class WebSessions:
    """A :class:`Policy` with its store: :class:`tokenstore.Sessions`, or a URL or a Client to make them of."""

    def __init__(self, store: Store = None, **options: Unpack[Options]) -> None:
        self.policy = Policy(**options)
        if isinstance(store, tokenstore.Sessions):
            _refuse_other(store, "tokenstore")
            self.store = store
        else:
            self.store = tokenstore.Sessions(store)

    def open(self, cookies: str | None, authorization: str | None = None) -> WebSession:
        """See :meth:`Policy.open`."""
        return run(self.store, self.policy.open(cookies, authorization))

    def commit(self, session: WebSession, status: int = 200, request: Any = None) -> Effect:
        """See :meth:`Policy.commit`."""
        effect = run(self.store, self.policy.commit(session, status, request))
        session._is_over = True
        return effect

    def list(
        self, session: WebSession, limit: int | None = None, after: Id | None = None
    ) -> builtins.list[Session]:
        """See :meth:`Policy.list`."""
        return run(self.store, self.policy.list(session, limit, after))

    def end(self, session: WebSession, id: Id) -> bool:
        """See :meth:`Policy.end`."""
        return run(self.store, self.policy.end(session, id))


class AsyncWebSessions:
    """The same with a :class:`tokenstore.asyncio.Sessions`."""

    def __init__(self, store: Any = None, **options: Unpack[Options]) -> None:
        from tokenstore.asyncio import Sessions  # not for those who do without asyncio

        self.policy = Policy(**options)
        if isinstance(store, tokenstore.Sessions):
            _refuse_other(store, "tokenstore.asyncio")
            self.store: AsyncSessions = store  # type: ignore[assignment]
        else:
            self.store = Sessions(store)

    async def open(self, cookies: str | None, authorization: str | None = None) -> WebSession:
        """See :meth:`Policy.open`."""
        return await arun(self.store, self.policy.open(cookies, authorization))

    async def commit(self, session: WebSession, status: int = 200, request: Any = None) -> Effect:
        """See :meth:`Policy.commit`."""
        effect = await arun(self.store, self.policy.commit(session, status, request))
        session._is_over = True
        return effect

    async def list(
        self, session: WebSession, limit: int | None = None, after: Id | None = None
    ) -> builtins.list[Session]:
        """See :meth:`Policy.list`."""
        return await arun(self.store, self.policy.list(session, limit, after))

    async def end(self, session: WebSession, id: Id) -> bool:
        """See :meth:`Policy.end`."""
        return await arun(self.store, self.policy.end(session, id))


def _refuse_other(store: tokenstore.Sessions, module: str) -> None:
    if store._module != module:
        raise TypeError(f"store must be a {module}.Sessions, not a {store._module}.Sessions")
