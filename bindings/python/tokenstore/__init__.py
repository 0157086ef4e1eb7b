"""tokenstore: tokens and sessions in Redis or Valkey.

::

    import tokenstore

    tokens = tokenstore.RedisTokens("redis://localhost:6379")
    token = tokens.create(app="web", type="login", owner="bob", duration=3600)
    found = tokens.get(app="web", type="login", token=token.token)

Log messages go to the logger ``"tokenstore"`` and never contain a token, a password or data.
"""

import logging

from tokenstore import jwt
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
from tokenstore.node_tokens import Tokenstore
from tokenstore.redis_jwt import RedisJWT, RedisJwt
from tokenstore.session_events import SessionEnd, SessionEvents, SessionGap
from tokenstore.sessions import Sessions, SpotsSessions
from tokenstore.spike import Spike, TokenCreator, get_token_creator, getTokenCreator
from tokenstore.tokens import RedisTokens
from tokenstore.values import NodeToken, Session, Token

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

logging.getLogger("tokenstore").addHandler(logging.NullHandler())
