"""The style sheet and the icon, from the package."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tokenstore.console._guard import HEADERS
from tokenstore.console._messages import Response

__all__ = ["FILES", "ICON", "STYLE"]


def _file(name: str, kind: str) -> tuple[str, Response]:
    """Its path, which changes with it, and the response."""
    body = (Path(__file__).parent / "files" / name).read_bytes()
    stem, _, suffix = name.partition(".")
    path = f"/{stem}-{hashlib.sha256(body).hexdigest()[:12]}.{suffix}"
    lasting = ("Cache-Control", "public, max-age=31536000, immutable")
    return path, Response(200, [("Content-Type", kind), lasting, *HEADERS], body)


STYLE, _style = _file("console.css", "text/css; charset=utf-8")
ICON, _icon = _file("icon.svg", "image/svg+xml")

FILES = {STYLE: _style, ICON: _icon}
