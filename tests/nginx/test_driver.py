"""The driver in nginx: loaded modules, supported phases, errors in other phases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

import servers
from nginx_server import Nginx, running
from servers import Server
from tls_port import ANSWERS, Answer, tls_port

PHASES = """
  location = /ping {{ content_by_lua_block {{ say(client:execute "PING") }} }}
  location = /rewrite {{ rewrite_by_lua_block {{ say(client:execute "PING") }} }}
  location = /access {{ access_by_lua_block {{ say(client:execute "PING") }} }}
  location = /timer {{
    content_by_lua_block {{
      local done = require("ngx.semaphore").new()
      local results
      ngx.timer.at(0, function()
        results = {{ client:execute "PING" }}
        done:post()
      end)
      done:wait(10)
      say(unpack(results))
    }}
  }}
  location = /set {{
    set_by_lua_block $said {{ return told(client:execute "PING") }}
    content_by_lua_block {{ ngx.print(ngx.var.said) }}
  }}
  location = /header_filter {{
    content_by_lua_block {{ ngx.print("x") }}
    header_filter_by_lua_block {{ ngx.header.x_said = told(client:execute "PING") }}
  }}
  location = /body_filter {{
    content_by_lua_block {{ ngx.print("x") }}
    body_filter_by_lua_block {{
      if #ngx.arg[1] > 0 then
        ngx.arg[1] = told(client:execute "PING")
      end
    }}
  }}
  location = /log {{
    content_by_lua_block {{ ngx.print("x") }}
    log_by_lua_block {{ ngx.log(ngx.NOTICE, "SAID ", told(client:execute "PING")) }}
  }}
  location = /init {{ content_by_lua_block {{ ngx.print(SAID_INIT) }} }}
  location = /init_worker {{ content_by_lua_block {{ ngx.print(SAID_INIT_WORKER) }} }}
  location = /pool {{
    content_by_lua_block {{
      local tokenstore = require "tokenstore"
      local args = ngx.req.get_uri_args()
      say(tokenstore.Client(args.url):execute("CLIENT", "GETNAME"))
      say(tokenstore.Client(args.url .. "?client_name=" .. args.name):execute("CLIENT", "GETNAME"))
      say(tokenstore.Client(args.url .. "?db=3"):execute("CLIENT", "INFO"))
    }}
  }}
  location = /raw {{
    content_by_lua_block {{
      local args = ngx.req.get_uri_args()
      local tokenstore = require "tokenstore"
      local words = {{}}
      for word in args.command:gmatch "%S+" do
        words[#words + 1] = word
      end
      say(tokenstore.Client(args.url):execute(unpack(words)))
      say(tokenstore.Client(args.url):pipeline {{ {{ "PING" }}, words }})
      say(tokenstore.Client(args.url):execute("CLIENT", "INFO"))
    }}
  }}
  location = /refused {{
    content_by_lua_block {{ say(require("tokenstore").Client(ngx.unescape_uri(ngx.var.arg_url))) }}
  }}
  location = /execute {{
    content_by_lua_block {{
      local client = require("tokenstore").Client(ngx.unescape_uri(ngx.var.arg_url))
      say(client:execute "PING")
    }}
  }}
"""

HTTP = """
  init_by_lua_block {{
    function told(...)
      local words = {{}}
      for i = 1, select("#", ...) do
        words[i] = tostring((select(i, ...)))
      end
      return table.concat(words, "|")
    end
    function say(...)
      ngx.say(told(...))
    end
    client = assert(require("tokenstore").Client("{url}"))
    SAID_INIT = told(client:execute "PING")
  }}
  init_worker_by_lua_block {{ SAID_INIT_WORKER = told(client:execute "PING") }}
"""


@pytest.fixture(scope="module")
def nginx(redis: Server) -> Iterator[Nginx]:
    with running(PHASES.format(), http=HTTP.format(url=redis.url)) as made:
        yield made


@pytest.mark.parametrize("phase", ["ping", "rewrite", "access", "timer"])
def test_phases_with_cosockets(nginx: Nginx, phase: str) -> None:
    assert nginx.get(f"/{phase}").text == "PONG\n"


@pytest.mark.parametrize(
    "phase", ["set", "header_filter", "body_filter", "log", "init", "init_worker"]
)
def test_phases_without_cosockets(nginx: Nginx, phase: str) -> None:
    answer = nginx.get(f"/{phase}")
    said = answer.headers.get("x-said", answer.text)
    if phase == "log":
        nginx.await_log("SAID ")
        said = nginx.lines("SAID ")[0].split("SAID ")[1].split(" while logging")[0]
    assert said.startswith(f"nil|nginx has no sockets in {phase}_by_lua: call this in ")
    assert said.endswith("|configuration")


def test_no_other_module_is_loaded(nginx: Nginx) -> None:
    nginx.get("/ping")
    maps = Path(f"/proc/{nginx.workers()[0]}/maps").read_text()
    assert "tokenstore/core.so" in maps
    for name in ("blocking", "openssl", "oauth"):
        assert f"tokenstore/{name}.so" not in maps


def test_connections_are_kept_and_shared(nginx: Nginx, redis: Server) -> None:
    """Connections are shared by clients with equal settings, and not by others."""
    path = f"/pool?url={quote(redis.url, safe='')}&name=ours"
    nginx.get(path)
    before = redis("INFO", "stats").split(b"total_connections_received:")[1].split()[0]
    for _ in range(20):
        lines = nginx.get(path).text.splitlines()
        assert lines[:2] == ["nil", "ours"]
        assert " db=3 " in lines[2]
    after = redis("INFO", "stats").split(b"total_connections_received:")[1].split()[0]
    assert int(after) - int(before) == 1  # the connection of INFO itself


@pytest.mark.parametrize(
    "command", ["SELECT 3", "select 3", "AUTH x", "CLIENT SETNAME x", "HELLO 3", "MONITOR", "MULTI"]
)
def test_commands_that_would_change_a_shared_connection(
    nginx: Nginx, redis: Server, command: str
) -> None:
    """In nginx the pool is shared by all clients with equal settings."""
    path = f"/raw?url={quote(redis.url, safe='')}&command={quote(command)}"
    single, many, info = nginx.get(path).text.split("\n", 2)
    for refused in (single, many):
        assert refused.startswith("nil|")
        assert "is not sent" in refused
        assert refused.endswith("|data")
    assert " db=0 " in info
    assert " name= " in info


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("embedded:", "embedded: is not supported in nginx"),
        ("rediss://localhost?ca=/etc/passwd", "lua_ssl_trusted_certificate"),
        ("rediss://127.0.0.1", "give server_name="),
        ("rediss+cluster://localhost?ca=/etc/passwd", "lua_ssl_trusted_certificate"),
        ("rediss+sentinel://localhost/mymaster?ca=/etc/passwd", "lua_ssl_trusted_certificate"),
        ("rediss+cluster://localhost?server_name=127.0.0.1", "give server_name="),
        ("rediss+cluster://localhost?cert=/no/cert&key=/no/key", "cert= cannot be read: No such file"),
        ("rediss://localhost?cert=/no/cert&key=/no/key", "cert= cannot be read: No such file"),
        ("rediss://localhost?cert=/etc/passwd&key=/etc/passwd", "cert= is not PEM"),
        ("http://localhost", "scheme"),
        ("redis://[fe80::1%25lo]", "an IPv6 address with a zone (fe80::1%lo)"),
    ],
)
def test_what_nginx_cannot(nginx: Nginx, url: str, part: str) -> None:
    said = nginx.get("/refused?url=" + quote(url, safe="")).text
    assert said.startswith("nil|")
    assert part in said
    assert said.endswith("|configuration\n")


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("redis://no-such-host.example", "host names require nginx's directive resolver"),
        ("redis://127.0.0.1:1", "cannot connect: connection refused"),
        ("unix:///no/such.sock", "cannot connect: no such file or directory"),
    ],
)
def test_nobody_there(nginx: Nginx, url: str, part: str) -> None:
    nginx.explained.append(r"\[crit\].*connect\(\) to unix:/no/such\.sock failed")
    nginx.explained.append(r"\[error\].*connect\(\) failed \(111: Connection refused\)")
    said = nginx.get("/execute?url=" + quote(url, safe="")).text
    assert said.startswith("nil|")
    assert part in said
    assert said.endswith("|connection\n")


@pytest.mark.parametrize("answer", ANSWERS)
def test_redis_to_a_tls_port(nginx: Nginx, answer: Answer) -> None:
    nginx.explained.append(r"\[error\].*(recv|send)\(\) failed \((104|32): ")
    with tls_port(answer) as port:
        said = nginx.get("/execute?url=" + quote(f"redis://127.0.0.1:{port}", safe="")).text
    assert said.startswith("nil|")
    assert "for a TLS port use rediss://" in said
    assert said.endswith("|connection\n")


def test_a_full_server_is_tried_again(nginx: Nginx) -> None:
    """Then no outcome is unknown."""
    with servers.running("--maxclients", "1", transport="tcp") as full, full.wire():
        said = nginx.get("/execute?url=" + quote(full.url, safe="")).text
    assert said.startswith("nil|")
    assert "max number of clients" in said
    assert said.endswith("|connection\n")
