"""Authorization servers for the tests: a real one (oidc-provider), and a scripted one."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from servers import _die_with_parent, free_port
from tokenstore import jwt

PROVIDER = Path(__file__).parent.parent / "oauth" / "provider.mjs"
CLIENT_ID = "svc:1 /+%"  # RFC 6749 permits only ASCII, and so does the provider
CLIENT_SECRET = "s e+c/r%et:&=-canary"


def new_key(kid: str) -> dict[str, str]:
    """A private RSA key as JWK."""
    pem = _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    numbers = _integers(_openssl("pkey", "-traditional", "-outform", "DER", given=pem))
    names = ("version", "n", "e", "d", "p", "q", "dp", "dq", "qi")  # RFC 8017 A.1.2, RFC 7518 6.3
    key = {name: _base64url(number) for name, number in zip(names, numbers) if name != "version"}
    return {"kty": "RSA", **key, "kid": kid, "use": "sig", "alg": "RS256"}


def _integers(der: bytes) -> list[bytes]:
    """The INTEGERs of a SEQUENCE in DER, without sign bytes."""

    def head(at: int) -> tuple[int, int]:
        """The start of the content at `at`, after tag and length; and its length."""
        size = der[at + 1]
        if size < 0x80:
            return at + 2, size
        begin = at + 2 + (size & 0x7F)
        return begin, int.from_bytes(der[at + 2 : begin], "big")

    at, _ = head(0)
    found = []
    while at < len(der):
        begin, size = head(at)
        at = begin + size
        found.append(der[begin:at].lstrip(b"\0"))
    return found


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """oidc-provider on a loopback port; `issued`: the audiences of its tokens."""

    def __init__(
        self,
        ttl: int = 60,
        keys: list[dict[str, str]] | None = None,
        clients: list[dict[str, Any]] | None = None,
    ) -> None:
        self.clients = clients or []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.jwks_url = self.url + "/.well-known/jwks.json"
        self.ttl = ttl
        self.keys = keys or [new_key("k1")]
        self._issued: list[str] = []
        self._refused: list[str] = []
        self._synced = threading.Semaphore(0)
        self.process: subprocess.Popen[str] | None = None

    client = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "token_endpoint_auth_method": "client_secret_basic",
    }

    def start(self) -> None:
        config = {
            "issuer": self.url,
            "port": self.port,
            "jwks": {"keys": self.keys},
            "ttl": self.ttl,
            "clients": [self.client, *self.clients],
        }
        self.process = subprocess.Popen(
            ["node", str(PROVIDER), json.dumps(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_die_with_parent,
        )
        ready = threading.Event()
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        if not ready.wait(30) or "ready" not in self.output:
            self.stop()
            raise RuntimeError("the provider did not start:\n" + "\n".join(self.output))

    def _read(self, ready: threading.Event) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "issued":
                self._issued.append(rest)
            elif word == "refused":
                self._refused.append(rest)
            elif word == "synced":
                self._synced.release()
            else:
                self.output.append(line.strip())
            if word == "ready":
                ready.set()
        ready.set()

    @property
    def issued(self) -> list[str]:
        """All so far."""
        self._sync()
        return self._issued

    @property
    def refused(self) -> list[str]:
        """All so far."""
        self._sync()
        return self._refused

    def _sync(self) -> None:
        """Waits for the thread that reads its output."""
        if self.process is not None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            connection.request("GET", "/sync")
            connection.getresponse().read()
            connection.close()
            assert self._synced.acquire(timeout=20)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._reader.join()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def restart(self, keys: list[dict[str, str]] | None = None) -> None:
        self.stop()
        self.keys = keys or self.keys
        self.start()


@contextmanager
def provider(ttl: int = 60, clients: list[dict[str, Any]] | None = None) -> Iterator[Provider]:
    server = Provider(ttl, clients=clients)
    try:
        server.start()
        yield server
    finally:
        server.stop()


# ---- the scripted server --------------------------------------------------------------------------


@dataclass
class Asked:
    """A received request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.body.decode(), strict_parsing=True))

    @property
    def basic(self) -> tuple[str, str]:
        kind, _, text = self.headers["authorization"].partition(" ")
        assert kind == "Basic"
        user, _, password = base64.b64decode(text).decode().partition(":")
        return urllib.parse.unquote_plus(user), urllib.parse.unquote_plus(password)


@dataclass
class Answer:
    """A response to send."""

    status: int = 200
    body: bytes | str | dict[str, Any] = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str | None = "application/json"
    delay: float = 0.0
    drip: float = 0.0  # seconds between bytes
    hang_up: bool = False

    @property
    def bytes(self) -> bytes:
        if isinstance(self.body, dict):
            return json.dumps(self.body).encode()
        return self.body.encode() if isinstance(self.body, str) else self.body


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart, so the body would wait for an ACK
    server: Endpoint

    def _serve(self) -> None:
        size = int(self.headers.get("content-length", "0"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(size))
        self.server.asked.append(asked)
        answer = self.server.answer(asked)
        if answer.delay:
            self.server.stopping.wait(answer.delay)
        if answer.hang_up:
            self.close_connection = True
            return
        body = answer.bytes
        self.send_response(answer.status)
        if answer.content_type is not None:
            self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not answer.drip:
            self.wfile.write(body)
            return
        for i in range(len(body)):
            self.wfile.write(body[i : i + 1])
            if self.server.stopping.wait(answer.drip):
                return

    do_GET = do_POST = _serve

    def log_message(self, *unused: object) -> None:
        pass


class Endpoint(ThreadingHTTPServer):
    """Answers each request with the result of `answer(asked)`; records them in `asked`."""

    daemon_threads = True

    def __init__(
        self, answer: Callable[[Asked], Answer], tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[Asked] = []
        self.stopping = threading.Event()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server_port}"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the client disconnected or rejected the certificate: the test checks the client

    @property
    def tokens_asked(self) -> list[Asked]:
        return [a for a in self.asked if a.method == "POST"]


@contextmanager
def endpoint(
    answer: Callable[[Asked], Answer], tls: ssl.SSLContext | None = None
) -> Iterator[Endpoint]:
    server = Endpoint(answer, tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Signer:
    """A private key, and valid JWTs like a Spike server's."""

    def __init__(self) -> None:
        self.private = _openssl(
            "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"
        )
        self.public = _openssl("pkey", "-pubout", given=self.private)

    def token(self, audience: str, **claims: Any) -> str:
        return self.signed({"aud": audience, **claims})

    def signed(self, claims: dict[str, Any]) -> str:
        now = int(time.time())
        return jwt.encode(
            {"iat": now, "exp": now + 3600, **claims},
            jwt.Key.from_pem(self.private),
            algorithm="ES256",
            max_size=65536,
        )

    def answer(self, asked: Asked) -> Answer:
        """The public key at its usual path, and tokens."""
        if asked.method == "GET":
            found = asked.path == "/.well-known/publickey.pem"
            return Answer(200 if found else 404, self.public, content_type="application/x-pem-file")
        return granted(self.token(asked.form["audience"]))


def _openssl(*arguments: str, given: bytes | None = None) -> bytes:
    command = ["openssl", *arguments]
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout


def granted(token: str = "opaque-token", delay: float = 0, **more: Any) -> Answer:
    body = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, **more}
    return Answer(body=body, delay=delay)


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def node_is_there() -> bool:
    return (PROVIDER.parent / "node_modules" / "oidc-provider").is_dir() and any(
        os.access(Path(p) / "node", os.X_OK) for p in os.get_exec_path()
    )
