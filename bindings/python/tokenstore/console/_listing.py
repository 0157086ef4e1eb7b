"""An owner's tokens and sessions of all kinds in one listing, in pages."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tokenstore._kinds import names_of_kind
from tokenstore.console._device import device_of
from tokenstore.console._messages import Actor, Failure, Steps
from tokenstore.errors import ConfigurationError, DataError, InvalidTokenError

__all__ = ["JWT", "PAGE", "Kind", "Place", "Stores", "as_bytes"]

PAGE = 100  # rows

JWT = "redis-jwt"
"""What stands for the app of sessions of RedisJWT, which have none."""


class Kind(NamedTuple):
    """An app and a type of tokens; of RedisJWT ``None`` and ``redis-jwt``."""

    app: str | None
    type: str

    @property
    def query(self) -> dict[str, str | None]:
        return {"app": self.app, "type": self.type}


_JWT = Kind(None, JWT)
_GONE = "The last session of the previous page has ended since: begin at the first page."


class Place(NamedTuple):
    """After which row a page begins: the kind, and the id in it. None: at the beginning."""

    kind: Kind
    after: str


def as_bytes(name: str) -> bytes:
    """A name as the store has it: surrogates are bytes that are not UTF-8."""
    return name.encode(errors="surrogateescape")


class Stores:
    """RedisTokens and RedisJWT of one database, as one."""

    def __init__(self, tokens: Any, jwt: Any, kinds: Sequence[tuple[str, str]]) -> None:
        self.tokens, self.jwt = tokens, jwt
        self.prefix: str = _prefix_of(tokens)
        self._known = [Kind(app, type) for app, type in kinds]

    def registered(self) -> Steps[dict[bytes, Kind]]:
        """App and type by what keys begin with, as far as they are registered."""
        texts = yield self.tokens.client.execute("HGETALL", f"{self.prefix}:kinds")
        return {
            kind: Kind(*names_of_kind(kind, text)) for kind, text in zip(texts[::2], texts[1::2])
        }

    def kinds(self) -> Steps[list[Kind]]:
        """All that an owner may have something of."""
        registered = yield from self.registered()
        every = sorted({*registered.values(), *self._known})
        return every if self.jwt is None else [*every, _JWT]

    def count(self, kind: Kind, owner: str) -> Steps[int]:
        """How many live ones an owner has."""
        if kind.app is None:
            return len((yield from self._jwt_rows(owner)))
        count: int = yield self.tokens.count(as_bytes(kind.app), as_bytes(kind.type), as_bytes(owner))
        return count

    def counts(self, owner: str) -> Steps[dict[Kind, int]]:
        """Of each kind of which there is one at least."""
        counts = {}
        for kind in (yield from self.kinds()):
            count = yield from self.count(kind, owner)
            if count:
                counts[kind] = count
        return counts

    def page(
        self, kinds: Sequence[Kind], owner: str, place: Place | None, actor: Actor
    ) -> Steps[tuple[list[dict[str, Any]], Place | None]]:
        """At most PAGE rows of these kinds, one kind after the other and the newest first, and where the next begins."""
        rows: list[dict[str, Any]] = []
        if place is not None:
            if place.kind not in kinds:
                raise Failure(410, _GONE)
            kinds = kinds[kinds.index(place.kind) :]
        for kind in kinds:
            after = place.after if place is not None and place.kind == kind else None
            wanted = PAGE + 1 - len(rows)  # one more says whether there is a next page
            rows += yield from self._list(kind, owner, wanted, after)
            if len(rows) > PAGE:
                break
        for row in rows:
            row["this_one"] = actor.sid is not None and actor.sid in (row["sid"], row["id"])
        if len(rows) <= PAGE:
            return rows, None
        last = rows[PAGE - 1]
        return rows[:PAGE], Place(Kind(last["app"], last["type"]), last["id"])

    def _list(self, kind: Kind, owner: str, limit: int, after: str | None) -> Steps[list[dict[str, Any]]]:
        if kind.app is None:
            rows = yield from self._jwt_rows(owner)
            ids = [row["id"] for row in rows]
            start = ids.index(after) + 1 if after in ids else 0
            return rows[start : start + limit]
        try:
            found = yield self.tokens.list(
                as_bytes(kind.app), as_bytes(kind.type), as_bytes(owner), limit=limit, after=None if after is None else as_bytes(after)
            )
        except DataError:
            if after is None:
                raise
            raise Failure(410, _GONE) from None
        return [row_of(token) for token in found]

    def find(self, kind: Kind, owner: str, id: str) -> Steps[dict[str, Any] | None]:
        """One by its id."""
        if kind.app is None:
            rows = yield from self._jwt_rows(owner)
            return next((row for row in rows if row["id"] == id), None)
        names = as_bytes(kind.app), as_bytes(kind.type), as_bytes(owner)
        token = yield self.tokens.get_by_id(*names, as_bytes(id))
        return None if token is None else row_of(token)

    def end(self, kind: Kind, owner: str, id: str) -> Steps[int]:
        """One; 0 if it had ended."""
        if kind.app is None:
            found = yield from self.find(kind, owner, id)
            return int((yield self.jwt.destroy(id))) if found else 0
        names = as_bytes(kind.app), as_bytes(kind.type), as_bytes(owner)
        return int((yield self.tokens.delete_by_id(*names, as_bytes(id))))

    def end_all(self, kind: Kind, owner: str, keep: str | None = None) -> Steps[int]:
        """All of a kind, or all but one."""
        if kind.app is not None:
            names = as_bytes(kind.app), as_bytes(kind.type), as_bytes(owner)
            ended: int = yield self.tokens.delete_all(*names, keep=keep)
            return ended
        if keep is None:
            ended = yield self.jwt.destroy_multiple(as_bytes(owner))
            return ended
        ended = 0
        for row in (yield from self._jwt_rows(owner)):
            if row["id"] != keep:
                ended += yield self.jwt.destroy(row["id"])
        return ended

    def search(self, token: str) -> Steps[dict[str, Any] | None]:
        """Whose a token is. It is no use of it: its expiry stays, and a rotated one ends nothing."""
        for kind in (yield from self.kinds()):
            if kind.app is None:
                found = yield from self._search_jwt(token)
            else:
                names = as_bytes(kind.app), as_bytes(kind.type)
                op = self.tokens._ops.get_many(*names, [as_bytes(token)], True)
                [found] = yield _unaudited(self.tokens, op)
                found = None if found is None else row_of(found)
            if found is not None:
                return found
        return None

    def _search_jwt(self, token: str) -> Steps[dict[str, Any] | None]:
        try:
            session = yield _unaudited(self.jwt, self.jwt._ops.verify(as_bytes(token), True))
        except InvalidTokenError:
            return None
        return _row_of_jwt(session)

    def _jwt_rows(self, owner: str) -> Steps[list[dict[str, Any]]]:
        if self.jwt is None:
            return []
        try:
            sessions = yield self.jwt.list(as_bytes(owner))
        except (ConfigurationError, DataError):
            return []  # RedisJWT has no such ids: none with a colon, and on a cluster only those in braces
        return [_row_of_jwt(session) for session in sessions]


def _prefix_of(tokens: Any) -> str:
    prefix = tokens._prefix
    return prefix if isinstance(prefix, str) else bytes(prefix).decode(errors="surrogateescape")


def _unaudited(store: Any, op: Any) -> Any:
    """Run it past the audit, for which a token that is looked up by the wrong kind was used after its end."""
    return store.client._driver.run(op)


def row_of(token: Any) -> dict[str, Any]:
    """What the console shows of a token: neither its secret nor its data."""
    return {
        "app": token.app,
        "type": token.type,
        "owner": token.owner,
        "id": token.id,
        "sid": token.sid,
        "created_at": token.created_at,
        "seen_at": token.seen_at,
        "expires_at": token.expires_at,
        "idle": token.idle,
        **_who(token.request),
    }


def _row_of_jwt(session: Mapping[str, Any]) -> dict[str, Any]:
    data = session.get("dataSession")
    ttl = session["ttl"]
    return {
        "app": None,
        "type": JWT,
        "owner": session["id"],
        "id": session["rjwt"],
        "sid": None,
        "created_at": session.get("iat"),
        "seen_at": None,
        "expires_at": None if ttl < 0 else time.time() + ttl,
        "idle": None,
        **_who(data.get("request") if isinstance(data, dict) else None),
    }


def _who(request: Any) -> dict[str, Any]:
    request = request if isinstance(request, dict) else {}
    address, agent = request.get("address"), request.get("user_agent")
    agent = agent if isinstance(agent, str) else None
    device = device_of(agent)
    return {
        "address": address if isinstance(address, str) else None,
        "user_agent": agent,
        "device": device.name,
        "device_kind": device.kind,
    }
