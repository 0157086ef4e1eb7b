"""What a browser may send, and what every response tells it."""

from __future__ import annotations

from tokenstore.console._messages import Failure, Request

__all__ = ["HEADERS", "check_origin"]

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = [
    ("Content-Security-Policy", _POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "same-origin"),  # with no-referrer, browsers send forms with Origin: null
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
]


def check_origin(request: Request, origin: str | None) -> None:
    """Of a request that changes something: only a page of the console may send it.

    Browsers say so in two headers that scripts cannot set, and both must. ``origin``: the console's, if that is not the
    one of the request because a proxy is between.
    """
    site = request.headers.get("sec-fetch-site")
    if site is None:
        raise Failure(
            403,
            "The request has no header Sec-Fetch-Site: use a browser of 2023 or later, over HTTPS or on this machine.",
        )
    if site != "same-origin":
        raise Failure(403, "The request comes from another site.")
    own = origin or f"{request.scheme}://{request.headers.get('host', '')}"
    if request.headers.get("origin") != own:
        raise Failure(
            403,
            "The request comes from another origin than the console's. Behind a proxy, Console(origin=…) names the "
            "one that browsers see.",
        )
