"""What the audit stream says of the last day, where it is on."""

from __future__ import annotations

from typing import Any

from tokenstore.console.listing import Kind
from tokenstore.console.messages import Steps

__all__ = ["HOURS", "Recent", "last", "recent"]

HOURS = 24
_LAST = 100  # events of a page


class Recent:
    """How many tokens of each kind were created and ended, by the hour, the last hour at the end."""

    def __init__(self) -> None:
        self.is_on = False

    def of(self, kind: Kind) -> dict[str, list[int] | None]:
        return {"created": None, "ended": None}


def recent(client: Any) -> Steps[Recent]:
    yield from ()
    return Recent()


def last(client: Any) -> Steps[list[dict[str, Any]] | None]:
    yield from ()
    return None
