"""Run by `make demo`: the life of tokens, in Python and in Lua, on the same server.

Python starts a private server (``embedded:``) and creates the first tokens; then each Lua on this machine
gets the server's address and one of the tokens, and continues.
"""

import datetime
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import tokenstore

LUA_PART = Path(__file__).with_name("demo.lua")


def say(what, text):
    print(f"  {what:<10} {text}")


def clock(seconds):
    return datetime.datetime.fromtimestamp(seconds).strftime("%H:%M:%S")


def in_python(tokens):
    """Each operation once; returns the secret of the remaining token."""
    laptop = tokens.create(
        app="shop",
        type="login",
        owner="bob",
        data={"name": "Bob", "device": "laptop"},
        duration=3600,
    )
    say("created", f"bob's laptop, id {laptop.id}, until {clock(laptop.expires_at)}")

    found = tokens.get(app="shop", type="login", token=laptop.token)
    say("found", f"{found.owner}: {found.data}")

    time.sleep(1.1)  # so that the sliding expiry is visible
    slid = tokens.get(app="shop", type="login", token=laptop.token, refresh=7200)
    say("slid", f"expires {clock(slid.expires_at)} instead of {clock(laptop.expires_at)}")

    updated = tokens.update(
        app="shop", type="login", token=laptop.token, data={"role": "admin", "device": None}
    )
    say("updated", f"{updated.data}")

    rotated = tokens.rotate(app="shop", type="login", token=laptop.token)
    old = tokens.get(app="shop", type="login", token=laptop.token)
    say("rotated", f"new id {rotated.id}; the old token finds {old}")

    phone, tablet = tokens.create_many(
        {
            "app": "shop",
            "type": "login",
            "owner": "bob",
            "data": {"device": device},
            "duration": 600,
        }
        for device in ("phone", "tablet")
    )
    listed = tokens.list(app="shop", type="login", owner="bob")
    say("listed", ", ".join(f"{t.data.get('device', 'admin')} ({t.id[:6]}…)" for t in listed))

    gone = tokens.delete_by_id(app="shop", type="login", owner="bob", id=phone.id)
    say("revoked", f"the phone, by the id from the listing: {gone}")
    gone = tokens.delete(app="shop", type="login", token=tablet.token)
    say("revoked", f"the tablet, by its token: {gone}")
    return rotated.token


def in_lua(interpreter, url, secret):
    """The same in Lua. The secret is passed by stdin, which no process list shows."""
    print(f"\n{interpreter}, on the same server:", flush=True)
    subprocess.run(
        [interpreter, str(LUA_PART)],
        input=secret,
        text=True,
        check=True,
        env={**os.environ, "TOKENSTORE_URL": url},
    )


def main():
    with tokenstore.RedisTokens("embedded:") as tokens:
        version = tokens.client.execute("INFO", "server").split(b"_version:")[1].split()[0].decode()
        print(
            f"Python {sys.version.split()[0]}, on a private server (version {version}) "
            f"at {tokens.client.url}:"
        )
        secret = in_python(tokens)
        for interpreter in ("lua5.4", "luajit"):
            if shutil.which(interpreter):
                in_lua(interpreter, tokens.client.url, secret)
        print("\nPython again:")
        role = tokens.get(app="shop", type="login", token=secret).data["role"]
        say("found", f"the role that Lua gave: {role}")
        count = tokens.delete_all(app="shop", type="login", owner="bob")
        say(
            "revoked",
            f"all of bob's: {count} were live, "
            f"{len(tokens.list(app='shop', type='login', owner='bob'))} are left",
        )
    print("\nThe server is gone.")


if __name__ == "__main__":
    main()
