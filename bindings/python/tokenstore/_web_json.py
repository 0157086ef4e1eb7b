"""What a session may hold: JSON, and what a hook makes JSON of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Optional
from uuid import UUID

from tokenstore.errors import DataError

__all__ = ["Default", "ObjectHook", "plain", "revive", "to_text"]

Default = Optional[Callable[[Any], Any]]
"""As ``default`` of json.dumps: gives something that JSON has for a value that it lacks, or raises TypeError."""

ObjectHook = Optional[Callable[[dict[str, Any]], Any]]
"""As ``object_hook`` of json.loads: gives what stands for a dict that was read."""

_DEPTH = 32
_EXACT = frozenset((str, int, float, bool, type(None)))


def to_text(value: Any) -> Any:
    """A ``default=``: dates and times in ISO 8601, Decimal and UUID as their text. They are read back as text."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not one of datetime, date, time, Decimal, UUID")


def plain(value: Any, path: str, default: Default = None, depth: int = _DEPTH) -> Any:
    """A copy of ``value`` in dicts, lists, str, int, float, bool and None alone.

    Tuples become lists, subclasses their base. Anything else is for ``default``, or a :class:`DataError` that names
    its ``path``.
    """
    if type(value) in _EXACT:
        return value
    if depth == 0:
        raise DataError(f"{path} is nested more than {_DEPTH} deep, or contains itself")
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise DataError(
                    f"{path} has a key that is {type(name).__name__}: keys must be str, others would be read back "
                    "changed"
                )
        return {
            str.__str__(name): plain(item, f"{path}.{name}", default, depth - 1)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [
            plain(item, f"{path}[{index}]", default, depth - 1) for index, item in enumerate(value)
        ]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    return plain(_converted(value, path, default), path, default, depth - 1)


def _converted(value: Any, path: str, default: Default) -> Any:
    if default is not None:
        try:
            return default(value)
        except TypeError:
            pass  # it is none of the hook's either
    raise DataError(
        f"{path} is of type {type(value).__name__}, which JSON lacks: store a str, a number, a list or a dict, or "
        "give a hook with default= (tokenstore.web.to_text is one)"
    )


def revive(value: Any, hook: Callable[[dict[str, Any]], Any]) -> Any:
    """``value`` with what ``hook`` makes of each dict in it, the innermost first."""
    if isinstance(value, dict):
        return hook({name: revive(item, hook) for name, item in value.items()})
    if isinstance(value, list):
        return [revive(item, hook) for item in value]
    return value
