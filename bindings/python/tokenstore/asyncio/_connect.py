"""From a target to a connection that is ready: addresses, socket, TLS, AUTH, SELECT, CLIENT SETNAME."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import Any

from tokenstore import _core
from tokenstore.asyncio._connection import Connection, describe
from tokenstore.errors import ConfigurationError, ConnectionError, Error, ServerError

__all__ = ["OpenError", "Server", "open_connection"]

_SECURITY_LEVEL = 2  # as everywhere in this package: 112 bits
_ASK_AGAIN = 0.001  # seconds: for a unix socket whose queue is full


class OpenError(Exception):
    """There is no connection. ``final``: trying again cannot help."""

    def __init__(self, error: Error, final: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.final = final


class Server:
    """The server, and what it takes to reach it."""

    def __init__(self, core: _core.Client) -> None:
        target = core.target()
        self.core = core
        self.name = core.describe()
        self.host = target["host"]
        self.port = target["port"]
        self.path = target["path"]
        self.timeout = target["timeout"]
        self.connect_timeout = target["connect_timeout"]
        self.tls = _tls(target) if target["tls"] else None
        self.server_name: str | None = None
        if self.tls is not None:
            given = target["server_name"] or self.host or ""
            self.server_name = given.partition("%")[0].rstrip(".") or given


def _tls(target: _core._Target) -> ssl.SSLContext:
    """Verified TLS 1.2 or newer. The files are known to be good: the core has read them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if getattr(context, "security_level", _SECURITY_LEVEL) < _SECURITY_LEVEL:
        context.set_ciphers(f"DEFAULT:@SECLEVEL={_SECURITY_LEVEL}")
    ca, cert = target["ca"], target["cert"]
    try:
        if ca is None:
            context.set_default_verify_paths()
        elif os.path.isdir(ca):
            context.load_verify_locations(capath=ca)
        else:
            context.load_verify_locations(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, target["key"], password=_no_password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"cannot use ca, cert or key: {error}") from None
    return context


def _no_password() -> str:
    """Without this OpenSSL would ask for it at the terminal."""
    return ""


async def open_connection(connection: Connection, server: Server) -> None:
    """Makes `connection` ready, or raises OpenError; then it is closed."""
    try:
        sock = await _connect(server)
        await asyncio.wait_for(_begin(connection, server, sock), server.connect_timeout)
        return
    except asyncio.TimeoutError:
        why = f"no answer within connect_timeout{_hint(connection, server)}"
    except ssl.SSLCertVerificationError as problem:
        why = f"TLS handshake: the server's certificate is refused: {problem.verify_message}"
        if "mismatch" in problem.verify_message or "match" in problem.verify_message:
            why += " (the name must stand in its subjectAltName; server_name= names another)"
        raise _final(server, why) from None
    except ssl.SSLError as problem:
        raise _final(
            server, f"TLS handshake: {problem.reason or problem}{_hint(connection, server)}"
        ) from None
    except ServerError as problem:
        raise OpenError(ServerError(f"{server.name}: {problem}"), final=True) from None
    except ConfigurationError as problem:
        raise OpenError(ConfigurationError(f"{server.name}: {problem}"), final=True) from None
    except Error as problem:
        why = f"{problem}{_hint(connection, server)}"
    except OSError as problem:
        why = f"{describe(problem)}{_hint(connection, server)}"
    raise OpenError(ConnectionError(f"{server.name}: {why}"))


def _final(server: Server, text: str) -> OpenError:
    return OpenError(ConnectionError(f"{server.name}: {text}"), final=True)


def _hint(connection: Connection, server: Server) -> str:
    """What may be behind it, when it is TLS."""
    if server.tls is None or connection.refused:
        return ""
    if not connection.connected:
        return " (does the server speak TLS on this port?)"
    return " (does the server take our certificate, cert= and key=?)"


async def _begin(connection: Connection, server: Server, sock: socket.socket) -> None:
    """TLS and the greeting, on a connected socket, which it takes over."""
    loop = asyncio.get_running_loop()
    connection.socket = sock
    try:
        tls: dict[str, Any] = {"ssl": server.tls, "server_hostname": server.server_name}
        await loop.create_connection(lambda: connection, sock=sock, **tls)
        await connection.ready
    except BaseException:
        connection.abort(ConnectionError("given up"))
        sock.close()
        raise


# ---- sockets -----------------------------------------------------------------------------------


async def _connect(server: Server) -> socket.socket:
    """A connected socket. Each address has connect_timeout."""
    if server.path is not None:
        addresses: list[Any] = [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", server.path)]
    else:
        addresses = await _resolve(server)
    error: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            await asyncio.wait_for(_reach(sock, address), server.connect_timeout)
            return sock
        except (OSError, asyncio.TimeoutError) as problem:
            sock.close()
            error = problem if isinstance(problem, OSError) else None
        except BaseException:
            sock.close()
            raise
    why = describe(error) if error is not None else "no answer within connect_timeout"
    raise OpenError(ConnectionError(f"{server.name}: cannot connect: {why}"))


async def _reach(sock: socket.socket, address: Any) -> None:
    if sock.family != socket.AF_UNIX:
        await asyncio.get_running_loop().sock_connect(sock, address)
        return
    while True:  # a unix socket connects at once, or has to be asked again
        try:
            sock.connect(address)
            return
        except BlockingIOError:
            await asyncio.sleep(_ASK_AGAIN)


async def _resolve(server: Server) -> list[Any]:
    """The host's addresses. An address as text asks no name server, and no thread."""
    host, port = server.host or "", server.port
    try:
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)
    except socket.gaierror:
        if ":" in host:
            raise ConfigurationError(_why_no_ipv6(host)) from None
    loop = asyncio.get_running_loop()
    try:
        return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise ConnectionError(
            f"cannot connect: the host name cannot be resolved: {describe(error)}"
        ) from None


def _why_no_ipv6(host: str) -> str:
    address, _, zone = host.partition("%")
    try:
        socket.inet_pton(socket.AF_INET6, address)
    except OSError:
        zone = ""
    if not zone:
        return "the host in brackets is not an IPv6 address: correct the URL"
    return (
        f'the IPv6 address in the URL has the zone "{zone}", and this machine has no network interface of '
        "that name"
    )
