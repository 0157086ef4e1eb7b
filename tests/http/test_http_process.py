"""Connection reuse, threads, fork, signals, descriptors."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from http_driver import RUN, Answer, Driver, in_time
from http_servers import (
    PATIENCE,
    HttpServer,
    RawServer,
    Reply,
    Request,
    Script,
    Talk,
    full_listener,
)
from http_tls import server_context

from certs import LOCAL, SERVER, Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    return server_context(authority.sign("server", LOCAL, *SERVER))


@pytest.fixture(params=["plain", "tls"])
def either(request: pytest.FixtureRequest) -> Iterator[HttpServer]:
    """A server, plain and then TLS."""
    with HttpServer(request.getfixturevalue("tls") if request.param == "tls" else None) as server:
        yield server


@pytest.fixture
def driver(authority: Authority) -> Iterator[Driver]:
    with Driver() as driver:
        assert driver.new(ca=authority.cert).status == "ok"
        yield driver


# ---- connections -----------------------------------------------------------------------------------


def test_a_connection_is_used_again(driver: Driver, either: HttpServer) -> None:
    for _ in range(20):
        assert driver.fetch(either.url(), post=b"x").http == 200
    assert (len(either.requests), either.connections) == (20, 1)


def test_two_servers_have_a_connection_each(driver: Driver, tls: ssl.SSLContext) -> None:
    with HttpServer() as one, HttpServer(tls) as other:
        for _ in range(5):
            assert driver.fetch(one.url()).http == 200
            assert driver.fetch(other.url()).http == 200
        assert (one.connections, other.connections) == (1, 1)


def test_idle_connections_are_few(driver: Driver) -> None:
    changed = threading.Condition()
    servers = [HttpServer(changed=changed) for _ in range(8)]
    for server in servers:
        assert driver.fetch(server.url()).http == 200
    assert servers[0].wait(lambda: sum(server.open for server in servers) == 4)
    for server in servers:
        server.__exit__()


def test_a_connection_that_the_server_closed_is_replaced(
    driver: Driver, either: HttpServer
) -> None:
    either.routes["/close"] = lambda request: Reply(close=True)
    for _ in range(3):
        assert driver.fetch(either.url("/close")).http == 200
        assert either.wait(lambda: either.open == 0)
    assert either.connections == 3


def test_a_connection_that_closes_without_a_word_is_replaced(driver: Driver) -> None:
    def one_answer(talk: Talk) -> None:
        talk.read_request()
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with RawServer(one_answer) as server:
        for _ in range(5):
            assert driver.fetch(server.url(), post=b"x").body == b"ok"
            assert server.ended.wait(PATIENCE)
            server.ended.clear()
        assert server.connections == 5


def test_threads_share_a_client(driver: Driver, either: HttpServer) -> None:
    answer = driver("threads", count=16, times=20, url=either.url(), post=b"x", timeout=60_000)
    assert (answer.ok, answer.message) == (320, "")
    assert either.connections <= 16
    assert len(either.requests) == 320


def test_a_crowd_leaves_few_connections_behind(driver: Driver, server: HttpServer) -> None:
    together = threading.Barrier(40)

    def wait(request: Request) -> Reply:
        together.wait(PATIENCE)
        return Reply()

    server.routes["/"] = wait
    answer = driver("threads", count=40, times=1, url=server.url(), timeout=60_000)
    assert (answer.ok, answer.message) == (40, "")
    assert server.connections == 40
    assert server.wait(lambda: server.open == 16)


def test_threads_and_close(driver: Driver, either: HttpServer) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait(request: Request) -> Reply:
        entered.set()
        leave.wait(PATIENCE)
        return Reply()

    either.routes["/wait"] = wait
    assert driver.fetch(either.url()).http == 200
    driver("start", url=either.url("/wait"), timeout=20_000)
    assert entered.wait(PATIENCE)
    driver("close")
    answer = driver.fetch(either.url())
    assert (answer.status, answer.sent) == ("closed", False)
    driver("close")
    leave.set()
    assert driver("join").http == 200
    assert either.wait(lambda: either.open == 0)  # also the busy one, after it was returned


def test_no_descriptor_is_left_or_passed_on(driver: Driver, either: HttpServer) -> None:
    driver("free")
    before = driver("descriptors").count
    driver.new(insecure=1)
    assert driver("threads", count=8, times=3, url=either.url(), timeout=60_000).ok == 24
    between = driver("descriptors")
    assert between.count > before
    assert between.leaking == 0
    driver("free")
    assert driver("descriptors").count == before


def test_a_client_may_be_made_again_and_again(driver: Driver, either: HttpServer) -> None:
    for _ in range(5):
        assert driver.new(insecure=1).status == "ok"
        assert driver.fetch(either.url()).http == 200


# ---- fork ------------------------------------------------------------------------------------------


def test_a_forked_child_leaves_the_connection_to_its_parent(
    driver: Driver, either: HttpServer
) -> None:
    assert driver.fetch(either.url("/parent")).http == 200
    for _ in range(3):
        assert driver("fork", url=either.url("/child")).http == 200
        assert driver.fetch(either.url("/parent")).http == 200
    mine = {r.connection for r in either.requests if r.path == "/parent"}
    theirs = [r.connection for r in either.requests if r.path == "/child"]
    assert mine == {1}
    assert sorted(theirs) == [2, 3, 4]


def test_a_connection_ends_with_its_parent(driver: Driver, either: HttpServer) -> None:
    """A child with its own connections does not keep the parent's open."""
    entered, leave = threading.Event(), threading.Event()

    def wait(request: Request) -> Reply:
        entered.set()
        leave.wait(PATIENCE)
        return Reply()

    either.routes["/wait"] = wait
    assert driver.fetch(either.url()).http == 200
    driver.send("fork", url=either.url("/wait"), timeout=20_000)
    assert entered.wait(PATIENCE)
    assert either.open == 2
    os.kill(driver.process.pid, 9)
    assert either.wait(lambda: either.open == 1)
    leave.set()
    driver.process.communicate()


