"""Invalid, late and wrong responses of a token endpoint; and the requests."""

from __future__ import annotations

import email.utils
import gzip
import itertools
import json
import time
from typing import Any

import pytest

import tokenstore
from authorization import Answer, Asked, Endpoint, Signer, endpoint, granted, wait_until
from forged import FORGED, FORGED_FOR
from servers import Server
from tokenstore import Spike

AUDIENCE = "https://api.example/a"
QUICK = {"retries": 2, "min": 0.01, "max": 0.02, "total": 2}


def opaque(server: Endpoint, **options: Any) -> Spike:
    options.setdefault("retry", QUICK)
    return Spike(server.url, "id", "secret-canary", token_format="opaque", **options)


def test_the_request_is_what_rfc_6749_says() -> None:
    with endpoint(lambda asked: granted()) as server:
        with Spike(
            server.url,
            "i d:é&=+%",
            "s/e:c&=+%é",
            token_format="opaque",
            scope="read write",
            parameters={"resource": "https://r.example/?a=b&c"},
            host_header="spike.example",
        ) as s:
            assert s.get_token("aud & more=é") == "opaque-token"
        (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/oauth2/token")
    assert asked.basic == ("i d:é&=+%", "s/e:c&=+%é")
    assert asked.form == {
        "grant_type": "client_credentials",
        "audience": "aud & more=é",
        "scope": "read write",
        "resource": "https://r.example/?a=b&c",
    }
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["host"] == "spike.example"


def test_a_jwt_may_be_as_large_as_any_token() -> None:
    signer = Signer()
    groups = ["g" * 36] * 900

    def answer(asked: Asked) -> Answer:
        if asked.method == "GET":
            return signer.answer(asked)
        return granted(signer.token(AUDIENCE, groups=groups))

    with endpoint(answer) as server, Spike(server.url, "id", "secret") as s:
        assert len(s.get_token(AUDIENCE)) > 40_000


def test_what_is_asked_for_differently_never_meets_in_redis(redis: Server) -> None:
    """Otherwise a token of a wider scope would be returned for a narrower one."""
    asks: list[tuple[str, dict[str, Any]]] = [
        ("x", {}),
        ("x", {"scope": "a b=c"}),
        ("x", {"scope": "a", "parameters": {"b": "c"}}),
        ("x", {"parameters": {"b": "c"}}),
        ("x", {"parameters": {"b": "c d=e"}}),
        ("x", {"parameters": {"b": "c", "d": "e"}}),
        ("x scope=a b=c", {}),
        ("x b=c", {}),
    ]
    tokens = (f"token-{n}" for n in itertools.count())
    with endpoint(lambda asked: granted(next(tokens))) as server:
        for _ in range(2):  # the second time from Redis
            for n, (audience, options) in enumerate(asks):
                with opaque(server, redis=redis.url, **options) as s:
                    assert s.get_token(audience) == f"token-{n}", (audience, options)
        assert len(server.asked) == len(asks)
    (own,) = redis.keys()
    assert len(redis("HKEYS", own)) == len(asks)


def test_two_servers_never_meet_in_redis(redis: Server) -> None:
    """An opaque token does not show its issuer; it must not be sent to another server's APIs."""
    with endpoint(lambda asked: granted("one")) as one, endpoint(lambda asked: granted("two")) as two:
        for _ in range(2):  # the second time from Redis
            for server, token in ((one, "one"), (two, "two")):
                with opaque(server, redis=redis.url) as s:
                    assert s.get_token(AUDIENCE) == token
        assert len(one.asked) == len(two.asked) == 1


def test_the_request_as_json() -> None:
    with endpoint(lambda asked: granted()) as server:
        with opaque(server, body_format="json", grant_type="other") as s:
            s.get_token('a "quoted" one')
        (asked,) = server.asked
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.body) == {"grant_type": "other", "audience": 'a "quoted" one'}


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_ends_it_at_once(status: int) -> None:
    body = {"error": "invalid_scope", "error_description": "secret-canary"}
    with endpoint(lambda asked: Answer(status, body)) as server, opaque(server) as s:
        with pytest.raises(tokenstore.SpikeAuthError, match=f"{status} invalid_scope") as caught:
            s.get_token(AUDIENCE)
        assert len(server.asked) == 1
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 425])
def test_what_passes_is_tried_again(status: int) -> None:
    answers = [Answer(status), Answer(status), granted()]
    with endpoint(lambda asked: answers.pop(0)) as server, opaque(server) as s:
        assert s.get_token(AUDIENCE) == "opaque-token"
        assert len(server.asked) == 3


