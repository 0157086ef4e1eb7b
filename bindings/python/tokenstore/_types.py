"""Names that several modules and the extension share. Imports nothing of this package."""

from __future__ import annotations

import enum
import os
from datetime import timedelta
from typing import Any, Literal, Optional, TypedDict, Union

__all__ = ["UNSET", "AsyncClientOptions", "ClientOptions", "Duration", "Encoding", "NewToken", "Path", "Text"]

Duration = Union[int, float, timedelta]
"""Seconds, or a timedelta; 1 s … 315360000 s (ten years)."""

Text = Union[str, bytes]
"""A name, an id or a token: str is stored as UTF-8 (with surrogateescape), bytes as they are."""

Path = Union[str, "os.PathLike[str]"]

Encoding = Union[Literal["base64url"], Literal["base64"], Literal["hex"]]

NewToken = tuple[Text, Text, Text, Optional[dict[str, Any]], Optional[Duration], Optional[Text]]
"""The arguments of ``create``, in order, as the extension takes them by the list."""


class Unset(enum.Enum):
    """The type of :data:`UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "tokenstore.UNSET"


UNSET = Unset.UNSET
"""As a value in ``update(data=…)``: leave this field as it is."""


class ClientOptions(TypedDict, total=False):
    """The options of :class:`tokenstore.Client`, which every store takes too."""

    connect_timeout: Duration
    timeout: Duration
    max_connection_age: Duration
    pool_size: int
    client_name: str
    max_reply_size: int
    db: int
    ca: Path
    cert: Path
    key: Path
    server_name: str
    server: Path


class AsyncClientOptions(ClientOptions, total=False):
    """The options of :class:`tokenstore.asyncio.Client`."""

    connections: int
    max_in_flight: int
    when_full: Literal["error", "wait"]
