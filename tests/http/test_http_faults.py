"""Servers that hang, drip, hang up: the deadline holds, and failures are distinguished."""

from __future__ import annotations

import time

import pytest
from http_driver import LATE_MS, SLOW, Driver, in_time
from http_servers import PATIENCE, HttpServer, RawServer, Reply, Script, Talk, full_listener, says

from servers import free_port

TIMEOUT_MS = 3000 if SLOW else 300


def check_timeout(driver: Driver, url: str, *, sent: bool, **words: object) -> None:
    answer = in_time(
        lambda: driver.fetch(url, timeout=TIMEOUT_MS, **words), lambda a: a.ms - TIMEOUT_MS
    )
    assert (answer.status, answer.sent, answer.final) == ("timeout", sent, False)
    assert answer.ms >= TIMEOUT_MS
    assert ("before the response" if sent else "before the request") in answer.message


# ---- time ------------------------------------------------------------------------------------------


def hang(talk: Talk) -> None:
    talk.hang()


def hang_in_head(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-")
    talk.hang()


def hang_in_body(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell")
    talk.hang()


def drip(head: bytes, what: bytes) -> Script:
    """Sends something every few milliseconds, forever."""

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send(head)
        while True:
            talk.send(what)
            time.sleep(0.01)

    return script


@pytest.mark.parametrize(
    "script",
    [
        hang,
        hang_in_head,
        hang_in_body,
        drip(b"", b"HTTP/1.1 103 Hint\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", b"x"),
    ],
)
def test_the_deadline_holds_against_hang_and_drip(driver: Driver, script: Script) -> None:
    with RawServer(script) as server:
        check_timeout(driver, server.url(), sent=True, post=b"x")


def test_the_deadline_holds_while_sending(driver: Driver) -> None:
    def take_nothing(talk: Talk) -> None:
        talk.server.over.wait(PATIENCE)

    with RawServer(take_nothing) as server:
        body = b"x" * 30_000_000
        check_timeout(driver, server.url(), sent=True, post=body)


def test_the_deadline_holds_while_connecting(driver: Driver) -> None:
    with full_listener() as port:
        check_timeout(driver, f"http://127.0.0.1:{port}/", sent=False)


def test_the_deadline_holds_in_the_handshake(driver: Driver) -> None:
    with RawServer(hang) as server:
        check_timeout(driver, server.url(scheme="https"), sent=False)


def test_the_deadline_holds_while_a_name_is_looked_up() -> None:
    with Driver(preload="names.so") as driver:
        assert driver.new().status == "ok"
        check_timeout(driver, "http://a.slow/", sent=False)
        # The lookup continues in the background; nothing waits for it.
        check_timeout(driver, "http://b.slow/", sent=False)
        began = time.monotonic()
        driver("free")
        assert time.monotonic() - began < 1 + LATE_MS / 1000


@pytest.mark.parametrize("timeout", [0, -1, -(2**63)])
def test_no_time_at_all(driver: Driver, server: HttpServer, timeout: int) -> None:
    answer = driver.fetch(server.url(), timeout=timeout)
    assert (answer.status, answer.sent) == ("timeout", False)
    assert "before the request was started" in answer.message
    assert server.connections == 0


def test_all_the_time_there_is(driver: Driver, server: HttpServer) -> None:
    assert driver.fetch(server.url(), timeout=2**63 - 1).http == 200


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_connecting_has_a_limit_of_its_own(driver: Driver, scheme: str) -> None:
    assert driver.new(connect_timeout=TIMEOUT_MS).status == "ok"
    with full_listener() as port, RawServer(hang) as server:
        where = f"http://127.0.0.1:{port}/" if scheme == "http" else server.url(scheme="https")
        answer = in_time(lambda: driver.fetch(where, timeout=20_000), lambda a: a.ms - TIMEOUT_MS)
    assert (answer.status, answer.sent, answer.final) == ("connection", False, False)
    assert f"could not connect within {TIMEOUT_MS} ms" in answer.message
    assert answer.ms >= TIMEOUT_MS - 1  # libcurl enforces this limit, in whole milliseconds


def test_the_limit_of_connecting_is_not_one_of_waiting(driver: Driver) -> None:
    def slow(talk: Talk) -> None:
        talk.read_request()
        time.sleep(TIMEOUT_MS / 1000 * 2)
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    assert driver.new(connect_timeout=TIMEOUT_MS).status == "ok"
    with RawServer(slow) as server:
        assert driver.fetch(server.url(), timeout=20_000).body == b"ok"


# ---- broken connections ----------------------------------------------------------------------------


def reset_at_once(talk: Talk) -> None:
    talk.reset()


def reset_after_the_request(talk: Talk) -> None:
    talk.read_request()
    talk.reset()


def reset_after(part: bytes) -> Script:
    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send(part)
        time.sleep(0.02)  # a reset discards data that the peer has not read yet
        talk.reset()

    return script


@pytest.mark.parametrize(
    "script",
    [
        reset_after_the_request,
        reset_after(b"HTTP/1.1 200"),
        reset_after(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"),
        reset_after(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        reset_after(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"),
        reset_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n"),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n"),
    ],
)
def test_a_connection_that_breaks_is_an_error(driver: Driver, script: Script) -> None:
    with RawServer(script) as server:
        answer = driver.fetch(server.url(), post=b"x")
        assert (answer.status, answer.sent, answer.final) == ("connection", True, False)
        assert answer.message.startswith(f"http://127.0.0.1:{server.port}: ")
        assert len(server.requests) == 1


def test_a_reset_at_once_is_an_error(driver: Driver) -> None:
    with RawServer(reset_at_once) as server:
        answer = driver.fetch(server.url(), post=b"x")
        assert (answer.status, answer.final) == ("connection", False)


@pytest.mark.parametrize(
    "script", [reset_at_once, lambda talk: None, says(b"HTTP/1.1 400 Bad\r\n\r\n")]
)
def test_a_handshake_that_breaks_may_be_tried_again(driver: Driver, script: Script) -> None:
    with RawServer(script) as server:
        answer = driver.fetch(server.url(scheme="https"), post=b"x")
        assert (answer.status, answer.sent, answer.final) == ("connection", False, False)
        assert answer.message.startswith(f"https://127.0.0.1:{server.port}: ")


def test_a_refused_connection(driver: Driver) -> None:
    port = free_port()
    answer = driver.fetch(f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.sent, answer.final) == ("connection", False, False)
    assert answer.message.startswith(f"http://127.0.0.1:{port}: ")


def test_a_name_that_does_not_exist() -> None:
    with Driver(preload="names.so") as driver:
        assert driver.new().status == "ok"
        answer = driver.fetch("http://auth.none:81/secret-path?secret=1")
    assert (answer.status, answer.sent, answer.final) == ("connection", False, False)
    assert answer.message.startswith("http://auth.none:81: ")
    assert "secret" not in answer.message


def test_after_every_failure_the_next_fetch_is_well(driver: Driver, server: HttpServer) -> None:
    for script in (hang, hang_in_body, reset_after_the_request, says(b"junk"), says()):
        with RawServer(script) as broken:
            assert driver.fetch(broken.url(), timeout=100).status != "ok"
        assert driver.fetch(server.url()).body == b"ok"
    assert server.connections == 1


def test_an_error_is_not_mixed_up_with_the_next_answer(driver: Driver, server: HttpServer) -> None:
    """A truncated body does not affect the next request to that server."""
    server.routes["/large"] = lambda request: Reply(200, b"L" * 100_000)
    for _ in range(3):
        assert driver.fetch(server.url("/large"), max=10).status == "data"
        assert driver.fetch(server.url("/")).body == b"ok"
