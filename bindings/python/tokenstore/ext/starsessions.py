"""A store for starsessions, for those who stay with its middleware.

::

    app.add_middleware(SessionMiddleware, store=TokenstoreStore("redis://…", principal="user_id"))

starsessions gives a store the whole data of a session, and never what it was before. So what was read travels along in its
metadata, which it keeps beside the data for the time of a request, and the rules of :mod:`tokenstore.web` hold here, too:
only changed fields are written, a session that was ended stays so, and ids that are not known are not adopted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starsessions.stores import SessionStore

from tokenstore.web import AsyncWebSessions, Options, WebSession, arun, changes

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tokenstore.asyncio import Client, Sessions

__all__ = ["TokenstoreStore"]

_METADATA, _READ = "__metadata__", "tokenstore"


class TokenstoreStore(SessionStore):
    """Sessions of starsessions in Redis.

    ``store`` is a :class:`tokenstore.asyncio.Sessions`, or a URL or a :class:`tokenstore.asyncio.Client` to make one of;
    its other options are those of :class:`tokenstore.web.Policy`. Those of the cookie have no effect: starsessions sends
    it. ``idle`` and ``absolute`` say how long a session lives, ``lifetime`` of starsessions for how long browsers keep
    the cookie. Its serializer must be the default, JSON. ``regenerate_session_id`` is a rotation; with ``principal``, a
    field of the user's id, so is a login.
    """

    def __init__(
        self, store: Sessions | Client | str | None = None, **options: Unpack[Options]
    ) -> None:
        self.web = AsyncWebSessions(store, **options)

    async def read(self, session_id: str, lifetime: int) -> bytes:
        """Called by starsessions when a session is loaded."""
        session = await self._find(session_id)
        if session is None:
            return b""
        fields = dict(session)
        before = {name: repr(value) for name, value in fields.items()}
        seen = {_READ: {"token": session_id, "before": before}}
        fields[_METADATA] = {**fields.get(_METADATA, {}), **seen}
        return json.dumps(fields).encode()

    async def write(self, session_id: str, data: bytes, lifetime: int, ttl: int) -> str:
        """Called by starsessions when the response begins: returns the id for the cookie."""
        fields = json.loads(data)
        metadata = fields.pop(_METADATA)
        seen = metadata.pop(_READ, {"token": None, "before": {}})
        metadata.pop("last_access", None)  # the store knows better, and nothing else changes
        token, (_, changed, unset) = (
            seen["token"],
            changes(seen["before"], fields | {_METADATA: metadata}),
        )
        session = await (self.web.open(None) if token is None else self._find(token))
        if session is None:
            return session_id  # it was ended meanwhile
        session.update(changed)
        for name in unset:
            session.pop(name, None)
        if token is not None and token != session_id:
            session.rotate()
        effect = await self.web.commit(session)
        return effect.token or token or session_id

    async def remove(self, session_id: str) -> None:
        """Called by starsessions when nothing is left of a session."""
        await self.web.store.kill(app=self.web.policy.app_name, token=session_id)

    async def _find(self, token: str) -> WebSession | None:
        return await arun(self.web.store, self.web.policy.find(token))
