"""A site whose locations use lua-resty-session, with our storage: the real one where it is installed, and a
stand-in that calls the storage in the same way (stand_ins/resty/session.lua). It cannot be had from a package
registry."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from lua_process import BEGIN
from nginx_lua import CHUNK, NginxLua
from nginx_server import running

STAND_INS = Path(__file__).parent / "stand_ins"

HTTP = """
  init_by_lua_block {{
    package.path = "{path}" .. package.path
    session = require "resty.session"
    storage = require("tokenstore.resty_session").new(require("tokenstore.core").decode [==[{options}]==])
    session.init {{
      secret = "a secret of the tests", store_metadata = true, storage = storage, stale_ttl = 10,
      rolling_timeout = 3600,
    }}

    function answer(found, message)
      local core = require "tokenstore.core"
      ngx.print(core.encode {{ result = found == nil and core.null or found, message = message }})
    end

    -- What has happened so far is seen by this request; then another one, with that cookie, ends the session.
    function end_it_elsewhere()
      if ngx.var.arg_ended_by then
        ngx.req.set_header("Cookie", ngx.unescape_uri(ngx.var.arg_ended_by))
      end
      assert(ngx.location.capture("/logout").body:find '"result":true')
    end
  }}
"""

SERVER = """
  default_type text/plain;
  location = /login {
    content_by_lua_block {
      local it = session.open()
      it:set_subject(ngx.var.arg_name)
      answer(it:save())
    }
  }
  location = /set {
    content_by_lua_block {
      local it = session.open()
      it:set("color", ngx.var.arg_color)
      answer(it:save())
    }
  }
  location = /info {
    content_by_lua_block {
      local it, message, exists = session.open()
      if not exists then
        return answer(nil, message)
      end
      it.info:set("seen", ngx.var.arg_seen)
      local _, problem = it.info:save()
      answer(problem == nil, problem)
    }
  }
  location = /who {
    content_by_lua_block {
      local it, message, exists = session.open()
      if exists then
        answer { subject = it:get_subject(), color = it:get "color", id = it:get_property "id" }
      else
        answer(nil, message)
      end
    }
  }
  location = /logout { content_by_lua_block { answer(session.logout()) } }
  location = /late/save {
    content_by_lua_block {
      local it = session.open()
      it:set("color", "late")
      end_it_elsewhere()
      answer(it:save())
    }
  }
  location = /late/info {
    content_by_lua_block {
      local it = session.open()
      it.info:set("seen", "late")
      end_it_elsewhere()
      local _, problem = it.info:save()
      answer(problem == nil, problem)
    }
  }
"""


class Browser:
    """Keeps one cookie."""

    def __init__(self, site: Site, cookie: str | None = None) -> None:
        self.site = site
        self.cookie = cookie

    def get(self, path: str, **arguments: str) -> Any:
        """What the location found; its message is in `problem`."""
        self.problem = None
        query = "?" + urlencode(arguments) if arguments else ""
        answer = self.site.nginx.get(path + query, {"Cookie": self.cookie} if self.cookie else {})
        self.status = answer.status
        if answer.status != 200:
            return None
        found = re.match("(session=[^;]*);", answer.headers.get("set-cookie", ""))
        if found:
            self.cookie = found[1]
        body = json.loads(answer.text)
        self.problem = body.get("message")
        return body["result"]

    def who(self) -> str | None:
        found = self.get("/who")
        return found.get("subject") if found else None


class Site(NginxLua):
    def browser(self, cookie: str | None = None) -> Browser:
        return Browser(self, cookie)


@contextmanager
def resty_site(stand_in: bool, storage: dict[str, Any], **options: Any) -> Iterator[Site]:
    http = HTTP.format(path=f"{STAND_INS}/?.lua;" if stand_in else "", options=json.dumps(storage))
    with running(SERVER + CHUNK, http=http, **options) as nginx:
        site = Site(nginx)
        site(BEGIN)
        yield site
