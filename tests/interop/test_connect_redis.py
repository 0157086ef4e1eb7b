"""docs/how-to/coming-from.md: a session of the real express-session and connect-redis, taken along by the functions of the page."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis

import tokenstore
from node import HERE, MISSING, is_there
from servers import Server
from tokenstore.web import WebSessions

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/coming-from.md"
SECRET = "keyboard cat"


@pytest.mark.skipif(not is_there("connect-redis"), reason=MISSING)
def test_connect_redis(server: Server) -> None:
    command = ["node", "express_session.mjs", str(server.port), SECRET]
    done = subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.PIPE, text=True)
    cookie = done.stdout.partition(";")[0]

    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S):
        if "def take_along" in block or "def of_connect_redis" in block:
            exec(block, names)
    with redis.Redis(port=server.port) as old, tokenstore.Sessions(server.url) as sessions:
        found = names["of_connect_redis"](old, SECRET)
        assert names["take_along"](sessions.client, found) == (1, 0)
        old.delete(*old.scan_iter("sess:*"))
        web = WebSessions(sessions, cookie="connect.sid")
        session = web.open(cookie)
        assert (session.principal, session) == ("bob", {"user": "bob", "cart": ["book"]})
        name, _, value = cookie.partition("=")
        wrong = f"{name}={value[:-1]}{'A' if value[-1] != 'A' else 'B'}"
        assert web.open(wrong).new
