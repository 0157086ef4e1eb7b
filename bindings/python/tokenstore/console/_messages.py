"""Requests and responses, whatever server they come from; and who asks."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote

__all__ = [
    "BODY_MAX",
    "Actor",
    "Failure",
    "Redirect",
    "Request",
    "Response",
    "Steps",
    "View",
    "fields_of",
    "query_of",
]

_T = TypeVar("_T")
Steps = Generator[Any, Any, _T]
"""Yields what a store's method returned, and is sent its result: by asyncio once that was awaited. So a page is written
once for both kinds of stores."""

BODY_MAX = 16384  # bytes: a form with a token

_FIELDS_MAX = 20


class Actor(NamedTuple):
    """Who uses the console, as ``authorize`` says."""

    name: str
    """For the page, and for the audit events of what is ended."""
    read_only: bool = False
    """May look, and end nothing."""
    sid: str | None = None
    """The session that this is asked with: it is marked in listings."""


class Request(NamedTuple):
    """One request."""

    method: str
    base: str
    """The path that the console is mounted at, without a slash at its end."""
    path: str
    """The path below it."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By their names in lower case."""
    scheme: str
    body: bytes
    raw: Any
    """The WSGI environ or the ASGI scope."""

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form in the body."""
        return fields_of(self.body.decode("latin-1"))


class Response(NamedTuple):
    """What the server sends."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class View(NamedTuple):
    """A page: its name, what it shows, the same as JSON, and its status."""

    name: str
    data: dict[str, Any]
    status: int = 200


class Redirect(NamedTuple):
    """To another page of the console, which the browser then gets."""

    path: str
    query: dict[str, str | int | None]


class Failure(Exception):
    """A request that is refused, with the reason for whoever sent it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def fields_of(text: str) -> dict[str, str]:
    """Of a query or a form. Bytes that are not UTF-8 become surrogates, as in all names of the console."""
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="surrogateescape", max_num_fields=_FIELDS_MAX
        )
    except ValueError:
        raise Failure(400, "There are too many fields.") from None
    return dict(pairs)


def query_of(fields: Mapping[str, str | int | None]) -> str:
    """The reverse; fields that are None are left out."""
    return "&".join(
        f"{name}={quote(str(value).encode(errors='surrogateescape'), safe='')}"
        for name, value in fields.items()
        if value is not None
    )
