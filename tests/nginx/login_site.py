"""A site whose locations log in, rotate and log out with the guard, and a browser for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from nginx_server import Nginx, running
from servers import free_port

HTTP = """
  init_by_lua_block {{
    local tokenstore = require "tokenstore"
    sessions = assert(tokenstore.Sessions("{url}", {{ timeout = 0.5 }}))
    limited = assert(tokenstore.Sessions(sessions.client, {{ max_per_owner = 1, when_full = "refuse" }}))
    tokens = assert(tokenstore.RedisTokens(sessions.client))
    jwts = assert(tokenstore.RedisJWT {{ redis = sessions.client, secret = "a secret of at least 32 bytes!!!" }})
    guard = require "tokenstore.guard"
    members = guard.options {{ store = sessions, app = "web", cookie = "__Host-sid" }}
    -- Its answers are late.
    local slow = assert(tokenstore.Sessions(sessions.client))
    function slow:get(args)
      local session, message, code = sessions.get(self, args)
      ngx.sleep(0.3)
      return session, message, code
    end
    raced = {{ store = slow, app = "web", cookie = "__Host-sid", cache = 60 }}
    revoking = {{
      store = assert(tokenstore.Sessions(sessions.client, {{ prefix = "reuse", reuse = "revoke" }})),
      app = "web", cookie = "__Host-sid", cache = 60,
    }}
    durable = {{
      store = assert(tokenstore.Sessions(sessions.client, {{ wait_replicas = 1, wait_timeout = 0.01 }})),
      app = "web", cookie = "__Host-sid",
    }}
    function arguments()
      ngx.req.read_body()
      return require("tokenstore.core").decode(ngx.req.get_body_data() or "{{}}")
    end
    function answer(session, message, code)
      local core = require "tokenstore.core"
      if message then
        ngx.print(core.encode {{ message = message, code = code }})
      elseif type(session) == "table" then
        session.request = nil
        ngx.print(core.encode {{ owner = session.owner_id or session.owner, data = session.data, token = session.token }})
      else
        ngx.print(core.encode {{ result = session }})
      end
    end
  }}
  server {{
    listen 127.0.0.1:{port};
    underscores_in_headers on;
    location / {{
      content_by_lua_block {{
        ngx.header["Set-Cookie"] = {{ "theirs=1; Path=/", "theirs2=2" }}
        ngx.print(require("tokenstore.core").encode(ngx.req.get_headers(0, true)))
      }}
    }}
  }}
