"""Names that several modules and the extension share. Imports nothing of this package."""

from __future__ import annotations

import enum
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Optional, TypedDict, Union

if TYPE_CHECKING:
    from uuid import UUID

    from tokenstore.audit import AuditEvent

__all__ = [
    "UNSET",
    "AsyncClientOptions",
    "ClientOptions",
    "Credentials",
    "Duration",
    "Encoding",
    "Id",
    "Name",
    "NewToken",
    "Path",
    "Pepper",
    "Presented",
    "Reuse",
    "Text",
    "WhenFull",
]

Duration = Union[int, float, timedelta]
"""Seconds, or a timedelta; 1 s … 315360000 s (ten years)."""

Text = Union[str, bytes]
"""str is stored as UTF-8 (with surrogateescape), bytes as they are."""

Name = Union[str, bytes, int, "UUID"]
"""An app, a type, an owner, a user's id: an int and a UUID are converted to text."""

Presented = Optional[Text]
"""A token that a client presented; None, a cookie that is not there, is simply not found."""

Id = Union[str, bytes, int, "UUID", None]
"""An id to look up; None is never found."""

Pepper = Union[Text, list[Text], tuple[Text, ...]]
"""One, or several: the first makes tokens, each finds them."""

Path = Union[str, "os.PathLike[str]"]

Encoding = Union[Literal["base64url"], Literal["base64"], Literal["hex"]]

Reuse = Union[Literal["ignore"], Literal["revoke"]]
WhenFull = Union[Literal["oldest"], Literal["idle"], Literal["refuse"]]

NewToken = tuple[
    Name,
    Name,
    Optional[Name],
    Optional[dict[str, Any]],
    Optional[Duration],
    Optional[Text],
    Optional[Duration],
    Optional[dict[str, Any]],
]
"""The arguments of ``create``, in order, as the extension takes them by the list."""


_UserAndPassword = tuple[Optional[Text], Text]

Credentials = Callable[[], Union[_UserAndPassword, Awaitable[_UserAndPassword]]]
"""Gives user and password for one new connection; None is the default user. An async function is for
:class:`tokenstore.asyncio.Client` alone."""


class Unset(enum.Enum):
    """The type of :data:`UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "tokenstore.UNSET"


UNSET = Unset.UNSET
"""As a value in ``update(data=…)``: leave this field as it is. In ``update(expect=…)``: the field is absent."""


class NearCacheStats(TypedDict):
    """See :meth:`tokenstore.Client.near_cache_stats`."""

    hits: int
    misses: int
    invalidations: int
    evictions: int
    flushes: int
    entries: int
    bytes: int
    alive: bool
    oldest_proof: float


class ClientOptions(TypedDict, total=False):
    """The options of :class:`tokenstore.Client`, which every store takes too."""

    connect_timeout: Duration
    timeout: Duration
    max_connection_age: Duration
    near_cache: int
    near_cache_staleness: Duration
    near_cache_tracking: str
    pool_size: int
    client_name: str
    max_reply_size: int
    db: int
    credentials: Credentials
    ca: Path
    cert: Path
    key: Path
    server_name: str
    sentinel_user: str
    sentinel_password: str
    address_map: str | Mapping[str, str]
    server: Path
    audit: bool
    on_event: Callable[[AuditEvent], object]
    audit_stream: int


class AsyncClientOptions(ClientOptions, total=False):
    """The options of :class:`tokenstore.asyncio.Client`."""

    connections: int
    max_in_flight: int
    when_busy: Literal["error", "wait"]
