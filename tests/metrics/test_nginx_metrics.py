"""tokenstore.metrics in a real nginx with two workers: the names of the Python exporter, and the sums of all workers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest
from exported import Exported, export

import tokenstore
from nginx_server import MISSING, ROOT, Nginx, running
from servers import Server, free_port
from servers import running as running_redis
from tokenstore.ext.prometheus import Collector

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

HTTP = """
  lua_shared_dict tokenstore_metrics {size};
  init_worker_by_lua_block {{
    local tokenstore = require "tokenstore"
    sessions = assert(tokenstore.Sessions {{ redis = "{url}", near_cache = {near}, timeout = 2 }})
    metrics = require("tokenstore.metrics").init("tokenstore_metrics", {{ sync_interval = 0.05 }})
    metrics:watch(sessions)
  }}
"""
LOCATIONS = """
  location = /get {
    content_by_lua_block {
      local found, message, code = sessions:get { app = "web", token = ngx.var.arg_token }
      if message then
        ngx.status = 503
      end
      ngx.say(code or (found and "found" or "none"), " ", ngx.worker.pid())
    }
  }
  location = /metrics {
    content_by_lua_block { metrics:collect() }
  }
"""
GET = {"store": "Sessions", "operation": "get"}


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with running_redis(transport="tcp") as server:
        yield server


@contextmanager
def nginx_of(url: str, near: int = 0, size: str = "1m", **options: Any) -> Iterator[Nginx]:
    http = HTTP.format(url=url, near=near, size=size)
    with running(LOCATIONS, http=http, workers=2, **options) as nginx:
        yield nginx


def metrics_of(nginx: Nginx) -> Exported:
    answer = nginx.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Exported(answer.text)


def await_count(nginx: Nginx, count: float, **labels: str) -> Exported:
    """What it exports as soon as so many operations are counted."""
    end = time.monotonic() + 60
    while True:
        found = metrics_of(nginx)
        number = found.get("tokenstore_operations_total", **labels)
        if number is not None and number >= count:
            assert number == count
            return found
        assert time.monotonic() < end, f"{number} operations were counted"
        time.sleep(0.02)


def test_all_workers_are_counted(redis: Server) -> None:
    with tokenstore.Sessions(redis.url) as sessions, nginx_of(redis.url) as nginx:
        token = sessions.create(app="web", owner_id="bob", data={})
        workers: set[str] = set()
        gets = 0
        while len(workers) < 2 or gets < 20:
            what, worker = nginx.get(f"/get?token={token}").text.split()
            assert what == "found"
            workers.add(worker)
            gets += 1
        nginx.get("/get?token=no-such-token")
        await_count(nginx, gets, **GET, outcome="ok")
        found = await_count(nginx, 1, **GET, outcome="not_found")
        at = {**GET, "server": sessions.client.url}
        name = "tokenstore_operation_duration_seconds"
        assert found.get(f"{name}_count", **at) == gets + 1
        assert found.get(f"{name}_bucket", **at, le="+Inf") == gets + 1
        took = found.get(f"{name}_sum", **at)
        assert took is not None
        assert 0 < took < 60
        buckets = [s.value for s in found.samples if s.name == f"{name}_bucket"]
        assert buckets == sorted(buckets)
        assert len(buckets) == 17
        assert found.get("tokenstore_connections_limit") == 32
        opened = found.get("tokenstore_connections_opened_total")
        assert opened is not None
        assert opened >= 2
        assert found.get("tokenstore_metric_errors_total") == 0
        assert token not in found.text


def test_names_are_those_of_python(redis: Server) -> None:
    with tokenstore.Sessions(redis.url, near_cache=10) as sessions:
        collector = Collector(sessions)
        token = sessions.create(app="web", owner_id="bob", data={})
        assert sessions.get(app="web", token=token)
        ours = export(collector)
        with nginx_of(redis.url, near=10) as nginx:
            nginx.get(f"/get?token={token}")
            found = await_count(nginx, 1, **GET)
    assert found.names() - {"tokenstore_metric_errors_total"} <= ours.names()
    assert ours.names() - found.names() == {
        "tokenstore_connections",  # nginx does not tell
        "tokenstore_connections_waiting",
        "tokenstore_connection_timeouts_total",
        "tokenstore_near_cache_oldest_proof_seconds",
    }
    for name in found.names() & ours.names():
        assert found.labels(name) == ours.labels(name), name


def test_a_reload_goes_on_counting(redis: Server) -> None:
    with tokenstore.Sessions(redis.url) as sessions, nginx_of(redis.url) as nginx:
        token = sessions.create(app="web", owner_id="bob", data={})
        for _ in range(5):
            nginx.get(f"/get?token={token}")
        nginx.reload()
        await_count(nginx, 5, **GET, outcome="ok")
        nginx.get(f"/get?token={token}")
        found = await_count(nginx, 6, **GET, outcome="ok")
        end = time.monotonic() + 60
        while found.get("tokenstore_connections_limit") != 32:  # not those of the workers before
            assert time.monotonic() < end
            found = metrics_of(nginx)


def test_failures_are_counted(redis: Server) -> None:
    with nginx_of("redis://127.0.0.1:1", explained=(r"connect\(\) failed",)) as nginx:
        assert nginx.get("/get?token=some-token").status == 503
        await_count(nginx, 1, **GET, outcome="connection")


def test_near_cache(redis: Server) -> None:
    with tokenstore.Sessions(redis.url) as sessions, nginx_of(redis.url, near=10) as nginx:
        token = sessions.create(app="web", owner_id="bob", data={})
        gets = 0
        while True:
            assert nginx.get(f"/get?token={token}").text.startswith("found")
            gets += 1
            found = metrics_of(nginx)
            hits = found.get("tokenstore_near_cache_hits_total")
            if hits is not None and hits >= 3:
                break
        asked = found.get("tokenstore_operations_total", **GET)
        assert asked is not None
        assert asked < gets
        assert found.get("tokenstore_near_cache_misses_total") is not None


def test_a_dictionary_that_is_missing(redis: Server) -> None:
    script = """
      init_worker_by_lua_block {
        local good, message = pcall(require("tokenstore.metrics").init, "nowhere")
        why = message
      }
    """
    with running("location = /why { content_by_lua_block { ngx.print(why) } }", http=script) as nginx:
        said = nginx.get("/why").text
    assert "there is no dictionary \"nowhere\": add `lua_shared_dict nowhere 1m;`" in said


def test_a_dictionary_that_is_too_small(redis: Server) -> None:
    with tokenstore.Sessions(redis.url) as sessions, nginx_of(redis.url, size="12k") as nginx:
        token = sessions.create(app="web", owner_id="bob", data={})
        assert nginx.get(f"/get?token={token}").text.startswith("found")
        end = time.monotonic() + 60
        while not (errors := metrics_of(nginx).get("tokenstore_metric_errors_total")):
            assert time.monotonic() < end
        assert errors > 0
        assert nginx.get(f"/get?token={token}").text.startswith("found")


def test_the_configuration_in_the_docs(redis: Server) -> None:
    """As printed, but for the address of the server and the port."""
    page = (ROOT / "docs/how-to/metrics.md").read_text()
    (block,) = re.findall(r"```nginx\nhttp \{\n(.*?)\n\}\n```", page, re.DOTALL)
    port = free_port()
    block = block.replace("redis://localhost:6379", redis.url).replace("127.0.0.1:9145", f"127.0.0.1:{port}")
    assert redis.url in block
    with running("", http=block), closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", "/metrics")
        found = Exported(connection.getresponse().read().decode())
    assert found.get("tokenstore_metric_errors_total") == 0
    assert found.get("tokenstore_connections_limit") == 16
