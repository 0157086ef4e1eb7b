"""credentials= in tokenstore.asyncio: plain or async, on a server whose passwords change while connections are open."""

from __future__ import annotations

import asyncio

import pytest

import tokenstore
import tokenstore.asyncio
from conftest import Run
from servers import Server
from vault import Vault


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_asked_for_each_connection(run: Run, guarded: Server, vault: Vault, kind: str) -> None:
    async def main() -> None:
        async with tokenstore.asyncio.Client(guarded.url, credentials=vault.ask if kind == "async" else vault) as client:
            assert vault.asked == 0
            assert await asyncio.gather(*(client.ping() for _ in range(20))) == [True] * 20
            assert await client.execute("ACL", "WHOAMI") == b"app"
            assert vault.asked == 1
            vault.change("second-secret")
            assert await client.ping()
            assert vault.asked == 1
            vault.close_all()
            assert await client.ping()
            assert vault.asked == 2

    run(main())


def test_the_user_of_open_connections_was_renewed(run: Run, guarded: Server, vault: Vault) -> None:
    async def main() -> None:
        async with tokenstore.asyncio.RedisTokens(guarded.url, credentials=vault.ask) as tokens:
            made = await tokens.create(app="web", type="login", owner="bob")
            vault.wire("ACL", "DELUSER", "app")  # ends its connections, too
            vault.change("third-secret")
            found = await tokens.get(app="web", type="login", token=made.token)
            assert found is not None
            assert found.owner == "bob"
            assert vault.asked == 2

    run(main())


def test_refused_once_asks_anew_and_twice_is_final(run: Run, guarded: Server, vault: Vault) -> None:
    async def main() -> None:
        async with tokenstore.asyncio.Client(guarded.url, credentials=vault.ask) as client:
            vault.answers = [("app", "an-old-secret"), ("app", "another-old-secret")]
            with pytest.raises(tokenstore.ServerError, match="AUTH refused: WRONGPASS") as caught:
                await client.ping()
            assert vault.asked == 2
            assert "old-secret" not in str(caught.value)
            vault.answers = [("app", "an-old-secret")]
            assert await client.ping()
            assert vault.asked == 4

    run(main())


def test_what_it_raises_reaches_all_that_wait(run: Run, guarded: Server, vault: Vault) -> None:
    error = LookupError("the vault is closed")

    async def main() -> None:
        async with tokenstore.asyncio.Client(guarded.url, credentials=vault.ask) as client:
            vault.answers = [error]
            results = await asyncio.gather(*(client.ping() for _ in range(3)), return_exceptions=True)
            assert [result is error for result in results] == [True] * 3
            assert vault.asked == 1
            assert await client.ping()

    run(main())


@pytest.mark.parametrize("answer", [None, "hush-hush", ("hush-hush",), ["app", "hush-hush"], ("app", 7)])
def test_anything_else_is_a_type_error(run: Run, guarded: Server, vault: Vault, answer: object) -> None:
    async def main() -> None:
        async with tokenstore.asyncio.Client(guarded.url, credentials=vault.ask) as client:
            vault.answers = [answer]
            with pytest.raises(TypeError, match=r"must return a tuple \(user, password\)") as caught:
                await client.ping()
            assert "hush" not in str(caught.value)
            assert await client.ping()

    run(main())


def test_one_that_never_answers_ends_with_the_deadline(run: Run, guarded: Server) -> None:
    ended = []

    async def ask() -> tuple[str, str]:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)
        return "app", ""

    async def main() -> None:
        async with tokenstore.asyncio.Client(guarded.url, credentials=ask, timeout=0.1) as client:
            with pytest.raises(tokenstore.TimeoutError):
                await client.ping()
            await asyncio.sleep(0.05)
            assert ended == [True]

    run(main())


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_events_ask_for_each_connection(run: Run, guarded: Server, vault: Vault, kind: str) -> None:
    async def main() -> None:
        async with tokenstore.asyncio.Client(guarded.url, credentials=vault.ask if kind == "async" else vault) as client:
            jwts = tokenstore.asyncio.RedisJWT(client, secret="s" * 32, kea=True)
            async with jwts.events() as events:
                assert vault.asked == 1
                vault.change("of-events-secret")
                vault.close_events()
                event = await events.next(20)
                assert event is not None
                assert event.kind == "gap"
                assert vault.asked == 2

    run(main())


def test_events_end_while_they_ask(run: Run, guarded: Server, vault: Vault) -> None:
    asked = asyncio.Event()

    async def ask() -> object:
        if vault.asked == 1:
            asked.set()
            await asyncio.sleep(60)
        return vault()

    async def main() -> None:
        async with tokenstore.asyncio.Client(guarded.url, credentials=ask) as client:
            async with tokenstore.asyncio.RedisJWT(client, secret="s" * 32).events() as events:
                waiting = asyncio.ensure_future(events.next())
                vault.close_events()
                await asyncio.wait_for(asked.wait(), 20)
            with pytest.raises(tokenstore.Error, match="closed"):
                await asyncio.wait_for(waiting, 20)

    run(main())
