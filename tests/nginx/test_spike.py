"""Spike in nginx: the tests of Spike in Lua, unchanged, and those for nginx only: workers that share tokens,
of which one fetches; threads, and missing directives."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from authorization import (
    Answer,
    Asked,
    endpoint,
    granted,
    wait_until,
)
from callers import Caller, InLua
from lua_process import get, opaque, quote
from nginx_lua import MAIN, NginxLua, nginx_lua
from nginx_server import Nginx, running
from servers import Server
from test_lua import *  # noqa: F403
from test_requests import *  # noqa: F403

# Tests that end the interpreter, inspect it, or send it a signal.
for name in (
    "test_a_state_that_is_left_while_a_renewal_is_under_way",
    "test_a_renewal_is_gone_before_its_code_is",
    "test_ctrl_c_ends_a_wait",
    "test_many_calls_and_many_objects_leave_nothing_behind",
    "test_a_million_reads",
):
    del globals()[name]


@pytest.fixture
def lua() -> Iterator[NginxLua]:
    with nginx_lua() as made:
        yield made


@pytest.fixture
def call(lua: NginxLua) -> Caller:
    return InLua(lua)


@pytest.fixture
def redis(shared_server: Server) -> Server:
    """Emptied for each test."""
    shared_server("FLUSHALL")
    return shared_server


# ---- only in nginx ----------------------------------------------------------------------------------

INIT = """
  lua_shared_dict tokenstore 1m;
  init_by_lua_block {{
    spike = assert(require("tokenstore").Spike {{
      url = "{url}", client_id = "id", client_secret = "s", token_format = "opaque",
      retry = {{ retries = 1, min = 0.01, max = 0.01, total = 5 }},
    }})
    function told(...)
      return table.concat({{ tostring((...)), (select(2, ...)), (select(3, ...)) }}, "|")
    end
  }}
"""
SERVER = """
  location = /token {
    lua_check_client_abort on;
    content_by_lua_block { ngx.print(told(spike:get_token(ngx.var.arg_audience))) }
  }
  location = /plain { content_by_lua_block { ngx.print "ok" } }
  location = /header {
    content_by_lua_block { ngx.print "x" }
    header_filter_by_lua_block { ngx.header.x_said = told(spike:get_token(ngx.var.arg_audience)) }
  }
"""


def ask_at_once(nginx: Nginx, path: str, count: int) -> list[str]:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(nginx.get(path).text)) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_one_fetch_for_all_workers() -> None:
    """For all concurrent requests; others are served meanwhile."""
    fetching = threading.Event()
    go_on = threading.Event()

    def answer(asked: Asked) -> Answer:
        fetching.set()
        go_on.wait(20)
        return granted(asked.form["audience"] + "-token")

    with (
        endpoint(answer) as server,
        running(SERVER, main=MAIN, http=INIT.format(url=server.url), workers=4) as nginx,
    ):
        answers: list[str] = []
        waiting = threading.Thread(
            target=lambda: answers.extend(ask_at_once(nginx, "/token?audience=a", 24))
        )
        waiting.start()
        assert fetching.wait(20)
        assert ask_at_once(nginx, "/plain", 8) == ["ok"] * 8
        go_on.set()
        waiting.join()
        assert answers == ["a-token"] * 24
        assert ask_at_once(nginx, "/token?audience=a", 24) == ["a-token"] * 24
        assert len(server.tokens_asked) == 1
        assert nginx.get("/header?audience=a").headers["x-said"] == "a-token"
        said = nginx.get("/header?audience=b").headers["x-said"]
        assert said.startswith("nil|cannot wait for a thread in header_filter_by_lua")
        assert said.endswith("|configuration")


# Between the look for a result and the lock, this much time passes.
SLOW_TO_LOCK = """
  init_worker_by_lua_block {
    local threads = require "tokenstore.nginx_threads"
    local start = threads.start
    function threads.start(...)
      ngx.sleep(0.4)
      return start(...)
    end
  }
