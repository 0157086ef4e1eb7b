"""A small login app behind nginx, on the blocking package. nginx has checked who a request is from before
it comes here (nginx.conf.template), so /account only reads a header.

usage: python wsgi_app.py PORT      with TOKENSTORE_URL set
"""

from __future__ import annotations

import hmac
import sys
from http.cookies import SimpleCookie
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, make_server

import tokenstore

PASSWORDS = {"bob": "correct horse"}  # yours stand hashed in a database

sessions = tokenstore.Sessions()


def log_in(environ):
    form = parse_qs(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0)).decode())
    user, password = form.get("user", [""])[0], form.get("password", [""])[0]
    if not hmac.compare_digest(password.encode(), PASSWORDS.get(user, "").encode()):
        return "403 Forbidden", [], "wrong name or password\n"
    token = sessions.create(
        "edge", user, {"agent": environ.get("HTTP_USER_AGENT", "")}, duration=3600
    )
    return "200 OK", [("Set-Cookie", cookie(token))], f"welcome, {user}\n"


def log_out(environ):
    sessions.kill("edge", SimpleCookie(environ["HTTP_COOKIE"])["sid"].value)
    return "200 OK", [("Set-Cookie", cookie("") + "; Max-Age=0")], "good bye\n"


def account(environ):
    return "200 OK", [], f"this is {environ['HTTP_X_OWNER_ID']}'s account\n"


def cookie(token):
    return f"sid={token}; Path=/; HttpOnly; SameSite=Lax"  # and Secure, where there is TLS


ROUTES = {("POST", "/login"): log_in, ("POST", "/logout"): log_out, ("GET", "/account"): account}


def app(environ, start_response):
    route = ROUTES.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
    status, headers, text = route(environ) if route else ("404 Not Found", [], "no such page\n")
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), *headers])
    return [text.encode()]


class Quiet(WSGIRequestHandler):
    def log_message(self, *unused):
        pass


if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), app, handler_class=Quiet).serve_forever()
