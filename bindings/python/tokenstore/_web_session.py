"""The session of one request: a dict that knows whether it was used, and what changed in it."""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING, Any

from tokenstore._web_json import Default, ObjectHook, plain, revive
from tokenstore.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenstore._types import Name
    from tokenstore.values import Session

__all__ = ["Changes", "WebSession", "changes", "owner_text"]

_log = logging.getLogger("tokenstore")

Changes = tuple[dict[str, Any], dict[str, Any], list[str]]
"""All fields as they are now, those of them that changed, and the names of those that are gone."""


def owner_text(owner: Name) -> str:
    """An owner as the store gives it back: an int and a UUID are their text."""
    return os.fsdecode(owner) if isinstance(owner, bytes) else str(owner)


def changes(before: dict[str, str], now: dict[str, Any], default: Default = None) -> Changes:
    """What became of a session's data. ``before`` has the ``repr`` of each field that was read.

    Only top-level fields are told apart, since those are what ``update`` can change beside other requests; whatever is
    changed inside of one is noticed. A value that JSON lacks and ``default`` does not know is a DataError that names it.
    """
    fields = {name: plain(value, f"session.{name}", default) for name, value in now.items()}
    changed = {name: value for name, value in fields.items() if repr(value) != before.get(name)}
    return fields, changed, [name for name in before if name not in fields]


