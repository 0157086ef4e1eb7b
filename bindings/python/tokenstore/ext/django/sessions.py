"""The session engine: ``SESSION_ENGINE = "tokenstore.ext.django.sessions"``.

Django's session key is what is in the cookie, so it is the token; Redis has only its digest.

- A key that is not found is never taken over: what is saved then has a new key.
- ``save`` writes only the fields that changed, so parallel requests keep each other's. It never revives a session that was
  ended: Django answers with SessionInterrupted.
- ``cycle_key`` is due at the next ``save``, in one step with the changes. At a login that step binds the session to the
  user: a key from before the login leads nowhere, one that is replaced later finds its session for ``grace`` seconds more.
- If Redis cannot be asked, that is an error, never an empty session.

Django has each method twice, blocking and awaitable. Here each pair runs the same steps, see :mod:`tokenstore.web`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.contrib.auth import SESSION_KEY as USER
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.contrib.sessions.serializers import JSONSerializer
from django.core.exceptions import ImproperlyConfigured

from tokenstore.errors import DataError, TokenReusedError
from tokenstore.ext.django import (
    _context,
    signals,  # noqa: F401  the engine needs them, whether the app is installed or not
)
from tokenstore.ext.django.conf import stores
from tokenstore.web import Call, Steps, arun, changes, run

__all__ = ["SessionStore"]

_log = logging.getLogger("tokenstore")

_EXPIRY = "_session_expiry"  # of SessionBase.set_expiry
_TEN_YEARS = 315_360_000


class SessionStore(SessionBase):
    """The session of one request."""

    _session_key: str | None
    _session_cache: dict[str, Any]

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self.origin: Mapping[str, Any] | None = None
        """Who asks: a WSGI environ, an ASGI scope, or Django's ``META``. Kept with a session that is made here."""
        self.is_proven = False
        """The user has changed the password in this request, which may go on if another one ends the session."""
        self._known_by: str | None = None  # the key of which we know the next three
        self._owner: str | None = None
        self._public_id: str | None = None  # only once it was asked
        self._before: dict[str, str] = {}  # the fields as they are stored, for changes()
        self._renews = False  # the next save gives a new key

    # ---- Django's interface ------------------------------------------------------------------------

    def load(self) -> dict[str, Any]:
        return run(stores().blocking, self._load())

    async def aload(self) -> dict[str, Any]:
        return await arun(stores().awaitable, self._load())

    def create(self) -> None:
        run(stores().blocking, self._create())

    async def acreate(self) -> None:
        await arun(stores().awaitable, self._create())

    def save(self, must_create: bool = False) -> None:
        run(stores().blocking, self._save(must_create))

    async def asave(self, must_create: bool = False) -> None:
        await arun(stores().awaitable, self._save(must_create))

    def delete(self, session_key: str | None = None) -> None:
        run(stores().blocking, self._delete(session_key))

    async def adelete(self, session_key: str | None = None) -> None:
        await arun(stores().awaitable, self._delete(session_key))

    def exists(self, session_key: str | None) -> bool:
        return run(stores().blocking, self._exists(session_key))

    async def aexists(self, session_key: str | None) -> bool:
        return await arun(stores().awaitable, self._exists(session_key))

    def cycle_key(self) -> None:
        run(stores().blocking, self._cycle())

    async def acycle_key(self) -> None:
        await arun(stores().awaitable, self._cycle())

    @classmethod
    def clear_expired(cls) -> None:
        """Nothing to do: Redis ends them."""

    @classmethod
    async def aclear_expired(cls) -> None:
        """As ``clear_expired``."""

    @property
    def session_key(self) -> str | None:
        """The token. If a new one is due, the session is saved first, so that who notes the key has one that lasts."""
        if self._renews:
            with suppress(UpdateError):  # the save at the end of the request raises it again
                self.save()
        return self._session_key

    # ---- ours --------------------------------------------------------------------------------------

    @property
    def sid(self) -> str | None:
        """Its id in :func:`tokenstore.ext.django.user_sessions`; None if it was never saved.

        It stays when the key is replaced, and logs nobody in: the one to note elsewhere, instead of the key.
        """
        return run(stores().blocking, self._sid())

    async def asid(self) -> str | None:
        """As ``sid``."""
        return await arun(stores().awaitable, self._sid())

    @property
    def owner(self) -> str | None:
        """The user that it is bound to in Redis; None if that is nobody, or if it was not read yet."""
        return self._owner if self._known_by == self._session_key else None

    # ---- the steps ---------------------------------------------------------------------------------

    def _ask(self, name: str, **arguments: Any) -> Steps[Any]:
        """One call. A key that was reused is not found: who presents it must log in again."""
        try:
            return (yield Call(name, {"app": stores().app, **arguments}))
        except TokenReusedError as error:
            _log.warning("a session was ended, because a key of it was reused: sid %s", error.sid)
            return None

    def _read(self) -> Steps[dict[str, Any] | None]:
        found = yield from self._ask("get", token=self._session_key)
        if found is None:
            return None
        self._keep(found.data, found.owner_id, found.sid)
        if found.superseded:
            # Its client has yet to learn the new key. To renew the old one again gives the very same.
            self._renews = self.modified = True
        _context.note_session(self)
        return self._decoded(found.data)

    def _load(self) -> Steps[dict[str, Any]]:
        data = None if self._session_key is None else (yield from self._read())
        if data is None:
            self._session_key = None
            return {}
        return data

    def _fill(self) -> Steps[None]:
        self.accessed = True
        if not hasattr(self, "_session_cache"):
            self._session_cache = yield from self._load()

    def _sid(self) -> Steps[str | None]:
        yield from self._fill()
        if self._session_key is not None and self._public_id is None:
            found = yield from self._ask("get", token=self._session_key)
            self._public_id = None if found is None else found.sid
        return None if self._session_key is None else self._public_id

    def _exists(self, key: str | None) -> Steps[bool]:
        if self._renews:  # first the key that this session is to leave
            with suppress(UpdateError):
                yield from self._save()
        return (yield from self._ask("get", token=key)) is not None

    def _delete(self, key: str | None = None) -> Steps[None]:
        if key is None:
            key = self._session_key
        if key is not None:
            yield from self._ask("kill", token=key)

    def _cycle(self) -> Steps[None]:
        yield from self._fill()
        self._renews = self.modified = True

    def _create(self) -> Steps[None]:
        if not hasattr(self, "_session_cache"):
            self._session_cache = {}
        self.modified = True
        fields, age = self._encoded(), self._age()
        if age < 1:
            return  # it ended before it began
        user, origin = _user_of(fields), self.origin or _context.origin()
        self._session_key = yield from self._ask(
            "create", owner_id=user, data=fields, duration=age, request=origin
        )
        self._saved(fields, user)

    def _save(self, must_create: bool = False) -> Steps[None]:
        if must_create or self._session_key is None:
            yield from self._create()
            return
        if self._known_by != self._session_key:
            # It was emptied before it was read, or was not used at all.
            data = yield from self._read()
            if data is None:
                raise UpdateError
            if not hasattr(self, "_session_cache"):
                self._session_cache = data
        age = self._age()
        if age < 1:
            yield from self._delete()
            return
        fields, changed, gone = changes(self._before, self._encoded())
        user, owner = _user_of(fields), self._owner
        is_login = USER in changed or USER in gone  # or a logout that does without flush()
        if is_login and owner not in (None, user):
            yield from self._delete()
            yield from self._create()
            return
        if is_login or self._renews:
            is_live = yield from self._renew(user, age, changed, gone)
        else:
            is_live = yield from self._update(age, changed, gone)
        if is_live and (_EXPIRY in changed or _EXPIRY in gone):  # perhaps earlier than it was
            is_live = yield from self._ask("refresh", token=self._session_key, duration=age)
        if is_live:
            self._saved(fields, owner or (user if is_login else None), self._public_id)
        elif user is not None and (is_login or self.is_proven):
            yield from self._create()
        else:
            raise UpdateError

    def _update(self, age: float, changed: dict[str, Any], gone: list[str]) -> Steps[bool]:
        this = {"token": self._session_key}
        if not changed and not gone:
            return (yield from self._ask("get", **this, refresh=age)) is not None
        what = {"data": changed, "unset": gone, "keep_null": True}
        return bool((yield from self._ask("update", **this, **what, refresh=age)))

    def _renew(
        self, user: str | None, age: float, changed: dict[str, Any], gone: list[str]
    ) -> Steps[bool]:
        """A new key; at a login it is the user's."""
        data = {name: value for name, value in changed.items() if value is not None}
        data.update(dict.fromkeys(gone))  # to rotate, None is "delete": nulls are for an update
        nulls = {name: None for name, value in changed.items() if value is None}
        how: dict[str, Any] = {}
        if self._owner is not None:
            how["grace"] = stores().grace
        elif user is not None:
            how["owner_id"] = user
        key = yield from self._ask(
            "rotate", token=self._session_key, duration=age, data=data or None, **how
        )
        if key is None:
            return False
        self._session_key = key
        if nulls:
            yield from self._ask("update", token=key, data=nulls, keep_null=True)
        return True

    # ---- what is stored ----------------------------------------------------------------------------

    def _keep(
        self, fields: dict[str, Any], owner: str | None, public_id: str | None = None
    ) -> None:
        self._known_by = self._session_key
        self._owner, self._public_id = owner, public_id
        self._before = {name: repr(value) for name, value in fields.items()}

    def _saved(
        self, fields: dict[str, Any], owner: str | None, public_id: str | None = None
    ) -> None:
        self._keep(fields, owner, public_id)
        self._renews = self.is_proven = False

    def _age(self) -> float:
        return min(self.get_expiry_age(), _TEN_YEARS)  # type: ignore[no-any-return]

    def _decoded(self, data: dict[str, Any]) -> dict[str, Any]:
        if self.serializer is JSONSerializer:
            return data
        return self.serializer().loads(json.dumps(data).encode())  # type: ignore[no-any-return]

    def _encoded(self) -> dict[str, Any]:
        """The fields by SESSION_SERIALIZER, as JSON has them; each alone, so that the faulty one can be named."""
        dumps = self.serializer().dumps
        fields: dict[str, Any] = {}
        for name, value in self._session_cache.items():
            try:
                text = dumps({name: value})
            except (TypeError, ValueError) as error:
                why = error if self.serializer is JSONSerializer else type(error).__name__
                raise DataError(
                    f"session[{name!r}] cannot be stored ({why}): store what JSON has, or set SESSION_SERIALIZER to "
                    "tokenstore.ext.django.serializers.JSONSerializer, which takes dates, Decimals and UUIDs"
                ) from error
            fields.update(_parsed(text))
        return fields


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except ValueError:
        pass  # not within the clause: the exception has the text, which is session data
    raise ImproperlyConfigured(
        "SESSION_SERIALIZER must write JSON, because sessions are stored as JSON: take "
        '"django.contrib.sessions.serializers.JSONSerializer"'
    )


def _user_of(fields: dict[str, Any]) -> str | None:
    user = fields.get(USER)
    return None if user is None else str(user)
