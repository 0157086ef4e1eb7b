"""Who asked for a token or a session: address and user agent, from what a web framework has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["request_of"]


def request_of(request: Any) -> dict[str, Any] | None:
    """``address`` and ``user_agent``; None for None.

    ``request`` is a WSGI environ, an ASGI scope, a request object of Flask, Django, Starlette or FastAPI, or a
    mapping with ``address`` and ``user_agent``.
    """
    if request is None:
        return None
    for name in ("environ", "scope", "META"):  # of Flask, Starlette, Django
        inner = getattr(request, name, None)
        if isinstance(inner, Mapping):
            request = inner
            break
    if not isinstance(request, Mapping):
        raise TypeError(
            "request must be a mapping (a WSGI environ, an ASGI scope, or one with address and user_agent) or a "
            f"framework's request object, not {type(request).__name__}"
        )
    encoding = "utf-8"
    if "wsgi.version" in request or "REQUEST_METHOD" in request:
        address, agent = request.get("REMOTE_ADDR"), request.get("HTTP_USER_AGENT")
        encoding = "latin-1"  # PEP 3333: each character is a byte
    elif "asgi" in request or request.get("type") in ("http", "websocket"):
        client = request.get("client")
        headers = request.get("headers") or ()
        address = client[0] if client else None
        agent = [value for name, value in headers if name.lower() == b"user-agent"] or None
    else:
        address, agent = request.get("address"), request.get("user_agent")
    return {"address": _header(address, encoding), "user_agent": _header(agent, encoding)}


def _header(value: Any, encoding: str) -> Any:
    """The text of a header, or of the same header more than once: UTF-8, or else Latin-1.

    No content may make a login fail; NUL becomes a space, as in RFC 9110. ``encoding`` is how a str was
    decoded: it is encoded back to bytes.
    """
    if isinstance(value, list) and value and isinstance(value[0], (str, bytes)):
        return ", ".join(_header(one, encoding) for one in value)
    if isinstance(value, str):
        try:
            value = value.encode(encoding, "surrogateescape")
        except UnicodeEncodeError:
            return value  # was never bytes
    if not isinstance(value, bytes):
        return value
    value = value.replace(b"\0", b" ")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
