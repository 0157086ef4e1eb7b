"""AUTH, SELECT and CLIENT SETNAME: possible replies, and faults during them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

import fault_server as faults
import tokenstore
from conftest import Setup
from servers import Server, running
from timing import ends_within

PASSWORD = "sesame/open:me@now?"
ENCODED = "sesame%2Fopen%3Ame%40now%3F"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    with running("--requirepass", PASSWORD, transport="tcp") as server:
        with server.wire() as wire:
            wire("AUTH", PASSWORD)
            wire("ACL", "SETUSER", "bob", "on", ">" + PASSWORD, "~*", "+@all", "-client", "-select")
            wire("ACL", "SETUSER", "free", "on", "nopass", "~*", "+@all")
        yield server


def url(server: Server, userinfo: str, rest: str = "") -> str:
    return f"redis://{userinfo}@127.0.0.1:{server.port}{rest}"


@pytest.mark.parametrize(
    "userinfo", [":" + ENCODED, "bob:" + ENCODED, "default:" + ENCODED, "free"]
)
def test_let_in(guarded: Server, userinfo: str) -> None:
    with tokenstore.Client(url(guarded, userinfo)) as client:
        assert client.execute("PING") == "PONG"
        user = userinfo.partition(":")[0] or "default"
        assert client.execute("ACL", "WHOAMI") == user.encode()


def test_database_and_name(guarded: Server) -> None:
    with tokenstore.Client(url(guarded, ":" + ENCODED, "/7?client_name=me")) as client:
        client.execute("SET", "here", "7")
        assert client.execute("CLIENT", "GETNAME") == b"me"
    with tokenstore.Client(url(guarded, ":" + ENCODED), db=6) as client:
        assert client.execute("GET", "here") is None


@pytest.mark.parametrize(
    ("userinfo", "rest", "said"),
    [
        (":wrong-word", "", "WRONGPASS"),
        ("bob:wrong-word", "", "WRONGPASS"),
        ("nobody:wrong-word", "", "WRONGPASS"),
        (":" + ENCODED, "/99", "SELECT"),
        ("bob:" + ENCODED, "/1", "NOPERM"),
        ("bob:" + ENCODED, "/0?client_name=x", "NOPERM"),
    ],
)
def test_refused(guarded: Server, userinfo: str, rest: str, said: str) -> None:
    """At once, because a retry cannot help and may lock an account; and without the password in the
    message."""
    with tokenstore.Client(url(guarded, userinfo, rest)) as client:
        before = connections(guarded)
        with pytest.raises(tokenstore.ServerError) as caught:
            client.execute("PING")
        assert said in str(caught.value)
        assert "wrong-word" not in str(caught.value)
        assert PASSWORD not in str(caught.value)
        assert connections(guarded) == before + 2  # one, and the counting one


def connections(server: Server) -> int:
    with server.wire() as wire:
        wire("AUTH", PASSWORD)
        info = wire("INFO", "stats").decode()
    return int(info.split("total_connections_received:")[1].split()[0])


def test_no_password_given(guarded: Server) -> None:
    with tokenstore.Client(f"redis://127.0.0.1:{guarded.port}") as client:
        with pytest.raises(tokenstore.ServerError, match="NOAUTH"):
            tokenstore.RedisTokens(client).get(app="a", type="t", token="x")


def test_password_given_to_an_open_server(redis: Server) -> None:
    with tokenstore.Client(f"unix://:{ENCODED}@{redis.socket_path}") as client:
        with pytest.raises(tokenstore.ServerError, match="AUTH"):
            client.execute("PING")


# ---- faults ------------------------------------------------------------------------------------------


@pytest.fixture
def client(setup: Setup) -> Iterator[tokenstore.Client]:
    """Each use of it after a drop begins with a greeting of two commands."""
    with setup.client(client_name="me", db=3) as client:
        client.execute("DEL", "n")
        yield client


def counts_on(setup: Setup, client: tokenstore.Client, *armed: faults.Fault) -> None:
    """The faults occur in the greeting; the following command runs exactly once."""
    before = int(client.execute("GET", "n") or 0)
    setup.server.drop()
    setup.server.arm(*armed)
    assert client.execute("INCR", "n") == before + 1
    assert setup.server.pending == 0
    assert client.execute("CLIENT", "GETNAME") == b"me"


def test_every_byte(setup: Setup, client: tokenstore.Client) -> None:
    setup.server.drop()
    setup.server.arm(faults.record)
    client.execute("PING")
    request, reply = len(setup.server.last_request), len(setup.server.last_reply)
    assert b"SELECT" in setup.server.last_request
    for at in range(request):
        counts_on(setup, client, faults.reset_request(at))
    for at in range(reply):
        counts_on(setup, client, faults.reset_reply(at))
        counts_on(setup, client, faults.close_reply(at))
        counts_on(setup, client, faults.split(at))
    counts_on(setup, client, faults.drip)
    counts_on(setup, client, faults.twice)


@pytest.mark.parametrize(
    "answer",
    [
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-BUSY Redis is busy running a script\r\n",
        b"-MASTERDOWN Link with MASTER is down\r\n",
        b"-ERR max number of clients reached\r\n",
        b":1\r\n",
        b"*0\r\n",
        b"\x00",
    ],
)
def test_not_ready(setup: Setup, client: tokenstore.Client, answer: bytes) -> None:
    """Retried: no command has been sent yet."""
    counts_on(setup, client, faults.instead(answer * 2))


def test_not_ready_for_long(setup: Setup) -> None:
    loading = faults.instead(b"-LOADING Redis is loading\r\n" * 2)
    with setup.client(client_name="me", db=3) as client:
        setup.server.arm(*[loading] * 20)
        with pytest.raises(tokenstore.ConnectionError, match="LOADING"):
            client.execute("PING")
        setup.server.arm()


def test_password_echoed(setup: Setup) -> None:
    """A proxy repeats the password in its error: it must not appear in our message."""
    with tokenstore.Client(
        setup.server.url.replace("://", "://:hunter2@"), **setup.options
    ) as client:
        for text in ("no such thing: AUTH hunter2", "unknown command 'AUTH', with args hunter2"):
            setup.server.arm(faults.instead(b"-ERR " + text.encode() + b"\r\n"))
            with pytest.raises(tokenstore.ServerError) as caught:
                client.execute("PING")
            assert "hunter2" not in str(caught.value)


FULL = b"-ERR max number of clients reached\r\n"


def turned_away(x: faults.Exchange) -> None:
    x.send(FULL)
    x.close()


def test_turned_away(setup: Setup) -> None:
    """A server at its client limit replies with an error and hangs up. It has read nothing, so even
    non-idempotent operations are retried; later, it is an ordinary reply."""
    with setup.client() as client:
        for count, calls in enumerate((1, 3), 1):
            setup.server.drop()
            setup.server.arm(turned_away, turned_away)
            replies = client.pipeline([("INCR", "away")] * calls)
            assert replies[0] == count
        setup.server.arm(faults.instead(FULL))
        with pytest.raises(tokenstore.ServerError, match="max number of clients"):
            client.execute("INCR", "away")
        assert client.execute("GETDEL", "away") == b"5"


@pytest.mark.parametrize("options", [{}, {"client_name": "me"}])
def test_full_server(options: dict[str, Any]) -> None:
    """The caller gets the error and may retry."""
    with running("--maxclients", "4", transport="tcp") as server:
        wires = [server.wire() for _ in range(4)]
        with tokenstore.Client(server.url, **options) as client:
            for wire in wires:
                wire("PING")
            with pytest.raises(tokenstore.ConnectionError, match="max number of clients"):
                client.execute("INCR", "n")
            wires.pop().close()
            while b"connected_clients:4" in wires[0]("INFO", "clients"):
                time.sleep(0.001)
            assert client.execute("INCR", "n") == 1
        for wire in wires:
            wire.close()


DENIED = b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n"


@pytest.mark.parametrize("options", [{}, {"client_name": "me"}, {"db": 1}])
def test_protected_mode(setup: Setup, options: dict[str, Any]) -> None:
    """Final, and nothing is in doubt: the server has read nothing."""

    def denied(x: faults.Exchange) -> None:
        x.send(DENIED)
        x.close()

    with setup.client(**options) as client:
        for call in (
            lambda: client.execute("INCR", "denied"),
            lambda: tokenstore.RedisTokens(client).create(app="a", type="t", owner="o"),
        ):
            setup.server.drop()
            setup.server.arm(denied)
            with pytest.raises(tokenstore.ServerError, match="protected mode.*set a password") as caught:
                call()
            assert caught.value.code == "DENIED"
        assert client.execute("GET", "denied") is None


def test_starting_server() -> None:
    """A server that starts while an operation waits is used as soon as it is up."""
    with running(transport="tcp") as server:
        with tokenstore.Client(server.url, timeout=10) as client:
            store = tokenstore.RedisTokens(client)
            token = store.create(app="a", type="t", owner="o").token
            server.kill()

            def fails_soon() -> None:
                with pytest.raises(tokenstore.ConnectionError):
                    store.get(app="a", type="t", token=token)

            ends_within(1, fails_soon)
            server.start()
            assert store.get(app="a", type="t", token=token) is None
