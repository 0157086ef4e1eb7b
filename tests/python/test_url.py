"""URLs and options: every valid form reaches the server, every error names the option."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

import tokenstore
from servers import Server, running
from tokenstore import Client, ConfigurationError


@pytest.fixture(scope="module")
def tcp() -> Iterator[Server]:
    with running(
        *["--user", "default", "on", "nopass", "~*", "&*", "+@all"],
        *["--user", "bob", "on", ">s3cr%t@:/", "~*", "&*", "+@all"],
        transport="tcp",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def locked() -> Iterator[Server]:
    """A server with a password for the default user."""
    with running("--requirepass", "pass word", transport="tcp") as server:
        yield server


def who(client: Client) -> bytes:
    return client.execute("ACL", "WHOAMI")


def database(client: Client) -> str:
    info = client.execute("CLIENT", "INFO").decode()
    return dict(pair.split("=", 1) for pair in info.split())["db"]


def test_host_and_port(tcp: Server) -> None:
    for host in ("127.0.0.1", "localhost"):
        with Client(f"redis://{host}:{tcp.port}") as client:
            assert client.execute("PING") == "PONG"
            assert client.url == f"redis://{host}:{tcp.port}/0"


def test_user_and_password(tcp: Server) -> None:
    with Client(f"redis://bob:s3cr%25t%40%3A%2F@127.0.0.1:{tcp.port}") as client:
        assert who(client) == b"bob"
    with Client(f"redis://127.0.0.1:{tcp.port}") as client:
        assert who(client) == b"default"


def test_valkey_stands_for_redis(tcp: Server, server: Server) -> None:
    for url in (f"valkey://127.0.0.1:{tcp.port}/5", f"valkey+unix://{server.socket_path}?db=5"):
        with Client(url) as client:
            assert database(client) == "5"


def test_a_forgotten_colon(locked: Server) -> None:
    with Client(f"redis://CANARY@127.0.0.1:{locked.port}") as client:
        with pytest.raises(tokenstore.ServerError, match="a password alone is written") as caught:
            client.execute("PING")
        assert "CANARY" not in str(caught.value)


def test_a_zone_that_is_not_there() -> None:
    with Client("redis://[fe80::1%25nowhere7]:6379") as client:
        with pytest.raises(ConfigurationError, match='the zone "nowhere7"'):
            client.execute("PING")
    with Client("redis://[1::2::3%25lo]") as client:
        with pytest.raises(ConfigurationError, match="not an IPv6 address"):
            client.execute("PING")


def test_a_zone_where_none_belongs() -> None:
    with Client("redis://[::1%25lo]") as client:
        with pytest.raises(ConfigurationError, match="only a link-local address"):
            client.execute("PING")


@pytest.mark.parametrize("name", ["a..b", ".a", "..", ".", "a..", "x" * 64, "a." + "x" * 64 + ".b"])
def test_a_name_that_cannot_be(name: str) -> None:
    """Python's socket and ssl raise UnicodeError for most of them."""
    with pytest.raises(ConfigurationError, match="host name"):
        Client(f"redis://{name}:1")
    with pytest.raises(ConfigurationError, match="server_name must be a host name"):
        Client("rediss://localhost", server_name=name)


@pytest.mark.parametrize("name", ["a.invalid", "a.invalid.", "x" * 63 + ".invalid", "a_b.invalid"])
def test_a_name_that_is_not_there(name: str) -> None:
    with Client(f"redis://{name}", timeout=30) as client:
        with pytest.raises(tokenstore.ConnectionError, match="cannot be resolved"):
            client.execute("PING")


def test_password_alone(locked: Server) -> None:
    with Client(f"redis://:pass%20word@127.0.0.1:{locked.port}") as client:
        assert who(client) == b"default"


@pytest.mark.parametrize("login", ["", ":wrong@", "bob:s3cret@", "default:wrong@"])
def test_refused(locked: Server, login: str) -> None:
    with Client(f"redis://{login}127.0.0.1:{locked.port}", timeout=1) as client:
        with pytest.raises(tokenstore.Error) as caught:
            client.execute("GET", "x")
        assert not isinstance(caught.value, tokenstore.TimeoutError)
        for secret in ("wrong", "s3cret"):
            assert secret not in str(caught.value)


