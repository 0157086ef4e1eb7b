"""The audit of tokenstore.asyncio: tasks with actors of their own, and functions that are awaited."""

from __future__ import annotations

import asyncio

import pytest

import tokenstore
from clusters import running_cluster
from conftest import Run, one_loop
from servers import Server
from tokenstore import AuditEvent, acting
from tokenstore.asyncio import Client, RedisTokens, Sessions


def test_each_task_has_its_actor(run: Run, server: Server) -> None:
    async def main() -> None:
        told: list[AuditEvent] = []

        async def keep(event: AuditEvent) -> None:
            await asyncio.sleep(0)
            told.append(event)

        async with Client(server.url, on_event=keep, audit_stream=1000) as client:
            sessions = Sessions(client, reuse="revoke")

            async def log_in_and_out(name: str) -> None:
                with acting(name):
                    cookie = await sessions.create("web", name)
                    await asyncio.sleep(0)
                    new = await sessions.rotate("web", cookie)
                    assert await sessions.get("web", new)
                    with pytest.raises(tokenstore.TokenReusedError):
                        await sessions.get("web", cookie)

            await asyncio.gather(*(log_in_and_out(f"user{n}") for n in range(50)))
            assert len(told) == 200
            assert all(event.actor == event.owner for event in told)
            stored = await client.audit_events(count=1000)
            assert sorted(e._replace(at=0, entry=None) for e in stored) == sorted(e._replace(at=0) for e in told)
            assert (await client.audit_events(after=stored[10].entry, count=1)) == [stored[11]]
            assert (await client.audit_events(after=stored[10].entry, count=1, reverse=True)) == [stored[9]]

    run(main())


def test_a_function_that_fails_fails_nobody(run: Run, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def fail(event: AuditEvent) -> None:
            raise ZeroDivisionError

        async with Client(server.url, on_event=fail) as client:
            assert await Sessions(client).create("web", "bob")
        assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == ["on_event failed"]

    run(main())


@one_loop
def test_on_a_cluster(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with running_cluster() as cluster:
            async with Client(cluster.url, audit_stream=100) as client:
                tokens = RedisTokens(client)
                made = await asyncio.gather(*(tokens.create("a", "t", f"user{n}") for n in range(20)))
                assert {event.owner for event in await client.audit_events()} == {token.owner for token in made}
                cluster.primary_of("ts:audit")("DEL", "ts:audit")
                cluster.primary_of("ts:audit")("SET", "ts:audit", "of another program")
                assert await tokens.delete("a", "t", made[0].token)
        [warning] = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        assert "the change was made, but not written to the audit stream: WRONGTYPE" in warning

    run(main())
