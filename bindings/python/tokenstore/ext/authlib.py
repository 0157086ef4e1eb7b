"""Where an OAuth 2.0 server made with Authlib keeps its tokens.

::

    tokens = TokenStore("redis://…")

    server = AuthorizationServer(app, query_client, tokens.save_token)

    class Refresh(RefreshTokenGrant):
        INCLUDE_NEW_REFRESH_TOKEN = True
        authenticate_refresh_token = tokens.refresh_token
        revoke_old_credential = tokens.settle

        def authenticate_user(self, token):
            return User.get(token.user_id)

    class Revocation(RevocationEndpoint):
        query_token = tokens.query_token
        revoke_token = tokens.revoke_token

    class Validator(BearerTokenValidator):
        authenticate_token = tokens.access_token

Authlib makes the tokens; Redis has their digests. A refresh token works once, whoever asks at the same time, and what is
revoked stays so, also against a refresh that is under way.
"""

from __future__ import annotations

import operator
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidGrantError, TokenMixin

import tokenstore

if TYPE_CHECKING:
    from tokenstore._types import Duration, Name

__all__ = ["StoredToken", "TokenStore"]

_ACCESS, _REFRESH = "access_token", "refresh_token"


class StoredToken(TokenMixin):
    """An access or refresh token, as Authlib asks for it."""

    def __init__(self, kind: str, secret: str, stored: tokenstore.Token) -> None:
        self.kind = kind
        self.stored = stored
        self.user_id: str | None = stored.owner
        self.client_id: str = stored.data["client_id"]
        self.scope: str = stored.data["scope"]
        self.issued_at = int(stored.created_at)
        self.expires_at = None if stored.expires_at is None else int(stored.expires_at)
        self._secret = secret
        self._grant: str = stored.data["grant"]

    def check_client(self, client: Any) -> bool:
        return bool(self.client_id == client.get_client_id())

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        """0: it does not expire."""
        return 0 if self.expires_at is None else self.expires_at - self.issued_at

    def is_expired(self) -> bool:
        return False  # what has expired is not found

    def is_revoked(self) -> bool:
        return False  # nor is this

    def __repr__(self) -> str:
        return f"<StoredToken {self.kind} of {self.client_id}>"


class TokenStore:
    """Tokens of an Authlib server in Redis.

    ``store`` is a :class:`tokenstore.RedisTokens`, or a URL or a :class:`tokenstore.Client` to make one of. ``app`` is
    that of its calls. Refresh tokens end after ``refresh_duration`` (default 90 days), access tokens when Authlib says.
    ``user_id`` is a function of a user that returns the owner of the tokens (default its ``id``).
    """

    def __init__(
        self,
        store: tokenstore.RedisTokens | tokenstore.Client | str | None = None,
        *,
        app: Name = "oauth",
        refresh_duration: Duration | None = 90 * 86400,
        user_id: Callable[[Any], Name] = operator.attrgetter("id"),
    ) -> None:
        self.store = (
            store if isinstance(store, tokenstore.RedisTokens) else tokenstore.RedisTokens(store)
        )
        self._app = app
        self._refresh_duration = refresh_duration
        self._user_id = user_id

    # ---- what Authlib calls ------------------------------------------------------------------------

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        """``save_token`` of an authorization server."""
        used: StoredToken | None = request.refresh_token  # by which these were asked for
        owner = None if request.user is None else self._user_id(request.user)
        data = {
            "client_id": request.client.get_client_id(),
            "scope": token.get("scope") or "",
            "grant": secrets.token_urlsafe(12) if used is None else used._grant,
        }
        made = []
        for kind, duration in (
            (_REFRESH, self._refresh_duration),
            (_ACCESS, token.get("expires_in")),
        ):
            if kind in token:
                self.store.create(self._app, kind, owner, data, duration, token[kind])
                made.append(kind)
        # Only now: whoever ends the grant meanwhile either finds the new tokens, or is seen here.
        if used is not None and not self._may_go_on(used, is_replaced=_REFRESH in made):
            for kind in made:
                self.store.delete(self._app, kind, token[kind])
            raise InvalidGrantError()

    def _may_go_on(self, used: StoredToken, is_replaced: bool) -> bool:
        """Is the refresh token live? If there is another in its place, this is its only use."""
        if is_replaced:
            return self.store.delete(self._app, _REFRESH, used._secret)
        return self.store.get(self._app, _REFRESH, used._secret, fresh=True) is not None

    def access_token(self, secret: str) -> StoredToken | None:
        """``authenticate_token`` of a ``BearerTokenValidator``."""
        return self._find(_ACCESS, secret)

    def refresh_token(self, secret: str) -> StoredToken | None:
        """``authenticate_refresh_token`` of a ``RefreshTokenGrant``."""
        return self._find(_REFRESH, secret)

    def settle(self, token: StoredToken) -> None:
        """``revoke_old_credential`` of a ``RefreshTokenGrant``: ``save_token`` has ended it."""

    def query_token(self, secret: str, token_type_hint: str | None = None) -> StoredToken | None:
        """``query_token`` of a ``RevocationEndpoint``, and of an ``IntrospectionEndpoint``."""
        kinds = sorted((_ACCESS, _REFRESH), key=lambda kind: kind != token_type_hint)
        return self._find(kinds[0], secret, True) or self._find(kinds[1], secret, True)

    def revoke_token(self, token: StoredToken, request: Any = None) -> None:
        """``revoke_token`` of a ``RevocationEndpoint``: a refresh token ends with all that it led to (RFC 7009, 2.1)."""
        self.store.delete(self._app, token.kind, token._secret)
        if token.kind == _REFRESH and token.user_id is not None:
            for kind in (_REFRESH, _ACCESS):
                for each in self.store.list(self._app, kind, token.user_id):
                    if each.data["grant"] == token._grant:
                        self.store.delete_by_id(self._app, kind, token.user_id, each.id)

    # ------------------------------------------------------------------------------------------------

    def end_all(self, user_id: Name) -> None:
        """End all tokens of a user, of whatever client: after a new password, for instance."""
        for kind in (_REFRESH, _ACCESS):
            self.store.delete_all(self._app, kind, user_id)

    def _find(self, kind: str, secret: str, expiry: bool = False) -> StoredToken | None:
        stored = self.store.get(self._app, kind, secret, expiry=expiry)
        return None if stored is None else StoredToken(kind, secret, stored)
