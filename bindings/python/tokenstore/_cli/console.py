"""``console``: serves the session console."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import ssl
import stat
import sys
import threading

from tokenstore._cli.common import Options, UsageError, open_store, read_file
from tokenstore._cli.output import is_for_people, print_json
from tokenstore._cli.terminal import plain
from tokenstore.console import Actor, Console
from tokenstore.console._login import Door
from tokenstore.console._server import Server
from tokenstore.redis_jwt import RedisJWT

__all__ = ["console"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PASSWORD_LEAST = 12  # bytes
_SECRET = "TOKENSTORE_JWT_SECRET"


def console(options: Options) -> bool:
    """Until Ctrl-C."""
    password = None if options.password_file is None else _password_of(options.password_file)
    is_loopback = options.host in _LOOPBACK
    if not is_loopback and password is None:
        raise UsageError("other machines need a password to reach the console: give --password-file")
    if not is_loopback and options.cert is None:
        raise UsageError(
            "browsers tell a server of another machine where a request comes from only over TLS: give --cert and --key"
        )
    if options.origin is not None and not re.fullmatch(r"https?://[^/?#\s]+", options.origin):
        raise UsageError("--origin must be a scheme and a host: https://admin.example")
    if not 0 <= options.port <= 65535:
        raise UsageError("--port must be 0 to 65535")
    context = _tls(options)
    with open_store(options) as store:
        store.client.ping()
        jwt = None
        if options.jwt:
            jwt = RedisJWT(store.client, secret=os.environ.get(_SECRET) or secrets.token_bytes(32), multiple=True)
        with Server("127.0.0.1" if options.host == "localhost" else options.host, options.port, context) as server:
            port = server.server_port
            door = Door(
                Actor(options.actor or getpass.getuser()),
                password=password,
                hosts=_hosts(port, options.origin) if is_loopback else None,
                origin=options.origin,
                is_secure=context is not None or (options.origin or "").startswith("https:"),
                port=port,
            )
            served = Console(
                store,
                authorize=door.authorize,
                jwt=jwt,
                read_only=options.read_only,
                origin=options.origin,
                login_url="/login",
                logout_url="/logout",
            )
            server.set_app(door.app(served.wsgi))
            name = f"[{options.host}]" if ":" in options.host else options.host
            url = f"http{'s' if context else ''}://{name}:{port}"
            _show(options, store.client.url, url, door, password is None)
            server.serve_forever()
    return True


def _hosts(port: int, origin: str | None) -> list[str]:
    """What browsers may ask for, so that no name of somebody else's leads here."""
    own = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    return own if origin is None else [*own, origin.partition("://")[2]]


def _password_of(path: str) -> bytes:
    if path != "-" and os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError("--password-file: others may read the file: chmod 600")
    password = read_file(path).rstrip(b"\r\n")
    if len(password) < _PASSWORD_LEAST:
        raise UsageError(f"--password-file: a password needs {_PASSWORD_LEAST} bytes or more")
    return password


def _tls(options: Options) -> ssl.SSLContext | None:
    if (options.cert is None) != (options.key is None):
        raise UsageError("give both --cert and --key")
    if options.cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.cert, options.key)
    return context


def _show(options: Options, server: str, url: str, door: Door, by_link: bool) -> None:
    """Where it is, and how to log in."""
    if not is_for_people(options):
        print_json({"server": server, "url": url, "link": url + door.new_link() if by_link else None})
        return
    print(f"The console of {plain(server)} is at {url}")
    if by_link:
        print("Open this link. It is good for one login, in the next five minutes:")
        print(f"  {url}{door.new_link()}")
        if sys.stdin.isatty():
            print("Enter gives a new link.")
            threading.Thread(target=_give_links, args=(url, door), daemon=True).start()
    print("Ctrl-C ends the console.", flush=True)


def _give_links(url: str, door: Door) -> None:
    for _ in sys.stdin:
        print(f"  {url}{door.new_link()}", flush=True)
