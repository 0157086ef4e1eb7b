"""Requests and responses: exactly what was requested."""

from __future__ import annotations

import gzip

import pytest
from http_driver import Driver
from http_servers import PATIENCE, HttpServer, RawServer, Reply, Script, Talk, says

SECRET = "s3cret-s3cret"


def test_a_get_says_what_it_must_and_no_more(driver: Driver, server: HttpServer) -> None:
    answer = driver.fetch(
        server.url("/a?b=c"), header=["X-One:1", "Authorization:Bearer " + SECRET]
    )
    assert (answer.status, answer.http, answer.body) == ("ok", 200, b"ok")
    assert answer.sent
    assert not answer.final
    assert answer.message == ""
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("GET", "/a?b=c", b"")
    assert request.names() == ["Accept", "Authorization", "Host", "X-One"]
    assert request.header("Host") == f"127.0.0.1:{server.port}"
    assert request.header("X-One") == "1"
    assert request.header("Authorization") == "Bearer " + SECRET


def test_a_post_carries_its_body_byte_for_byte(driver: Driver, server: HttpServer) -> None:
    body = bytes(range(256)) * 3
    assert driver.fetch(server.url(), header=["Content-Type:a/b"], post=body).http == 200
    assert driver.fetch(server.url(), post=b"").http == 200
    first, second = server.requests
    assert (first.method, first.body, first.header("Content-Type")) == ("POST", body, "a/b")
    assert first.names() == ["Accept", "Content-Length", "Content-Type", "Host"]
    assert (second.method, second.body) == ("POST", b"")
    assert second.header("Content-Length") == "0"
    assert second.header("Content-Type") == "application/x-www-form-urlencoded"


def test_a_large_body_is_sent_without_asking_for_leave(driver: Driver, server: HttpServer) -> None:
    body = b"x" * 3_000_000
    assert driver.fetch(server.url(), post=body).http == 200
    assert server.requests[0].body == body
    assert server.requests[0].header("Expect") is None


@pytest.mark.parametrize(
    "status", [200, 201, 204, 301, 304, 400, 401, 403, 404, 429, 500, 503, 599]
)
def test_every_status_is_an_answer(driver: Driver, server: HttpServer, status: int) -> None:
    body = b"" if status in (204, 304) else b'{"error":"x"}'
    headers = [("Content-Type", "application/json; charset=utf-8"), ("Retry-After", "120")]
    server.routes["/"] = lambda request: Reply(status, body, headers)
    answer = driver.fetch(server.url(), post=b"x")
    assert (answer.status, answer.http, answer.body) == ("ok", status, body)
    assert answer.type == b"application/json; charset=utf-8"
    assert answer.retry_after == b"120"


