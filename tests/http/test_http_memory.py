"""Out of memory at any allocation: an error, not a crash, and no leak of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_driver import SLOW, Answer, Driver
from http_servers import HttpServer, Reply
from http_tls import server_context

from certs import LOCAL, SERVER, Authority

pytestmark = pytest.mark.skipif(SLOW, reason="allocations are the sanitizer's or valgrind's")


@pytest.fixture
def driver() -> Iterator[Driver]:
    with Driver(preload="failing_memory.so") as driver:
        yield driver


def life(driver: Driver, server: HttpServer, after: int, **options: object) -> Answer:
    """A tks_http is created, used and freed, with one failing allocation."""
    return driver("failing", ["A:b"], after=after, url=server.url(), post=b"x", **options)


def test_every_allocation_may_fail(driver: Driver, server: HttpServer) -> None:
    headers = [("Content-Type", "a/b"), ("Retry-After", "1")]
    server.routes["/"] = lambda request: Reply(200, b"body", headers)
    assert life(driver, server, 0).status == "ok"  # one-time allocations of the process
    outcomes: Counter[str] = Counter()
    for after in range(1, 1000):
        answer = life(driver, server, after)
        if answer.left > 0:
            break
        outcomes[answer.status] += 1
        # If libcurl ignores a failed allocation it may leak.
        assert answer.leaked == 0 or answer.status == "ok"
        if answer.status == "ok":
            assert (answer.type, answer.retry_after, answer.body) == (b"a/b", b"1", b"body")
    assert answer.left > 0
    assert set(outcomes) <= {"memory", "connection", "ok"}
    assert outcomes["memory"] > 50
    answer = life(driver, server, 0)
    assert (answer.status, answer.leaked) == ("ok", 0)


def test_allocations_of_tls_may_fail(driver: Driver, tmp_path: Path) -> None:
    """OpenSSL may report any error, but must not crash."""
    authority = Authority(tmp_path)
    with HttpServer(server_context(authority.sign("server", LOCAL, *SERVER))) as server:
        assert life(driver, server, 0, ca=authority.cert).status == "ok"
        for after in [*range(50, 200), *range(200, 5000, 47)]:
            life(driver, server, after, ca=authority.cert)
        assert life(driver, server, 0, ca=authority.cert).status == "ok"
