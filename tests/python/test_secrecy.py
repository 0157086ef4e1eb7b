"""A token never appears in Redis, in messages, or in logs."""

from __future__ import annotations

import base64
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

import tokenstore
from servers import Server, free_port, paused, running
from tokenstore import Client, RedisTokens

CANARY = "CANARY-custom-token"
PEPPER = "CANARY-pepper-0123456789"
APP = {"app": "web", "type": "login"}


def use_everything(tokens: RedisTokens) -> list[str]:
    """Runs each operation, found and not found; returns the secrets used."""
    agent = {"address": "::1", "user_agent": "agent"}
    made = [
        tokens.create(**APP, owner="bob", data={"n": 1}, duration=600, request=agent),
        tokens.create(**APP, owner="bob", custom_token=CANARY),
        *tokens.create_many([{**APP, "owner": "eve", "duration": 60}] * 3),
        tokens.create(**APP, owner="bob", idle=100, duration=600),
        tokens.create(**APP, data={"cart": []}, duration=600),
    ]
    secrets = [str(t.token) for t in made]
    for secret in [*secrets, CANARY + "-not-there"]:
        found = tokens.get(**APP, token=secret)
        assert secret not in repr(found) + str(found)
        tokens.get(**APP, token=secret, refresh=1000, expiry=True)
        tokens.get(**APP, token=secret, refresh=True)
        tokens.refresh(**APP, token=secret, duration=500)
        tokens.update(**APP, token=secret, data={"m": [2]})
        tokens.update(**APP, token=secret, unset=["m"], expect={"m": [2]}, refresh=2000)
        with suppress(tokenstore.ConflictError):
            tokens.update(**APP, token=secret, data={"m": 3}, expect={"m": [3]})
    tokens.get_many(**APP, tokens=[*secrets, CANARY + "-not-there"])
    assert tokens.count(**APP, owner="bob") == len(tokens.list(**APP, owner="bob")) == 3
    for token in made[:3]:
        assert token.owner is not None
        assert tokens.get_by_id(**APP, owner=token.owner, id=token.id) is not None
        assert tokens.update_by_id(**APP, owner=token.owner, id=token.id, data={"role": "x"}) is not None
    tokens.update_all(**APP, owner="bob", data={"role": "y"})
    for secret in (secrets[0], CANARY, CANARY + "-not-there", secrets[6]):
        rotated = tokens.rotate(**APP, token=secret)
        if rotated is not None:
            secrets.append(str(rotated.token))
    secrets += rotate_everything(tokens)
    tokens.delete_by_id(**APP, owner="eve", id=made[2].id)
    tokens.delete(**APP, token=secrets[3])
    tokens.take(**APP, token=secrets[4])
    with pytest.raises(tokenstore.DataError):
        tokens.create(**APP, owner="bob", custom_token=CANARY, data={"x": float("nan")})
    tokens.create(**APP, owner="bob", custom_token=CANARY)
    with pytest.raises(tokenstore.DataError):
        tokens.create(**APP, owner="bob", custom_token=CANARY)
    tokens.delete_all(**APP, owner="bob", keep=CANARY)
    assert tokens.take(**APP, token=CANARY) is not None
    tokens.delete_all(**APP, owner="eve")
    return secrets


def rotate_everything(tokens: RedisTokens) -> list[str]:
    """With a grace, where a secret follows from another one; logins, reuse. The secrets of it."""
    chain = [tokens.create(**APP, owner="mia", data={"n": 1}, duration=600, custom_token=f"{CANARY}-{n}") for n in "12"]
    chain.append(tokens.create(**APP, owner="mia", duration=600))
    secrets = []
    for old in chain:
        secrets.append(str(old.token))
        for grace in (30, 20, None):
            new = tokens.rotate(**APP, token=secrets[-1], grace=grace, data={"at": grace})
            again = tokens.rotate(**APP, token=secrets[-1], grace=grace) if grace else None
            assert new is not None
            assert again is None or again.token == new.token
            for method in (tokens.get, tokens.take) if old is chain[0] and grace is None else (tokens.get,):
                found = method(**APP, token=secrets[-1] if grace else new.token)
                assert secrets[-1] not in repr(found) + repr(new)
                assert str(new.token) not in repr(found) + repr(new)
            tokens.update(**APP, token=secrets[-1] if grace else new.token, data={"m": 1}, refresh=700)
            secrets.append(str(new.token))
        with pytest.raises(tokenstore.TokenReusedError) as caught:
            tokens.get(**APP, token=secrets[-2])
        said = f"{caught.value!r} {caught.value} {vars(caught.value)!r}"
        assert_clean("the error", said.encode(), secrets)
        tokens.get_many(**APP, tokens=secrets)
    tokens.create(**APP, owner="mia", duration=600, custom_token=f"{CANARY}-3")
    tokens.rotate(**APP, token=f"{CANARY}-3")
    with pytest.raises(tokenstore.TokenReusedError) as caught:
        tokens.update(**APP, token=f"{CANARY}-3", data={"n": 2})
    assert "CANARY" not in f"{caught.value!r} {caught.value} {vars(caught.value)!r}"
    guest = tokens.create(**APP, duration=600)
    mine = tokens.rotate(**APP, token=guest.token, grace=30, owner="mia", data={"role": "x"})
    assert mine is not None
    return [*secrets, str(guest.token), str(mine.token)]


