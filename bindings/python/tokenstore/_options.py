"""Options that Python passes to the core: types are checked here, values in the core.

Each function takes an option's name, for its message, and its value; None means "not given" and is returned. No
message contains a value: it may be a secret.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tokenstore.errors import ConfigurationError

__all__ = ["address_map", "flag", "function", "path", "seconds", "text", "whole"]

_LEAST, _MOST = -(2**63), 2**63 - 1


def _refuse(name: str, wanted: str, given: object) -> TypeError:
    return TypeError(f"{name} must be {wanted}, not {type(given).__name__}")


def text(name: str, value: Any) -> str | None:
    """A str that can be encoded (as UTF-8, with surrogateescape)."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise _refuse(name, "str", value)
    if not _has_bytes(value):
        # Not within an except clause: the exception of str.encode contains the text.
        raise ConfigurationError(f"{name} contains a surrogate that cannot be encoded: give valid text")
    return value


def _has_bytes(value: str) -> bool:
    try:
        str.encode(value, "utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def address_map(value: Any) -> str | None:
    """The text of a dict of addresses: where those that are announced are reached."""
    if not isinstance(value, Mapping):
        return text("address_map", value)
    pairs = [(text("address_map", k), text("address_map", v)) for k, v in value.items()]
    return ",".join(f"{announced}={reached}" for announced, reached in pairs)


def path(name: str, value: Any) -> str | None:
    """A file name: str, or an object whose __fspath__ returns one."""
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    if given is not None and not isinstance(given, str):
        raise _refuse(name, "a path (str or os.PathLike)", value)
    return text(name, given)


def whole(name: str, value: Any) -> int | None:
    """An int; one beyond 64 bits becomes the nearest 64-bit one, which no option allows either."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refuse(name, "int", value)
    return max(_LEAST, min(int(value), _MOST))


def seconds(name: str, value: Any) -> float | None:
    """A number of seconds, or a timedelta."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _refuse(name, "seconds or a timedelta", value)
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def function(name: str, value: Any) -> Any:
    """What can be called."""
    if value is not None and not callable(value):
        raise _refuse(name, "a function", value)
    return value


def flag(name: str, value: Any) -> bool:
    """True or False, not merely truthy or falsy: it may turn off a check."""
    if not isinstance(value, bool):
        raise _refuse(name, "True or False", value)
    return value
