"""Clock changes, clock differences, and a machine that sleeps."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from authorization import Answer, Asked, Endpoint, Signer, endpoint, granted
from callers import LUAS, SOAK
from lua_process import _environment, quote
from servers import Server

HOUR = 3600
ENDS = 2.3  # seconds after which a token of LIFE seconds is over, less expiration_offset
LIFE = 12

PYTHON = """
import json, sys, tokenstore
s = tokenstore.Spike(**json.loads(sys.argv[1]))
for line in sys.stdin:
    try:
        print(s.get_token(line.strip()), flush=True)
    except tokenstore.SpikeError as error:
        print("failed:", error, flush=True)
"""
LUA = """
local s = assert(require("tokenstore").Spike(OPTIONS))
for line in io.lines() do
  local token, message = s:get_token(line)
  print(token or "failed: " .. message)
  io.flush()
end
"""


@pytest.fixture(scope="session")
def clocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    made = tmp_path_factory.mktemp("clocks") / "clocks.so"
    source = Path(__file__).with_name("clocks.c")
    subprocess.run([compiler, "-O1", "-fPIC", "-shared", "-o", str(made), str(source)], check=True)
    return made


class Machine:
    """A process with modified clocks: `wall` and `boot` are offsets in seconds."""

    def __init__(
        self, language: str, clocks: Path, file: Path, options: dict[str, Any], wall: int = 0
    ) -> None:
        self.file = file
        self.set(wall, 0)
        environment = {**os.environ} if language == "python" else _environment(language)
        preload = f"{os.environ.get('LD_PRELOAD', '')}:{clocks}".lstrip(":")  # a sanitizer comes first
        environment |= {"LD_PRELOAD": preload, "CLOCKS": str(file)}
        if language == "python":
            command = [sys.executable, "-c", PYTHON, json.dumps(options)]
        else:
            command = [language, "-e", LUA.replace("OPTIONS", quote(options))]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def set(self, wall: int, boot: int) -> None:
        data = struct.pack("=qq", wall, boot)
        if self.file.exists():
            with self.file.open("r+b") as file:
                file.write(data)
        else:
            self.file.write_bytes(data)

    def get(self, audience: str = "a") -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(audience + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


@pytest.fixture(params=["python", *(LUAS[:1] if SOAK else [])])
def machine(request: pytest.FixtureRequest, clocks: Path, tmp_path: Path) -> Iterator[Any]:
    made: list[Machine] = []

    def make(server: Endpoint, wall: int = 0, **more: Any) -> Machine:
        options = {"url": server.url, "client_id": "id", "client_secret": "secret-canary", **more}
        made.append(Machine(request.param, clocks, tmp_path / str(len(made)), options, wall))
        return made[-1]

    yield make
    for one in made:
        one.end()


def numbered(**more: Any) -> Any:
    count = iter(range(1, 100))
    return lambda asked: granted(f"token-{next(count)}", **more)


def jwts(signer: Signer, expires_in: int | None, life: int = LIFE, date: bool = True) -> Any:
    def answer(asked: Asked) -> Answer:
        if asked.method == "GET":
            return signer.answer(asked)
        now = int(time.time())
        token = signer.token(asked.form["audience"], iat=now, nbf=now, exp=now + life)
        body: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        if expires_in is not None:
            body["expires_in"] = expires_in
        return Answer(200, body)

    return answer


def test_a_clock_that_is_set_back_keeps_no_dead_token(machine: Any) -> None:
    with endpoint(numbered(expires_in=LIFE, refresh_in=HOUR)) as server:
        here = machine(server, token_format="opaque")
        assert here.get() == "token-1"
        here.set(-HOUR, 0)
        assert here.get() == "token-1"
        time.sleep(ENDS)
        assert here.get() == "token-2"


def test_a_clock_that_is_set_forward_ends_no_token(machine: Any) -> None:
    with endpoint(numbered(expires_in=HOUR, refresh_in=HOUR)) as server:
        here = machine(server, token_format="opaque")
        assert here.get() == "token-1"
        here.set(24 * HOUR, 0)
        assert here.get() == "token-1"
        assert len(server.asked) == 1


def test_sleep_counts(machine: Any) -> None:
    with endpoint(numbered(expires_in=HOUR, refresh_in=HOUR)) as server:
        here = machine(server, token_format="opaque")
        assert here.get() == "token-1"
        here.set(HOUR, HOUR)
        assert here.get() == "token-2"


def test_our_clock_is_behind(machine: Any) -> None:
    """exp would be an hour away. Without expires_in the server's Date is used."""
    with endpoint(jwts(Signer(), LIFE)) as server, endpoint(jwts(Signer(), None)) as dated:
        both = [machine(server, wall=-HOUR), machine(dated, wall=-HOUR)]
        first = [here.get() for here in both]
        time.sleep(ENDS)
        second = [here.get() for here in both]
        for token in first + second:
            assert token.count(".") == 2, token
        assert first[0] != second[0]
        assert first[1] != second[1]
        for asked in (server, dated):
            assert len(asked.tokens_asked) >= 2


