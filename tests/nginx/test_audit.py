"""The audit in nginx: requests that run at the same time have actors of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nginx_lua import NginxLua, nginx_lua
from servers import Server
from servers import running as running_redis
from tokenstore import Client

MAKE = """
    told = {{}}
    client = assert(tokenstore.Client {{ redis = "{url}", audit_stream = 1000, on_event = function(event)
      ngx.sleep(0.001) -- it may wait
      told[#told + 1] = event
      if event.owner == "failing" then error "broken" end
    end }})
    sessions = assert(tokenstore.Sessions {{ redis = client, reuse = "revoke" }})
"""

LOG_IN_AND_OUT = """
    local function run(name)
      local mine = sessions:acting(name)
      local cookie = assert(mine:create { app = "web", owner_id = name })
      assert(mine:rotate { app = "web", token = cookie })
      local _, _, code = mine:get { app = "web", token = cookie }
      assert(code == "reused_token", code)
    end
    local threads = {}
    for n = 1, 20 do threads[n] = ngx.thread.spawn(run, "user" .. n) end
    for n = 1, 20 do assert(ngx.thread.wait(threads[n])) end
    for _, event in ipairs(told) do assert(event.actor == event.owner) end
    return #told
"""


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with running_redis(transport="tcp") as server:
        yield server


@pytest.fixture
def lua(redis: Server) -> Iterator[NginxLua]:
    with nginx_lua(explained=("on_event failed: ",)) as lua:
        lua(MAKE.format(url=redis.url))
        yield lua


def test_each_request_has_its_actor(lua: NginxLua, redis: Server) -> None:
    assert lua(LOG_IN_AND_OUT) == 80
    with Client(redis.url) as client:
        stored = client.audit_events(count=1000)
        assert len(stored) == 80
        assert all(event.actor == event.owner for event in stored)
    assert lua("return #assert(client:audit_events { count = 7, reverse = true })") == 7


def test_a_function_that_fails_fails_nobody(lua: NginxLua) -> None:
    assert lua("return sessions:create { app = 'web', owner_id = 'failing' } ~= nil") is True
    assert lua("return told[#told].kind") == "created"
    assert any("tokenstore: on_event failed: " in line for line in lua.nginx.lines("broken"))
