"""What the extension does not read of Spike's options. Errors are added to `faults`, to which the core adds its own, so
that one message lists them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tokenstore import _options
from tokenstore.client import BaseClient, Client
from tokenstore.errors import ConfigurationError
from tokenstore.jwt import Key

if TYPE_CHECKING:
    from tokenstore._types import Path

_KEY_SIZE = 1 << 20
_RETRY = ("retries", "factor", "min", "max", "total")


class Given:
    """The source of the client's secret or assertion: `secret` itself, a function to `ask`, or a `file`."""

    def __init__(
        self, secret: Any, secret_file: Any, assertion: Any, assertion_file: Any, auth: Any, faults: list[str]
    ) -> None:
        self.auth = auth
        self.ask = secret if callable(secret) else _options.function("client_assertion", assertion)
        self.secret = None if callable(secret) else secret
        self.changes = self.ask is not None or secret_file is not None or assertion_file is not None
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


def _bytes(name: str, value: str) -> bytes:
    return (_options.text(name, value) or "").encode("utf-8", "surrogateescape")


def words(value: Any) -> Any:
    """A string, or strings joined by blanks."""
    return " ".join(value) if isinstance(value, (list, tuple)) else value


def read(path: Path | None, faults: list[str]) -> bytes | None:
    name = _options.path("public_key_path", path)
    if name is None:
        return None
    try:
        with open(_bytes("public_key_path", name), "rb") as file:
            text = file.read(_KEY_SIZE + 1)  # enough for the core to report that it is too long
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "the path contains a NUL byte"
        faults.append(f"public_key_path cannot be read: {why}")
        return None
    if not text:
        faults.append("public_key_path cannot be read: it is empty")
    return text or None


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
    return tuple((_bytes(name, n), _bytes(name, v)) for n, v in sorted(given.items()))


def retry_options(given: Mapping[str, float] | None, faults: list[str]) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"retry must be a mapping, not {type(given).__name__}")
    unknown = [name for name in given or () if name not in _RETRY]
    if unknown:
        faults.append(f"retry has no {', '.join(map(repr, unknown))}: it has {', '.join(_RETRY)}")
    return {f"retry.{name}": value for name, value in (given or {}).items() if name in _RETRY}