"""

SERVER = """
  client_body_buffer_size 1m;
  underscores_in_headers on;
  proxy_set_header Connection "";
  location = /login {{ content_by_lua_block {{ answer(guard.login(members, arguments())) }} }}
  location = /rotate {{ content_by_lua_block {{ answer(guard.rotate(members, arguments())) }} }}
  location = /logout {{ content_by_lua_block {{ answer(guard.logout(members)) }} }}
  location = /check {{ content_by_lua_block {{ answer(guard.session(members)) }} }}
  location = /limited {{
    content_by_lua_block {{
      answer(guard.login({{ store = limited, app = "limited", cookie = "sid" }}, arguments()))
    }}
  }}
  location = /sliding {{
    content_by_lua_block {{
      answer(guard.login({{ store = sessions, app = "web", cookie = "sid", refresh = 60 }}, arguments()))
    }}
  }}
  location = /idle/rotate {{
    content_by_lua_block {{
      answer(guard.rotate {{ store = sessions, app = "web", cookie = "__Host-sid", refresh = true }})
    }}
  }}
  location = /plain {{
    content_by_lua_block {{
      answer(guard.login({{
        store = sessions, app = "web", cookie = "sid", cookie_attributes = {{
          secure = false, same_site = "Strict", path = "/app", domain = "example.com",
        }},
      }}, {{ owner_id = "bob" }}))
    }}
  }}
  location = /partitioned {{
    content_by_lua_block {{
      answer(guard.logout {{
        store = sessions, app = "web", cookie = "__Secure-sid", cookie_attributes = {{
          partitioned = true, same_site = "None", domain = "example.com",
        }},
      }})
    }}
  }}
  location /token/ {{
    content_by_lua_block {{
      local options = {{ store = tokens, app = "web", type = "api", cookie = "sid", headers = {{}} }}
      local name = ngx.var.uri:match "[^/]+$"
      if name == "login" then
        answer(guard.login(options, {{ owner = "robot", data = {{ a = 1 }} }}))
      else
        answer(guard[name](options))
      end
    }}
  }}
  location /reuse/ {{
    content_by_lua_block {{
      local name = ngx.var.uri:match "[^/]+$"
      answer(guard[name](revoking, {{ owner_id = name == "login" and "bob" or nil }}))
    }}
  }}
  location /durable/ {{
    content_by_lua_block {{
      local name = ngx.var.uri:match "[^/]+$"
      answer(guard[name](durable, {{ owner_id = name == "login" and "bob" or nil }}))
    }}
  }}
  location = /edge/login {{
    access_by_lua_block {{ ngx.ctx.session = guard.login(members, arguments()) }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location = /edge/logout {{
    access_by_lua_block {{
      guard.session(members)
      guard.logout(members)
    }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location = /edge/rotate {{
    access_by_lua_block {{
      guard.session(members)
      ngx.ctx.session = guard.rotate(members)
      local same = guard.session(members)
      if same.token ~= ngx.ctx.session.token then
        ngx.exit(500)
      end
    }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location = /variable {{ # $http_cookie is computed before the login
    set $copy $http_cookie;
    content_by_lua_block {{
      guard.login(members, {{ owner_id = "bob" }})
      ngx.exec "/check"
    }}
  }}
  location = /others {{
    content_by_lua_block {{
      ngx.header["Set-Cookie"] = {{ "a=1", "b=2" }}
      guard.login(members, {{ owner_id = "bob" }})
      guard.rotate(members)
      ngx.print(guard.session(members).owner_id)
    }}
  }}
  location = /cached {{
    content_by_lua_block {{
      answer(guard.session {{ store = sessions, app = "web", cookie = "__Host-sid", cache = 60 }})
    }}
  }}
  location = /race {{
    content_by_lua_block {{
      local thread = ngx.thread.spawn(guard.session, raced)
      guard.logout(raced)
      local _, session = ngx.thread.wait(thread)
      answer(session)
    }}
  }}
  location = /raced {{ content_by_lua_block {{ answer(guard.session(raced)) }} }}
  location = /anyone {{
    content_by_lua_block {{
      answer(guard.session {{
        store = sessions, app = "web", cookie = "__Host-sid", anonymous = true, cache = 60,
      }})
    }}
  }}
  location = /late {{
    content_by_lua_block {{
      ngx.print "begun"
      ngx.flush(true)
      local good, message = pcall(guard.login, members, {{ owner_id = "late" }})
      ngx.print(" ", message)
    }}
  }}
  location = /wrong {{
    content_by_lua_block {{
      local lines = {{}}
      local function call(name, given, args)
        lines[#lines + 1] = select(2, pcall(function()
          local result = guard[name](given, args)
          return result
        end))
      end
      local function try(attributes, cookie)
        call("session",
          {{ store = sessions, app = "web", cookie = cookie or "sid", cookie_attributes = attributes }})
      end
      try({{ path = "/app" }}, "__Host-sid")
      try({{ domain = "example.com" }}, "__Host-sid")
      try({{ secure = false }}, "__Secure-sid")
      try({{ secure = false, same_site = "None" }})
      try({{ secure = false, partitioned = true }})
      try({{ samesite = "Lax" }})
      call("options", {{ store = sessions, app = "web", cookie_attributes = {{}} }})
      call("options", {{ store = jwts, cookie = "sid", cookie_attributes = {{}} }})
      call("login", {{ store = jwts, cookie = "sid" }}, {{ owner_id = "bob" }})
      call("login", {{ store = sessions, app = "web" }}, {{ owner_id = "bob" }})
      call("logout", {{ store = sessions, app = "web", cookie = "a[b]" }})
      call("login", members)
      call("login", members, {{}})
      call("login", members, {{ owner = "bob" }})
      call("login", members, {{ owner_id = 5 }})
      call("login", members, {{ owner_id = "bob", max_age = 0 }})
      call("rotate", members, {{ owner_id = "bob" }})
      call("rotate", members, {{ duration = 0 }})
      call("rotate", members, {{ grace = -1 }})
      call("options", {{ app = "web" }})
      ngx.print(table.concat(lines, string.char(10)))
    }}
  }}
"""

FORGED = dict.fromkeys(("X-Owner-Id", "X_Owner_Id", "X_owner-ID"), "forged")
ATTRIBUTES = "; Path=/; Secure; HttpOnly; SameSite=Lax"


class Got(NamedTuple):
    status: int
    cookies: list[str]
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> dict[str, object]:
        assert self.status == 200, self
        found: dict[str, object] = json.loads(self.text)
        return found

    @property
    def seen(self) -> dict[str, object]:
        """The request headers at the upstream."""
        return {name.lower(): value for name, value in self.json.items()}

    @property
    def token(self) -> str:
        """The value of the one cookie."""
        [line] = self.cookies
        found = re.match("__Host-sid=([^;]+)", line)
        assert found is not None, line
        return found[1]


def send(
    nginx: Nginx,
    path: str,
    *values: str,
    arguments: object = None,
    headers: dict[str, str] | None = None,
    cookie_headers: tuple[str, ...] = (),
) -> Got:
    """A request with these values of the cookie, and more Cookie headers."""
    connection = nginx.connect()
    if values:
        cookie_headers += ("; ".join(f"__Host-sid={value}" for value in values),)
    body = json.dumps(arguments or {}).encode()
    try:
        connection.putrequest("POST", path)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        for value in cookie_headers:
            connection.putheader("Cookie", value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        text = response.read().decode()
        cookies = response.headers.get_all("Set-Cookie", [])
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Got(response.status, cookies, lower, text)
    finally:
        connection.close()


@contextmanager
def site(url: str, more: str = "", **options: Any) -> Iterator[Nginx]:
    """An nginx for the sessions at `url`, with `more` configuration of its server."""
    port = free_port()
    http = HTTP.format(url=url, port=port)
    with running(SERVER.format(port=port) + more, http=http, **options) as nginx:
        yield nginx
