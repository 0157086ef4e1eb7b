"""What is between the server and this machine: TLS, clocks, time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from tokenstore._cli.doctor.finding import Finding, ok, unknown, warning
from tokenstore._cli.doctor.patient import Patient
from tokenstore.client import Client

__all__ = ["clock", "latency", "tls"]

_SOON = 30  # days
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


def tls(patient: Patient) -> Iterator[Finding]:
    """Is it used, and until when?"""
    if not patient.is_tls:
        local = patient.client.url.startswith(("embedded", "redis+unix", "valkey+unix", "unix"))
        hosts = [address.rpartition(":")[0] or address for address in _addresses(patient)]
        if local or all(host in _LOCAL for host in hosts):
            yield ok("not needed: the server is on this machine")
        else:
            yield warning(
                "the connection is not encrypted",
                "whoever can listen on the network reads passwords of the server and data of sessions",
                "use rediss:// (docs/how-to/tls.md)",
            )
        return
    for address in _addresses(patient):
        yield _certificate(patient, address)


def _addresses(patient: Patient) -> list[str]:
    """Where servers are reached."""
    if patient.is_cluster and not patient.raw_url.startswith("embedded"):
        return [node.name for node in patient.nodes]
    return urlsplit(patient.raw_url).netloc.rpartition("@")[2].split(",")


def _certificate(patient: Patient, address: str) -> Finding:
    try:
        left = (_end_of_certificate(patient, address) - time.time()) / 86400
    except (OSError, ValueError) as error:
        return unknown(f"the certificate of {address} could not be read: {error}", "look at it with openssl s_client")
    found = f"the certificate of {address} ends in {left:.0f} days"
    if left < _SOON:
        return warning(
            found, "afterwards every connection is refused: nobody can log in or out", "renew it, and reload the server"
        )
    return ok(found)


def _end_of_certificate(patient: Patient, address: str) -> float:
    """Seconds since 1970, of a certificate that was verified with the options of the URL."""
    import socket
    import ssl

    from tokenstore.asyncio._tls import make_context

    context = make_context(patient.client._core.target(-1))
    host, _, port = address.rpartition(":") if ":" in address.rpartition("]")[2] else (address, "", "6379")
    host = unquote(host).strip("[]")
    with socket.create_connection((host, int(port)), timeout=5) as plain:
        with context.wrap_socket(plain, server_hostname=patient.option("server_name") or host) as wrapped:
            shown = wrapped.getpeercert() or {}
            return ssl.cert_time_to_seconds(str(shown["notAfter"]))


_TIMES = 20
_OFF = 1.0  # seconds
_SLOW = 25.0  # ms


def clock(patient: Patient) -> Iterator[Finding]:
    """The server's TIME, halfway between question and answer; of several the one that was answered soonest."""
    for name, node in patient.each():
        took, offset = min(_look(node.client) for _ in range(5))
        if abs(offset) - took / 2 > _OFF:
            yield warning(
                f"the clock of {name} is {abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} this machine's",
                "tokens end by the server's clock: expires_at looks wrong here, JWTs may end early or late; and when the"
                " clock is set, or a server with another time takes over, tokens end earlier or live longer than they may",
                "let NTP set the clocks of all machines: timedatectl, chronyc tracking",
            )
        else:
            yield ok(f"the clock of {name} agrees, to {max(abs(offset), took):.3f} s")


def _look(client: Client) -> tuple[float, float]:
    """How long the question took, and how far the server's clock is ahead; seconds."""
    before = time.time()
    seconds, micros = client.execute("TIME")
    after = time.time()
    return after - before, int(seconds) + int(micros) / 1e6 - (before + after) / 2


def latency(patient: Patient) -> Iterator[Finding]:
    """The median and the longest of some answers."""
    for name, node in patient.each():
        times = []
        for _ in range(_TIMES):
            before = time.perf_counter()
            node.client.execute("TIME")
            times.append((time.perf_counter() - before) * 1000)
        median, longest = sorted(times)[_TIMES // 2], max(times)
        found = f"{name} answers in {median:.2f} ms, at most {longest:.2f} ms"
        if median > _SLOW:
            yield warning(
                found,
                "each request that looks at its session is that much slower",
                "move the server nearer; look at SLOWLOG GET and LATENCY DOCTOR; near_cache= answers from memory",
            )
        else:
            yield ok(found)
