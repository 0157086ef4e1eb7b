"""Asks the nginx of the image, on port 8080, with an app behind it: tests/install/image.sh starts them."""

from __future__ import annotations

import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import tokenstore


class App(BaseHTTPRequestHandler):
    """Answers with the name that nginx tells it."""

    def do_GET(self) -> None:
        body = self.headers.get("X-Owner-Id", "nobody").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def ask(path: str, **headers: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", 8080, timeout=10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def patiently(what, *problems: type[Exception], **arguments):
    """Until the servers are up, for a minute at most."""
    end = time.monotonic() + 60
    while True:
        try:
            return what(**arguments)
        except problems:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", 8000), App).serve_forever, daemon=True).start()
sessions = tokenstore.Sessions("redis://127.0.0.1")
cookie = patiently(sessions.create, tokenstore.ConnectionError, app="web", owner_id="bob", duration=60)
assert patiently(ask, OSError, path="/login", X_Owner_Id="eve") == (200, "nobody")
assert ask("/")[0] == 401
assert ask("/", Cookie=f"sid={cookie}", X_Owner_Id="eve") == (200, "bob")
sessions.kill_all(app="web", owner_id="bob")
assert ask("/", Cookie=f"sid={cookie}")[0] == 401
