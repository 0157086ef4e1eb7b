"""Invalid arguments: each error names the argument, and none shows a secret."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from typing import Any

import pytest

import tokenstore
import tokenstore.asyncio
from tokenstore import Client, ConfigurationError, DataError, RedisJWT, jwt

SECRET = "0123456789abcdef" * 2
HUGE = 10**5000  # more digits than str(int) permits


@pytest.mark.parametrize(
    "option", ["connect_timeout", "timeout", "pool_size", "max_reply_size", "db"]
)
@pytest.mark.parametrize("number", [HUGE, -HUGE], ids=["huge", "-huge"])
def test_numbers_beyond_all_limits(option: str, number: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{option} must be"):
        Client(**{option: number})


def test_numbers_of_redis_jwt() -> None:
    for options, fault in (
        ({"max_sessions": HUGE}, "max_sessions must be a whole number from 1 to 1000000"),
        ({"port": HUGE}, "port in the URL must be"),
        ({"port": 0}, "port in the URL must be"),
    ):
        with pytest.raises(ConfigurationError, match=fault):
            RedisJWT(secret=SECRET, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["", "a@b", "h/5?timeout=1", "h#x", "a b"])
def test_a_host_is_no_part_of_a_url(host: str) -> None:
    with pytest.raises(ConfigurationError, match="host"):
        RedisJWT(secret=SECRET, host=host)


def test_hosts_that_need_care() -> None:
    for host, url in (("::1", "redis://[::1]:6379/0"), ("/a b?x", "redis+unix:///a%20b%3Fx")):
        assert RedisJWT(secret=SECRET, host=host).client.url == url


@pytest.mark.parametrize("secret", [5, True, {}, object(), {SECRET}])
def test_a_secret_of_a_wrong_type(secret: Any) -> None:
    with pytest.raises(TypeError, match="secret must be"):
        RedisJWT(secret=secret)


def test_a_text_without_bytes_is_not_shown() -> None:
    bad = "canary\ud800"
    for make in (
        lambda: Client(f"redis://:{bad}@localhost"),
        lambda: RedisJWT(secret=SECRET, auth=bad),
        lambda: tokenstore.Spike("https://x", "id", bad),
    ):
        with pytest.raises(ConfigurationError, match="contains a surrogate") as caught:
            make()
        # repr() of a UnicodeEncodeError shows the text, so it must not be the context.
        assert caught.value.__context__ is None
        assert "canary" not in "".join(traceback.format_exception_only(type(caught.value), caught.value))


@pytest.mark.parametrize("data", [False, 0, "", [], [("a", 1)], "text", 5])
def test_data_of_a_session_is_a_dict(client: Client, data: Any) -> None:
    sessions = RedisJWT(client, secret=SECRET)
    with pytest.raises(TypeError, match="data must be a dict"):
        sessions.create("bob", data)
    with pytest.raises(TypeError, match="data must be a dict"):
        sessions.create("bob", data, request={"address": "::1"})


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_one_text_is_no_command(client: Client, kind: Any) -> None:
    """As a sequence, bytes would be numbers."""
    with pytest.raises(TypeError, match="not one string"):
        client.pipeline([["PING"], kind(b"PING")])


def test_an_item_of_create_many_is_named(tokens: tokenstore.RedisTokens) -> None:
    good = {"app": "web", "type": "login", "owner": "bob"}
    for item, fault in (({}, "missing"), ({**good, "colour": 1}, "colour"), (5, "mapping")):
        with pytest.raises(TypeError, match=rf"tokens\[1\].*{fault}"):
            tokens.create_many([good, item])  # type: ignore[list-item]
    assert tokens.list(**good) == []


def test_an_empty_typ_is_not_any() -> None:
    key = jwt.Key.from_secret(SECRET)
    token = jwt.encode({}, key, "HS256")
    for decode in (jwt.decode, jwt.decode_complete):
        with pytest.raises(ConfigurationError, match="typ is empty"):
            decode(token, key, ["HS256"], typ="")
    assert jwt.decode(token, key, ["HS256"], typ=None) == {}


# ---- errors use the method's argument names ----------------------------------------------------------------

# Arguments of any type, or checked elsewhere.
ANY = {"self", "value_session", "expiry", "fresh", "keep_null", "replace"}
NO_TYPE_ERROR = [("verify", "token")]  # any other type is an invalid token
GOOD = {"data": {}, "attrs": {}, "duration": 5, "grace": 5, "idle": 5, "ttl": 5, "tokens": [], "data_session": {}, "data_token": {}, "limit": 5, "wait_replicas": 1}
OPTIONAL = {"refresh", "custom_token", "request", "limit", "after", "unset", "expect"}
NAMES = {"app", "type", "owner", "owner_id"}
OTHERS = ("close", "aclose", "quit", "on", "off", "exec", "call", "events", "reset", "reindex")


def methods(cls: type) -> list[str]:
    found = inspect.getmembers(cls, inspect.isfunction)
    return [n for n, f in found if f.__name__ == n and not n.startswith("_") and n not in OTHERS]


def call(store: Any, method: str, given: dict[str, Any]) -> None:
    result = getattr(store, method)(**given)
    if inspect.iscoroutine(result):
        asyncio.run(result)


@pytest.mark.parametrize("module", [tokenstore, tokenstore.asyncio], ids=["blocking", "asyncio"])
@pytest.mark.parametrize("cls", ["RedisTokens", "Sessions", "Tokenstore", "RedisJWT"])
def test_each_argument_by_its_name(module: Any, cls: str) -> None:
    """Wrong types and empty names; nothing is sent, so no server is needed."""
    secret = {"secret": SECRET} if cls == "RedisJWT" else {}
    store = getattr(module, cls)("redis://127.0.0.1:1", **secret)
    seen = 0
    for method in methods(type(store)):
        names = [n for n in inspect.signature(getattr(store, method)).parameters if n not in ANY]
        for name in names:
            if (method, name) in NO_TYPE_ERROR:
                continue
            given = {n: GOOD.get(n, "x") for n in names if n == name or n not in OPTIONAL}
            with pytest.raises(TypeError, match=rf"^{name} must be ") as caught:
                call(store, method, given | {name: object()})
            assert "must be" in str(caught.value), method
            seen += 1
            if name in NAMES:
                with pytest.raises(DataError, match=f"^{name} is empty$"):
                    call(store, method, given | {name: ""})
    assert seen >= 10


def test_a_class_of_the_callers_own_is_named() -> None:
    class Logins(tokenstore.Sessions):
        pass

    with pytest.raises(TypeError, match="^Logins has no option 'colour'$"):
        Logins(colour=1)  # type: ignore[call-arg]