def test_our_clock_is_ahead(machine: Any) -> None:
    """The message contains both."""
    with endpoint(jwts(Signer(), 60, life=60)) as server:
        message = machine(server, wall=HOUR).get()
    assert message.startswith("failed: the server issued an invalid access token: it expired at 20")
    for part in ("(exp)", "(iat)", "this machine's clock says 20", "the server's Date 20"):
        assert part in message, message


def test_a_token_that_begins_later_shows_both_clocks(machine: Any) -> None:
    signer = Signer()

    def answer(asked: Asked) -> Answer:
        if asked.method == "GET":
            return signer.answer(asked)
        now = int(time.time())
        return granted(signer.token("a", iat=now, nbf=now + 600, exp=now + 1200))

    with endpoint(answer) as server:
        message = machine(server).get()
    assert "it is not valid before 20" in message
    assert "this machine's clock says 20" in message


def test_what_is_in_redis_ends_by_its_clock(machine: Any, redis: Server) -> None:
    """Whichever clock is wrong; but a machine with its clock ahead could not verify a JWT."""

    def begin(format: str, writer: int, reader: int) -> tuple[Endpoint, dict[str, Any], str]:
        answer = numbered(expires_in=LIFE) if format == "opaque" else jwts(Signer(), LIFE)
        server = stack.enter_context(endpoint(answer))
        options = {"redis": redis.url, "token_format": format, "token_key_prefix": server.url}
        first: str = machine(server, wall=writer, **options).get()
        assert not first.startswith("failed"), first
        assert machine(server, wall=reader, **options).get() == first
        return server, {"wall": reader, **options}, first

    with ExitStack() as stack:
        begun = [
            begin(format, writer, reader)
            for format in ("opaque", "jwt")
            for writer, reader in ((-HOUR, 0), (HOUR, 0), (0, -HOUR))
            if format == "opaque" or writer <= 0
        ]
        time.sleep(ENDS)
        for server, options, first in begun:
            asked = len(server.tokens_asked)
            assert machine(server, **options).get() != first
            assert len(server.tokens_asked) > asked


def test_what_node_stored_ends_by_the_clock_of_redis(machine: Any, redis: Server) -> None:
    signer = Signer()
    now = int(time.time())
    over = signer.token("a", iat=now - 600, exp=now - 60)
    redis("HSET", "spike-tokens-for-clientId-id", "a", over)
    with endpoint(jwts(signer, LIFE)) as server:
        found = machine(server, wall=-HOUR, redis=redis.url).get()
    assert found.count(".") == 2
    assert found != over


def test_failures_end_whatever_happens_to_the_clock(machine: Any) -> None:
    answers = [Answer(400, {"error": "invalid_scope"}), granted()]
    with endpoint(lambda asked: answers.pop(0)) as server:
        here = machine(server, token_format="opaque")
        assert "invalid_scope" in here.get()
        here.set(-HOUR, 0)
        assert "invalid_scope" in here.get()
        time.sleep(1.1)
        assert here.get() == "opaque-token"
