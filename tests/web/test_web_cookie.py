"""The session cookie: what is read, what is written, and what browsers would drop."""

from __future__ import annotations

from typing import Any

import pytest

import tokenstore
from tokenstore.web import Cookie, bearer_token, cookie_values


@pytest.mark.parametrize(
    ("header", "values"),
    [
        (None, []),
        ("", []),
        ("sid=a", ["a"]),
        ("x=1; sid=a;y=2", ["a"]),
        ("sid=a; sid=b", ["a", "b"]),
        ("sid=a; sid=a", ["a"]),
        ('sid="a"', ["a"]),
        ("sid=a=b==", ["a=b=="]),
        ("  sid =  a ", ["a"]),
        ("sid=", []),
        ("sid", []),
        ("xsid=a; SID=b; sid2=c", []),
        ("; ;=a; sid=b", ["b"]),
    ],
)
def test_reading(header: str | None, values: list[str]) -> None:
    assert cookie_values(header, "sid") == values


def test_reading_is_bounded() -> None:
    assert len(cookie_values("; ".join(f"sid={n}" for n in range(1000)), "sid")) == 8


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("Basic a", None),
        ("Bearer", ""),
        ("Bearer a", "a"),
        ("bearer  a ", "a"),
        ("Bearera", None),
    ],
)
def test_bearer(header: str | None, token: str | None) -> None:
    assert bearer_token(header) == token


def test_writing() -> None:
    assert Cookie("sid").line("a") == "sid=a; path=/; httponly; samesite=lax; secure"
    assert (
        Cookie("sid").line("a", 1.2) == "sid=a; path=/; Max-Age=2; httponly; samesite=lax; secure"
    )
    assert Cookie("sid").deletion() == "sid=; path=/; Max-Age=0; httponly; samesite=lax; secure"
    cookie = Cookie("sid", secure=False, same_site="Strict", path="/a", domain="example.org")
    assert cookie.line("a") == "sid=a; path=/a; httponly; samesite=strict; domain=example.org"
    cookie = Cookie("__Host-sid", same_site="None", partitioned=True)
    assert cookie.line("a") == "__Host-sid=a; path=/; httponly; samesite=none; secure; partitioned"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("", {}, "its name must consist of"),
        ("a b", {}, "its name must consist of"),
        ("a;b", {}, "its name must consist of"),
        ("a\n", {}, "its name must consist of"),
        ("ä", {}, "its name must consist of"),
        ("sid", {"same_site": "loose"}, "same_site must be"),
        ("sid", {"same_site": "none", "secure": False}, 'with same_site="none" and without secure'),
        ("sid", {"partitioned": True, "secure": False}, "with partitioned and without secure"),
        ("__Secure-sid", {"secure": False}, "prefix __Secure- without secure"),
        ("__secure-sid", {"secure": False}, "prefix __secure- without secure"),
        ("__Http-sid", {"secure": False}, "prefix __Http- without secure"),
        ("__Host-sid", {"secure": False}, "prefix __Host- without secure"),
        ("__Host-sid", {"path": "/a"}, "prefix __Host- that has a domain, or a path"),
        ("__HOST-sid", {"domain": "example.org"}, "prefix __HOST- that has a domain, or a path"),
        ("sid", {"path": "a"}, "path must begin with /"),
        ("sid", {"path": "/a; b"}, "path must begin with /"),
        ("sid", {"path": "/a\n"}, "path must begin with /"),
        ("sid", {"domain": "a b"}, "domain must be"),
        ("sid", {"domain": ""}, "domain must be"),
        ("sid", {"domain": "a;b"}, "domain must be"),
    ],
)
def test_what_browsers_would_drop(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(tokenstore.ConfigurationError, match=words):
        Cookie(name, **options)


@pytest.mark.parametrize("name", ["__Secure-sid", "__Host-sid", "__Http-sid", "__Host-Http-sid"])
def test_prefixes_that_browsers_take(name: str) -> None:
    assert Cookie(name).line("a").startswith(f"{name}=a; path=/")
