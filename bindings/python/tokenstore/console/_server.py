"""The server of ``tokenstore console``: the standard library's, a thread a request."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

__all__ = ["Server"]

_log = logging.getLogger("tokenstore")

_SILENCE = 15.0  # seconds that a client may be silent

class Server(ThreadingMixIn, WSGIServer):
    """Listens at once; ``serve_forever`` answers."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.context = context
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Without asking DNS for the name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away, and handshakes that fail, are not for the terminal."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            _log.debug("a request ended: %s", error)
        else:
            _log.error("a request failed", exc_info=error)


class _Handler(WSGIRequestHandler):
    timeout = _SILENCE

    def setup(self) -> None:
        context = self.server.context  # type: ignore[attr-defined]
        if context is not None:
            self.request.settimeout(_SILENCE)
            self.request = context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            self.request.close()

    def get_environ(self) -> dict[str, Any]:
        environ = super().get_environ()
        if isinstance(self.request, ssl.SSLSocket):
            environ["HTTPS"] = "on"
        return environ

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the link of a login is in an address."""