"""


def test_a_fetch_that_ends_before_the_lock_is_taken_is_not_repeated() -> None:
    http = INIT + SLOW_TO_LOCK.replace("{", "{{").replace("}", "}}")
    with (
        endpoint(lambda _: granted("the-token")) as server,
        running(SERVER, main=MAIN, http=http.format(url=server.url), workers=4) as nginx,
    ):
        # By many: each worker has threads with memories of their own, which hide a second fetch.
        late = threading.Timer(0.2, lambda: ask_at_once(nginx, "/token?audience=a", 16))
        late.start()
        assert nginx.get("/token?audience=a").text == "the-token"
        late.join()
        assert len(server.tokens_asked) == 1


def test_who_asked_first_may_go_away() -> None:
    fetching = threading.Event()
    go_on = threading.Event()

    def answer(asked: Asked) -> Answer:
        fetching.set()
        go_on.wait(20)
        return granted("the-token")

    with (
        endpoint(answer) as server,
        running(SERVER, main=MAIN, http=INIT.format(url=server.url)) as nginx,
    ):
        first = nginx.connect()
        first.request("GET", "/token?audience=a")
        assert fetching.wait(20)
        first.close()
        go_on.set()
        assert nginx.get("/token?audience=a").text == "the-token"
        assert len(server.tokens_asked) == 1


def test_a_failure_is_for_those_who_waited() -> None:
    with (
        endpoint(lambda _: Answer(400, {"error": "invalid_scope"})) as server,
        running(SERVER, main=MAIN, http=INIT.format(url=server.url), workers=2) as nginx,
    ):
        for answer in ask_at_once(nginx, "/token?audience=a", 8):
            assert answer.startswith("nil|")
            assert answer.endswith("|spike_auth")
        failed = len(server.tokens_asked)
        assert failed <= 8
        server.answer = lambda _: granted("now-it-works")
        wait_until(lambda: nginx.get("/token?audience=a").text == "now-it-works")


def test_directives_that_are_missing_are_named() -> None:
    with endpoint(lambda _: granted()) as server:
        with nginx_lua(main="") as lua:
            opaque(lua, server)
            lua.fails("configuration", "thread_pool tokenstore threads=4;", get("a"))
            lua.fails(
                "configuration", "thread_pool tokenstore threads=4;", "return spike:initialize()"
            )
        with nginx_lua(http="") as lua:
            options = {"url": server.url, "client_id": "id", "client_secret": "s"}
            lua.fails(
                "configuration",
                "lua_shared_dict tokenstore 1m;",
                f"return tokenstore.Spike({quote(options)})",
            )


def test_an_invalidated_token_is_forgotten_by_every_thread() -> None:
    count = iter(range(1000))
    with (
        endpoint(lambda _: granted(f"token-{next(count)}")) as server,
        nginx_lua() as lua,
    ):
        opaque(lua, server)
        for i in range(12):
            token = lua(get("a"))
            assert token == f"token-{i}"
            assert lua(f"return spike:invalidate {{ audience = 'a', token = {quote(token)} }}")


def test_close_ends_the_wait_at_once() -> None:
    close = "location = /close { content_by_lua_block { spike:close() ngx.print 'closed' } }"
    with (
        endpoint(lambda _: Answer(delay=30)) as server,
        running(SERVER + close, main=MAIN, http=INIT.format(url=server.url)) as nginx,
    ):
        answers: list[str] = []
        waiting = threading.Thread(
            target=lambda: answers.extend(ask_at_once(nginx, "/token?audience=a", 4))
        )
        waiting.start()
        wait_until(lambda: len(server.asked) == 1)
        assert nginx.get("/close").text == "closed"
        began = time.monotonic()
        waiting.join()
        assert time.monotonic() - began < 1
        assert answers == ["nil|the Spike is closed|closed"] * 4
        server.stopping.set()


def test_a_server_that_hangs_leaves_threads_for_others() -> None:
    other = """
      location = /other { content_by_lua_block {
        local spike = assert(require("tokenstore").Spike {
          url = "%s", client_id = "id", client_secret = "s", token_format = "opaque" })
        ngx.print(told(spike:get_token(ngx.var.arg_audience)))
      } }
    """
    with (
        endpoint(lambda _: Answer(delay=30)) as hanging,
        endpoint(lambda _: granted("the-token")) as server,
        running(SERVER + other % server.url, main=MAIN, http=INIT.format(url=hanging.url)) as nginx,
    ):
        threads = [
            threading.Thread(target=nginx.get, args=(f"/token?audience=a{n}",)) for n in range(8)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(hanging.asked) == 2)
        began = time.monotonic()
        assert nginx.get("/other?audience=a").text == "the-token"
        assert time.monotonic() - began < 1
        hanging.stopping.set()
        for thread in threads:
            thread.join()


def test_too_large_an_answer_ends_it_at_once() -> None:
    large = Answer(200, b'{"access_token":"' + b"a" * (2 << 20) + b'"}')
    with (
        endpoint(lambda _: large) as server,
        running(SERVER, main=MAIN, http=INIT.format(url=server.url)) as nginx,
    ):
        began = time.monotonic()
        assert "larger than" in nginx.get("/token?audience=a").text
        assert time.monotonic() - began < 1
        assert len(server.asked) == 1


def test_a_retry_after_holds_for_all_workers() -> None:
    later = Answer(429, {"error": "slow_down"}, {"Retry-After": "30"})
    show = """
      location = /answer { content_by_lua_block {
        local token, message, code, answer = spike:get_token(ngx.var.arg_audience)
        ngx.print(code, "|", answer.status, "|", answer.error, "|", answer.retry_after > 20)
      } }
    """
    with (
        endpoint(lambda _: later) as server,
        running(SERVER + show, main=MAIN, http=INIT.format(url=server.url), workers=4) as nginx,
    ):
        assert nginx.get("/token?audience=a").text.endswith("|spike")
        for n in range(5):
            for text in ask_at_once(nginx, f"/token?audience=b{n}", 8):
                assert "429 slow_down" in text
                assert "next request in" in text
            assert nginx.get(f"/answer?audience=c{n}").text == "spike|429|slow_down|true"
        assert len(server.asked) == 1


def test_a_failure_is_remembered_by_all_workers() -> None:
    refused = Answer(400, {"error": "invalid_scope"})
    forget = "location = /forget { content_by_lua_block { spike:invalidate { audience = 'a', token = 'x' } } }"
    with (
        endpoint(lambda _: refused) as server,
        running(SERVER + forget, main=MAIN, http=INIT.format(url=server.url), workers=4) as nginx,
    ):
        began = time.monotonic()
        nginx.get("/token?audience=a")
        while time.monotonic() - began < 0.8:
            for text in ask_at_once(nginx, "/token?audience=a", 8):
                assert "400 invalid_scope" in text
        assert len(server.asked) == 1
        server.answer = lambda _: granted("now-it-works")
        assert "400 invalid_scope" in nginx.get("/token?audience=a").text
        nginx.get("/forget")
        wait_until(lambda: nginx.get("/token?audience=a").text == "now-it-works")
