"""credentials in nginx: a function that may itself use cosockets, on a server whose passwords change while
connections are in nginx's pools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nginx_server import Nginx, running
from servers import Server
from vault import Vault

HTTP = """
  lua_shared_dict tokenstore 1m;
  init_by_lua_block {{
    tokenstore = require "tokenstore"
    guard = require "tokenstore.guard"
    url = "{url}"
    asked, answers = 0, {{}}
    vault = assert(tokenstore.Client("redis://:of-the-default-user@127.0.0.1:{port}"))
    function ask()
      asked = asked + 1
      local answer = table.remove(answers, 1)
      if answer then
        return unpack(answer)
      end
      return "app", vault:execute("GET", "password")
    end
    function open(options)
      options.redis = options.redis or url
      options.credentials = options.credentials or ask
      return assert(tokenstore.Client(options))
    end
    sessions = assert(tokenstore.Sessions {{ redis = url, credentials = ask, timeout = 2 }})
  }}
"""

SERVER = f"""
  location = /chunk {{ content_by_lua_file {Path(__file__).parent}/chunk.lua; }}
  location = /guarded {{
    access_by_lua_block {{ guard.session {{ store = sessions, app = "web" }} }}
    content_by_lua_block {{ ngx.print(ngx.req.get_headers()["X-Owner-Id"]) }}
  }}
"""

Run = Callable[[str], Any]


@pytest.fixture
def nginx(guarded: Server, vault: Vault) -> Iterator[Nginx]:
    with running(
        SERVER,
        http=HTTP.format(url=guarded.url, port=guarded.port),
        explained=("the server answered: NOAUTH",),
    ) as made:
        yield made


@pytest.fixture
def run(nginx: Nginx) -> Run:
    """Runs Lua in the worker: its results."""

    def run(code: str) -> Any:
        connection = nginx.connect()
        try:
            connection.request("POST", "/chunk", body=code)
            good, *results = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert good, results
        return results

    return run


def test_asked_for_each_connection(run: Run, vault: Vault) -> None:
    run('client = open { client_name = "me", db = 3 }')
    assert run("return asked") == [0]
    assert run('return client:execute("ACL", "WHOAMI")') == ["app"]
    assert run("return client:ping(), asked") == [True, 1]
    vault.change("second-secret")
    assert run('return client:execute("ACL", "WHOAMI"), asked') == ["app", 1]
    vault.close_all()
    assert run('return client:execute("CLIENT", "GETNAME"), asked') == ["me", 2]


def test_the_user_of_pooled_connections_was_renewed(run: Run, vault: Vault, nginx: Nginx) -> None:
    token = run('return sessions:create({ app = "web", owner_id = "bob" })')[0]
    vault.wire("ACL", "DELUSER", "app")  # ends its connections, too
    vault.change("third-secret")
    assert nginx.get("/guarded", {"Authorization": f"Bearer {token}"}).text == "bob"
    assert run("return asked") == [2]


def test_many_at_once(run: Run) -> None:
    run("client = open { pool_size = 4 }")
    with ThreadPoolExecutor(20) as threads:
        calls = [threads.submit(run, 'return client:execute("ACL", "WHOAMI")') for _ in range(100)]
        assert [call.result() for call in calls] == [["app"]] * 100


def test_refused_once_asks_anew_and_twice_is_final(run: Run) -> None:
    run("client = open {}")
    assert run('answers[1] = { "app", "an-old-secret" } return client:ping(), asked') == [True, 2]
    run('client = open { client_name = "another" }')
    result, message, code = run(
        'answers[1], answers[2] = { "app", "an-old-secret" }, { "app", "older-secret" } return client:ping()'
    )
    assert (result, code) == (None, "server")
    assert "AUTH refused: WRONGPASS" in message
    assert "secret" not in message
    assert run("return asked, client:ping(), asked") == [4, True, 5]


def test_anything_but_two_strings_is_refused(run: Run) -> None:
    run("client = open { pool_size = 1 }")
    for wrong in ('nil, "hush"', '"hush"', '7, "hush"', '{ "app", "hush" }', '"app", "hush\\0hush"'):
        result, message, code = run(f"""
          local client = open {{ credentials = function() return {wrong} end }}
          return client:ping()
        """)
        assert (result, code) == (None, "configuration")
        assert "credentials" in message
        assert "hush" not in message


def test_what_it_raises_reaches_the_caller_and_nothing_is_lost(run: Run) -> None:
    run("""
      client = open { pool_size = 1, timeout = 2, credentials = function()
        if fail then
          error("the vault is closed", 0)
        end
        return ask()
      end }
    """)
    for _ in range(3):
        assert run("fail = true return pcall(client.ping, client)") == [False, "the vault is closed"]
    assert run("fail = false return client:ping()") == [True]


def test_it_may_use_the_client_whose_connections_it_is_for(run: Run) -> None:
    assert run("""
      local depth, client = 0, nil
      client = open { pool_size = 1, timeout = 2, credentials = function()
        depth = depth + 1
        if depth == 1 then
          assert(client:ping())
        end
        return ask()
      end }
      return client:ping(), depth
    """) == [True, 2]


def test_one_that_takes_too_long_meets_the_deadline(run: Run) -> None:
    result, _, code = run("""
      local client = open { timeout = 0.05, credentials = function()
        ngx.sleep(0.1)
        return ask()
      end }
      return client:ping()
    """)
    assert (result, code) == (None, "timeout")


def test_a_request_that_is_gone_leaves_nothing_behind(run: Run, nginx: Nginx) -> None:
    run("""
      client = open { pool_size = 1, timeout = 2, credentials = function()
        if slow then
          ngx.sleep(1000)
        end
        return ask()
      end }
    """)
    assert run("""
      slow = true
      local thread = ngx.thread.spawn(function() return client:ping() end)
      ngx.sleep(0.05)
      ngx.thread.kill(thread)
      slow = false
      return client:ping()
    """) == [True]


def test_clients_with_other_credentials_share_no_connection(run: Run, vault: Vault) -> None:
    vault.wire("ACL", "SETUSER", "other", "reset", "on", ">its-secret", "~*", "+@all")
    run('one = open {} two = open { credentials = function() return "other", "its-secret" end }')
    run("plain = assert(tokenstore.Client(url)) alike = open {}")
    for _ in range(3):
        assert run('return one:execute("ACL", "WHOAMI")') == ["app"]
        assert run('return two:execute("ACL", "WHOAMI")') == ["other"]
        assert run('return select(3, plain:execute("ACL", "WHOAMI"))') == ["server"]
    ids = run('return one:execute("CLIENT", "ID"), alike:execute("CLIENT", "ID"), two:execute("CLIENT", "ID")')
    assert ids[0] == ids[1] != ids[2]


def test_where_it_cannot_be_asked(run: Run) -> None:
    result, message, code = run("""
      return tokenstore.Spike { url = "http://127.0.0.1:9", client_id = "a", client_secret = "b", redis = open {} }
    """)
    assert (result, code) == (None, "configuration")
    assert "cannot call the credentials function" in message
