"""An nginx in which the plugins for Kong and APISIX run, with stand-ins for both (stand_ins/), in front of an
upstream that answers with the headers of its request.

Neither gateway can be had from a package registry. The stand-ins have what their documentation says of the
functions that the plugins call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lua_process import BEGIN
from nginx_lua import CHUNK, NginxLua
from nginx_server import Answer, running
from servers import free_port

GATEWAYS = ("kong", "apisix")

HTTP = """
  init_by_lua_block {{
    package.path = "{stand_ins}/?.lua;" .. package.path
    kong = require "kong_pdk"
    kong.consumers = {{
      {{ id = "11", username = "bob", custom_id = "b-1" }}, {{ id = "22", username = "guest" }},
    }}
    local handler = require "kong.plugins.tokenstore-auth.handler"
    local schema = require "kong.plugins.tokenstore-auth.schema"
    local check = require "kong_schema"
    local apisix = require "apisix.core"
    local plugin = require "apisix.plugins.tokenstore-auth"
    local core = require "tokenstore.core"
    configs = {{ kong = {{}}, apisix = {{}} }}

    function configure(gateway, name, text)
      local config = core.decode(text)
      local good, fault
      if gateway == "kong" then
        good, fault = check(schema, config)
      else
        good, fault = plugin.check_schema(config)
      end
      configs[gateway][name] = config
      return good or core.encode(fault)
    end

    function in_kong(name)
      return handler:access(configs.kong[name])
    end

    -- The variable is read before, as by a route's conditions, and after.
    function in_apisix(name)
      local context = apisix.new_context()
      local _ = context.var.http_x_owner_id
      local status, body = plugin.rewrite(core.decode(core.encode(configs.apisix[name])), context)
      if status then
        ngx.status = status
        ngx.print(core.encode(body))
        return ngx.exit(status)
      end
      ngx.req.set_header("X-Variable", context.var.http_x_owner_id)
      ngx.req.set_header("X-In-Context", context.tokenstore_session and context.tokenstore_session.owner_id)
    end

    function shown_of_kong()
      local consumer, credential = kong.client.get_consumer(), kong.client.get_credential()
      local session = kong.ctx.shared.tokenstore_session
      ngx.req.set_header("X-Consumer", consumer and consumer.id)
      ngx.req.set_header("X-Credential", credential and credential.id)
      ngx.req.set_header("X-In-Context", session and session.owner_id)
    end
  }}
  server {{
    listen 127.0.0.1:{port};
    underscores_in_headers on;
    location / {{
      content_by_lua_block {{ ngx.print(require("tokenstore.core").encode(ngx.req.get_headers(0, true))) }}
    }}
  }}
"""

SERVER = """
  underscores_in_headers on;
  proxy_set_header Connection "";
  location /kong/ {{
    access_by_lua_block {{
      in_kong(ngx.var.uri:match "[^/]+$")
      shown_of_kong()
    }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location /kong/other/ {{
    access_by_lua_block {{
      kong.client.authenticate({{ id = "other" }}, {{ id = "theirs" }})
      in_kong(ngx.var.uri:match "[^/]+$")
      shown_of_kong()
    }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location /apisix/ {{
    rewrite_by_lua_block {{ in_apisix(ngx.var.uri:match "[^/]+$") }}
    proxy_pass http://127.0.0.1:{port};
  }}
"""


class Gateways(NginxLua):
    """Both gateways in one worker."""

    def fault(self, gateway: str, name: str, config: dict[str, Any]) -> str | None:
        """Configures the plugin; what the gateway says of that."""
        found = self(f"return configure('{gateway}', '{name}', [==[{json.dumps(config)}]==])")
        return None if found is True else str(found)

    def configure(self, gateway: str, name: str, config: dict[str, Any]) -> None:
        assert self.fault(gateway, name, config) is None

    def get(self, gateway: str, name: str, headers: dict[str, str] | None = None) -> Answer:
        return self.nginx.get(f"/{gateway}/{name}", headers)


def seen(answer: Answer) -> dict[str, str]:
    """The request headers at the upstream."""
    assert answer.status == 200, answer
    found: dict[str, str] = json.loads(answer.text)
    return {name.lower(): value for name, value in found.items()}


@contextmanager
def running_gateways(more: str = "", **options: Any) -> Iterator[Gateways]:
    port = free_port()
    http = HTTP.format(stand_ins=Path(__file__).parent / "stand_ins", port=port)
    with running(SERVER.format(port=port) + CHUNK + more, http=http, **options) as nginx:
        gateways = Gateways(nginx)
        gateways(BEGIN)
        yield gateways
