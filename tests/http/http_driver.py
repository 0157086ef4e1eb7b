"""A Python wrapper of tests/http/client.c, the program with the HTTP driver.

Environment: TOKENSTORE_BUILD, the build directory; TOKENSTORE_HTTP_RUN, a command to run it under, such as
valgrind; TOKENSTORE_HTTP_SLOW=1: it is built with a sanitizer. With either of the latter there are no time
limits."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT = Path(os.environ.get("TOKENSTORE_BUILD", ROOT / "build")) / "tests/http"
RUN = shlex.split(os.environ.get("TOKENSTORE_HTTP_RUN", ""))

# How late a call may return after its deadline or after a signal.
SLOW = bool(RUN) or os.environ.get("TOKENSTORE_HTTP_SLOW") == "1"
LATE_MS = 5000 if SLOW else 100

# Variables of a user's environment that must not affect the tests.
OURS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def encode(value: Any) -> str:
    if isinstance(value, bool):
        value = int(value)
    data = value if isinstance(value, bytes) else str(value).encode()
    return quote_from_bytes(data, safe="")


def in_time(answers: Callable[[], Answer], late: Callable[[Answer], int]) -> Answer:
    """An answer at most LATE_MS `late`, in one of three attempts: the machine may be busy."""
    for _ in range(3):
        answer = answers()
        if late(answer) <= LATE_MS:
            return answer
    raise AssertionError(f"three times too late: {answer}")


class Answer:
    """The answer to one command. For a fetch, `status` is "ok" or the kind of failure."""

    def __init__(self, line: str) -> None:
        self.fields = json.loads(line)

    def __getattr__(self, name: str) -> Any:
        value = self.fields.get(name)
        if name in ("body", "type", "retry_after"):
            return bytes.fromhex(value)
        return bytes.fromhex(value).decode() if name == "message" else value

    def __repr__(self) -> str:
        shown = {n: getattr(self, n) for n in self.fields}
        return f"Answer({shown!r})"


class Driver:
    def __init__(self, env: dict[str, str] | None = None, preload: str | None = None) -> None:
        environment = {
            name: value
            for name, value in os.environ.items()
            if name.upper() not in OURS and name != "LD_PRELOAD"
        }
        environment.update(env or {})
        environment["ASAN_OPTIONS"] = "detect_leaks=1:verify_asan_link_order=0"
        if preload is not None:
            environment["LD_PRELOAD"] = str(BUILT / preload)
        self.process = subprocess.Popen(
            [*RUN, str(BUILT / "client")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def send(self, command: str, header: Sequence[str | bytes] = (), **words: Any) -> None:
        parts = [command, *(f"{name}={encode(value)}" for name, value in words.items())]
        parts += [f"header={encode(h)}" for h in header]
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(parts) + "\n")
        self.process.stdin.flush()

    def receive(self) -> Answer:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError("the client died")
        return Answer(line)

    def __call__(self, command: str, header: Sequence[str | bytes] = (), **words: Any) -> Answer:
        self.send(command, header, **words)
        return self.receive()

    def new(self, **options: Any) -> Answer:
        patience = {"connect_timeout": 60_000} if SLOW else {}
        return self("new", **{**patience, **options})

    def fetch(self, url: str | bytes, header: Sequence[str | bytes] = (), **words: Any) -> Answer:
        return self("fetch", header, url=url, **words)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def close(self) -> str:
        """Ends it, successfully; returns its standard error."""
        if self.process.stdin is None or self.process.stdin.closed:
            return ""
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, f"exit {self.process.returncode}:\n{errors}"
        return errors

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, kind: object, *unused: object) -> None:
        if kind is not None:
            self.process.kill()
            self.process.communicate()
        else:
            self.close()