def spellings(secret: str) -> list[bytes]:
    """Each half of a secret's random bytes, in each form that they might have."""
    if CANARY in secret:
        return [secret.encode()]
    is_hex = secret[0] == "2"
    text = secret[25:-6] if is_hex else secret[17:-4]  # without marker, locator and sum
    raw = bytes.fromhex(text) if is_hex else base64.urlsafe_b64decode(text + "=")
    assert len(raw) == 32
    forms = [raw.hex(), raw.hex().upper(), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()]
    return [raw[:16], raw[16:], *(half.encode() for form in forms for half in (form[:20], form[-22:-2]))]


def assert_clean(place: str, text: bytes, secrets: list[str]) -> None:
    assert b"CANARY" not in text, place
    for secret in secrets:
        for spelling in spellings(secret):
            assert spelling not in text, place


@pytest.mark.parametrize("encoding", ["base64url", "hex"])
def test_redis_never_sees_a_token(encoding: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.NOTSET)
    caplog.set_level(logging.NOTSET, "tokenstore")
    with (
        running(
            *["--appendonly", "yes", "--appendfsync", "always", "--rdbcompression", "no", "--loglevel", "debug"],
            *["--slowlog-log-slower-than", "0", "--slowlog-max-len", "10000"],
        ) as server,
        server.wire() as monitor,
        Client(server.url) as client,
    ):
        monitor("MONITOR")
        tokens = RedisTokens(client, pepper=[PEPPER, PEPPER[::-1]], token_encoding=encoding, reuse="revoke")
        secrets = use_everything(tokens)
        left = tokens.create(**APP, owner="left", data={"x": "y"})
        secrets.append(str(left.token))
        server("ECHO", "the end")
        seen = b""
        while "the end" not in (line := monitor.read()):
            seen += line.encode() + b"\n"
        slow = repr(server("SLOWLOG", "GET", 10000)).encode()
        server("SAVE")
        files = [p for p in server.directory.rglob("*") if p.is_file()]
        assert any(p.name == "dump.rdb" for p in files)
        assert any("aof" in p.name for p in files)
        # Self-test: expected data is found, so this test searches the right places.
        for place in [seen, slow, *(p.read_bytes() for p in files if p.name == "dump.rdb")]:
            assert left.id.encode() in place
        assert any(left.id.encode() in p.read_bytes() for p in files if "incr" in p.name or p.suffix == ".aof")
        assert_clean("MONITOR", seen, secrets)
        assert_clean("SLOWLOG", slow, secrets)
        for path in files:
            assert_clean(str(path), path.read_bytes(), secrets)
        assert len(server.output) > 5
        assert_clean("the server's log", "\n".join(server.output).encode(), secrets)
        ours = "\n".join(record.getMessage() + repr(vars(record)) for record in caplog.records)
        assert_clean("our log", ours.encode(), secrets)
        assert len(set(secrets)) >= 25


# ---- messages and logs ---------------------------------------------------------------------------


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server with one reply for everything."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):  # the client may close at any time
                while not stop.is_set() and connection.recv(65536):
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"redis://bob:CANARY-password@127.0.0.1:{listener.getsockname()[1]}?timeout=0.1"
    finally:
        stop.set()
        listener.close()


