"""Spike's options in the extension's form. Errors are added to `faults`, and a default is used instead, so that
one message lists them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tokenstore import _options
from tokenstore.client import BaseClient, Client
from tokenstore.errors import ConfigurationError
from tokenstore.jwt import Key

if TYPE_CHECKING:
    from tokenstore._types import Duration, Path

_KEY_SIZE = 1 << 20
_RETRY = {"retries": 3, "factor": 2.0, "min": 0.1, "max": 1.0, "total": 10.0}


class Given:
    """The source of the client's secret or assertion: `secret` itself, a function to `ask`, or a `file`."""

    def __init__(
        self,
        auth: str,
        secret: Any,
        secret_file: Any,
        assertion: Any,
        assertion_file: Any,
        faults: list[str],
    ) -> None:
        self.auth = auth
        self.ask = secret if callable(secret) else _options.function("client_assertion", assertion)
        self.secret = None if callable(secret) else _options.text("client_secret", secret)
        self.file = secret_file if secret_file is not None else assertion_file
        if sum(one is not None for one in (secret, secret_file, assertion, assertion_file)) > 1:
            faults.append(
                "give one of client_secret, client_secret_file, client_assertion and client_assertion_file"
            )
            self.secret = None
        if assertion is not None or assertion_file is not None:
            if auth == "auto":
                self.auth = "client_assertion"
            elif auth != "client_assertion":
                faults.append("an assertion is given, and client_auth is not 'client_assertion'")
        elif auth == "client_assertion":
            faults.append("client_assertion is missing: give a function, or client_assertion_file")


def one_of(name: str, value: str, allowed: tuple[str, ...], faults: list[str]) -> None:
    if value not in allowed:
        faults.append(f"{name} must be {' or '.join(map(repr, allowed))}")


def text_bytes(name: str, value: str | None) -> bytes:
    return (_options.text(name, value) or "").encode("utf-8", "surrogateescape")


def words_bytes(name: str, value: Any) -> bytes:
    """A string, or strings joined by blanks."""
    return text_bytes(name, " ".join(value) if isinstance(value, (list, tuple)) else value)


def path_bytes(name: str, value: Path | None, faults: list[str]) -> bytes | None:
    given = _options.path(name, value)
    if given is None:
        return None
    if "\0" in given:
        faults.append(f"{name} holds a NUL byte")
        return None
    return text_bytes(name, given)


def read(path: Path | None, faults: list[str]) -> bytes:
    name = path_bytes("public_key_path", path, faults)
    if name is None:
        return b""
    try:
        with open(name, "rb") as file:
            text = file.read(_KEY_SIZE + 1)  # enough for the core to report that it is too long
    except OSError as error:
        faults.append(f"public_key_path cannot be read: {error.strerror}")
        return b""
    if not text:
        faults.append("public_key_path cannot be read: it is empty")
    return text


def key_of(given: Any, faults: list[str]) -> Key | None:
    if given is None or isinstance(given, Key):
        return given
    text = given.decode("utf-8", "replace") if isinstance(given, bytes) else given
    is_jwk = isinstance(given, dict) or (isinstance(text, str) and text.lstrip().startswith("{"))
    try:
        return Key.from_jwk(given) if is_jwk else Key.from_pem(given)
    except ConfigurationError as error:
        faults.append(f"client_key: {error}")
        return None


def client_of(redis: Any, faults: list[str]) -> Any:
    if redis is None or isinstance(redis, BaseClient):
        return redis
    if not isinstance(redis, str):
        raise TypeError(f"redis must be a URL, a Client or None, not {type(redis).__name__}")
    try:
        return Client(redis)
    except ConfigurationError as error:
        faults.append(str(error))
        return None


def pairs(name: str, given: Mapping[str, str] | None) -> tuple[tuple[bytes, bytes], ...]:
    if given is None:
        return ()
    if not isinstance(given, Mapping) or not all(
        isinstance(t, str) for p in given.items() for t in p
    ):
        raise TypeError(f"{name} must be a mapping of str to str")
    # Sorted by name, as in Lua: both then send the same request, and find each other's tokens.
    return tuple((text_bytes(name, n), text_bytes(name, v)) for n, v in sorted(given.items()))


def milliseconds(name: str, value: Duration, faults: list[str], most: int = 315360000) -> int:
    seconds = _options.seconds(name, value)
    if seconds is None or not 0 <= seconds <= most:
        faults.append(f"{name} must be 0 to {most} seconds")
        return 1000
    return round(seconds * 1000)


def retry_options(given: Mapping[str, float] | None, faults: list[str]) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"retry must be a mapping, not {type(given).__name__}")
    retry: dict[str, Any] = {**_RETRY, **(given or {})}
    unknown = [name for name in retry if name not in _RETRY]
    if unknown:
        faults.append(f"retry has no {', '.join(map(repr, unknown))}: it has {', '.join(_RETRY)}")
    retries = _options.seconds("retry's retries", retry["retries"])
    if retries is None or not 0 <= retries <= 100 or retries != int(retries):
        faults.append("retries must be a whole number, 0 to 100")
        retries = 0
    return {
        "retries": int(retries),
        "factor": _options.seconds("retry's factor", retry["factor"]) or 0.0,
        "pause_ms": milliseconds("retry's min", retry["min"], faults, 600),
        "pause_max_ms": milliseconds("retry's max", retry["max"], faults, 600),
        "budget_ms": milliseconds("retry's total", retry["total"], faults, 3600),
    }
