"""An nginx worker that a test uses like a Lua interpreter: it sends chunks and gets their results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lua_process import BEGIN, Lua, Raised
from nginx_server import Nginx, running

CHUNK = f"""
  location = /chunk {{
    client_body_buffer_size 1m;
    content_by_lua_file {Path(__file__).parent}/chunk.lua;
  }}
"""
MAIN = "thread_pool tokenstore threads=4 max_queue=1024;"
HTTP = "lua_shared_dict tokenstore 1m;"


class NginxLua(Lua):
    """A worker instead of an interpreter."""

    def __init__(self, nginx: Nginx) -> None:
        self.name = "nginx"
        self.nginx = nginx

    def all(self, chunk: str) -> list[Any]:
        connection = self.nginx.connect()
        try:
            connection.request("POST", "/chunk", chunk.encode())
            text = connection.getresponse().read()
        finally:
            connection.close()
        good, *results = json.loads(text)
        if not good:
            raise Raised(results[0])
        return results


@contextmanager
def nginx_lua(**options: Any) -> Iterator[NginxLua]:
    pieces = {"main": MAIN, "http": HTTP, **options}
    with running(CHUNK, **pieces) as nginx:
        lua = NginxLua(nginx)
        lua(BEGIN)
        yield lua
