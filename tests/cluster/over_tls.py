"""For the tests over TLS: certificates of one key, the drivers, and what a client sent to a node, as on the wire."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import tokenstore
import tokenstore.asyncio
from certs import EC, Authority, openssl
from lua_process import Lua, quote
from remote import ERRORS
from servers import Server, Tls

A, T = "app", "web"

LONGEST_WITHOUT_DATA = 80
"""Bytes of a record of TLS 1.3 that ends a handshake, or is an alert; one with a long password has more."""

APPLICATION_DATA = 23

HANDSHAKE = b"\x16\x03"


class Certificates:
    """All have one key, so that a server takes another one by its name alone."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        key = directory / "nodes.key"
        openssl("genpkey", "-algorithm", "EC", *EC[2:], "-out", key)

        def sign(name: str, *names: str) -> Tls:
            san = "subjectAltName=" + ",".join(names)
            cert = authority.sign(f"nodes-{name}", san, key=("-new", "-key", str(key))).cert
            return Tls(cert, key, authority.cert)

        self.ca = str(authority.cert)
        self.stranger = str(Authority(directory, "stranger").cert)
        self.any = sign("any", "IP:127.0.0.1", "DNS:localhost")
        self.address = sign("address", "IP:127.0.0.1")
        self.name = sign("name", "DNS:localhost")
        self.other = sign("other", "DNS:other.example", "IP:127.0.0.2")


def show(server: Server, tls: Tls) -> None:
    """New connections get this certificate."""
    if server.tls != tls:
        server("CONFIG", "SET", "tls-cert-file", str(tls.cert))
        server.tls = tls


@contextmanager
def or_skip() -> Iterator[None]:
    """Where the server was built without TLS."""
    try:
        yield
    except RuntimeError as error:
        if "'tls-port" not in str(error):
            raise
        pytest.skip("this server was built without TLS")


# ---- drivers -----------------------------------------------------------------------------------------


class Blocking:
    def __init__(self, url: str, **options: Any) -> None:
        self.tokens: Any = tokenstore.RedisTokens(url, **options)

    def wait(self, result: Any) -> Any:
        return result

    def create(self, owner: str) -> str:
        return str(self.wait(self.tokens.create(A, T, owner)).token)

    def get(self, token: str) -> bool:
        return self.wait(self.tokens.get(A, T, token)) is not None

    def count(self, tokens: list[str]) -> int:
        """How many of them get_many finds."""
        return sum(found is not None for found in self.wait(self.tokens.get_many(A, T, tokens)))

    def delete(self, token: str) -> bool:
        return bool(self.wait(self.tokens.delete(A, T, token)))

    def close(self) -> None:
        self.tokens.close()


class Asyncio(Blocking):
    def __init__(self, url: str, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.tokens = tokenstore.asyncio.RedisTokens(url, **options)

    def wait(self, result: Any) -> Any:
        return self.loop.run_until_complete(result)

    def close(self) -> None:
        self.wait(self.tokens.aclose())
        self.loop.close()


class InLua:
    """Each has its variable, since several use one interpreter, and its name, so that nginx gives it its own
    connections."""

    made = 0

    def __init__(self, lua: Lua, url: str, **options: Any) -> None:
        self.lua = lua
        InLua.made += 1
        self.tokens = f"tokens{InLua.made}"
        if lua.name == "nginx":
            options.pop("ca", None)  # it has its own
        given = quote({"redis": url, "client_name": self.tokens, **options})
        self._ask(
            f'local made, message, code = require("tokenstore").RedisTokens({given}) '
            f"{self.tokens} = made return made and true, message, code"
        )

    def _ask(self, chunk: str) -> Any:
        result, message, code = [*self.lua.all(chunk), None, None][:3]
        if message is not None:
            raise ERRORS[code](message)
        return result

    def _call(self, method: str, **args: Any) -> str:
        return f"{self.tokens}:{method}({quote({'app': A, 'type': T, **args})})"

    def create(self, owner: str) -> str:
        made = self._call("create", owner=owner)
        return str(
            self._ask(
                f"local made, message, code = {made} return made and made.token, message, code"
            )
        )

    def get(self, token: str) -> bool:
        found = self._call("get", token=token)
        return bool(
            self._ask(f"local found, message, code = {found} return found and true, message, code")
        )

    def count(self, tokens: list[str]) -> int:
        made = "{" + ", ".join(quote(token) for token in tokens) + "}"
        call = f'{self.tokens}:get_many {{ app = "{A}", type = "{T}", tokens = {made} }}'
        return int(
            self._ask(f"""
              local all, message, code = {call}
              local count = 0
              for i = 1, {len(tokens)} do count = count + (all and all[i] and 1 or 0) end
              return all and count, message, code""")
        )

    def delete(self, token: str) -> bool:
        return bool(self._ask(f"return {self._call('delete', token=token)}"))

    def close(self) -> None:
        self._ask(f"{self.tokens}:close() {self.tokens} = nil return true")


# ---- what was sent -----------------------------------------------------------------------------------


class Recorder:
    """Passes connections on to a server, and keeps what clients sent."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.sent: list[bytearray] = []
        """By connection."""
        self._sockets: list[socket.socket] = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection((self._server.host, self._server.port))
                self._sockets += [client, server]
                kept = bytearray()
                self.sent.append(kept)
                for source, target, copy in ((client, server, kept), (server, client, bytearray())):
                    threading.Thread(
                        target=self._pass, args=(source, target, copy), daemon=True
                    ).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, copy: bytearray) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                copy += data
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def records(sent: bytes | bytearray) -> list[tuple[int, int]]:
    """The type and the size of each record of TLS."""
    found = []
    while len(sent) >= 5:
        size = int.from_bytes(sent[3:5], "big")
        found.append((sent[0], size))
        sent = sent[5 + size :]
    return found


def carries_data(sent: bytes | bytearray) -> bool:
    """More than a handshake and its end, or something in clear."""
    return bool(sent) and (
        not sent.startswith(HANDSHAKE)
        or any(
            kind == APPLICATION_DATA and size > LONGEST_WITHOUT_DATA for kind, size in records(sent)
        )
    )


@contextmanager
def recording(server: Server) -> Iterator[Recorder]:
    recorder = Recorder(server)
    try:
        yield recorder
    finally:
        recorder.close()
