"""Remembered failures: by whom and for how long; and the server's response as attributes."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest

import tokenstore
import tokenstore.asyncio
from authorization import Answer, Asked, Endpoint, Signer, endpoint, granted
from lua_process import Lua, get, quote
from servers import Server
from tokenstore import Spike

SECRET = "sEcret+c/na%ry"
QUICK = {"retries": 2, "min": 0.01, "max": 0.02, "total": 2}
LATER = Answer(429, {"error": "slow_down"}, {"Retry-After": "30"})


def options(server: Endpoint, **more: Any) -> dict[str, Any]:
    given = {"url": server.url, "client_id": "id", "client_secret": SECRET, "token_format": "opaque"}
    return {**given, "retry": QUICK, **more}


def fails(spike: Spike, audience: str) -> tokenstore.SpikeError:
    with pytest.raises(tokenstore.SpikeError) as caught:
        spike.get_token(audience)
    return caught.value


# ---- duration -------------------------------------------------------------------------------------


def test_retry_after_is_for_the_client() -> None:
    with endpoint(lambda asked: LATER) as server, Spike(**options(server)) as s:
        errors = [fails(s, f"audience-{n % 4}") for n in range(20)]
        assert len(server.asked) == 1
        for error in errors:
            assert error.status == 429
            assert error.error == "slow_down"
            assert error.retry_after is not None
            assert 28 < error.retry_after <= 30
            assert "429 slow_down" in str(error)
            assert "next request in" in str(error)


def test_a_retry_after_that_fits_is_waited_for_by_all_audiences() -> None:
    def answer(asked: Asked) -> Answer:
        times.append(time.monotonic())
        return Answer(429, headers={"Retry-After": "1"}) if len(times) == 1 else granted()

    times: list[float] = []
    with endpoint(answer) as server, Spike(**options(server, retry={"total": 5})) as s:
        first = threading.Thread(target=s.get_token, args=("a",))
        first.start()
        time.sleep(0.3)
        assert s.get_token("b") == "opaque-token"
        first.join()
    assert len(times) == 3
    assert all(at - times[0] > 0.9 for at in times[1:])


@pytest.mark.parametrize("answer", [Answer(400, {"error": "invalid_scope"}), Answer(503), granted("x\n")])
def test_other_failures_are_for_a_second_and_for_their_audience(answer: Answer) -> None:
    with endpoint(lambda asked: answer) as server:
        with Spike(**options(server, retry={**QUICK, "retries": 0})) as s:
            for _ in range(20):
                assert "next request in" in str(fails(s, "a"))
            assert len(server.asked) == 1
            fails(s, "b")
            assert len(server.asked) == 2
            time.sleep(1.1)
            fails(s, "a")
            assert len(server.asked) == 3
            server.answer = lambda asked: granted()
            fails(s, "a")
            s.invalidate("a", "some token")
            assert s.get_token("a") == "opaque-token"


def test_a_wrong_audience_costs_one_request_a_second() -> None:
    signer = Signer()

    def answer(asked: Asked) -> Answer:
        return signer.answer(asked) if asked.method == "GET" else granted(signer.token("another"))

    with endpoint(answer) as server, Spike(**options(server, token_format="jwt")) as s:
        for _ in range(20):
            assert "another audience" in str(fails(s, "a"))
        assert [asked.method for asked in server.asked] == ["POST", "GET"]


def test_one_fetches_the_key_for_all() -> None:
    signer = Signer()

    def answer(asked: Asked) -> Answer:
        time.sleep(0.1)
        return signer.answer(asked)

    with endpoint(answer) as server, Spike(**options(server, token_format="jwt")) as s:
        threads = [threading.Thread(target=s.get_token, args=(f"a{n}",)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [asked.method for asked in server.asked].count("GET") == 1
        assert len(server.tokens_asked) == 12


# ---- scope ----------------------------------------------------------------------------------------

MANY = """
import json, sys, threading, time, tokenstore
s = tokenstore.Spike(**json.loads(sys.argv[1]))
print("ready", flush=True)
input()
until = time.monotonic() + float(sys.argv[2])
failures = []
def ask(n):
    while time.monotonic() < until:
        try:
            s.get_token(f"audience-{n % 2}")
        except tokenstore.SpikeError as error:
            failures.append((error.status, error.retry_after > 0, "next request in" in str(error)))
        time.sleep(0.01)
threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
[t.start() for t in threads]
[t.join() for t in threads]
print(len(failures), sorted(set(failures)))
"""


def test_many_threads_and_processes_obey_a_retry_after(redis: Server) -> None:
    """16 threads in each of 4 processes, during one of the 30 seconds."""
    import json

    with endpoint(lambda asked: LATER) as server:
        given = json.dumps(options(server, redis=redis.url))
        command = [sys.executable, "-c", MANY, given, "1"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with Spike(**options(server, redis=redis.url)) as s:
            fails(s, "audience-0")
        children = [subprocess.Popen(command, **pipes) for _ in range(4)]  # type: ignore[call-overload]
        for child in children:
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        for child in children:
            count, _, said = child.communicate()[0].strip().partition(" ")
            assert int(count) > 16
            assert said == "[(429, True, True)]"
        assert len(server.asked) == 1


def test_one_audience_of_many_processes_is_asked_for_once(redis: Server) -> None:
    """Without previous requests: callers that wait for the lock get the failure."""
    import json

    with endpoint(lambda asked: Answer(429, b"", {"Retry-After": "30"}, delay=0.2)) as server:
        given = json.dumps(options(server, redis=redis.url))
        command = [sys.executable, "-c", MANY.replace("n % 2", "0"), given, "1"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        children = [subprocess.Popen(command, **pipes) for _ in range(4)]  # type: ignore[call-overload]
        for child in children:
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        for child in children:
            assert "[(429, True, True)]" in child.communicate()[0]
        assert len(server.asked) == 1


def test_a_refusal_is_told_to_other_processes_for_a_second(redis: Server) -> None:
    refused = Answer(400, {"error": "invalid_scope", "error_description": "no such scope"})
    with endpoint(lambda asked: refused) as server:
        with Spike(**options(server, redis=redis.url)) as one, Spike(**options(server, redis=redis.url)) as two:
            fails(one, "a")
            error = fails(two, "a")
            assert isinstance(error, tokenstore.SpikeAuthError)
            assert (error.status, error.error, error.error_description) == (
                400,
                "invalid_scope",
                "no such scope",
            )
            assert len(server.asked) == 1
            fails(two, "b")
            assert len(server.asked) == 2
            one.invalidate("b", "x")
            server.answer = lambda asked: granted()
            two.invalidate("b", "x")
            assert two.get_token("b") == "opaque-token"
        assert all(redis("PTTL", key) > 0 for key in redis.keys() if b":failed:" in key)


@pytest.mark.parametrize("answer", [Answer(401, {"error": "invalid_client"}), Answer(401)])
def test_a_refused_secret_stops_no_other_process(redis: Server, answer: Answer) -> None:
    """It may have the new secret, and we the old one."""
    with endpoint(lambda asked: answer) as server:
        with Spike(**options(server, redis=redis.url)) as one, Spike(**options(server, redis=redis.url)) as two:
            fails(one, "a")
            server.answer = lambda asked: granted()
            assert two.get_token("a") == "opaque-token"


@pytest.mark.parametrize(
    "text", ["", "spike", "spike\n429\n9\n\n\n\n\nx", "spike\nx\n9\n\n\n\n\nx", "ok\n1\n1\n\n\n\n\nx", "\n" * 7]
)
def test_what_others_wrote_in_redis_is_looked_at(redis: Server, text: str) -> None:
    with endpoint(lambda asked: LATER) as server:
        with Spike(**options(server, redis=redis.url)) as s:
            fails(s, "a")
        (name,) = redis("KEYS", "*:barred:*")
        redis("SET", name, text)
        server.answer = lambda asked: granted()
        with Spike(**options(server, redis=redis.url)) as s:
            assert s.get_token("b") == "opaque-token"


# ---- the server's response ------------------------------------------------------------------------

SAID = {
    "error": "invalid_scope",
    "error_description": "Not \u00e9 allowed:\r\n\u202etrace 7",
    "error_uri": "https://spike.example/errors/7",
}


def test_errors_carry_what_the_server_said() -> None:
    with endpoint(lambda asked: Answer(400, SAID)) as server, Spike(**options(server)) as s:
        error = fails(s, "a")
    assert isinstance(error, tokenstore.SpikeAuthError)
    assert error.status == 400
    assert error.error == "invalid_scope"
    assert error.error_description == "Not \u00e9 allowed: trace 7"
    assert error.error_uri == "https://spike.example/errors/7"
    assert error.location is None
    assert "400 invalid_scope: Not \u00e9 allowed: trace 7 (https://spike.example/errors/7)" in str(error)


def test_a_redirect_is_named_without_what_may_be_secret() -> None:
    target = "https://user:pass@login.example/oauth2/token?session=abc#x"
    with endpoint(lambda asked: Answer(307, headers={"Location": target})) as server:
        with Spike(**options(server)) as s:
            error = fails(s, "a")
    assert (error.status, error.location) == (307, "https://login.example/oauth2/token")
    assert "redirects to https://login.example/oauth2/token" in str(error)
    assert "pass" not in str(error)
    assert "abc" not in str(error)


def test_nothing_was_said_where_no_server_is() -> None:
    with endpoint(lambda asked: granted()) as server:
        pass
    with Spike(**options(server)) as s:
        error = fails(s, "a")
    assert (error.status, error.error, error.location) == (None, None, None)
    assert error.retry_after is not None


SPELLED: dict[str, Callable[[str], str]] = {
    "percent-encoded": lambda text: urllib.parse.quote(text).replace("%2B", "%2b"),
    "every byte percent-encoded": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent-encoded twice": lambda text: urllib.parse.quote(urllib.parse.quote(text, "")),
    "references of HTML": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "escapes of JSON": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of id and secret": lambda text: base64.b64encode(f"me:{text}".encode()).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
}
ECHOES = ["raw", "form", "basic", "basic, percent-encoded", "assertion", "cut assertion", *SPELLED]


@pytest.mark.parametrize("what", ECHOES)
def test_an_echoed_secret_does_not_pass(what: str, redis: Server) -> None:
    key = tokenstore.jwt.Key.from_secret(b"k" * 32)
    more: dict[str, Any] = {}
    if "assertion" in what:
        more = {"client_auth": "client_secret_jwt", "client_secret": "k" * 20 + SECRET}
    assert key

    def echo(asked: Asked) -> str:
        if what == "raw":
            return SECRET
        if what == "form":
            return "sEcret%2Bc%2Fna%25ry"
        if what in SPELLED:
            return SPELLED[what](SECRET)
        if what == "basic, percent-encoded":
            return urllib.parse.quote(asked.headers["authorization"].partition(" ")[2], "")
        if what == "basic":
            return asked.headers["authorization"].partition(" ")[2]
        assertion = asked.form["client_assertion"]
        return assertion if what == "assertion" else assertion[: len(assertion) // 2]

    echoed: list[str] = []

    def answer(asked: Asked) -> Answer:
        echoed.append(echo(asked))
        text = f"bad client: {echoed[-1]}"
        return Answer(400, {"error": text, "error_description": text, "error_uri": text})

    with endpoint(answer) as server, Spike(**options(server, redis=redis.url, **more)) as s:
        error = fails(s, "a")
    stored = b"".join(redis("GET", key) or b"" for key in redis("KEYS", "*:failed:*"))
    for text in (str(error), str(vars(error)), stored.decode()):
        assert echoed[0] not in text
    assert "withheld" in str(error) or "(a token)" in str(error)


def test_lua_gets_it_as_a_fourth_result(lua: Lua) -> None:
    with endpoint(lambda asked: Answer(400, SAID)) as server:
        lua(f"spike = assert(tokenstore.Spike({quote(options(server))}))")
        lua("_, message, code, answer = spike:get_token 'a'")
        assert lua("return code") == "spike_auth"
        assert lua("return answer.status") == 400
        assert lua("return answer.error") == "invalid_scope"
        assert lua("return answer.error_description") == "Not \u00e9 allowed: trace 7"
        assert lua("return answer.error_uri") == "https://spike.example/errors/7"
        assert lua("return answer.location == nil and answer.retry_after > 0.5")
        server.answer = lambda asked: LATER
        for n in range(5):
            lua.fails("spike", "next request in", get(f"b{n}"))
        assert lua("return (select(4, spike:get_token 'c')).retry_after") > 28
        assert lua("return (select(4, spike:get_token 'c')).of_client") is True
        assert len(server.asked) == 2


def test_asyncio() -> None:
    async def main() -> None:
        async with tokenstore.asyncio.Spike(**options(server)) as s:
            tasks = [s.get_token(f"audience-{n % 2}") for n in range(20)]
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert {getattr(error, "status", None) for error in found} == {429}
            for n in range(20):
                with pytest.raises(tokenstore.SpikeError) as caught:
                    await s.get_token(f"other-{n}")
                assert (caught.value.retry_after or 0) > 28

    with endpoint(lambda asked: LATER) as server:
        asyncio.run(main())
        assert len(server.asked) <= 2  # two were in progress
