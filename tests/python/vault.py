"""A vault for tests of credentials=: a user's password, which changes on a real server."""

from __future__ import annotations

import asyncio

from servers import Wire


class Vault:
    """Knows the valid password, and counts its calls."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.asked = 0
        self.answers: list[object] = []  # these first
        self.password = ""
        self.change("first-secret")

    def change(self, password: str) -> None:
        self.password = password
        self.wire("ACL", "SETUSER", "app", "reset", "on", ">" + password, "~*", "&*", "+@all")
        self.wire("SET", "password", password)  # for programs in other languages

    def close_all(self) -> None:
        self.wire("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def close_events(self) -> None:
        self.wire("CLIENT", "KILL", "TYPE", "pubsub")

    def __call__(self) -> object:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else ("app", self.password)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask(self) -> object:
        await asyncio.sleep(0.01)
        return self()
