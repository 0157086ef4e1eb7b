"""HTTP servers for the tests: a conforming one, from the standard library, and one scripted byte by byte.
Each counts its connections and records its requests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE = 60  # seconds: longer than anything takes unless it hangs


@dataclass
class Request:
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int  # its number, from 1

    def names(self) -> list[str]:
        return sorted(name for name, _ in self.headers)

    def header(self, name: str) -> str | None:
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)


@dataclass
class Reply:
    status: int = 200
    body: bytes = b"ok"
    headers: list[tuple[str, str]] = field(default_factory=list)
    close: bool = False


class HttpServer(ThreadingHTTPServer):
    """`routes`: the response of each path; others return 200 "ok"."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, tls: ssl.SSLContext | None = None, changed: threading.Condition | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tls = tls
        self.routes: dict[str, Callable[[Request], Reply]] = {}
        self.requests: list[Request] = []
        self.connections = 0
        self.resumed = 0  # TLS sessions
        self.open = 0
        self.changed = changed or threading.Condition()  # may be shared by several servers
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http{'s' if self.tls else ''}://{host}:{self.port}{path}"

    def wait(self, condition: Callable[[], bool]) -> bool:
        with self.changed:
            return self.changed.wait_for(condition, PATIENCE)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are expected."""

    def __enter__(self) -> HttpServer:
        return self

    def __exit__(self, *unused: object) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def setup(self) -> None:
        if self.server.tls is not None:
            self.request.settimeout(PATIENCE)
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        with self.server.changed:
            self.server.connections += 1
            self.server.resumed += bool(getattr(self.request, "session_reused", False))
            self.server.open += 1
            self.connection_number = self.server.connections
            self.server.changed.notify_all()
        super().setup()

    def finish(self) -> None:
        super().finish()
        if self.server.tls is not None:
            self.connection.close()  # the server's own socket object has been detached
        with self.server.changed:
            self.server.open -= 1
            self.server.changed.notify_all()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(
            self.command, self.path, self.headers.items(), body, self.connection_number
        )
        with self.server.changed:
            self.server.requests.append(request)
            self.server.changed.notify_all()
        reply = self.server.routes.get(self.path, lambda request: Reply())(request)
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        if reply.close:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = answer

    def log_message(self, *unused: object) -> None:
        pass


Script = Callable[["Talk"], None]


class Talk:
    """One connection of a RawServer."""

    def __init__(self, server: RawServer, sock: socket.socket, number: int) -> None:
        self.server = server
        self.socket = sock
        self.number = number
        self.sent = 0

    def read_request(self) -> bytes:
        """Head and body of one request, or what arrived before EOF."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(65536)
            if not more:
                return data
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line[15:])
        while len(body) < size:
            body += self.socket.recv(65536)
        self.server.requests.append(head + b"\r\n\r\n" + body)
        self.server.asked.set()
        return head + b"\r\n\r\n" + body

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)
        self.sent += len(data)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def hang(self) -> None:
        """Waits until the peer or the test ends."""
        self.socket.settimeout(0.2)
        while not self.server.over.is_set():
            with contextlib.suppress(socket.timeout):
                if not self.socket.recv(65536):
                    return


class RawServer:
    """Runs `script` for each connection, in a separate thread."""

    def __init__(self, script: Script, backlog: int = 128) -> None:
        self.script = script
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(backlog)
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.requests: list[bytes] = []
        self.sent = 0
        self.asked = threading.Event()
        self.accepted = threading.Event()
        self.ended = threading.Event()  # set when a script ends
        self.over = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str = "/", scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            talk = Talk(self, sock, self.connections)
            threading.Thread(target=self._run, args=(talk,), daemon=True).start()

    def _run(self, talk: Talk) -> None:
        talk.socket.settimeout(PATIENCE)
        self.accepted.set()
        with contextlib.suppress(OSError):
            self.script(talk)
        talk.socket.close()
        self.sent += talk.sent
        self.ended.set()

    def __enter__(self) -> RawServer:
        return self

    def __exit__(self, *unused: object) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def says(*parts: bytes) -> Script:
    """A script that reads a request, sends `parts`, and closes."""

    def script(talk: Talk) -> None:
        talk.read_request()
        for part in parts:
            talk.send(part)

    return script


@contextlib.contextmanager
def full_listener() -> Iterator[int]:
    """A port with a full backlog, so that connect() hangs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