def test_database(tcp: Server, server: Server) -> None:
    for url, expected in [
        (f"redis://127.0.0.1:{tcp.port}", "0"),
        (f"redis://127.0.0.1:{tcp.port}/", "0"),
        (f"redis://127.0.0.1:{tcp.port}/5", "5"),
        (f"redis://127.0.0.1:{tcp.port}?db=6", "6"),
        (server.url, "0"),
        (server.url + "?db=7", "7"),
        (f"unix://{server.socket_path}?db=8", "8"),
    ]:
        with Client(url) as client:
            assert database(client) == expected
    with Client(server.url, db=9) as client:
        assert database(client) == "9"
    with Client(f"redis://127.0.0.1:{tcp.port}/99") as client, pytest.raises(tokenstore.Error):
        client.execute("PING")


def test_client_name(server: Server) -> None:
    for client in (
        Client(server.url, client_name="na:me"),
        Client(server.url + "?client_name=na%3Ame"),
        Client(server.url + "?client_name=other", client_name="na:me"),
    ):
        with client:
            assert client.execute("CLIENT", "GETNAME") == b"na:me"


def test_options_stand_in_the_url_or_as_keywords(server: Server) -> None:
    both = {
        "connect_timeout": (2.5, "2.5"),
        "timeout": (0.25, "0.25"),
        "max_connection_age": (0, "0"),
        "pool_size": (3, "3"),
        "max_reply_size": (1000000, "1000000"),
    }
    for name, (value, text) in both.items():
        with Client(server.url, **{name: value}) as client:
            assert client.execute("PING") == "PONG"
        with Client(f"{server.url}?{name}={text}") as client:
            assert client.execute("PING") == "PONG"
    with Client(server.url, timeout=datetime.timedelta(seconds=1)) as client:
        assert client.execute("PING") == "PONG"
    with tokenstore.RedisTokens(server.url, timeout=1, pool_size=2, prefix="p") as tokens:
        assert tokens.get("a", "t", "x") is None
    with tokenstore.Sessions(server.url, timeout=1, pool_size=2, prefix="p") as sessions:
        assert sessions.get("a", "x") is None


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("", ""),
        ("localhost", ""),
        ("http://localhost", "http"),
        ("redis+tls://localhost", "redis+tls"),
        ("redis://localhost:port", "port"),
        ("redis://localhost:0", "port"),
        ("redis://localhost:65536", "port"),
        ("redis://localhost/x", "db"),
        ("redis://localhost/-1", "db"),
        ("redis://localhost?colour=red", "colour"),
        ("redis://localhost?timeout=never", "timeout"),
        ("redis://localhost?timeout=0", "timeout"),
        ("redis://localhost?timeout=-1", "timeout"),
        ("redis://localhost?timeout=nan", "timeout"),
        ("redis://localhost?pool_size=0", "pool_size"),
        ("redis://localhost?max_connection_age=x", "max_connection_age"),
        ("redis://localhost:6379\n", "ends with a newline"),
        ("redis://localhost?pool_size=1.5", "pool_size"),
        ("redis://localhost?max_reply_size=x", "max_reply_size"),
        ("redis://localhost?ca=/x", "ca"),
        ("redis://localhost?server_name=x", "server_name"),
        ("redis+unix:///x.sock?cert=/x", "cert"),
        ("rediss://localhost?ca=/nonexistent/ca.pem", "ca"),
        ("redis://localhost?server=redis-server", "server"),
        ("redis://us%zzer@localhost", ""),
        ("redis+unix://", ""),
        ("unix://", ""),
    ],
)
def test_wrong_urls(url: str, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Client(url)
    assert isinstance(caught.value, ValueError)
    assert named in str(caught.value)
    with pytest.raises(ConfigurationError):
        tokenstore.RedisTokens(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://bob:CANARY@localhost:port",
        "redis://bob:CANARY@localhost?colour=red",
        "redis://bob:CANARY@localhost/x",
        "http://bob:CANARY@localhost",
        "bob:CANARY@localhost",
        "redis://bob:CANARY%zz@localhost",
        "redis://bob:CANARY@",
        "redis://bob:CANARY@[::1",
        "redis://:CANARY",
        "rediss://bob:CANARY@localhost?ca=/nonexistent",
    ],
)
def test_messages_never_hold_the_password(url: str) -> None:
    with pytest.raises(tokenstore.Error) as caught:
        Client(url).execute("PING", timeout=0.5)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value", "kind"),
    [
        ("timeout", 0, ConfigurationError),
        ("timeout", -1, ConfigurationError),
        ("timeout", float("nan"), ConfigurationError),
        ("timeout", float("inf"), ConfigurationError),
        ("timeout", 10**400, ConfigurationError),
        ("timeout", "5", TypeError),
        ("timeout", True, TypeError),
        ("connect_timeout", 0, ConfigurationError),
        ("max_connection_age", -1, ConfigurationError),
        ("max_connection_age", "5", TypeError),
        ("pool_size", 0, ConfigurationError),
        ("pool_size", -1, ConfigurationError),
        ("pool_size", 1.5, TypeError),
        ("pool_size", True, TypeError),
        ("max_reply_size", 0, ConfigurationError),
        ("max_reply_size", "1", TypeError),
        ("db", -1, ConfigurationError),
        ("db", "0", TypeError),
        ("client_name", "with blank", ConfigurationError),
        ("client_name", "new\nline", ConfigurationError),
        ("client_name", 5, TypeError),
        ("ca", "/x", ConfigurationError),
        ("ca", 5, TypeError),
        ("ca", b"/x", TypeError),
        ("colour", "red", TypeError),
    ],
)
def test_wrong_options(server: Server, option: str, value: object, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=option):
        Client(server.url, **{option: value})
    with pytest.raises(kind, match=option):
        tokenstore.RedisTokens(server.url, **{option: value})


