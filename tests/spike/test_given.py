"""Secrets and assertions that change, further headers, proxies of the environment. tests/nginx runs these too."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tokenstore
import tokenstore.asyncio
from authorization import Answer, Asked, Endpoint, endpoint, granted, wait_until
from callers import LANGUAGES, QUICK, Caller, Failed, Function, caller, waiting

A = "https://api.example/a"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OPAQUE = {"client_id": "id", "token_format": "opaque", "retry": QUICK}


@pytest.fixture
def server() -> Iterator[Endpoint]:
    count = 0

    def answer(asked: Asked) -> Answer:
        nonlocal count
        count += 1
        return granted(f"token-{count}")

    with endpoint(answer) as running:
        yield running


def counting(word: str) -> Function:
    """Returns word-1, word-2 and so on."""
    count = 0

    def give() -> str:
        nonlocal count
        count += 1
        return f"{word}-{count}"

    return Function(
        give,
        f"(function() local n = 0 return function() n = n + 1 return '{word}-' .. n end end)()",
    )


def raising(word: str) -> Function:
    def give() -> str:
        raise LookupError(word)

    return Function(give, f"function() error('{word}', 0) end")


def returning(value: Any, lua: str) -> Function:
    return Function(lambda: value, f"function() return {lua} end")


def ask_twice(call: Caller) -> None:
    """Two fetches, with a cached call in between."""
    first = call.get(audience=A)
    assert call.get(audience=A) == first
    call.invalidate(first, audience=A)
    assert call.get(audience=A) != first
    call.close()


# ---- functions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["auto", "basic", "post"])
def test_a_secret_is_asked_for_each_time(call: Caller, server: Endpoint, auth: str) -> None:
    call.open(server.url, client_secret=counting("secret"), client_auth=auth, **OPAQUE)
    ask_twice(call)
    secrets = [a.form["client_secret"] if auth == "post" else a.basic[1] for a in server.asked]
    assert secrets == ["secret-1", "secret-2"]


def test_an_assertion_is_asked_for_each_time(call: Caller, server: Endpoint) -> None:
    call.open(server.url, client_assertion=counting("assertion"), **OPAQUE)
    ask_twice(call)
    for asked, assertion in zip(server.asked, ["assertion-1", "assertion-2"]):
        assert asked.form["client_id"] == "id"
        assert asked.form["client_assertion_type"] == TYPE
        assert asked.form["client_assertion"] == assertion
        assert "authorization" not in asked.headers


def test_a_secret_for_assertions_is_asked_for(call: Caller, server: Endpoint) -> None:
    secret = returning("x" * 40, "('x'):rep(40)")
    call.fetch(
        server.url, {"audience": A}, client_secret=secret, client_auth="client_secret_jwt", **OPAQUE
    )
    assert server.asked[0].form["client_assertion"].count(".") == 2
    short = returning("short-canary", "'short-canary'")
    with pytest.raises(Failed, match="too short") as caught:
        call.fetch(
            server.url,
            {"audience": A + "/b"},
            client_secret=short,
            client_auth="client_secret_jwt",
            **OPAQUE,
        )
    assert "canary" not in str(caught.value)


def test_what_the_function_raises_reaches_the_caller(call: Caller, server: Endpoint) -> None:
    call.open(server.url, client_secret=raising("the vault is shut"), **OPAQUE)
    for _ in range(2):
        with pytest.raises(Exception, match="the vault is shut"):
            call.get(audience=A)
    call.close()
    assert server.asked == []


@pytest.mark.parametrize(
    ("secret", "why"),
    [(returning(7, "7"), "must return|returned a number"), (returning("", "''"), "empty"), (returning(None, "nil"), "must return|returned a nil")],
    ids=["number", "empty", "nothing"],
)  # fmt: skip
def test_a_function_that_gives_no_text(
    call: Caller, server: Endpoint, secret: Function, why: str
) -> None:
    call.open(server.url, client_secret=secret, **OPAQUE)
    with pytest.raises(Exception, match=why):
        call.get(audience=A)
    call.close()
    assert server.asked == []


@waiting
def test_a_token_is_renewed_with_the_next_secret(call: Caller) -> None:
    """The old token is returned meanwhile; one fetch for all callers."""

    def answer(asked: Asked) -> Answer:
        return granted(
            asked.basic[1], refresh_in=1, delay=0 if asked.basic[1] == "secret-1" else 0.3
        )

    with endpoint(answer) as server:
        call.open(server.url, client_secret=counting("secret"), **OPAQUE)
        assert call.get(audience=A) == "secret-1"
        time.sleep(1.05)
        assert call.get(audience=A) == "secret-1"  # and the renewal has started
        wait_until(lambda: call.get(audience=A) == "secret-2")
        assert [a.basic[1] for a in server.asked][:2] == ["secret-1", "secret-2"]
        call.close()


def test_a_function_that_nobody_waits_for_is_cancelled(server: Endpoint) -> None:
    """Its thread ends too: the process waits for it at exit."""
    ended = threading.Event()

    async def never() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return "s"

    async def main() -> None:
        async with tokenstore.asyncio.Spike(server.url, client_secret=never, **OPAQUE) as spike:
            with pytest.raises(tokenstore.TimeoutError):
                await spike.get_token(A, timeout=0.2)
            await asyncio.sleep(0.1)
            assert ended.is_set()
            ended.clear()
            waiting = asyncio.create_task(spike.get_token(A))
            await asyncio.sleep(0.1)
        with pytest.raises(tokenstore.Error, match="closed"):
            await waiting
        assert ended.is_set()
        for thread in threading.enumerate():
            if thread.name.startswith("tokenstore-spike"):
                await asyncio.to_thread(thread.join, 5)
                assert not thread.is_alive()

    asyncio.run(main())
    assert server.asked == []


# ---- files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["client_secret_file", "client_assertion_file"])
def test_a_file_is_read_each_time(
    call: Caller, server: Endpoint, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "given"
    file.write_text("first\n")
    call.open(server.url, **{name: str(file)}, **OPAQUE)
    first = call.get(audience=A)
    file.write_text(" second \r\n\n")
    call.invalidate(first, audience=A)
    assert call.get(audience=A) != first
    call.close()
    sent = [a.form["client_assertion"] if "assertion" in name else a.basic[1] for a in server.asked]
    assert sent == ["first", "second"]


@waiting
def test_a_file_that_is_gone(call: Caller, server: Endpoint, tmp_path: Path) -> None:
    file = tmp_path / "given"
    file.write_text("canary")
    call.open(server.url, client_secret_file=str(file), **OPAQUE)
    first = call.get(audience=A)
    file.unlink()
    assert call.get(audience=A) == first
    call.invalidate(first, audience=A)
    with pytest.raises(Failed, match=r"cannot read .*given: No such file") as caught:
        call.get(audience=A)
    assert caught.value.code == "spike"
    file.write_text("\n")
    time.sleep(1.1)  # the failure may be remembered
    with pytest.raises(Failed, match="it is empty"):
        call.get(audience=A)
    call.close()


@waiting
def test_a_file_renews_in_the_background(call: Caller, tmp_path: Path) -> None:
    file = tmp_path / "given"
    file.write_text("first")
    with endpoint(lambda asked: granted(asked.basic[1], refresh_in=1)) as server:
        call.open(server.url, client_secret_file=str(file), **OPAQUE)
        assert call.get(audience=A) == "first"
        file.write_text("second")
        time.sleep(1.05)
        wait_until(lambda: call.get(audience=A) == "second")
        call.close()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"client_secret_file": "/no/such/file"}, "cannot read /no/such/file: No such file"),
        ({"client_assertion_file": "/"}, "cannot read /: "),
        ({"client_secret_file": "/dev/zero"}, "it is too large"),
        ({"client_secret": "canary", "client_secret_file": "/etc/hostname"}, "give one of client_secret"),
        ({"client_assertion_file": "/etc/hostname", "client_auth": "post"}, "client_auth is not 'client_assertion'"),
        ({"client_auth": "client_assertion"}, "client_assertion is missing"),
        ({"client_secret_file": "/etc/hostname", "client_auth": "none"}, "sends neither a secret"),
    ],
)  # fmt: skip
def test_faults(call: Caller, options: dict[str, Any], why: str) -> None:
    with pytest.raises(Failed, match=why) as caught:
        call.fetch("https://spike.example", {"audience": A}, **{**OPAQUE, **options})
    assert caught.value.code in ("configuration", "spike")
    assert "canary" not in str(caught.value)


# ---- headers -------------------------------------------------------------------------------------------------


def test_further_headers(call: Caller, server: Endpoint) -> None:
    headers = {"X-Tenant": "one", "User-Agent": "me/1"}
    call.fetch(server.url, {"audience": A}, client_secret="s", headers=headers, **OPAQUE)
    (asked,) = server.asked
    assert asked.headers["x-tenant"] == "one"
    assert asked.headers["user-agent"] == "me/1"


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        *(({name: "x-canary"}, f"must not set {name}") for name in ("Authorization", "Content-Length", "Host", "Transfer-Encoding")),
        ({"authorization": "x-canary"}, "must not set Authorization"),
        ({"a b": "x-canary"}, "a name is invalid"),
        ({"X": "x-canary\r\nY: z"}, "control character"),
        ({f"X-{i}": "canary" for i in range(33)}, "more than 32"),
    ],
)  # fmt: skip
def test_headers_that_may_not_be_set(call: Caller, headers: dict[str, str], why: str) -> None:
    with pytest.raises(Failed, match=why) as caught:
        call.fetch(
            "https://spike.example", {"audience": A}, client_secret="s", headers=headers, **OPAQUE
        )
    assert caught.value.code == "configuration"
    assert "canary" not in str(caught.value)


# ---- proxies of the environment ----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("variables", "by_proxy"),
    [
        ({"http_proxy": "{}"}, True),
        ({"http_proxy": "{host}"}, True),
        ({"ALL_PROXY": "{}"}, True),
        ({"HTTP_PROXY": "{}"}, False),  # in CGI, a request's header Proxy
        ({"https_proxy": "{}"}, False),
        ({"http_proxy": "{}", "no_proxy": "spike.invalid"}, False),
        ({"http_proxy": "{}", "NO_PROXY": "other.invalid"}, True),
    ],
)
def test_a_proxy_of_the_environment(
    language: str,
    server: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    by_proxy: bool,
) -> None:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "ALL_PROXY",
        "HTTPS_PROXY",
        "no_proxy",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(server.url, host=server.url.removeprefix("http://")))
    for proxy in ("env", None):  # otherwise the environment is ignored
        asked = {"audience": A}
        options = {"client_secret": "s", **OPAQUE, **({"proxy": proxy} if proxy else {})}
        with caller(language) as call:
            if proxy and by_proxy:
                call.fetch("http://spike.invalid", asked, **options)
            else:
                with pytest.raises(Failed, match="spike.invalid"):
                    call.fetch("http://spike.invalid", asked, **options)
    assert [a.path for a in server.asked] == ["http://spike.invalid/oauth2/token"] * by_proxy


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_proxy_that_is_none_is_named(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "ftp://u:canary@x")
    with caller(language) as call, pytest.raises(Failed, match="https_proxy is not a proxy URL") as caught:
        call.fetch(
            "https://spike.example", {"audience": A}, client_secret="s", proxy="env", **OPAQUE
        )
    assert "canary" not in str(caught.value)
