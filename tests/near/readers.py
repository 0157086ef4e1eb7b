"""The readers of the fault rounds, of each driver and each way of tracking, as the test sees them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nginx_server import MISSING, Nginx

HERE = Path(__file__).resolve().parent
PATIENCE = 30.0
TRACKINGS = ("broadcast", "keys")
NGINX = f"""
  location = /reader {{
    client_body_buffer_size 64k;
    content_by_lua_file {HERE}/reader_nginx.lua;
  }}
"""


class Reader:
    """In a process of its own."""

    pools = False
    """Are there idle connections after its client was closed?"""

    def __init__(self, driver: str, options: list[str]) -> None:
        self.name = f"{driver}, {options[0]}"
        self.forks = driver == "blocking"
        script = [sys.executable, str(HERE / "reader.py"), driver]
        command = ["luajit", str(HERE / "reader.lua")] if driver == "luajit" else script
        self.process = subprocess.Popen([*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the reader {self.name} has ended")
        return line.rstrip()

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


class NginxReader:
    """In a timer of an nginx worker, which it shares with others."""

    forks = False
    pools = True

    def __init__(self, nginx: Nginx, options: list[str]) -> None:
        self.nginx = nginx
        self.name = f"nginx, {options[0]}"
        self.pid = nginx.workers()[0]
        self.send(f"open {' '.join(options)}")
        self.answer()

    def send(self, line: str) -> None:
        self._connection = self.nginx.connect()
        self._connection.request("POST", "/reader", f"{self.name.split()[1]} {line}".encode())

    def answer(self) -> str:
        response = self._connection.getresponse()
        text = response.read().decode()
        self._connection.close()
        if response.status != 200:
            raise RuntimeError(f"{self.name}: {response.status}; " + "\n".join(self.nginx.log[-5:]))
        return text

    def stop(self) -> None:
        pass


class Readers:
    """All that there are, two of each driver, which rest `pause` seconds after they have read all. `servers`: to so many, nginx may leave
    idle connections in its pools."""

    def __init__(self, url: str, staleness: float, timeout: float, pause: float, servers: int = 1) -> None:
        self._stack = ExitStack()
        self.all: list[Any] = []
        self._servers = servers
        self._first: dict[int, tuple[int, int]] = {}
        nginx = None
        if MISSING is None:
            nginx = Nginx(NGINX, http=f'init_by_lua_block {{ package.path = "{HERE}/?.lua;" .. package.path }}')
            nginx.start()
            self._stack.callback(nginx.stop)
        for tracking in TRACKINGS:
            options = [tracking, str(staleness), str(timeout), str(pause), url]
            for driver in ("blocking", "asyncio", "luajit"):
                self._add(Reader(driver, options))
            if nginx is not None:
                self._add(NginxReader(nginx, options))

    def _add(self, reader: Any) -> None:
        self._stack.callback(reader.stop)
        self.all.append(reader)

    def close(self) -> None:
        self._stack.close()

    def ask(self, line: str) -> list[str]:
        for reader in self.all:
            reader.send(line)
        return [reader.answer() for reader in self.all]

    def end(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.ask("end")]

    @property
    def pids(self) -> list[int]:
        return sorted({reader.pid for reader in self.all})

    def signal(self, number: signal.Signals) -> None:
        for pid in self.pids:
            os.kill(pid, number)

    def held(self) -> dict[int, tuple[int, int]]:
        """Threads and descriptors of each process."""
        return {pid: (len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))) for pid in self.pids}

    def _allowed(self, pid: int) -> int:
        """Descriptors more than at first."""
        pooled = any(reader.pid == pid and reader.pools for reader in self.all)
        return 16 * self._servers if pooled else 0

    def left(self) -> list[str]:
        """Who holds more than when this was called first. nginx' timers and an event loop end a moment later."""
        self._first = self._first or self.held()
        end = time.monotonic() + 2
        while True:
            more = []
            for pid, (threads, descriptors) in self.held().items():
                before = self._first[pid]
                if threads > before[0] or descriptors > before[1] + self._allowed(pid):
                    names = ", ".join(reader.name for reader in self.all if reader.pid == pid)
                    more.append(f"{names}: {threads} threads, {descriptors} descriptors; at first {before}")
            if not more or time.monotonic() > end:
                return more
            time.sleep(0.005)