def test_options_do_not_go_with_a_client(client: Client) -> None:
    for option, value in (("timeout", 1), ("pool_size", 1), ("client_name", "x")):
        for kind in (tokenstore.RedisTokens, tokenstore.Sessions):
            with pytest.raises(ConfigurationError, match=option):
                kind(client, **{option: value})


@pytest.mark.parametrize("wrong", [5, b"redis://localhost", ["redis://localhost"], object()])
def test_what_is_no_url(wrong: object) -> None:
    with pytest.raises(TypeError):
        tokenstore.RedisTokens(wrong)
    with pytest.raises(TypeError):
        Client(wrong)


def test_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENSTORE_URL", server.url)
    for made in (Client(), tokenstore.RedisTokens().client, tokenstore.Sessions().client):
        assert made.url == server.url
        assert made.execute("PING") == "PONG"
    monkeypatch.setenv("TOKENSTORE_URL", "nonsense")
    with pytest.raises(ConfigurationError):
        Client()
    assert Client(server.url).url == server.url
    monkeypatch.setenv("TOKENSTORE_URL", "")
    assert Client().url == "redis://localhost:6379/0"
    monkeypatch.delenv("TOKENSTORE_URL")
    assert Client().url == "redis://localhost:6379/0"


def test_odd_paths(tmp_path: Path) -> None:
    with running() as server:
        assert server.socket_path is not None
        link = tmp_path / "a b%ü?.sock"
        link.symlink_to(server.socket_path)
        quoted = str(link).replace("%", "%25").replace("?", "%3F").replace(" ", "%20")
        with Client(f"redis+unix://{quoted}") as client:
            assert client.execute("PING") == "PONG"


def test_several_servers() -> None:
    """tests/cluster uses them."""
    login = {"sentinel_user": "reader", "sentinel_password": "secret"}
    for url, shown in (
        ("redis+cluster://a,b:7000", "redis+cluster://a:6379,b:7000/0"),
        ("valkeys+cluster://u:p@[::1]:1", "rediss+cluster://[::1]:1/0"),
        ("redis+sentinel://a,b:1/name", "redis+sentinel://a:26379,b:1/name/0"),
        ("rediss+sentinel://a/my%20name/2", "rediss+sentinel://a:26379/my%20name/2"),
    ):
        with Client(url, **(login if "sentinel" in url else {})) as client:
            assert client.url == shown
    for wrong in ("redis://a,b", "redis+cluster://a,", "redis+cluster://,a", "redis+sentinel://a/", "redis+sentinel://a"):
        with pytest.raises(ConfigurationError):
            Client(wrong)
    for url in ("redis://a", "redis+cluster://a"):
        with pytest.raises(ConfigurationError, match=r"redis\+sentinel:// URLs only"):
            Client(url, **login)
    for given in ({"a:1": "b:2", "c": "d"}, "a:1=b:2,c=d"):
        assert Client("redis+cluster://a", address_map=given).url == "redis+cluster://a:6379/0"
    assert Client("redis+sentinel://a/name?address_map=a:1=b:2").url
    for wrong_map in ({"a:1": "b:x"}, {}, "a"):
        with pytest.raises(ConfigurationError, match="address_map must be announced addresses"):
            Client("redis+cluster://a", address_map=wrong_map)
    with pytest.raises(TypeError, match="address_map must be str, not int"):
        Client("redis+cluster://a", address_map={"a": 1})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match=r"redis\+cluster:// and redis\+sentinel:// URLs only"):
        Client("redis://a", address_map={"a": "b"})
