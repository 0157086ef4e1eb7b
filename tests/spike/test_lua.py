"""Spike in Lua, in every installed interpreter, against the servers of the other tests."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from authorization import (
    CLIENT_ID,
    Answer,
    Provider,
    Signer,
    endpoint,
    granted,
    wait_until,
)
from certs import LOCAL, SERVER, Authority
from forged import FORGED, FORGED_FOR
from lua_process import BEGIN, Lua, Raised, get, log, make, one_lua, opaque, quote, spike
from servers import Server

A, B, C = "https://api.example/a", "https://api.example/b", "https://api.example/c"
OPAQUE = "https://api.example/opaque"
HASH = "spike-tokens-for-clientId-" + CLIENT_ID
GOOD = {"url": "https://spike.example", "client_id": "id", "client_secret": "secret-canary"}


# ---- against a real server ------------------------------------------------------------------------


def test_a_token_for_each_audience_is_fetched_once(lua: Lua, authority_server: Provider) -> None:
    spike(lua, authority_server)
    tokens = [lua(get(audience)) for audience in (A, B, C)]
    assert [t.count(".") for t in tokens] == [2, 2, 2]
    assert len(set(tokens)) == 3
    assert [lua(get(audience)) for audience in (A, B, C)] == tokens
    assert lua(f"return spike:getToken {{ audience = {quote(B)} }}") == tokens[1]
    assert sorted(authority_server.issued) == [A, B, C]
    lua("spike:close() spike:close()")
    lua.fails("closed", "closed", get(A))


def test_opaque_tokens(lua: Lua, authority_server: Provider, redis: Server) -> None:
    spike(lua, authority_server, token_format="opaque", redis=redis.url)
    token = lua(get(OPAQUE))
    assert "." not in token
    assert lua(get(OPAQUE)) == token
    (own,) = redis("KEYS", "*:own:*")
    field, text = redis("HGETALL", own)
    assert len(field) == 28  # a digest
    end, _, stored = text.decode().partition(":")
    assert stored == token
    assert abs(int(end) / 1000 - time.time() - 60) < 5
    assert authority_server.issued == [OPAQUE]


def test_initialize_fetches_the_key(lua: Lua, authority_server: Provider) -> None:
    spike(lua, authority_server)
    assert lua("return spike:is_initialized()") is False
    assert lua("return spike:initialize()") is True
    assert lua("return spike:initialize()") is True
    assert lua("return spike:isInitialized()") is True
    lua("spike:close()")
    assert lua("return spike:is_initialized()") is False


def test_a_wrong_secret_is_refused_and_not_sent_again(lua: Lua, authority_server: Provider) -> None:
    spike(lua, authority_server, client_secret="wrong-canary")
    message = lua.fails("spike_auth", "401 invalid_client", get(A))
    assert "canary" not in message + log(lua)
    lua.fails("spike_auth", "a moment ago", get(B))
    assert authority_server.refused == ["invalid_client"]


def test_the_hash_is_the_one_that_the_node_package_has(
    lua: Lua, authority_server: Provider, redis: Server
) -> None:
    spike(lua, authority_server, redis=redis.url)
    token = lua(get(A))
    assert redis("HGETALL", HASH) == [A.encode(), token.encode()]
    (own,) = redis("KEYS", "*:own:*")
    assert sorted(redis.keys()) == [HASH.encode(), own]  # the lock is gone
    spike(lua, authority_server, redis=redis.url, token_key_prefix="other:")
    lua(get(A))
    assert ("other:" + CLIENT_ID).encode() in redis.keys()


def test_a_stored_token_is_verified_and_used(
    lua: Lua, authority_server: Provider, redis: Server
) -> None:
    spike(lua, authority_server)
    token = lua(get(A))
    authority_server.issued.clear()
    redis("HSET", HASH, A, token, B, token)  # like another process, or the Node package
    lua(f"client = tokenstore.Client({quote(redis.url)})")
    spike(lua, authority_server)
    lua("options.redis = client spike = assert(tokenstore.Spike(options))")
    assert lua(get(A)) == token
    assert lua(get(B)) != token  # that token is for another audience
    assert authority_server.issued == [B]
    lua("spike:close()")
    assert lua("return client:execute 'PING'") == "PONG"  # not closed: it was passed in


def test_invalidate_forgets_the_one_token_here_and_in_redis(
    lua: Lua, authority_server: Provider, redis: Server
) -> None:
    spike(lua, authority_server, redis=redis.url)
    first = lua(get(A))
    assert lua(f"return spike:invalidate {{ audience = {quote(A)}, token = 'another' }}") is True
    assert lua(get(A)) == first
    assert (
        lua(f"return spike:invalidate {{ audience = {quote(A)}, token = {quote(first)} }}") is True
    )
    assert redis("HGET", HASH, A) is None
    assert lua(get(A)) != first
    assert authority_server.issued == [A, A]
    lua.raises(
        "'token' (string expected, got nil)", "local ok = spike:invalidate { audience = 'x' }"
    )
    lua.raises("unknown argument 'tokn'", "local ok = spike:invalidate { tokn = 'x' }")


def test_renewal_ahead_is_in_the_background(lua: Lua) -> None:
    """The next token is slow; meanwhile no caller waits for it."""
    answers = [granted("one", refresh_in=0)]
    # In nginx the second request may come from another thread, without the first token in memory.
    with endpoint(lambda asked: answers.pop() if answers else granted("two", delay=1.0)) as server:
        opaque(lua, server)
        assert lua(get(A)) == "one"
        token, slowest, end = "one", 0.0, time.monotonic() + 20
        while token == "one" and time.monotonic() < end:
            begin = time.monotonic()
            token = lua(get(A))
            slowest = max(slowest, time.monotonic() - begin)
            time.sleep(0.001)
        assert token == "two", f"asked {len(server.asked)} times: {log(lua)}"
        assert slowest < 0.8
        assert len(server.asked) == 2


def test_a_renewal_that_fails_leaves_the_old_token_and_is_logged_later(lua: Lua) -> None:
    answers = [granted("one", refresh_in=0)]
    with endpoint(lambda asked: answers.pop(0) if answers else Answer(503)) as server:
        opaque(lua, server, retry={"retries": 0})
        wait_until(lambda: lua(get(A)) == "one" and "no token after" in log(lua))
        assert lua(get(A)) == "one"
        assert len(server.asked) == 2


def test_a_state_that_is_left_while_a_renewal_is_under_way(lua: Lua) -> None:
    answers = [granted("one", refresh_in=0), granted("two", delay=30)]
    with endpoint(lambda asked: answers[min(len(server.asked), 2) - 1]) as server:
        opaque(lua, server)
        assert lua(get(A)) == "one"
        wait_until(lambda: lua(get(A)) == "one" and len(server.asked) == 2)
        begin = time.monotonic()
        lua("spike = nil options = nil collectgarbage() collectgarbage()")
        assert time.monotonic() - begin < 5
        opaque(lua, server)
        assert lua.end() == 0
    lua.end = lambda: 0  # type: ignore[method-assign]  # it has ended


def test_a_renewal_is_gone_before_its_code_is(lua: Lua) -> None:
    """Closing the state unloads the module. On one core the renewal thread is usually preempted right after
    it signals its end."""

    def leave(_: int) -> int:
        answers = [granted("one", refresh_in=0), granted("two", delay=30)]
        with endpoint(lambda asked: answers[min(len(server.asked), 2) - 1]) as server:
            other = Lua(lua.name)
            os.sched_setaffinity(other.process.pid, {min(os.sched_getaffinity(0))})
            other(BEGIN)
            opaque(other, server)
            wait_until(lambda: other(get(A)) == "one" and len(server.asked) == 2)
            return other.end()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(leave, range(16))) == {0}


def test_redis_may_be_down(lua: Lua, authority_server: Provider) -> None:
    spike(lua, authority_server, redis="redis://127.0.0.1:1")
    assert lua(get(A)) == lua(get(A))
    assert "warning: continuing without Redis" in log(lua)
    assert authority_server.issued == [A]


def test_nothing_shows_a_secret(lua: Lua, authority_server: Provider, redis: Server) -> None:
    spike(lua, authority_server, redis=redis.url)
    token = lua(get(A))
    text = log(lua) + lua("return tostring(spike)")
    assert "info: " in text
    assert token not in text
    assert "canary" not in text


# ---- against the scripted server ------------------------------------------------------------------


def test_the_request(lua: Lua) -> None:
    with endpoint(lambda asked: granted()) as server:
        opaque(
            lua,
            server,
            client_id="i d:é&=+%",
            client_secret="s/e:c&=+%é",
            scope="read write",
            parameters={"resource": "https://r.example/?a=b&c", "more": "x"},
            host_header="spike.example",
        )
        assert lua(get("aud & more=é")) == "opaque-token"
        opaque(lua, server, body_format="json", grant_type="other", token_url=server.url + "/t")
        lua(get('a "quoted" one'))
        first, second = server.asked
    assert (first.path, second.path) == ("/oauth2/token", "/t")
    assert first.basic == ("i d:é&=+%", "s/e:c&=+%é")
    assert first.form == {
        "grant_type": "client_credentials",
        "audience": "aud & more=é",
        "scope": "read write",
        "resource": "https://r.example/?a=b&c",
        "more": "x",
    }
    assert first.headers["host"] == "spike.example"
    assert second.headers["content-type"] == "application/json"
    assert json.loads(second.body) == {"grant_type": "other", "audience": 'a "quoted" one'}


def test_what_passes_is_tried_again_and_logged(lua: Lua) -> None:
    answers = [Answer(503), Answer(500), granted()]
    with endpoint(lambda asked: answers.pop(0)) as server:
        opaque(lua, server)
        assert lua(get(A)) == "opaque-token"
        assert len(server.asked) == 3
    for n in (1, 2):
        assert f"warning: retry {n} of 2" in log(lua)


@one_lua()
def test_retry_after(lua: Lua) -> None:
    answers = [Answer(429, headers={"Retry-After": "1"}), granted()]
    with endpoint(lambda asked: answers.pop(0)) as server:
        opaque(lua, server, retry={"total": 5})
        begin = time.monotonic()
        lua(get(A))
        assert 0.9 < time.monotonic() - begin < 3.5
    with endpoint(lambda asked: Answer(429, headers={"Retry-After": "3600"})) as server:
        opaque(lua, server)
        lua.fails("spike", "429", get(A))
        assert len(server.asked) == 1


BAD = {
    "forbidden": ("spike_auth", Answer(403, {"error": "access_denied"})),
    "bad request": ("spike_auth", Answer(400, {"error": "invalid_scope"})),
    "not json": ("spike", Answer(200, "no")),
    "no token": ("spike", Answer(200, {"token_type": "Bearer"})),
    "a number": ("spike", Answer(200, {"access_token": 7, "expires_in": 60})),
    "a header in it": ("spike", Answer(200, {"access_token": "a\r\nX-Evil: 1", "expires_in": 60})),
    "another type": ("spike", granted(token_type="mac")),
    "no expires_in": ("spike", Answer(200, {"access_token": "abc", "token_type": "Bearer"})),
    "wrong content type": (
        "spike",
        Answer(200, {"access_token": "a", "expires_in": 60}, content_type="text/html"),
    ),
    "a redirect": ("spike", Answer(302, headers={"Location": "http://127.0.0.1:1/"})),
    "too much": ("spike", Answer(200, b'{"access_token":"' + b"a" * (2 << 20) + b'"}')),
}


def test_a_bad_answer_is_a_failure_and_never_a_token(lua: Lua) -> None:
    for name, (code, answer) in BAD.items():
        with endpoint(lambda asked, a=answer: a) as server:  # type: ignore[misc]
            opaque(lua, server)
            message = lua.fails(code, "", get(A))
            assert not re.search("Evil|canary", message), name


def test_a_token_that_is_not_good_is_a_failure(lua: Lua) -> None:
    signer = Signer()
    for name, forge in FORGED.items():
        with endpoint(signer.answer) as server:
            token = forge(signer)
            server.answer = lambda asked, t=token: (  # type: ignore[misc]
                signer.answer(asked) if asked.method == "GET" else granted(t)
            )
            make(lua, {"url": server.url, "client_id": "id", "client_secret": "secret-canary"})
            message = lua.fails("spike", "", get(FORGED_FOR))
            assert not re.search("eyJ|canary", message), name
            assert len(server.tokens_asked) == 1
            server.answer = signer.answer
            lua.fails("spike", "next request in", get(FORGED_FOR))
            assert lua(f"return spike:invalidate {{ audience = {quote(FORGED_FOR)}, token = 'x' }}")
            assert lua(get(FORGED_FOR)).count(".") == 2


def test_tls_is_verified_unless_it_was_said_otherwise(lua: Lua, authority: Authority) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = authority.sign("spike-lua", LOCAL, *SERVER)
    tls.load_cert_chain(pair.cert, pair.key)
    with endpoint(lambda asked: granted(), tls) as server:
        opaque(lua, server)
        assert "ertificate" in lua.fails("spike", "", get(A))
        opaque(lua, server, ca=authority.cert)
        assert lua(get(A)) == "opaque-token"
        assert "not verified" not in log(lua)
        opaque(lua, server, verify=False)
        assert "warning: TLS certificates are not verified" in log(lua)
        assert lua(get(A)) == "opaque-token"


def test_ctrl_c_ends_a_wait(lua: Lua) -> None:
    with endpoint(lambda asked: granted()) as server:
        server.answer = lambda asked: Answer(200, delay=30)
        opaque(lua, server, retry={"total": 60})
        lua.send(get(A))
        wait_until(lambda: len(server.asked) == 1)
        begin = time.monotonic()
        lua.process.send_signal(signal.SIGINT)
        with pytest.raises(Raised, match="interrupted"):
            lua.read()
        assert time.monotonic() - begin < 5
        server.answer = lambda asked: granted()
        assert lua(get(A)) == "opaque-token"


# ---- loggers --------------------------------------------------------------------------------------


def test_loggers(lua: Lua, authority_server: Provider) -> None:
    spike(lua, authority_server)
    lua("""
        words = {}
        options.logger = { info = function(text) words[#words + 1] = "i " .. text end,
                           warning = function(text) words[#words + 1] = "w " .. text end }
        options.verify = false
        spike = tokenstore.Spike(options)
    """)
    lua(get(A))
    assert any(word.startswith("i requesting") for word in lua("return words"))
    assert any(word.startswith("w TLS") for word in lua("return words"))
    lua("options.logger = nil spike = tokenstore.Spike(options)")
    lua(get(B))
    lua.raises("'logger'", "options.logger = 7 local s = tokenstore.Spike(options)")
    lua.raises("'info' must be", "options.logger = {} local s = tokenstore.Spike(options)")
    # A logger's error is raised, and the token is not lost.
    lua(
        "options.logger = function() error('full') end options.verify = nil s = tokenstore.Spike(options)"
    )
    authority_server.issued.clear()
    lua.raises("full", get(C, "s"))
    assert lua(get(C, "s")).count(".") == 2
    assert authority_server.issued == [C]


# ---- stress ---------------------------------------------------------------------------------------


def test_many_calls_and_many_objects_leave_nothing_behind(lua: Lua) -> None:
    """With constant garbage collection; the process's memory does not grow."""
    with endpoint(lambda asked: granted("t" * 600)) as server:
        opaque(lua, server)
        results = lua(f"""
            collectgarbage("setpause", 50)
            local function resident()
              local file = io.open "/proc/self/statm"
              local pages = file:read "*a":match "%d+ (%d+)"
              file:close()
              if io.open "/proc/self/maps":read "*a":find "libasan" then
                pages = 0 -- which keeps what was freed for a while
              end
              return tonumber(pages) * 4
            end
            local function round()
              for i = 1, 20 do
                local s = assert(tokenstore.Spike(options))
                assert(s:get_token("a" .. i))
                for _ = 1, 100 do assert(s:get_token("a" .. i) == ("t"):rep(600)) end
              end
              assert(not tokenstore.Spike {quote(GOOD | {"ca": "/no"})})
              assert(not tokenstore.get_token_creator {{}})
              collectgarbage() collectgarbage()
            end
            round() round()
            local before = resident()
            for _ = 1, 10 do round() end
            return resident() - before
        """)
        assert results < 2000  # KiB
        assert len(server.asked) == 240


def test_a_million_reads(lua: Lua) -> None:
    with endpoint(lambda asked: granted("t" * 600)) as server:
        opaque(lua, server)
        assert (
            lua("""
            local first, n = spike:get_token "a", 0
            collectgarbage() collectgarbage("stop")
            local before = collectgarbage "count"
            for _ = 1, 300000 do if spike:get_token "a" == first then n = n + 1 end end
            assert(collectgarbage "count" - before < 100, "a read makes garbage")
            return n
        """)
            == 300000
        )
        assert len(server.asked) == 1