def test_what_does_not_pass_is_reported_with_what_was_tried() -> None:
    with endpoint(lambda asked: Answer(503)) as server, opaque(server) as s:
        with pytest.raises(tokenstore.SpikeError, match="no token after 3 tries in .*answered 503"):
            s.get_token(AUDIENCE)
        assert len(server.asked) == 3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept(form: str) -> None:
    def answer(asked: Asked) -> Answer:
        if len(server.asked) > 1:
            return granted()
        when = "1" if form == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)
        return Answer(429, headers={"Retry-After": when})

    with endpoint(answer) as server:
        with opaque(server, retry={"total": 5}) as s:
            begin = time.monotonic()
            s.get_token(AUDIENCE)
            assert 0.9 < time.monotonic() - begin < 3.5


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "3600"}, {"Retry-After": "soon"}])
def test_429_without_a_wait_that_fits_ends_it(headers: dict[str, str]) -> None:
    with endpoint(lambda asked: Answer(429, headers=headers)) as server, opaque(server) as s:
        begin = time.monotonic()
        with pytest.raises(tokenstore.SpikeError, match="429"):
            s.get_token(AUDIENCE)
        assert time.monotonic() - begin < 1
        assert len(server.asked) == 1


def test_one_budget_bounds_all_tries() -> None:
    with endpoint(lambda asked: Answer(200, delay=30)) as server:
        with opaque(server, retry={"total": 0.5}) as s:
            begin = time.monotonic()
            with pytest.raises(tokenstore.SpikeError):
                s.get_token(AUDIENCE)
            assert time.monotonic() - begin < 5


