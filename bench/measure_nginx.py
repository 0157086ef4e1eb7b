"""nginx with the guard, in requests per second: against the same by hand with lua-resty-redis and cjson, and
against nginx without a check. One worker, by its CPU time; wrk uses 50 connections."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from functools import partial
from pathlib import Path

from harness import CLIENT_CPUS, ROOT, SERVER_CPUS, Server, stop_all, turns

import tokenstore

NEEDED = (
    Path("/usr/lib/nginx/modules/ngx_http_lua_module.so"),
    Path("/usr/share/lua/5.1/nginx/redis.lua"),  # Debian's place for lua-resty-redis
)

CONFIG = """\
{user}load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  lua_package_path "{root}/bindings/lua/?.lua;{root}/bindings/lua/?/init.lua;;";
  lua_package_cpath "{root}/build/lua/5.1/?.so;;";
  lua_socket_buffer_size 64k;
  access_log off;
  keepalive_requests 100000000;
  init_by_lua_block {{
    guard = require "tokenstore.guard"
    resty = require "nginx.redis"
    cjson = require "cjson"
    sessions = assert(require("tokenstore").Sessions("unix://{redis}", {{ pool_size = 50 }}))
    each = {{ store = sessions, app = "bench" }}
    cached = {{ store = sessions, app = "bench", cache = 2 }}
    keeping = assert(require("tokenstore").Sessions("unix://{redis}", {{ pool_size = 50, near_cache = 1000 }}))
    near = {{ store = keeping, app = "bench" }}
    headers_only = {{ store = keeping, app = "bench", headers_only = true }}
  }}
  server {{
    listen 127.0.0.1:{port};
    location = /unchecked {{ content_by_lua_block {{ ngx.print "ok" }} }}
    location = /guard {{
      access_by_lua_block {{ guard.session(each) }}
      content_by_lua_block {{ ngx.print "ok" }}
    }}
    location = /cached {{
      access_by_lua_block {{ guard.session(cached) }}
      content_by_lua_block {{ ngx.print "ok" }}
    }}
    location = /near {{
      access_by_lua_block {{ guard.session(near) }}
      content_by_lua_block {{ ngx.print "ok" }}
    }}
    location = /headers_only {{
      access_by_lua_block {{ guard.session(headers_only) }}
      content_by_lua_block {{ ngx.print "ok" }}
    }}
    location = /by_hand {{
      access_by_lua_block {{
        ngx.req.clear_header("X-Owner-Id")
        local token = (ngx.var.http_authorization or ""):match "^Bearer (%S+)$"
        local redis = resty:new()
        redis:set_timeout(1000)
        if not token or not redis:connect("unix:{redis}") then
          return ngx.exit(503)
        end
        local found = redis:get("by-hand:" .. token)
        if not found or found == ngx.null then
          return ngx.exit(401)
        end
        redis:set_keepalive(60000, 50)
        local session = cjson.decode(found)
        ngx.req.set_header("X-Owner-Id", session.owner)
      }}
      content_by_lua_block {{ ngx.print "ok" }}
    }}
  }}
}}
"""


def start(directory, server):
    """An nginx of one worker; its process and port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = Path(directory) / "nginx.conf"
    user = "user root;\n" if os.getuid() == 0 else ""
    config.write_text(
        CONFIG.format(user=user, directory=directory, root=ROOT, redis=server.socket, port=port)
    )
    process = subprocess.Popen(["nginx", "-p", directory, "-c", str(config), "-e", "stderr"])
    os.sched_setaffinity(process.pid, CLIENT_CPUS[:1])
    deadline = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("nginx did not start")
        time.sleep(0.02)


def cpu_seconds(process):
    return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9


def per_request(process, port, token, path, seconds):
    """CPU seconds of the worker per request, with enough concurrency that it is never idle: other load on the
    machine does not matter."""
    cpus = ",".join(map(str, SERVER_CPUS))
    before = cpu_seconds(process)
    done = subprocess.run(
        ["taskset", "-c", cpus, "wrk", "-t1", "-c50", f"-d{seconds}s"]
        + ["-H", f"Authorization: Bearer {token}", f"http://127.0.0.1:{port}{path}"],
        capture_output=True,
        text=True,
    ).stdout
    used = cpu_seconds(process) - before
    found = re.search(r"(\d+) requests in", done)
    if "Non-2xx" in done or "Socket errors" in done or not found or int(found[1]) == 0:
        raise SystemExit(f"{path} failed:\n{done}")
    return used / int(found[1])


def measure(table, directory, rounds, seconds=1):
    if shutil.which("nginx") is None or not all(path.is_file() for path in NEEDED):
        print("SKIP nginx: it, its Lua module or lua-nginx-redis is not installed")
        return
    server = Server(directory, "nginx.sock")
    data = {"name": "n" * 20, "roles": ["a", "b"]}
    with tokenstore.Sessions(f"unix://{server.socket}") as sessions:
        token = sessions.create("bench", "owner-1", data, 3600)
    server.ask("SET", f"by-hand:{token}", json.dumps({"owner": "owner-1", "data": data}))
    process, port = start(directory, server)
    try:
        for ours, theirs, what, limit in (
            ("/guard", "/by_hand", "the guard, against GET + cjson by hand", (">=", 1.0)),
            ("/cached", "/by_hand", "the guard with cache = 2, against GET + cjson by hand", (">=", 1.0)),
            ("/guard", "/unchecked", "the guard, against no check", (">=", 0.7)),
            ("/cached", "/unchecked", "the guard with cache = 2, against no check", (">=", 0.7)),
            ("/near", "/unchecked", "the guard with near_cache, against no check", (">=", 0.8)),
            (
                "/headers_only",
                "/unchecked",
                "the guard with near_cache and headers_only, against no check",
                (">=", 0.8),
            ),
        ):
            a, b, ratio = turns(
                rounds,
                partial(per_request, process, port, token, ours, seconds),
                partial(per_request, process, port, token, theirs, seconds),
            )
            table.add(
                f"nginx requests per second of a worker: {what}",
                1 / a,
                1 / b,
                1 / ratio,
                limit,
                unit="/s",
            )
    finally:
        process.terminate()
        process.wait()
        stop_all()
