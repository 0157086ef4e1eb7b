"""KeySet.from_url, for threads and tasks: fetched once, again if that could help, and safe if the server is
down, slow, or an impostor."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

import tokenstore
from authorization import Endpoint, endpoint, wait_until
from certs import Pki
from published import KEYS, Keys, token
from tokenstore import jwt
from tokenstore.asyncio import jwt as async_jwt


class Blocking:
    """The blocking interface, for tests of both."""

    @staticmethod
    def decode(url: str, tokens: list[str], **options: Any) -> list[Any]:
        with jwt.KeySet.from_url(url, **options) as keys:
            return [outcome(lambda t=t: jwt.decode(t, keys, ["EdDSA"])) for t in tokens]


class Asyncio:
    @staticmethod
    def decode(url: str, tokens: list[str], **options: Any) -> list[Any]:
        async def one(keys: Any, t: str) -> Any:
            try:
                return await async_jwt.decode(t, keys, ["EdDSA"])
            except tokenstore.Error as error:
                return type(error), str(error)

        async def run() -> list[Any]:
            async with async_jwt.KeySet.from_url(url, **options) as keys:
                return [await one(keys, t) for t in tokens]

        return asyncio.run(run())


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except tokenstore.Error as error:
        return type(error), str(error)


both = pytest.mark.parametrize("way", [Blocking, Asyncio])
GOOD = {"sub": "bob"}


@both
def test_they_are_fetched_once_and_kept(way: Any) -> None:
    with endpoint(Keys(KEYS[0])) as server:
        assert way.decode(server.url + "/jwks?x=y", [token()] * 3) == [GOOD] * 3
        (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/jwks?x=y")
    assert "json" in asked.headers["accept"]


@both
def test_an_unknown_key_is_a_reason_to_fetch_once_in_a_while(way: Any) -> None:
    with endpoint(Keys(KEYS[0])) as server:
        outcomes = way.decode(server.url, [token(kid=f"made up {i}") for i in range(20)])
        assert {o[0] for o in outcomes} == {tokenstore.InvalidTokenError}
        assert "made up" not in str(outcomes)
        assert len(server.asked) == 2


@both
def test_what_is_wrong_otherwise_is_none(way: Any) -> None:
    with endpoint(Keys(KEYS[0])) as server:
        forged = token()[:-6] + "AAAAAA"
        outcomes = way.decode(server.url, [token(), forged, "a.b.c", token() + ".x", ""])
        assert outcomes[0] == GOOD
        assert {o[0] for o in outcomes[1:]} == {tokenstore.InvalidTokenError}
        assert len(server.asked) == 1


def test_keys_may_change_as_often_as_they_like() -> None:
    keys = Keys(KEYS[0])
    with endpoint(keys) as server, jwt.KeySet.from_url(server.url, min_interval=3600) as remote:
        for i in range(6):
            keys.keys = [KEYS[i % 2]]
            assert jwt.decode(token(KEYS[i % 2]), remote, ["EdDSA"]) == GOOD
        assert len(server.asked) == 6
        assert [key.kid for key in remote] == ["k1"]


def test_keys_may_change_as_often_as_they_like_for_tasks() -> None:
    keys = Keys(KEYS[0])

    async def run(server: Endpoint) -> None:
        async with async_jwt.KeySet.from_url(server.url, min_interval=3600) as remote:
            for i in range(6):
                keys.keys = [KEYS[i % 2]]
                both = await async_jwt.decode_complete(token(KEYS[i % 2]), remote, ["EdDSA"])
                assert (both.claims, both.header["kid"]) == (GOOD, f"k{i % 2}")
            assert [key.kid async for key in remote] == ["k1"]
            with pytest.raises(TypeError, match="await"):
                jwt.decode(token(KEYS[1]), remote, ["EdDSA"])  # type: ignore[arg-type]

    with endpoint(keys) as server:
        asyncio.run(run(server))
        assert len(server.asked) == 6


def test_one_fetch_for_all_threads() -> None:
    keys = Keys(KEYS[0])
    keys.delay = 0.3
    with endpoint(keys) as server, jwt.KeySet.from_url(server.url) as remote:
        results: list[Any] = []
        threads = [
            threading.Thread(target=lambda: results.append(jwt.decode(token(), remote, ["EdDSA"])))
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [GOOD] * 16
        assert len(server.asked) == 1


def test_one_fetch_for_all_tasks_and_the_loop_goes_on() -> None:
    keys = Keys(KEYS[0])
    keys.delay = 0.4

    async def run(server: Endpoint) -> None:
        async with async_jwt.KeySet.from_url(server.url) as remote:
            decoding = asyncio.gather(
                *(async_jwt.decode(token(), remote, ["EdDSA"]) for _ in range(50))
            )
            longest, last = 0.0, time.monotonic()
            while not decoding.done():
                await asyncio.sleep(0.001)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
            assert await decoding == [GOOD] * 50
            assert longest < 0.2
            assert threading.active_count() < 10

    with endpoint(keys) as server:
        asyncio.run(run(server))
        assert len(server.asked) == 1


@both
@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"status": 503}, tokenstore.ConnectionError, "answered 503"),
        ({"status": 404}, tokenstore.ConnectionError, "answered 404"),
        ({"status": 302, "headers": {"Location": "/x"}}, tokenstore.ConnectionError, "redirects"),
        ({"body": "<html>"}, tokenstore.DataError, "unusable keys"),
        ({"body": {"keys": []}}, tokenstore.DataError, "no usable public key"),
        ({"body": {"keys": [KEYS[0].to_jwk(private=True)]}}, tokenstore.DataError, "no usable public key"),
        ({"body": b"x" * (1 << 20) + b"x"}, tokenstore.DataError, "larger than"),
        ({"delay": 2.0}, tokenstore.TimeoutError, "timeout expired"),
    ],
)
def test_what_is_no_key_set_says_nothing_of_a_token(
    way: Any, change: dict[str, Any], error: type[Exception], says: str
) -> None:
    keys = Keys(KEYS[0])
    for name, value in change.items():
        setattr(keys, name, value)
    with endpoint(keys) as server:
        outcomes = way.decode(server.url + "/secret-canary", [token(), token()], timeout=0.3)
        for kind, message in outcomes:
            assert kind is error
            assert says in message
            assert "canary" not in message
        assert len(server.asked) == 1  # not again for a second


def test_a_server_that_is_away_is_asked_again_after_a_second() -> None:
    keys = Keys(KEYS[0])
    keys.status = 503
    with endpoint(keys) as server, jwt.KeySet.from_url(server.url) as remote:
        assert (
            outcome(lambda: jwt.decode(token(), remote, ["EdDSA"]))[0] is tokenstore.ConnectionError
        )
        keys.status = 200
        time.sleep(1.1)
        assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def info(self, text: str) -> None:
        self.lines.append(("info", text))

    def warning(self, text: str) -> None:
        self.lines.append(("warning", text))


def test_old_keys_are_used_while_the_server_is_away_but_not_for_ever() -> None:
    keys, log = Keys(KEYS[0]), Log()
    with (
        endpoint(keys) as server,
        jwt.KeySet.from_url(
            server.url, max_age=1, max_stale=2, min_interval=1, logger=log
        ) as remote,
    ):
        assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD
        keys.status = 503
        begin = time.monotonic()
        while time.monotonic() < begin + 2.5:
            assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD
            time.sleep(0.05)
        assert 2 <= len(server.asked) <= 4  # once per min_interval
        assert (
            outcome(lambda: jwt.decode(token(KEYS[1]), remote, ["EdDSA"]))[0]
            is tokenstore.ConnectionError
        )
        time.sleep(1)
        assert (
            outcome(lambda: jwt.decode(token(), remote, ["EdDSA"]))[0] is tokenstore.ConnectionError
        )
        keys.status = 200
        time.sleep(1.1)
        assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD
    assert [text for level, text in log.lines if level == "warning" and "using the old ones" in text]
    assert [text for level, text in log.lines if level == "info" and "fetched" in text]


def test_old_keys_are_renewed_in_the_background() -> None:
    keys = Keys(KEYS[0])
    with endpoint(keys) as server, jwt.KeySet.from_url(server.url, max_age=1) as remote:
        assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD
        keys.keys, keys.delay = [KEYS[1]], 0.5
        time.sleep(1.1)
        begin = time.monotonic()
        assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD  # the old ones
        assert time.monotonic() - begin < 0.3
        wait_until(lambda: len(server.asked) == 2)
        wait_until(lambda: [key.kid for key in remote] == ["k1"])
        # The removed key is no longer accepted.
        assert (
            outcome(lambda: jwt.decode(token(), remote, ["EdDSA"]))[0]
            is tokenstore.InvalidTokenError
        )


def test_cache_control_may_shorten_their_life() -> None:
    with ExitStack() as stack:
        begun = []
        for header, asked in (("max-age=1", 2), ("no-store", 2), ("max-age=600", 1), ("public", 1)):
            keys = Keys(KEYS[0])
            keys.headers = {"Cache-Control": header}
            server = stack.enter_context(endpoint(keys))
            remote = stack.enter_context(jwt.KeySet.from_url(server.url, min_interval=1))
            assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD
            begun.append((header, asked, server, remote))
        time.sleep(1.2)
        for *_, remote in begun:
            assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD
        for _, asked, server, _ in begun:
            wait_until(lambda: len(server.asked) >= asked)  # noqa: B023
        time.sleep(0.1)
        for header, asked, server, _ in begun:
            assert len(server.asked) == asked, header


def test_no_store_is_no_reason_to_ask_for_each_token() -> None:
    keys = Keys(KEYS[0])
    keys.headers = {"Cache-Control": "no-store, max-age=0"}
    with endpoint(keys) as server, jwt.KeySet.from_url(server.url, min_interval=2) as remote:
        begin = time.monotonic()
        while time.monotonic() < begin + 1.5:
            assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD
        assert len(server.asked) == 1


def test_cache_control_does_not_lengthen_it() -> None:
    keys = Keys(KEYS[0])
    keys.headers = {"Cache-Control": "max-age=600"}
    with endpoint(keys) as server, jwt.KeySet.from_url(server.url, max_age=1) as remote:
        assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD
        time.sleep(1.2)
        assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD
        wait_until(lambda: len(server.asked) == 2)


def test_close_ends_a_fetch_at_once() -> None:
    keys = Keys(KEYS[0])
    keys.delay = 20
    with endpoint(keys) as server:
        remote = jwt.KeySet.from_url(server.url, timeout=20)
        results: list[Any] = []
        thread = threading.Thread(
            target=lambda: results.append(outcome(lambda: jwt.decode(token(), remote, ["EdDSA"])))
        )
        thread.start()
        wait_until(lambda: len(server.asked) == 1)
        begin = time.monotonic()
        remote.close()
        remote.close()
        thread.join()
        assert time.monotonic() - begin < 1
        assert "closed" in results[0][1]
        assert "closed" in outcome(lambda: jwt.decode(token(), remote, ["EdDSA"]))[1]


def test_a_task_that_is_cancelled_leaves_the_fetch_to_the_others() -> None:
    keys = Keys(KEYS[0])
    keys.delay = 0.5

    async def run(server: Endpoint) -> None:
        async with async_jwt.KeySet.from_url(server.url) as remote:
            first = asyncio.ensure_future(async_jwt.decode(token(), remote, ["EdDSA"]))
            second = asyncio.ensure_future(async_jwt.decode(token(), remote, ["EdDSA"]))
            await asyncio.sleep(0.1)
            begin = time.monotonic()
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert time.monotonic() - begin < 0.1
            assert await second == GOOD

    with endpoint(keys) as server:
        asyncio.run(run(server))
        assert len(server.asked) == 1


def test_a_loop_that_ends_does_not_wait_for_a_hung_server() -> None:
    keys = Keys(KEYS[0])
    keys.delay = 20

    async def run(server: Endpoint) -> None:
        async with async_jwt.KeySet.from_url(server.url, timeout=20) as remote:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(async_jwt.decode(token(), remote, ["EdDSA"]), 0.2)

    with endpoint(keys) as server:
        begin = time.monotonic()
        asyncio.run(run(server))
        assert time.monotonic() - begin < 2


def test_a_signal_handler_that_raises_ends_the_wait_and_not_the_fetch() -> None:
    keys = Keys(KEYS[0])
    keys.delay = 1.5

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with endpoint(keys) as server, jwt.KeySet.from_url(server.url) as remote:
        before = signal.signal(signal.SIGALRM, stop)
        begin = time.monotonic()
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                jwt.decode(token(), remote, ["EdDSA"])
        finally:
            signal.signal(signal.SIGALRM, before)
        assert time.monotonic() - begin < 1
        assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD
        assert len(server.asked) == 1


def in_a_child(check: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        good = False
        try:
            good = check()
        finally:
            os._exit(0 if good else 1)
    return os.waitpid(pid, 0)[1] == 0


def test_a_forked_child_has_the_keys() -> None:
    with endpoint(Keys(KEYS[0])) as server, jwt.KeySet.from_url(server.url) as remote:
        assert jwt.decode(token(), remote, ["EdDSA"]) == GOOD
        assert in_a_child(lambda: jwt.decode(token(), remote, ["EdDSA"]) == GOOD)
        assert len(server.asked) == 1


def test_a_child_forked_in_the_middle_of_a_fetch_fetches_for_itself() -> None:
    keys = Keys(KEYS[0])
    keys.delay = 1.0
    with endpoint(keys) as server, jwt.KeySet.from_url(server.url) as remote:
        busy = threading.Thread(target=lambda: jwt.decode(token(), remote, ["EdDSA"]))
        busy.start()  # its thread, and the fetching one, will not exist in the child
        wait_until(lambda: len(server.asked) == 1)
        assert in_a_child(lambda: jwt.decode(token(), remote, ["EdDSA"]) == GOOD)
        busy.join()
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("http://keys.example/jwks", {}, "https://"),
        ("http://127.0.0.1.example/jwks", {}, "https://"),
        ("http://localhost.example/jwks", {}, "https://"),
        ("ftp://127.0.0.1/jwks", {}, "https://"),
        ("https://user:secret-canary@127.0.0.1/", {}, "user or a password"),
        ("https://", {}, "malformed"),
        ("", {}, "malformed"),
        ("https://a/", {"max_age": 0}, "max_age"),
        ("https://a/", {"max_age": float("nan")}, "max_age"),
        ("https://a/", {"max_stale": -1}, "max_stale"),
        ("https://a/", {"min_interval": 0.5}, "min_interval"),
        ("https://a/", {"timeout": 601}, "timeout"),
        ("https://a/", {"ca": "/nowhere"}, "ca"),
        ("https://a/", {"proxy": "nonsense:"}, "proxy"),
    ],
)
def test_what_cannot_be(url: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(tokenstore.ConfigurationError, match=says) as caught:
        jwt.KeySet.from_url(url, **options)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"max_age": "1"}, {"timeout": None}, {"verify": 0}, {"logger": print}, {"ca": 1}, {"x": 1}],
)
def test_what_is_of_another_type(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        jwt.KeySet.from_url("https://a/", **options)
    with pytest.raises(TypeError):
        jwt.KeySet.from_url(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        jwt.RemoteKeySet()


def test_who_is_not_verified_is_warned_of() -> None:
    log = Log()
    jwt.KeySet.from_url("http://keys.example/", verify=False, logger=log).close()
    assert [level for level, _ in log.lines] == ["warning"]


# ---- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@both
@pytest.mark.parametrize(
    "bad", [None, "expired", "wrong host", "unknown CA", "self-signed", "wrong EKU"]
)
def test_a_server_that_is_somebody_else_gives_no_keys(way: Any, bad: str | None, pki: Pki) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = pki.good if bad is None else pki.bad[bad]
    context.load_cert_chain(pair.cert, pair.key)
    with endpoint(Keys(KEYS[0]), context) as server:
        (got,) = way.decode(server.url, [token()], ca=pki.ca.cert)
        if bad is None:
            assert got == GOOD
        else:
            assert got[0] is tokenstore.ConnectionError
            assert "certificate was rejected" in got[1]
            assert server.asked == []
        (unverified,) = way.decode(server.url, [token()], verify=False)
        assert unverified == GOOD
