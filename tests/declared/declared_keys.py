"""`pytest -p declared_keys`: a test fails during which a script touched a key that is not among its KEYS, as a proxy or a
managed service would refuse it. A MONITOR stands beside each server that servers.py starts. Scripts of the tests themselves do
not count."""

from __future__ import annotations

import hashlib
import re
import secrets
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from servers import ReplyError, Server

LINE = re.compile(rb"\+\d+\.\d+ \[\d+ ([^\]]*)\] (.*)\r\n")
WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
WITHOUT_KEYS = (b"TIME",)
OF_KEYS_ALONE = (b"DEL", b"EXISTS", b"MGET", b"UNLINK")


def own_scripts() -> dict[bytes, str]:
    """The names of the package's scripts, by their SHA-1."""
    embed = Path(__file__).resolve().parents[2] / "core/scripts/embed.sh"
    with tempfile.NamedTemporaryFile("r", suffix=".c") as made:
        subprocess.run(["sh", embed, made.name], check=True)
        text = Path(made.name).read_text()
    return {
        sha.encode(): name
        for name, sha in re.findall(r'tksp_script_(\w+) = \{"\w+", "(\w{40})"', text)
    }


ours = own_scripts()
ran: set[str] = set()
"""Those of them that did."""


def unescaped(word: bytes) -> bytes:
    return word.decode("unicode_escape").encode("latin-1")


class Watch(threading.Thread):
    """Reads what a server executes."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.found: list[str] = []
        self._mark = b""
        self._marked = threading.Event()
        self._wire = server.wire()
        self._wire.socket.settimeout(None)
        try:
            self._wire("MONITOR")
        except ReplyError:
            self._wire.close()
            raise
        self.start()

    def run(self) -> None:
        script = ""
        keys: set[bytes] = set()
        with self._wire, suppress(OSError):
            for line in self._wire.file:
                match = LINE.fullmatch(line)
                words = WORD.findall(match[2]) if match else []
                if not words:
                    continue
                name = words[0].upper()
                if match is not None and match[1].endswith(b"lua"):
                    touched = words[1:] if name in OF_KEYS_ALONE else words[1:2]
                    for key in touched if script and name not in WITHOUT_KEYS else []:
                        if key not in keys:
                            self.found.append(
                                f"{script}: {name.decode()} of {key!r}, not among {sorted(keys)}"
                            )
                elif name in (b"EVAL", b"EVALSHA"):
                    sha = (
                        words[1]
                        if name == b"EVALSHA"
                        else hashlib.sha1(unescaped(words[1])).hexdigest().encode()
                    )
                    script, keys = ours.get(sha, ""), set(words[3 : 3 + int(words[2])])
                    ran.add(script)
                elif name == b"ECHO" and words[1] == self._mark:
                    self._marked.set()
        self._marked.set()

    def catch_up(self) -> None:
        """Until all that was executed by now has been read."""
        if not self.server.alive:
            self.join(20)
            return
        self._marked.clear()
        self._mark = secrets.token_hex(8).encode()
        with suppress(ReplyError):
            self.server("ECHO", self._mark)
            self._marked.wait(20)


watches: list[Watch] = []
start = Server.start


def start_watched(server: Server) -> None:
    start(server)
    with suppress(ReplyError):  # it wants a password
        watches.append(Watch(server))


Server.start = start_watched  # type: ignore[method-assign]


def undeclared() -> list[str]:
    """What was touched since the last call."""
    found: list[str] = []
    for watch in list(watches):
        watch.catch_up()
        found += watch.found
        watch.found = []
        if not watch.is_alive():
            watches.remove(watch)
    return found


@pytest.fixture(autouse=True)
def _declared() -> Iterator[None]:
    yield
    assert undeclared() == []