BAD = {
    "not json": Answer(200, "no"),
    "no object": Answer(200, "[]"),
    "no token": Answer(200, {"token_type": "Bearer"}),
    "a number": Answer(200, {"access_token": 7, "expires_in": 60}),
    "an empty token": Answer(200, {"access_token": "", "expires_in": 60}),
    "a header in it": Answer(200, {"access_token": "a\r\nX-Evil: 1", "expires_in": 60}),
    "a letter that is not ASCII": Answer(200, {"access_token": "a\u00e9", "expires_in": 60}),
    "a control character": Answer(200, {"access_token": "a\x7f", "expires_in": 60}),
    "another type": granted(token_type="mac"),
    "duplicates": Answer(200, '{"access_token":"a","access_token":"b","expires_in":60}'),
    "no expires_in": Answer(200, {"access_token": "abc", "token_type": "Bearer"}),
    "no time left": granted(expires_in=5),
    "negative": granted(expires_in=-1),
    "wrong content type": Answer(
        200, {"access_token": "a", "expires_in": 60}, content_type="text/html"
    ),
    "no content": Answer(204, b""),
    "a text that is no number": granted(expires_in="60 s"),
    "a text that is no number either": granted(expires_in="6.0.0"),
    "too much": Answer(200, b'{"access_token":"' + b"a" * (2 << 20) + b'"}'),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_answer_is_an_error_and_never_a_token(name: str) -> None:
    with endpoint(lambda asked: BAD[name]) as server, opaque(server) as s:
        with pytest.raises(tokenstore.SpikeError) as caught:
            s.get_token(AUDIENCE)
    assert "Evil" not in str(caught.value)
    assert ("larger than" in str(caught.value)) == (name == "too much")


TOKEN = {"access_token": "a", "expires_in": 60}
ODD = {
    "text": Answer(200, TOKEN, content_type="text/plain; charset=utf-8"),
    "text/json": Answer(200, TOKEN, content_type="text/json"),
    "JSON of a kind": Answer(200, TOKEN, content_type="application/vnd.token+json"),
    "no content type": Answer(200, TOKEN, content_type=None),
    "a byte order mark": Answer(200, b"\xef\xbb\xbf" + json.dumps(TOKEN).encode()),
    "created": Answer(201, TOKEN),
    "gzip": Answer(200, gzip.compress(json.dumps(TOKEN).encode()), {"Content-Encoding": "gzip"}),
    "expires_in with a fraction": Answer(200, {**TOKEN, "expires_in": "60.0"}),
    "expires_in as a text": Answer(200, {**TOKEN, "expires_in": "60"}),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_that_can_be_read(name: str) -> None:
    with endpoint(lambda asked: ODD[name]) as server, opaque(server) as s:
        assert s.get_token(AUDIENCE) == "a"
        assert s.get_token(AUDIENCE) == "a"
        assert len(server.asked) == 1


def test_a_token_may_be_of_all_that_rfc_6749_allows() -> None:
    token = "".join(map(chr, range(0x20, 0x7F)))
    with endpoint(lambda asked: granted(token)) as server, opaque(server) as s:
        assert s.get_token(AUDIENCE) == token


def test_an_answer_that_unpacks_to_too_much() -> None:
    body = gzip.compress(b'{"access_token":"' + b"a" * (20 << 20) + b'"}')
    with endpoint(lambda asked: Answer(200, body, {"Content-Encoding": "gzip"})) as server:
        with opaque(server) as s, pytest.raises(tokenstore.SpikeError, match="larger than"):
            s.get_token(AUDIENCE)


def test_a_default_lifetime_is_for_answers_that_say_none() -> None:
    answers = [Answer(200, {"access_token": "abc"}), granted("def", expires_in=3600)]
    with endpoint(lambda asked: answers.pop(0)) as server:
        with opaque(server, default_lifetime=11) as s:
            assert s.get_token(AUDIENCE) == "abc"
            assert s.get_token(AUDIENCE) == "abc"
            time.sleep(1.2)  # until ten seconds, the expiration_offset, remain
            assert s.get_token(AUDIENCE) == "def"
        assert len(server.asked) == 2


def test_an_error_in_a_200_is_one() -> None:
    with endpoint(lambda asked: Answer(200, {"error": "invalid_scope"})) as server, opaque(server) as s:
        with pytest.raises(tokenstore.SpikeAuthError, match="200 invalid_scope"):
            s.get_token(AUDIENCE)
        assert len(server.asked) == 1


@pytest.mark.parametrize("code", ["temporarily_unavailable", "server_error"])
def test_an_error_that_passes_is_tried_again(code: str) -> None:
    answers = [Answer(400, {"error": code}), granted()]
    with endpoint(lambda asked: answers.pop(0)) as server, opaque(server) as s:
        assert s.get_token(AUDIENCE) == "opaque-token"
        assert len(server.asked) == 2


@pytest.mark.parametrize("body", [{"error": "unauthorized_client"}, {"error": "invalid_target"}, {}])
def test_a_refused_audience_stops_no_other(body: dict[str, str]) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(401, body) if asked.form["audience"] == "bad" else granted()

    with endpoint(answer) as server, opaque(server) as s:
        with pytest.raises(tokenstore.SpikeAuthError, match="401"):
            s.get_token("bad")
        assert s.get_token("good") == "opaque-token"


def test_a_refused_client_still_gets_what_is_there(redis: Server) -> None:
    """From memory and from Redis; only the server gets no request."""
    refusing = False

    def answer(asked: Asked) -> Answer:
        return Answer(401, {"error": "invalid_client"}) if refusing else granted()

    with endpoint(answer) as server:
        with opaque(server, redis=redis.url) as other:
            other.get_token("in Redis")
        with opaque(server, redis=redis.url) as s:
            s.get_token("in memory")
            refusing = True
            with pytest.raises(tokenstore.SpikeAuthError, match="401 invalid_client"):
                s.get_token("new")
            with pytest.raises(tokenstore.SpikeAuthError, match="a moment ago"):
                s.get_token("newer")
            assert s.get_token("in memory") == "opaque-token"
            assert s.get_token("in Redis") == "opaque-token"
        assert len(server.asked) == 3


def test_expires_in_may_be_a_text_and_refresh_in_counts() -> None:
    answers = [granted("one", expires_in="3600", refresh_in=0), granted("two")]
    with endpoint(lambda asked: answers.pop(0)) as server, opaque(server) as s:
        assert s.get_token(AUDIENCE) == "one"
        end = time.monotonic() + 5
        while s.get_token(AUDIENCE) == "one":
            assert time.monotonic() < end
        assert s.get_token(AUDIENCE) == "two"


def test_renewal_ahead_is_in_the_background() -> None:
    """The next token is slow; meanwhile no caller waits for it."""
    answers = [granted("one", refresh_in=0), granted("two", delay=1.0)]
    with endpoint(lambda asked: answers.pop(0)) as server, opaque(server) as s:
        assert s.get_token(AUDIENCE) == "one"
        token, slowest, end = "one", 0.0, time.monotonic() + 20
        while token == "one" and time.monotonic() < end:
            begin = time.monotonic()
            token = s.get_token(AUDIENCE)
            slowest = max(slowest, time.monotonic() - begin)
            time.sleep(0.001)
        assert token == "two"
        assert slowest < 0.8
        assert len(server.asked) == 2


def test_a_renewal_that_fails_leaves_the_old_token(caplog: pytest.LogCaptureFixture) -> None:
    """And is not retried at each call."""
    answers = [granted("one", refresh_in=0)]
    with endpoint(lambda asked: answers.pop(0) if answers else Answer(503)) as server:
        with opaque(server, retry={"retries": 0}) as s:
            assert s.get_token(AUDIENCE) == "one"
            wait_until(lambda: s.get_token(AUDIENCE) == "one" and "no token after" in caplog.text)
            assert {s.get_token(AUDIENCE) for _ in range(1000)} == {"one"}
            time.sleep(0.2)
            assert len(server.asked) == 2


@pytest.mark.parametrize(("gone", "left", "times"), [(100, 3500, 1), (1900, 1700, 2)])
def test_renewal_is_due_at_half_life(gone: int, left: int, times: int) -> None:
    """For a token with the time of issue."""
    signer = Signer()

    def answer(asked: Asked) -> Answer:
        now = int(time.time())
        if asked.method == "GET" or len(server.tokens_asked) > 1:
            return signer.answer(asked)
        return granted(signer.token(AUDIENCE, iat=now - gone, exp=now + left))

    with endpoint(answer) as server, Spike(server.url, "id", "secret") as s:
        first = s.get_token(AUDIENCE)
        if times == 1:
            assert {s.get_token(AUDIENCE) for _ in range(1000)} == {first}
            time.sleep(0.2)
        else:
            wait_until(lambda: s.get_token(AUDIENCE) != first)
        assert len(server.tokens_asked) == times


def test_hanging_up() -> None:
    answers = [Answer(hang_up=True), granted()]
    with endpoint(lambda asked: answers.pop(0)) as server, opaque(server) as s:
        assert s.get_token(AUDIENCE) == "opaque-token"


def test_a_kept_connection_that_died_costs_no_try() -> None:
    """The request is sent again on a new connection, on which the server hangs up."""
    answers = [granted("one"), Answer(hang_up=True), granted("two"), Answer(hang_up=True)]
    answers.append(Answer(hang_up=True))
    with endpoint(lambda asked: answers.pop(0)) as server:
        with opaque(server, retry={"retries": 0}) as s:
            assert s.get_token("a") == "one"
            assert s.get_token("b") == "two"
            assert len(server.asked) == 3
            with pytest.raises(tokenstore.SpikeError, match="after 1 try"):
                s.get_token("c")
            assert len(server.asked) == 5


def test_dripping() -> None:
    slow = granted()
    slow.drip = 0.2
    with endpoint(lambda asked: slow) as server, opaque(server, retry={"total": 0.6}) as s:
        begin = time.monotonic()
        with pytest.raises(tokenstore.SpikeError):
            s.get_token(AUDIENCE)
        assert time.monotonic() - begin < 5


# ---- tokens -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORGED)
def test_a_token_that_is_not_good_is_an_error_and_not_stored(name: str, redis: Server) -> None:
    """From the server, and likewise from Redis."""
    signer = Signer()

    def answer(asked: Asked) -> Answer:
        if asked.method == "GET":
            return signer.answer(asked)
        return granted(FORGED[name](signer))

    with endpoint(answer) as server:
        with Spike(server.url, "id", "secret", redis=redis.url, retry=QUICK) as s:
            with pytest.raises(tokenstore.SpikeError) as caught:
                s.get_token(FORGED_FOR)
            assert len(server.tokens_asked) == 1  # a retry would not help
            assert redis.keys() == []
            assert "eyJ" not in str(caught.value)
        server.answer = signer.answer
        redis("HSET", "spike-tokens-for-clientId-id", FORGED_FOR, FORGED[name](signer))
        with Spike(server.url, "id", "secret", redis=redis.url, retry=QUICK) as s:
            assert s.get_token(FORGED_FOR) != FORGED[name](signer)
        assert len(server.tokens_asked) == 2


def test_a_token_that_is_good() -> None:
    signer = Signer()
    with endpoint(signer.answer) as server, Spike(server.url, "id", "secret") as s:
        assert s.get_token(FORGED_FOR).count(".") == 2
        assert s.get_token("another").count(".") == 2
        assert [a.method for a in server.asked] == ["POST", "GET", "POST"]


def test_the_servers_clock_may_be_ahead() -> None:
    signer = Signer()
    ahead = int(time.time()) + 30
    token = signer.token(FORGED_FOR, iat=ahead, nbf=ahead, exp=ahead + 600)
    with endpoint(
        lambda asked: signer.answer(asked) if asked.method == "GET" else granted(token)
    ) as server:
        with Spike(server.url, "id", "secret") as s:
            assert s.get_token(FORGED_FOR) == token
