"""credentials=: user and password for each new connection, on a server whose passwords change."""

from __future__ import annotations

import gc
import logging
import queue
import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress

import pytest

import tokenstore
from servers import Server
from tokenstore.session_events import SessionEnd, SessionEvents, SessionGap
from vault import Vault


@pytest.fixture
def client(guarded: Server, vault: Vault) -> Iterator[tokenstore.Client]:
    with tokenstore.Client(guarded.url, credentials=vault, client_name="me", db=3) as made:
        yield made


def whoami(client: tokenstore.Client) -> object:
    return client.execute("ACL", "WHOAMI")


def test_asked_for_each_connection_and_not_before(client: tokenstore.Client, vault: Vault) -> None:
    assert vault.asked == 0
    assert whoami(client) == b"app"
    assert client.ping()
    assert vault.asked == 1
    vault.change("second-secret")
    assert whoami(client) == b"app"  # an open connection keeps its login
    vault.close_all()
    assert client.ping()
    assert vault.asked == 2
    assert client.execute("CLIENT", "GETNAME") == b"me"


def test_asked_anew_when_the_user_of_pooled_connections_was_renewed(
    guarded: Server, vault: Vault
) -> None:
    with tokenstore.RedisTokens(guarded.url, credentials=vault) as tokens:
        made = tokens.create(app="web", type="login", owner="bob")
        threads = [threading.Thread(target=tokens.client.ping) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        vault.wire("ACL", "DELUSER", "app")  # ends its connections, too
        vault.change("third-secret")
        before = vault.asked
        found = tokens.get(app="web", type="login", token=made.token)
        assert found is not None
        assert found.owner == "bob"
        assert vault.asked == before + 1


class Resetting:
    """A proxy that, when armed, resets the server's side of a connection before it forwards the next data."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.armed = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                threading.Thread(target=self.relay, args=(near,), daemon=True).start()

    def relay(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self.server.port)) as far:
            while data := near.recv(65536):
                if self.armed:
                    self.armed = False
                    far.sendall(b"RESET\r\n")
                    assert far.recv(100) == b"+RESET\r\n"
                far.sendall(data)
                near.sendall(far.recv(65536))


def test_a_pooled_connection_that_wants_another_login(guarded: Server, vault: Vault) -> None:
    proxy = Resetting(guarded)
    with proxy.listener, tokenstore.Client(proxy.url, credentials=vault) as client:
        assert client.ping()
        vault.change("fourth-secret")
        proxy.armed = True
        assert client.ping()
        assert not proxy.armed
        assert vault.asked == 2


def test_refused_once_asks_anew(client: tokenstore.Client, vault: Vault) -> None:
    vault.answers = [("app", "an-old-secret")]
    assert whoami(client) == b"app"
    assert vault.asked == 2


def test_refused_twice_is_final(client: tokenstore.Client, vault: Vault) -> None:
    vault.answers = [("app", "an-old-secret"), ("app", "another-old-secret")]
    with pytest.raises(tokenstore.ServerError, match="AUTH refused: WRONGPASS") as caught:
        client.ping()
    assert vault.asked == 2
    assert caught.value.code == "WRONGPASS"
    assert "old-secret" not in str(caught.value)
    assert client.ping()  # the next call asks again
    assert vault.asked == 3


def test_the_default_user_and_bytes(client: tokenstore.Client, vault: Vault) -> None:
    vault.answers = [(None, b"of-the-default-user")]
    assert whoami(client) == b"default"


def test_they_come_before_those_of_the_url(guarded: Server, vault: Vault) -> None:
    url = guarded.url.replace("redis://", "redis://nobody:wrong@")
    with tokenstore.Client(url, credentials=vault) as client:
        assert whoami(client) == b"app"


class Unavailable(Exception):
    pass


def test_what_it_raises_reaches_the_caller_and_nothing_is_lost(guarded: Server, vault: Vault) -> None:
    error = Unavailable("the vault is closed")
    fail = True

    def ask() -> tuple[str, str]:
        if fail:
            raise error
        return "app", vault.password

    with tokenstore.Client(guarded.url, credentials=ask, pool_size=1) as client:
        for _ in range(3):
            with pytest.raises(Unavailable) as caught:
                client.ping()
            assert caught.value is error
        fail = False
        assert client.ping()


@pytest.mark.parametrize(
    "answer",
    [None, "hush-hush", b"hush-hush", ("hush-hush",), ["app", "hush-hush"], ("app", None),
     ("app", 7), (7, "hush-hush"), ("app", "hush-hush", 1)],
)  # fmt: skip
def test_anything_else_is_a_type_error(client: tokenstore.Client, vault: Vault, answer: object) -> None:
    vault.answers = [answer]
    with pytest.raises(TypeError, match=r"must return a tuple \(user, password\)") as caught:
        client.ping()
    assert "hush" not in str(caught.value)
    assert client.ping()


def test_a_zero_byte_is_refused(client: tokenstore.Client, vault: Vault) -> None:
    vault.answers = [("app", "hush\0hush")]
    with pytest.raises(tokenstore.ConfigurationError, match="contains a NUL byte") as caught:
        client.ping()
    assert "hush" not in str(caught.value)


def test_it_may_use_the_client_whose_connections_it_is_for(guarded: Server, vault: Vault) -> None:
    depth = 0

    def ask() -> tuple[str, str]:
        nonlocal depth
        depth += 1
        if depth == 1:
            assert client.ping()
        return "app", vault.password

    with tokenstore.Client(guarded.url, credentials=ask, pool_size=1) as client:
        assert client.ping()
    assert depth == 2


def test_never_shown(
    client: tokenstore.Client, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tokenstore")
    vault.answers = [("app", "hush-hush")]
    assert client.ping()
    vault.close_all()
    assert client.ping()
    shown = caplog.text + repr(client) + client.url + repr(client._core.target(-1))
    assert "hush" not in shown
    assert vault.password not in shown


def test_it_is_collected_with_its_client(guarded: Server) -> None:
    class Holder:
        client: tokenstore.Client

        def __call__(self) -> tuple[None, str]:
            return None, "of-the-default-user"

    holder = Holder()
    holder.client = tokenstore.Client(guarded.url, credentials=holder)
    assert holder.client.ping()
    gone = weakref.ref(holder)
    del holder
    gc.collect()
    assert gone() is None


def test_where_it_cannot_be_asked(guarded: Server, vault: Vault) -> None:
    with pytest.raises(TypeError, match="credentials must be a function, not tuple"):
        tokenstore.Client(guarded.url, credentials=("app", "hush"))  # type: ignore[arg-type]
    with pytest.raises(tokenstore.ConfigurationError, match="credentials cannot be used with embedded:"):
        tokenstore.Client("embedded:", credentials=vault)
    with tokenstore.Client(guarded.url, credentials=vault) as client:
        with pytest.raises(tokenstore.ConfigurationError, match="cannot call the credentials function"):
            tokenstore.Spike("http://127.0.0.1:9", client_id="a", client_secret="b", redis=client)


# ---- events ------------------------------------------------------------------------------------


KEY = "bob:0123456789a"
BOB = SessionEnd("del", "bob", KEY)


@pytest.fixture
def events(client: tokenstore.Client) -> Iterator[SessionEvents]:
    with tokenstore.RedisJWT(client, secret="s" * 32, kea=True).events() as made:
        yield made


def end(vault: Vault) -> None:
    vault.wire("SELECT", "3")
    vault.wire("SET", KEY, "{}")
    vault.wire("DEL", KEY)


def test_events_ask_for_each_connection(events: SessionEvents, vault: Vault) -> None:
    assert vault.asked == 1
    end(vault)
    assert events.next(20) == BOB
    vault.change("of-events-secret")
    vault.close_events()
    assert isinstance(events.next(20), SessionGap)
    assert vault.asked == 2
    end(vault)
    assert events.next(20) == BOB


def test_events_are_refused_once_and_twice(events: SessionEvents, vault: Vault) -> None:
    vault.close_events()
    vault.answers = [("app", "an-old-secret")]
    assert isinstance(events.next(20), SessionGap)
    assert vault.asked == 3
    vault.close_events()
    vault.answers = [("app", "an-old-secret"), ("app", "older-secret")]
    with pytest.raises(tokenstore.ServerError, match="AUTH refused: WRONGPASS") as caught:
        events.next(20)
    assert "secret" not in str(caught.value)
    assert vault.asked == 5
    assert isinstance(events.next(20), SessionGap)
    end(vault)
    assert events.next(20) == BOB


def test_what_raises_while_events_come_back(events: SessionEvents, vault: Vault) -> None:
    vault.close_events()
    vault.answers = [("app", 7), None]
    for _ in range(2):
        with pytest.raises(TypeError, match=r"must return a tuple \(user, password\)"):
            events.next(20)
    assert isinstance(events.next(20), SessionGap)


def test_events_that_never_begin(guarded: Server, vault: Vault) -> None:
    error = Unavailable("the vault is closed")

    def ask() -> tuple[str, str]:
        raise error

    with tokenstore.Client(guarded.url, credentials=ask) as client:
        with pytest.raises(Unavailable) as caught:
            tokenstore.RedisJWT(client, secret="s" * 32).events()
        assert caught.value is error


def test_callbacks_go_on_when_it_raised(
    client: tokenstore.Client, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    heard: queue.Queue[object] = queue.Queue()
    with tokenstore.RedisJWT(client, secret="s" * 32, kea=True) as jwts:
        jwts.on("gap", heard.put)
        jwts.on("del", heard.put)
        vault.answers = [None, None]
        vault.close_events()
        assert isinstance(heard.get(timeout=20), SessionGap)
        end(vault)
        assert heard.get(timeout=20) == BOB
    assert "not listening for session events, trying again: credentials must return" in caplog.text