@pytest.mark.skipif(bool(RUN), reason="the child keeps the memory of a busy handle")
def test_a_fork_while_another_thread_fetches(driver: Driver, either: HttpServer) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait(request: Request) -> Reply:
        entered.set()
        leave.wait(PATIENCE)
        return Reply(200, b"parent")

    either.routes["/wait"] = wait
    driver("start", url=either.url("/wait"), timeout=20_000)
    assert entered.wait(PATIENCE)
    assert driver("fork", url=either.url("/child")).http == 200
    leave.set()
    assert driver("join").body == b"parent"


@pytest.mark.skipif(bool(RUN), reason="the child keeps the memory of a busy handle")
def test_a_fork_in_the_middle_of_a_fetch(authority: Authority, either: HttpServer) -> None:
    """A handler that forks: the child gets an error and can continue; the parent's fetch continues too."""
    entered, leave = threading.Event(), threading.Event()
    order: list[int] = []

    def wait(request: Request) -> Reply:
        order.append(request.connection)
        if len(order) == 1:
            entered.set()
            leave.wait(PATIENCE)
        else:
            leave.set()  # the child is done; now the parent may get its response
        return Reply(200, b"answer %d" % request.connection)

    either.routes["/wait"] = wait
    with Driver() as driver:
        assert driver.new(ca=authority.cert).status == "ok"
        driver.send("fetch", url=either.url("/wait"), timeout=20_000, interrupt="fork")
        assert entered.wait(PATIENCE)
        driver.interrupt()
        assert driver.receive().body == b"answer 1"
        assert driver.fetch(either.url("/wait")).body == b"answer 1"
        assert driver.close() == "connection ok\n"
    assert order == [1, 2, 1]


# ---- signals ---------------------------------------------------------------------------------------


def hang_in_body(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell")
    talk.hang()


def interrupted(driver: Driver, url: str, ready: Callable[[], object]) -> Answer:
    driver.send("fetch", url=url, timeout=9000, interrupt=1)
    ready()
    driver.interrupt()
    answer = driver.receive()
    assert answer.status == "interrupted"
    assert answer.ms_since_signal >= 0
    return answer


def soon() -> None:
    """A hanging connect() or lookup causes no event."""
    time.sleep(0.2)


def test_an_interrupt_ends_the_waiting(driver: Driver) -> None:
    with RawServer(hang_in_body) as server:

        def ready() -> None:
            assert server.asked.wait(PATIENCE)
            server.asked.clear()

        for _ in range(3):
            answer = in_time(
                lambda: interrupted(driver, server.url(), ready), lambda a: a.ms_since_signal
            )
            assert answer.sent


def drip(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")
    while True:
        talk.send(b"x")
        time.sleep(0.005)


@pytest.mark.parametrize("script", [drip, hang_in_body])
def test_an_interrupt_that_came_to_another_thread(driver: Driver, script: Script) -> None:
    """The signal does not interrupt our wait: only the periodic check detects it."""
    with RawServer(script) as server:

        def in_thread() -> Answer:
            driver("start", url=server.url(), timeout=9000, interrupt=1)
            assert server.asked.wait(PATIENCE)
            server.asked.clear()
            driver.interrupt()
            return driver("join")

        answer = in_time(in_thread, lambda a: a.ms_since_signal)
    assert (answer.status, answer.sent) == ("interrupted", True)


def test_an_interrupt_ends_the_connecting(driver: Driver) -> None:
    with full_listener() as port:
        answer = in_time(
            lambda: interrupted(driver, f"http://127.0.0.1:{port}/", soon),
            lambda a: a.ms_since_signal,
        )
    assert not answer.sent


def test_an_interrupt_ends_a_look_up() -> None:
    with Driver(preload="names.so") as driver:
        assert driver.new().status == "ok"
        answer = in_time(
            lambda: interrupted(driver, "http://a.slow/", soon), lambda a: a.ms_since_signal
        )
    assert not answer.sent


def test_an_interrupt_that_the_host_takes_ends_nothing(driver: Driver, server: HttpServer) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait(request: Request) -> Reply:
        entered.set()
        leave.wait(PATIENCE)
        return Reply()

    server.routes["/"] = wait
    driver.send("fetch", url=server.url(), timeout=20_000)
    assert entered.wait(PATIENCE)
    driver.interrupt()
    leave.set()
    assert driver.receive().http == 200


def test_signals_are_held_back_and_sigpipe_vanishes(driver: Driver) -> None:
    answer = driver("signals")
    assert answer.fields == {"broken": 1, "held": 1, "came": 1, "stayed": 1}


def test_a_server_that_stops_reading_raises_no_sigpipe(driver: Driver) -> None:
    """The client has SIGPIPE's default action: one signal would end it."""

    def stop_reading(talk: Talk) -> None:
        talk.socket.recv(1000)
        talk.reset()

    with RawServer(stop_reading) as server:
        for _ in range(10):
            answer = driver.fetch(server.url(), post=b"x" * 2_000_000, timeout=20_000)
            assert (answer.status, answer.sent) == ("connection", True)
