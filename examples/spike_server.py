"""A test server in place of a Spike server and a service behind it, for trying things out locally.

Listens on 127.0.0.1, on the port given or a free one, and prints its address. It has one client
("my-client", "my-secret") and one key, the published one of RFC 8037: not for production.

    POST /oauth2/token           a token for the requested audience, valid for a minute
    GET  /.well-known/jwks.json  the public key
    GET  /hello                  the service: it answers requests with a valid token
"""

import json
import sys
import time
import urllib.parse
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import tokenstore
from tokenstore import jwt

PUBLIC = {
    "kty": "OKP",
    "crv": "Ed25519",
    "kid": "example",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
PRIVATE = {**PUBLIC, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}
KEY = jwt.Key.from_jwk(PRIVATE)
CLIENT = "Basic " + b64encode(b"my-client:my-secret").decode()
AUDIENCE = "https://hello.example"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        asked = dict(urllib.parse.parse_qsl(body))
        if self.path != "/oauth2/token" or asked.get("grant_type") != "client_credentials":
            self.answer(400, {"error": "invalid_request"})
        elif self.headers.get("Authorization") != CLIENT:
            self.answer(401, {"error": "invalid_client"})
        else:
            now = int(time.time())
            claims = {"aud": asked["audience"], "sub": "my-client", "iat": now, "exp": now + 60}
            token = jwt.encode(claims, KEY, algorithm="EdDSA")
            self.answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": 60})

    def do_GET(self):
        if self.path == "/.well-known/jwks.json":
            self.answer(200, {"keys": [PUBLIC]})
            return
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, KEY, algorithms=["EdDSA"], audience=AUDIENCE)
        except tokenstore.InvalidTokenError:
            self.answer(401, {"error": "invalid_token"})
        else:
            self.answer(200, {"hello": claims["sub"]})

    def log_message(self, *unused):
        pass


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
