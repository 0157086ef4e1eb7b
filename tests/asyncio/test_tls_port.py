"""redis:// to a port that speaks TLS: an error that suggests rediss://, and no unknown outcome."""

from __future__ import annotations

import pytest

import tokenstore
from conftest import Run
from tls_port import ANSWERS, Answer, tls_port
from tokenstore import asyncio as aio


@pytest.mark.parametrize("answer", ANSWERS)
def test_redis_to_a_tls_port(run: Run, answer: Answer) -> None:
    async def main(port: int) -> None:
        async with aio.Client(f"redis://127.0.0.1:{port}") as client:
            with pytest.raises(tokenstore.ConnectionError, match=r"for a TLS port use rediss://"):
                await client.execute("INCR", "n")

    with tls_port(answer) as port:
        run(main(port))
