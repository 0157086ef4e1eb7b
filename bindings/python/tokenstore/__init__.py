"""tokenstore: tokens and sessions in Redis or Valkey.

::

    import tokenstore

    tokens = tokenstore.RedisTokens("redis://localhost:6379")
    token = tokens.create(app="web", type="login", owner="bob", duration=3600)
    found = tokens.get(app="web", type="login", token=token.token)

Log messages go to the logger ``"tokenstore"`` and never contain a token, a password or data.
"""

import logging
from typing import TYPE_CHECKING, Any

from tokenstore._core import __version__
from tokenstore._measures import Measure, OperationStats, PoolStats
from tokenstore._types import UNSET
from tokenstore.audit import AuditEvent, acting
from tokenstore.client import Client
from tokenstore.errors import (
    ConfigurationError,
    ConflictError,
    ConnectionError,
    DataError,
    Error,
    ExpiredTokenError,
    InvalidTokenError,
    LimitError,
    NotReplicatedError,
    OutcomeUnknownError,
    ServerError,
    SpikeAuthError,
    SpikeError,
    TimeoutError,
    TokenReusedError,
)
from tokenstore.sessions import Sessions, SpotsSessions
from tokenstore.tokens import RedisTokens
from tokenstore.values import NodeToken, Session, Token

if TYPE_CHECKING:
    from tokenstore import jwt
    from tokenstore.node_tokens import Tokenstore
    from tokenstore.redis_jwt import RedisJWT, RedisJwt
    from tokenstore.session_events import SessionEnd, SessionEvents, SessionGap
    from tokenstore.spike import Spike, TokenCreator, get_token_creator, getTokenCreator

__all__ = [
    "UNSET",
    "AuditEvent",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "ConnectionError",
    "DataError",
    "Error",
    "ExpiredTokenError",
    "InvalidTokenError",
    "LimitError",
    "Measure",
    "NodeToken",
    "NotReplicatedError",
    "OperationStats",
    "OutcomeUnknownError",
    "PoolStats",
    "RedisJWT",
    "RedisJwt",
    "RedisTokens",
    "ServerError",
    "Session",
    "SessionEnd",
    "SessionEvents",
    "SessionGap",
    "Sessions",
    "Spike",
    "SpikeAuthError",
    "SpikeError",
    "SpotsSessions",
    "TimeoutError",
    "Token",
    "TokenCreator",
    "TokenReusedError",
    "Tokenstore",
    "__version__",
    "acting",
    "getTokenCreator",
    "get_token_creator",
    "jwt",
]

# What many programs do not need is imported when it is first named: together it takes longer than all the rest.
_LATER = {
    "RedisJWT": "redis_jwt",
    "RedisJwt": "redis_jwt",
    "SessionEnd": "session_events",
    "SessionEvents": "session_events",
    "SessionGap": "session_events",
    "Spike": "spike",
    "TokenCreator": "spike",
    "Tokenstore": "node_tokens",
    "getTokenCreator": "spike",
    "get_token_creator": "spike",
    "jwt": "jwt",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"tokenstore.{_LATER[name]}")
    value = globals()[name] = module if name == "jwt" else getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


logging.getLogger("tokenstore").addHandler(logging.NullHandler())
