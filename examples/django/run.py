"""A Django project on tokenstore: logs bob in on two devices, shows them, logs the other one out, changes the password.

usage: python examples/django/run.py [--stay]      --stay: to try it in a browser, until Ctrl-C

It starts on a free port with a private Redis server and a new database, and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import http.cookiejar
import os
import re
import sys
import tempfile
import threading
import urllib.parse
import urllib.request
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

HERE = Path(__file__).resolve().parent
OLD, NEW = "correct horse", "battery staple"  # passwords


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *unused):
        pass


class Browser:
    """One device: it keeps cookies."""

    def __init__(self, address, agent):
        self.address = address
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(jar)
        self.opener.addheaders = [("User-Agent", agent)]

    def get(self, path):
        with self.opener.open(self.address + path) as response:
            return response.read().decode()

    def post(self, path, page=None, **form):
        """Sends the form of `page`, or of the page at `path`."""
        page = page or self.get(path)
        form["csrfmiddlewaretoken"] = re.search(r'name="csrfmiddlewaretoken" value="(.*?)"', page)[
            1
        ]
        data = urllib.parse.urlencode(form).encode()
        with self.opener.open(self.address + path, data) as response:
            return response.read().decode()

    def state(self):
        """The sentences of the home page."""
        text = re.search(r"<p>(.*?)</p>", self.get("/"), re.S)[1]
        return " ".join(text.split())


def act(address):
    laptop, phone = Browser(address, "laptop"), Browser(address, "phone")
    laptop.post("/add/", page=laptop.get("/"))
    print("a visitor:        ", laptop.state())
    for device in (laptop, phone):
        device.post("/login/", username="bob", password=OLD)
    print("on the laptop:    ", laptop.state())
    print("on the phone:     ", phone.state())
    devices = re.findall(r"<li>\s*(\w+),", laptop.get("/devices/"))
    print("my devices:       ", ", ".join(devices))
    laptop.post("/devices/", others="1")
    print("log out others:   ", phone.state())
    phone.post("/login/", username="bob", password=OLD)
    laptop.post("/password/", old_password=OLD, new_password1=NEW, new_password2=NEW)
    print("a new password:   ", laptop.state())
    print("and the phone:    ", phone.state())
    return devices == ["phone", "laptop"] and (laptop.state(), phone.state()) == (
        "You are bob. In the cart: 1.",
        "Nobody is logged in. In the cart: 0.",
    )


def main():
    with tempfile.TemporaryDirectory(prefix="tokenstore-django-") as directory:
        os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
        os.environ["EXAMPLE_DATABASE"] = os.path.join(directory, "db.sqlite3")
        sys.path.insert(0, str(HERE))

        import django
        from django.core.management import call_command
        from django.core.wsgi import get_wsgi_application

        django.setup()
        from django.contrib.auth.models import User

        call_command("migrate", verbosity=0)
        User.objects.create_superuser("bob", password=OLD)
        with make_server(
            "127.0.0.1", 0, get_wsgi_application(), server_class=Server, handler_class=Quiet
        ) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}"
            as_it_should = act(address)
            if "--stay" in sys.argv:
                print(f"{address}/ until Ctrl-C; bob's password is {NEW!r}")
                with contextlib.suppress(KeyboardInterrupt):
                    threading.Event().wait()
            server.shutdown()
    sys.exit(0 if as_it_should else "that was not as it should be")


if __name__ == "__main__":
    main()
