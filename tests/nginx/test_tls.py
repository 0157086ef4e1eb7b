"""TLS in nginx: verification by its Lua module, and the errors."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tokenstore
from certs import CLIENT, LOCAL, OTHER_HOST, SERVER, Authority, Pair, self_signed
from fault_server import FaultServer
from nginx_server import Nginx, running
from remote import RemoteClient
from servers import Server


def context_of(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


@contextmanager
def client_of(
    nginx: Nginx, redis: Server, tls: ssl.SSLContext | None, **options: str
) -> Iterator[RemoteClient]:
    with FaultServer(str(redis.socket_path), tls) as server:
        client = RemoteClient(nginx, f"rediss://localhost:{server.port}", **options)
        try:
            yield client
        finally:
            client.close()


def test_a_good_certificate(setup_nginx: Nginx, redis: Server, server_tls: ssl.SSLContext) -> None:
    with client_of(setup_nginx, redis, server_tls) as client:
        assert client.execute("PING") == "PONG"
    with FaultServer(str(redis.socket_path), server_tls) as server:
        url = f"rediss://127.0.0.1:{server.port}?server_name=localhost"
        client = RemoteClient(setup_nginx, url, timeout=5)
        assert client.execute("PING") == "PONG"
        client.close()


@pytest.mark.parametrize("what", ["other host", "unknown CA", "self-signed", "expired", "not yet"])
def test_bad_certificates(
    setup_nginx: Nginx, redis: Server, authority: Authority, tmp_path: Path, what: str
) -> None:
    """Rejected at once: a retry cannot help."""
    setup_nginx.explained.append(r"lua ssl certificate (verify error|does not match host)")
    advice = "server_name= sets another" if what == "other host" else "lua_ssl_trusted_certificate"
    pair = {
        "other host": lambda: authority.sign("other-host", OTHER_HOST, *SERVER),
        "unknown CA": lambda: Authority(tmp_path, "stranger").sign("x", LOCAL, *SERVER),
        "self-signed": lambda: self_signed(tmp_path, "self", LOCAL, *SERVER),
        "expired": lambda: authority.sign(
            "expired", LOCAL, *SERVER, dates=("20200101000000Z", "20210101000000Z")
        ),
        "not yet": lambda: authority.sign(
            "future", LOCAL, *SERVER, dates=("20900101000000Z", "20910101000000Z")
        ),
    }[what]()
    with FaultServer(str(redis.socket_path), context_of(pair)) as server:
        client = RemoteClient(setup_nginx, f"rediss://localhost:{server.port}", timeout=5)
        # Repeatedly: whether nginx waits during the handshake is random, and must not affect verification.
        for count in range(1, 41):
            with pytest.raises(tokenstore.ConnectionError, match=advice):
                client.execute("PING")
            # The server's reset may arrive before its certificate is verified: one more attempt.
            assert server.accepted <= 2 * count
        client.close()
        assert server.last_request == b""


def test_no_tls_on_this_port(setup_nginx: Nginx, redis: Server) -> None:
    setup_nginx.explained.append(r"SSL_do_handshake\(\) failed")
    with (
        client_of(setup_nginx, redis, None, timeout="1") as client,
        pytest.raises(
            (tokenstore.ConnectionError, tokenstore.TimeoutError), match="does the server speak TLS"
        ),
    ):
        client.execute("PING")


def test_a_certificate_of_ours(setup_nginx: Nginx, redis: Server, authority: Authority) -> None:
    context = context_of(authority.sign("wants-ours", LOCAL, *SERVER))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.cert)
    ours = authority.sign("ours", LOCAL, *CLIENT)
    with client_of(setup_nginx, redis, context, cert=str(ours.cert), key=str(ours.key)) as client:
        assert client.execute("PING") == "PONG"
    setup_nginx.explained.append(r"SSL_(do_handshake|read)\(\) failed")
    with (
        client_of(setup_nginx, redis, context, timeout="1") as client,
        pytest.raises(tokenstore.ConnectionError, match="accept the client certificate"),
    ):
        client.execute("PING")


def test_a_certificate_of_ours_where_clients_are_made(redis: Server, authority: Authority) -> None:
    """init_by_lua has no sockets."""
    context = context_of(authority.sign("wants-ours", LOCAL, *SERVER))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.cert)
    ours = authority.sign("ours", LOCAL, *CLIENT)
    ping = "location = /ping { content_by_lua_block { ngx.print(client:execute 'PING') } }"
    with FaultServer(str(redis.socket_path), context) as server:
        http = f"""
          lua_ssl_trusted_certificate {authority.cert};
          init_by_lua_block {{
            client = assert(require("tokenstore").Client {{
              redis = "rediss://localhost:{server.port}", cert = "{ours.cert}", key = "{ours.key}",
            }})
          }}
        """
        with running(ping, http=http) as nginx:
            assert nginx.get("/ping").text == "PONG"
