"""docs/how-to/gevent.md: its recipes with the real gevent and eventlet, each in a separate process."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from servers import Server

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/gevent.md"

CHECKS = """
import time
import pytest

ticks = []

def tick():
    while True:
        ticks.append(time.monotonic())
        SLEEP(0.01)

def ticks_while(call):
    began, before = time.monotonic(), len(ticks)
    call()
    return (len(ticks) - before) / max((time.monotonic() - began) * 100, 1)

assert session.owner_id == "bob"
SPAWN(tick)
SLEEP(0.05)

raw = sessions._wrapped.client if hasattr(sessions, "_wrapped") else tokenstore.Client(URL)
client = IN_THREADS(raw)
wait = lambda: client.execute("BLPOP", "nothing", "0.5")

# The hub runs while a call waits; called directly it stands.
assert ticks_while(wait) > 0.3
assert ticks_while(lambda: raw.execute("BLPOP", "nothing", "0.5")) < 0.1

# Calls wait side by side.
began = time.monotonic()
JOIN([SPAWN(wait) for _ in range(8)])
assert time.monotonic() - began < 2

# Errors come through, and not found stays no error.
with pytest.raises(tokenstore.DataError, match="owner_id is empty"):
    sessions.create("web", "")
assert sessions.get("web", None) is None

# The ends of sessions, as the page says.
jwt = tokenstore.RedisJWT(URL, secret="s" * 32, kea=True)
events = jwt.events()
seen = []
listening = SPAWN(lambda: seen.append(NEXT(events)))
SLEEP(0.1)
IN_THREADS(jwt).destroy(jwt.verify(jwt.sign("alice"))["rjwt"])
JOIN([listening])
assert (seen[0].kind, seen[0].id) == ("del", "alice")
print("all is well")
"""

NAMES = {
    "gevent": (
        "SLEEP, SPAWN, JOIN, IN_THREADS = gevent.sleep, gevent.spawn, gevent.joinall, InThreads\n"
        "NEXT = lambda events: InThreads(events).next(10)"
    ),
    "eventlet": (
        "SLEEP, SPAWN, IN_THREADS = eventlet.sleep, eventlet.spawn, tpool.Proxy\n"
        "JOIN = lambda threads: [thread.wait() for thread in threads]\n"
        "NEXT = lambda events: tpool.execute(events.next, 10)"
    ),
}


@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="ASan knows no greenlet's stack")
@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_the_recipe(server: Server, library: str) -> None:
    if importlib.util.find_spec(library) is None:  # not imported: eventlet would warn about each fork
        pytest.skip(f"{library} is not installed")
    [recipe] = (
        code for code in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S) if f"import {library}\n" in code
    )
    assert "redis://localhost:6379" in recipe
    recipe = recipe.replace("redis://localhost:6379", server.url)
    program = f"{recipe}\nURL = {server.url!r}\n{NAMES[library]}\n{CHECKS}"
    # Beside httpcore2 and trio, which other tests need, eventlet's own resolver cannot be imported.
    environment = {**os.environ, "EVENTLET_NO_GREENDNS": "yes"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environment
    )
    assert (done.returncode, done.stdout) == (0, "all is well\n"), done.stderr
    if library == "gevent":  # eventlet prints a deprecation warning
        assert done.stderr == ""
