"""A Node package in a separate process, controlled by JSON lines."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers import Server, _die_with_parent

HERE = Path(__file__).parent
MISSING = "no Node with the packages of tests/interop here: scripts/setup installs them"


def is_there(package: str) -> bool:
    """True if the package can be used."""
    found = shutil.which("node") is not None and (HERE / "node_modules" / package).is_dir()
    if found and package == "redis-jwt":  # its driver is compiled during installation
        addon = "redis-fast-driver/build/Release/redis-fast-driver.node"
        return (HERE / "node_modules" / addon).is_file()
    return found


class NodeError(Exception):
    """An exception of the package."""


class Node:
    """``node("create", {...})``: one call, its result."""

    def __init__(self, package: str, server: Server, **options: Any) -> None:
        config = {"host": "127.0.0.1", "port": server.port, **options}
        self.process = subprocess.Popen(
            ["node", "driver.mjs", package, json.dumps(config)],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_die_with_parent,
        )

    def begin(self, call: str, *args: Any) -> None:
        """Send a call; :meth:`end` reads the result."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"call": call, "args": args}) + "\n")
        self.process.stdin.flush()

    def end(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise EOFError(f"node ended with {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise NodeError(answer["error"])
        return answer["result"]

    def __call__(self, call: str, *args: Any) -> Any:
        self.begin(call, *args)
        return self.end()

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@contextmanager
def node(package: str, server: Server, **options: Any) -> Iterator[Node]:
    process = Node(package, server, **options)
    try:
        yield process
    finally:
        process.stop()
