"""The session cookie: read from what browsers send, written as all of them keep it.

Reading is lenient, as RFC 6265 asks of servers. Writing is strict: what browsers drop by RFC 6265bis is a
ConfigurationError at the start of the application, not a login that never lasts.
"""

from __future__ import annotations

import math
import re

from tokenstore.errors import ConfigurationError

__all__ = ["Cookie", "bearer_token", "cookie_values"]

_NAME = re.compile(r"[\w!#$%&'*+\-.^`|~]+", re.ASCII)
_PATH = re.compile(r"/[!-:<-~]*")
_DOMAIN = re.compile(r"\.?[A-Za-z0-9-]+[A-Za-z0-9.-]*")
_SAME_SITE = ("lax", "strict", "none")

_MOST = 8
"""Values of one name that are tried: a browser sends one for each path and domain."""


class Cookie:
    """Name and attributes of a cookie; always HttpOnly."""

    def __init__(
        self,
        name: str,
        *,
        secure: bool = True,
        same_site: str = "lax",
        path: str = "/",
        domain: str | None = None,
        partitioned: bool = False,
    ) -> None:
        same_site = same_site.lower()
        fault = _fault(name, secure, same_site, path, domain, partitioned)
        if fault is not None:
            raise ConfigurationError(f"the cookie {name!r}: {fault}")
        self.name = name
        self._where = f"; path={path}"
        self._attributes = f"; httponly; samesite={same_site}"
        if secure:
            self._attributes += "; secure"
        if domain is not None:
            self._attributes += f"; domain={domain}"
        if partitioned:
            self._attributes += "; partitioned"

    def line(self, value: str, max_age: float | None = None) -> str:
        """A Set-Cookie header. ``max_age``: seconds that browsers keep it; None: until they are closed."""
        age = "" if max_age is None else f"; Max-Age={math.ceil(max_age)}"
        return f"{self.name}={value}{self._where}{age}{self._attributes}"

    def deletion(self) -> str:
        """The header that makes browsers drop it."""
        return self.line("", 0)


def _fault(
    name: str, secure: bool, same_site: str, path: str, domain: str | None, partitioned: bool
) -> str | None:
    """What is wrong; None if nothing is. Browsers compare prefixes without regard to case."""
    prefix = re.match("__(host|secure|http)-", name.lower())
    if not _NAME.fullmatch(name):
        return "its name must consist of letters, digits and !#$%&'*+-.^_`|~"
    if same_site not in _SAME_SITE:
        return 'same_site must be "lax", "strict" or "none"'
    if not _PATH.fullmatch(path):
        return "path must begin with / and contain neither blanks nor semicolons"
    if domain is not None and not _DOMAIN.fullmatch(domain):
        return "domain must be the name of a host"
    if not secure:
        if same_site == "none":
            return 'browsers drop it with same_site="none" and without secure'
        if partitioned:
            return "browsers drop it with partitioned and without secure"
        if prefix:
            return f"browsers drop a cookie with the prefix {name[: prefix.end()]} without secure"
    if prefix and prefix[1] == "host" and (domain is not None or path != "/"):
        return (
            f"browsers drop a cookie with the prefix {name[: prefix.end()]} that has a domain, or a path other "
            "than /"
        )
    return None


def cookie_values(header: str | None, name: str) -> list[str]:
    """The values of the cookies called ``name`` in a Cookie header, in its order, without empty ones."""
    values: list[str] = []
    for pair in (header or "").split(";"):
        key, equals, value = pair.partition("=")
        if equals and key.strip() == name:
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] == '"':
                value = value[1:-1]
            if value and value not in values and len(values) < _MOST:
                values.append(value)
    return values


def bearer_token(header: str | None) -> str | None:
    """The token of ``Authorization: Bearer …``; None without that scheme."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