def calls(tokens: RedisTokens) -> list[Callable[[], Any]]:
    data = {"secret": "CANARY-data"}
    bad = {"secret": "CANARY-data\0"}
    return [
        lambda: tokens.get(**APP, token=CANARY),
        lambda: tokens.get(**APP, token=CANARY, refresh=60),
        lambda: tokens.get(**APP, token=CANARY, refresh=-1),
        lambda: tokens.get_many(**APP, tokens=[CANARY, CANARY]),
        lambda: tokens.create(**APP, owner="bob", data=data),
        lambda: tokens.create(**APP, owner="bob", data=bad),
        lambda: tokens.create(**APP, owner="bob", data={"x": bad}, custom_token=CANARY),
        lambda: tokens.create(**APP, owner="bob", data=data, custom_token=CANARY),
        lambda: tokens.create(**APP, owner="bob", custom_token=CANARY * 100),
        lambda: tokens.create(**APP, owner="bob", custom_token=CANARY + "\0"),
        lambda: tokens.create(**APP, owner="bob", custom_token=CANARY + "\ud800"),
        lambda: tokens.create_many([{**APP, "owner": "bob", "data": bad}]),
        lambda: tokens.create_many([{**APP, "owner": "bob", "custom_token": CANARY}] * 2),
        lambda: tokens.update(**APP, token=CANARY, data=data),
        lambda: tokens.update(**APP, token=CANARY, data=bad),
        lambda: tokens.update(**APP, token=CANARY, data={"x": "CANARY" * 20000}),
        lambda: tokens.refresh(**APP, token=CANARY, duration=60),
        lambda: tokens.refresh(**APP, token=CANARY, duration=0),
        lambda: tokens.rotate(**APP, token=CANARY),
        lambda: tokens.rotate(**APP, token=CANARY, grace=10, owner="bob", data=bad),
        lambda: tokens.rotate(**APP, token=CANARY, grace=10, owner="eve", data=data),
        lambda: tokens.take(**APP, token=CANARY),
        lambda: tokens.delete(**APP, token=CANARY),
        lambda: tokens.delete_all(**APP, owner="bob"),
        lambda: tokens.list(**APP, owner="bob"),
        lambda: tokens.delete_by_id(**APP, owner="bob", id="CANARY"),
        lambda: tokens.get_by_id(**APP, owner="bob", id="CANARY"),
        lambda: tokens.update_by_id(**APP, owner="bob", id="CANARY", data=data),
        lambda: tokens.update_all(**APP, owner="bob", data=data),
        lambda: tokens.update_all(**APP, owner="bob", data=bad),
        lambda: tokens.update(**APP, token=CANARY, data=data, expect={"secret": "CANARY-other"}),
        lambda: tokens.update(**APP, token=CANARY, expect=bad, refresh=10),
        lambda: tokens.delete_all(**APP, owner="bob", keep=CANARY),
        lambda: tokens.list(**APP, owner="bob", limit=2, after="CANARY"),
        lambda: tokens.create(**APP, custom_token=CANARY, data=data, request={"user_agent": "CANARY"}),
        lambda: tokens.client.execute("AUTH", "CANARY"),
        lambda: tokens.client.execute("NONSENSE", "CANARY"),
        lambda: tokens.client.pipeline([["NONSENSE", "CANARY"]]),
    ]


def failures(tokens: RedisTokens) -> Iterator[BaseException]:
    for call in calls(tokens):
        try:
            call()
        except tokenstore.Error as error:
            yield error


def assert_messages_are_clean(tokens: RedisTokens, at_least: int) -> None:
    count = 0
    for error in failures(tokens):
        count += 1
        shown = [str(error), repr(error), repr(error.args), repr(vars(error))]
        chain: BaseException | None = error
        while chain is not None:
            lines = traceback.format_exception_only(type(chain), chain)
            shown += lines
            chain = chain.__cause__ or chain.__context__
        assert "CANARY" not in "\n".join(shown)
        assert str(error)
    assert count >= at_least
    assert "CANARY" not in repr(tokens) + repr(tokens.client)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.NOTSET)
    caplog.set_level(logging.NOTSET, "tokenstore")
    yield
    for record in caplog.records:
        assert "CANARY" not in record.getMessage() + repr(vars(record))


URL_SECRETS = "bob:CANARY-password@"


@pytest.mark.usefixtures("log")
class TestMessages:
    def test_from_a_good_server(self, server: Server) -> None:
        with RedisTokens(server.url, pepper=PEPPER) as tokens:
            assert_messages_are_clean(tokens, 12)

    def test_without_a_server(self) -> None:
        with RedisTokens(
            f"redis://{URL_SECRETS}127.0.0.1:{free_port()}?timeout=0.2", pepper=PEPPER
        ) as tokens:
            assert_messages_are_clean(tokens, 24)

    def test_with_a_silent_server(self, server: Server) -> None:
        with RedisTokens(server.url, pepper=PEPPER, timeout=0.05) as tokens, paused(server):
            assert_messages_are_clean(tokens, 24)

    @pytest.mark.parametrize(
        "answer",
        [
            b"-ERR nothing\r\n",
            b"-NOPERM no\r\n",
            b"-WRONGPASS invalid username-password pair\r\n",
            b"+OK\r\n",
            b"$-1\r\n",
            b":1\r\n",
            b"*0\r\n",
            b"$6\r\nCANARY\r\n",
            b"+CANARY\r\n",
            b'$20\r\n["CANARY","o",{"a":1\r\n',
            b"*2\r\n$6\r\nCANARY\r\n$6\r\nCANARY\r\n",
            b"CANARY garbage\r\n",
            b"$999999999999\r\nCANARY",
            b"+OK\r\n+CANARY\r\n",
        ],
    )
    def test_with_a_server_that_answers(self, answer: bytes) -> None:
        with answering(answer) as url, RedisTokens(url, pepper=PEPPER) as tokens:
            assert_messages_are_clean(tokens, 12)

    def test_with_something_else_in_the_keys(self, server: Server) -> None:
        with RedisTokens(server.url) as tokens:
            token = tokens.create(**APP, owner="bob", custom_token=CANARY)
            for key in server.keys():
                server("DEL", key)
                server("SADD", key, "CANARY")
            assert_messages_are_clean(tokens, 18)
            assert token.owner == "bob"