class WebSession(dict[str, Any]):
    """The session of a request, as a dict: what is changed in it is stored when the response begins.

    Empty if the request has none; the first field that is set makes one. Changes inside of a field
    (``session["cart"].append(…)``) are noticed. Two requests that change different fields both keep theirs.
    """

    def __init__(
        self,
        data: dict[str, Any] | None = None,
        *,
        stored: Session | None = None,
        token: str | None = None,
        is_bearer: bool = False,
        principal_field: str | None = None,
        default: Default = None,
        object_hook: ObjectHook = None,
    ) -> None:
        read = stored.data if stored is not None else data or {}
        super().__init__(
            {name: revive(value, object_hook) for name, value in read.items()}
            if object_hook is not None
            else read
        )
        self._stored = stored
        self._is_used = False
        self._read = read
        self._before: dict[str, str] = {}
        self._token = token
        self._is_bearer = is_bearer
        self._principal_field = principal_field
        self._default = default
        self._owner: str | None = None if stored is None else stored.owner_id
        self._left: list[str] = []  # tokens of sessions that end
        self._logs_in = self._rotates = self._ends_others = False
        self._is_over = False  # the response has begun

    # ---- what a handler asks ----------------------------------------------------------------------

    @property
    def accessed(self) -> bool:
        """True once it was used: the response depends on the cookie."""
        return self._is_used

    @property
    def stored(self) -> Session | None:
        """The :class:`tokenstore.Session` that was found, and that this one continues; None if there is none."""
        self._notice()
        return self._stored

    @property
    def principal(self) -> str | None:
        """The owner: who is logged in; None if nobody is."""
        self._notice()
        return self._owner

    @property
    def sid(self) -> str | None:
        """The public id of the stored session, as in listings; rotations keep it. None if there is none yet."""
        self._notice()
        return None if self._stored is None else self._stored.sid

    @property
    def created_at(self) -> float | None:
        """When it began, at the login if there was one, in seconds since the epoch; None if it is new."""
        self._notice()
        return None if self._stored is None else self._stored.created_at

    @property
    def new(self) -> bool:
        """True if the request came without a valid session."""
        self._notice()
        return self._stored is None

    @property
    def modified(self) -> bool:
        """True if the response will store something."""
        if not self._is_used:
            return False
        if self._left or self._logs_in or self._rotates or self._ends_others:
            return True
        _, changed, unset = self.compare()
        return bool(changed or unset)

    # ---- what a handler does; it happens when the response begins, and not if that is a server error ---

    def login(self, owner: Name) -> None:
        """From now on this is a session of ``owner``, with a new token: the one before the login is void at once.

        What an anonymous session held, a cart for instance, stays. If somebody else was logged in, everything of
        theirs is gone. A second login of the same owner begins a new session with the same fields.
        """
        self._change()
        name = owner_text(owner)
        if self._owner not in (None, name):
            self.logout()
        self._begin(name)
        if self._principal_field is not None:
            self[self._principal_field] = owner if isinstance(owner, (str, int)) else name

    def logout(self) -> None:
        """End the session. What is set after this begins a new one, which is anonymous."""
        self._change()
        self._leave()
        dict.clear(self)

    clear = logout

    def rotate(self) -> None:
        """Give it a new token, as with more rights. Parallel requests find it by the old one for the grace; of an
        anonymous one that is void at once.

        No effect on one from an Authorization header: its client would not learn the new token.
        """
        self._change()
        self._rotates = not self._is_bearer

    def logout_others(self) -> None:
        """End all other sessions of the principal: after a change of the password, for instance."""
        self._change()
        self._ends_others = True

    def __repr__(self) -> str:
        return f"<WebSession with {dict.__len__(self)} fields>"

    # ---- for tokenstore.web -------------------------------------------------------------------------

    def _notice(self) -> None:
        """Before the first use the fields are as they were read; so this is the time to remember them."""
        if not self._is_used:
            self._is_used = True
            self._before = {name: repr(value) for name, value in self._read.items()}

    def _change(self) -> None:
        self._notice()
        if self._is_over:
            _log.warning(
                "a session was changed after its response had begun, so the change is not stored: change it before a "
                "body is streamed or a WebSocket accepted",
                stacklevel=3,
            )

    def _begin(self, owner: str) -> None:
        if self._is_bearer:
            raise ConfigurationError(
                "a session from an Authorization header cannot log in, because its client would not learn the new "
                "token: make one with Sessions.create, and send its token in the response"
            )
        self._owner, self._logs_in = owner, True

    def _leave(self) -> None:
        if self._stored is not None and self._token is not None:
            self._left.append(self._token)
        self._stored = self._owner = None
        self._before = {}
        self._logs_in = self._rotates = False

    def compare(self) -> Changes:
        """What changed, see :func:`changes`."""
        return changes(self._before, dict(dict.items(self)), self._default)

    def settle(self) -> Changes:
        """What changed, after a changed principal field has been taken for a login or a logout."""
        found = fields, changed, unset = self.compare()
        field = self._principal_field
        if self._owner is None and unset and not fields:
            self._leave()  # of an anonymous session nothing is left
        if field is None or not (field in changed or field in unset):
            return found
        wanted = None if fields.get(field) is None else owner_text(fields[field])
        if wanted == self._owner:
            return found
        if self._owner is not None:
            self._leave()
            if wanted is not None:
                fields = changed  # the others are of who was logged in before
            found = fields, fields, []
        if wanted is not None:
            self._begin(wanted)
        return found


def _noticed(name: str) -> Any:
    method = getattr(dict, name)

    @functools.wraps(method)
    def call(self: WebSession, *args: Any, **kwargs: Any) -> Any:
        self._notice()
        return method(self, *args, **kwargs)

    return call


def _changing(name: str) -> Any:
    method = getattr(dict, name)

    @functools.wraps(method)
    def call(self: WebSession, *args: Any, **kwargs: Any) -> Any:
        self._notice()
        before = dict(dict.items(self)) if self._is_over else None
        result = method(self, *args, **kwargs)
        if before is not None and before != dict(dict.items(self)):
            self._change()
        return result

    return call


_READS = "__getitem__ get __contains__ __len__ __iter__ __reversed__ keys values items __eq__ __ne__ __or__ __ror__ copy"
_WRITES = "__setitem__ __delitem__ setdefault update __ior__ pop popitem"

for _name in _READS.split():
    setattr(WebSession, _name, _noticed(_name))
for _name in _WRITES.split():
    setattr(WebSession, _name, _changing(_name))