@pytest.mark.parametrize(
    ("head", "content_type", "retry_after"),
    [
        (b"", b"", b""),
        (b"content-TYPE:text/html\r\n", b"text/html", b""),
        (b"Content-Type: \t text/html \t \r\n", b"text/html", b""),
        (b"Content-Type: a\xff\x01b\r\n", b"a\xff\x01b", b""),
        (b"Content-Type:\r\nX-Content-Type: a/b\r\n", b"", b""),
        (b"Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", b"", b"Sun, 06 Nov 1994 08:49:37 GMT"),
    ],
)
def test_headers_are_seen_as_they_came(
    driver: Driver, head: bytes, content_type: bytes, retry_after: bytes
) -> None:
    with RawServer(says(b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 2\r\n\r\nhi")) as server:
        answer = driver.fetch(server.url())
    assert (answer.status, answer.body) == ("ok", b"hi")
    assert (answer.type, answer.retry_after) == (content_type, retry_after)


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.0 200 OK\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody",
        b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        # A trailer must not count as a header.
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Type\r\n\r\n"
        b"4\r\nbody\r\n0\r\nContent-Type: evil/evil\r\nRetry-After: 1\r\n\r\n",
        # Nor must a header of an interim response.
        b"HTTP/1.1 100 Continue\r\nContent-Type: evil/evil\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nRetry-After: 1\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    ],
)
def test_every_framing_is_read(driver: Driver, text: bytes) -> None:
    with RawServer(says(text)) as server:
        answer = driver.fetch(server.url())
    assert (answer.status, answer.http, answer.body) == ("ok", 200, b"body")
    assert (answer.type, answer.retry_after) == (b"", b"")


def test_a_trailer_of_an_empty_body_is_no_header(driver: Driver) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with RawServer(says(head + b"0\r\nContent-Type: evil/evil\r\n\r\n")) as server:
        answer = driver.fetch(server.url())
    assert (answer.status, answer.body, answer.type) == ("ok", b"", b"")


def test_what_is_packed_unasked_is_unpacked_within_the_limit(driver: Driver, server: HttpServer) -> None:
    bomb = gzip.compress(b"0" * 1_000_000)
    server.routes["/"] = lambda request: Reply(200, bomb, [("Content-Encoding", "gzip")])
    assert driver.fetch(server.url(), max=1_000_000).body == b"0" * 1_000_000
    answer = driver.fetch(server.url(), max=999_999)
    assert (answer.status, answer.sent) == ("data", True)
    assert server.requests[0].header("Accept-Encoding") is None


# ---- sizes -----------------------------------------------------------------------------------------


def test_a_body_may_be_as_large_as_it_may_be(driver: Driver, server: HttpServer) -> None:
    server.routes["/"] = lambda request: Reply(200, b"x" * 1000)
    assert driver.fetch(server.url(), max=1000).body == b"x" * 1000
    answer = driver.fetch(server.url(), max=999)
    assert (answer.status, answer.sent) == ("data", True)
    assert "larger than 999 bytes" in answer.message
    server.routes["/"] = lambda request: Reply(200, b"")
    assert driver.fetch(server.url(), max=0).body == b""


def endless_body(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(1000):
        talk.send(b"x" * 100_000)


def endless_chunks(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(1000):
        talk.send(b"186a0\r\n" + b"x" * 100_000 + b"\r\n")


def large_by_announcement(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n")
    for _ in range(1000):
        talk.send(b"x" * 100_000)


@pytest.mark.parametrize("script", [endless_body, endless_chunks, large_by_announcement])
def test_an_oversized_body_is_cut_off_while_it_streams(driver: Driver, script: Script) -> None:
    with RawServer(script) as server:
        answer = driver.fetch(server.url(), max=50_000, timeout=20_000)
        assert answer.status == "data"
        assert "larger than 50000 bytes" in answer.message
        assert server.ended.wait(PATIENCE)
        assert server.sent < 20_000_000  # no more than the socket's buffers


def one_header(size: int) -> Script:
    return says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * size + b"\r\nContent-Length: 2\r\n\r\nok")


def many_headers(count: int) -> Script:
    return says(
        b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyyyy\r\n" * count + b"Content-Length: 2\r\n\r\nok"
    )


def endless_headers(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100_000):
        talk.send(b"X: y\r\n" * 1000)


def endless_hints(talk: Talk) -> None:
    talk.read_request()
    for _ in range(100_000):
        talk.send(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 1000)


def endless_trailers(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n")
    for _ in range(100_000):
        talk.send(b"X: y\r\n" * 1000)


@pytest.mark.parametrize("script", [one_header(60_000), many_headers(4000)])
def test_large_headers_are_read(driver: Driver, script: Script) -> None:
    with RawServer(script) as server:
        assert driver.fetch(server.url()).body == b"ok"


@pytest.mark.parametrize(
    "script",
    [one_header(70_000), many_headers(5000), endless_headers, endless_hints, endless_trailers],
)
def test_larger_headers_are_refused(driver: Driver, script: Script) -> None:
    with RawServer(script) as server:
        answer = driver.fetch(server.url(), timeout=20_000)
        assert answer.status == "data"
        assert "the response has too many headers, or they are larger than 65536 bytes" in answer.message
        assert server.ended.wait(PATIENCE)


# ---- rejected before anything is sent --------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [f"{SECRET}\r\nX: y", f"{SECRET}\n", f"{SECRET}\r", f"{SECRET}\0", f"{SECRET}\t", f"{SECRET}\x7f",
     f" {SECRET}", f"{SECRET} "],
)  # fmt: skip
def test_a_header_value_is_checked(driver: Driver, server: HttpServer, value: str) -> None:
    answer = driver.fetch(server.url(), header=[f"Authorization:{value}"])
    assert (answer.status, answer.sent, answer.final) == ("configuration", False, True)
    assert "header Authorization" in answer.message
    assert SECRET not in answer.message
    assert server.connections == 0


def test_an_empty_header_is_sent_as_such(driver: Driver, server: HttpServer) -> None:
    assert driver.fetch(server.url(), header=["X-Empty:", "Accept:"]).http == 200
    assert server.requests[0].header("X-Empty") == ""
    assert server.requests[0].header("Accept") == ""


def test_a_host_header_may_be_given(driver: Driver, server: HttpServer) -> None:
    assert driver.fetch(server.url(), header=["Host:other.example"]).http == 200
    assert [v for n, v in server.requests[0].headers if n == "Host"] == ["other.example"]


@pytest.mark.parametrize(
    "header",
    ["Content-Length:5", "transfer-encoding:chunked", "CONNECTION:close", "Expect:100-continue",
     ":x", "A B:x", "A\r\nB:x", "A\0:x", "é:x", "x" * 101 + ":x", "X:" + "y" * 70_000],
)  # fmt: skip
def test_a_header_that_is_not_the_callers_is_refused(
    driver: Driver, server: HttpServer, header: str
) -> None:
    answer = driver.fetch(server.url(), header=[header], post=b"hello")
    assert (answer.status, answer.sent, answer.final) == ("configuration", False, True)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "malformed"),
        ("127.0.0.1", "malformed"),
        ("/path", "malformed"),
        ("http://", "malformed"),
        ("http://host:99999/", "malformed"),
        ("http://host:x/", "malformed"),
        ("http://ho st/", "malformed"),
        ("http://host/a b", "malformed"),
        ("http://host/\r\nX: y", "malformed"),
        (b"http://host/\0x", "malformed"),
        ("http://[::1", "malformed"),
        ("http://host/" + "x" * 20_000, "malformed"),
        ("ftp://127.0.0.1/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("gopher://127.0.0.1/", "https://"),
        ("dict://127.0.0.1/", "https://"),
        ("ldap://127.0.0.1/", "https://"),
        ("nosuch://127.0.0.1/", "https://"),
        (f"http://user:{SECRET}@127.0.0.1/", "user or a password"),
        (f"http://{SECRET}@127.0.0.1/", "user or a password"),
    ],
)
def test_a_url_is_checked(driver: Driver, url: str | bytes, why: str) -> None:
    answer = driver.fetch(url)
    assert (answer.status, answer.sent, answer.final) == ("configuration", False, True)
    assert why in answer.message
    assert SECRET not in answer.message


# ---- not HTTP --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        says(b"hello\r\n\r\n"),
        says(b"SSH-2.0-OpenSSH_9\r\n"),
        says(b"\0\0\0\0\0\0\0"),
        says(b"HTTP/3 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        says(b"HTTP/1.1 abc\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        says(b"HTTP/1.1 100 Continue\r\n\r\n"),
        says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok"),
        says(b"HTTP/1.1 200 OK\r\nContent-Le"),
        says(),
    ],
)
def test_what_is_not_a_whole_answer_is_an_error(driver: Driver, script: Script) -> None:
    with RawServer(script) as server:
        answer = driver.fetch(server.url("/?" + SECRET), header=["Authorization:" + SECRET])
        assert (answer.status, answer.sent, answer.final) == ("connection", True, False)
        assert answer.message.startswith(f"http://127.0.0.1:{server.port}: ")
        assert SECRET not in answer.message
