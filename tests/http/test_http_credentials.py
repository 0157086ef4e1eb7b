"""Credentials are sent only to the host of the URL, whatever the environment contains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from http_driver import Driver
from http_servers import HttpServer, RawServer, Reply, Talk
from http_tls import server_context

from certs import LOCAL, SERVER, Authority

SECRET = "s3cret-s3cret"
AUTHORIZATION = f"Authorization:Basic {SECRET}"


@pytest.fixture
def other() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
@pytest.mark.parametrize("post", [True, False])
def test_a_redirect_receives_nothing(
    driver: Driver, server: HttpServer, other: HttpServer, status: int, post: bool
) -> None:
    there = [("Location", other.url("/steal"))]
    server.routes["/"] = lambda request: Reply(status, b"there", there)
    words = {"post": b"body"} if post else {}
    answer = driver.fetch(server.url(), header=[AUTHORIZATION], **words)
    assert (answer.status, answer.http, answer.body) == ("ok", status, b"there")
    assert len(server.requests) == 1
    assert other.connections == 0


def test_a_redirect_to_the_same_server_is_not_followed(driver: Driver, server: HttpServer) -> None:
    server.routes["/"] = lambda request: Reply(302, b"", [("Location", "/other"), ("Refresh", "0")])
    assert driver.fetch(server.url()).http == 302
    assert [r.path for r in server.requests] == ["/"]


def test_cookies_are_not_kept(driver: Driver, server: HttpServer) -> None:
    server.routes["/"] = lambda request: Reply(200, b"", [("Set-Cookie", "a=b")])
    for _ in range(2):
        assert driver.fetch(server.url()).http == 200
    assert all(request.header("Cookie") is None for request in server.requests)


def test_a_challenge_is_not_answered(driver: Driver, server: HttpServer) -> None:
    server.routes["/"] = lambda request: Reply(401, b"", [("WWW-Authenticate", 'Basic realm="x"')])
    assert driver.fetch(server.url()).http == 401
    assert len(server.requests) == 1


def test_an_alternative_service_is_not_used(
    driver: Driver, server: HttpServer, other: HttpServer
) -> None:
    alternative = [("Alt-Svc", f'http/1.1="127.0.0.1:{other.port}"')]
    server.routes["/"] = lambda request: Reply(200, b"", alternative)
    for _ in range(2):
        assert driver.fetch(server.url()).http == 200
    assert other.connections == 0


def test_netrc_is_not_read(tmp_path: Path, server: HttpServer) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login user password {SECRET}\n")
    netrc.chmod(0o600)
    with Driver(env={"HOME": str(tmp_path), "NETRC": str(netrc)}) as driver:
        assert driver.new().status == "ok"
        assert driver.fetch(server.url()).http == 200
    assert server.requests[0].header("Authorization") is None


def test_curlrc_is_not_read(tmp_path: Path, server: HttpServer) -> None:
    (tmp_path / ".curlrc").write_text('header = "X-Curlrc: 1"\nproxy = 127.0.0.1:1\n')
    with Driver(env={"HOME": str(tmp_path), "CURL_HOME": str(tmp_path)}) as driver:
        assert driver.new().status == "ok"
        assert driver.fetch(server.url()).http == 200
    assert server.requests[0].header("X-Curlrc") is None


# ---- proxies ---------------------------------------------------------------------------------------


def test_the_environments_proxy_is_not_used(server: HttpServer, other: HttpServer) -> None:
    names = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    with Driver(env={name: other.url("") for name in names}) as driver:
        assert driver.new().status == "ok"
        assert driver.fetch(server.url(), header=[AUTHORIZATION]).http == 200
    assert len(server.requests) == 1
    assert other.connections == 0


def test_a_proxy_that_was_asked_for_is_used(server: HttpServer, other: HttpServer) -> None:
    proxy = f"http://user:{SECRET}@127.0.0.1:{other.port}"
    with Driver(env={"no_proxy": "*", "NO_PROXY": "*"}) as driver:
        assert driver.new(proxy=proxy).status == "ok"
        assert driver.fetch(server.url("/path")).http == 200
    assert server.connections == 0
    (request,) = other.requests
    assert request.path == server.url("/path")
    assert (request.header("Proxy-Authorization") or "").startswith("Basic ")
    assert request.header("Authorization") is None


def tunnel_refused(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")


def test_a_tunnel_is_asked_for_without_credentials(driver: Driver) -> None:
    with RawServer(tunnel_refused) as proxy:
        assert driver.new(proxy=proxy.url("")).status == "ok"
        answer = driver.fetch(
            "https://auth.example/token?" + SECRET, header=[AUTHORIZATION], post=SECRET
        )
        asked = b"".join(proxy.requests)
    assert (answer.status, answer.final) == ("connection", False)
    assert asked.startswith(b"CONNECT auth.example:443 HTTP/1.1\r\n")
    assert SECRET.encode() not in asked
    assert b"authorization" not in asked.lower()
    assert SECRET not in answer.message


def pass_through(port: int) -> object:
    """A proxy that opens the tunnel and forwards bytes in both directions."""
    import socket
    import threading

    def carry(source: socket.socket, target: socket.socket) -> None:
        while True:
            try:
                data = source.recv(65536)
            except socket.timeout:
                continue
            except OSError:
                return
            if not data:
                return
            target.sendall(data)

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send(b"HTTP/1.1 200 Yes\r\nContent-Type: proxy/proxy\r\nRetry-After: 9\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as onward:
            threading.Thread(target=carry, args=(onward, talk.socket), daemon=True).start()
            carry(talk.socket, onward)

    return script


def test_a_tunnel_leads_to_a_verified_server(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.sign("server", LOCAL, *SERVER)
    with (
        HttpServer(server_context(pair)) as server,
        RawServer(pass_through(server.port)) as proxy,  # type: ignore[arg-type]
        Driver() as driver,
    ):
        assert driver.new(proxy=proxy.url(""), ca=authority.cert).status == "ok"
        answer = driver.fetch(server.url(), header=[AUTHORIZATION])
        assert (answer.http, answer.body) == (200, b"ok")
        assert (answer.type, answer.retry_after) == (
            b"",
            b"",
        )  # the proxy's headers are not the server's
        assert server.requests[0].header("Authorization") == f"Basic {SECRET}"
        assert SECRET.encode() not in b"".join(proxy.requests)

        assert driver.new(proxy=proxy.url("")).status == "ok"
        answer = driver.fetch(server.url(), header=[AUTHORIZATION])
        assert (answer.status, answer.final) == ("connection", True)
        assert "certificate" in answer.message


@pytest.mark.parametrize(
    "proxy",
    ["", "127.0.0.1:3128", "ftp://127.0.0.1", f"nosuch://user:{SECRET}@127.0.0.1", "http://",
     f"http://user:{SECRET}@127.0.0.1:x", f"http://u:{SECRET}@h:99999", "socks4://127.0.0.1"],
)  # fmt: skip
def test_a_wrong_proxy_is_refused(proxy: str) -> None:
    with Driver() as driver:
        answer = driver.new(proxy=proxy)
    assert answer.status == "configuration"
    assert answer.message.startswith("proxy ")
    assert SECRET not in answer.message


def test_a_proxy_that_is_not_there(server: HttpServer) -> None:
    with Driver(preload="names.so") as driver:
        assert driver.new(proxy=f"http://user:{SECRET}@proxy.none:3128").status == "ok"
        answer = driver.fetch(server.url())
    assert (answer.status, answer.sent, answer.final) == ("connection", False, False)
    assert "proxy" in answer.message
    assert SECRET not in answer.message
    assert server.connections == 0
