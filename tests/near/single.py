"""Faults of one server, of its connections, and of the readers."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

from proxy import none
from rounds import Fault, Scene
from servers import ReplyError, Server

# ---- connections, through a proxy ----------------------------------------------------------------------


def reset(scene: Scene) -> None:
    """The links are reset, and for a while refused."""
    scene.proxy.refuses = True
    for pair in scene.proxy.links():
        pair.reset()
    scene.sleep(0.03)
    scene.proxy.refuses = False


def silent(scene: Scene) -> None:
    """What the server sends on the links gets lost, until readers open others."""
    for pair in scene.proxy.links():
        pair.silent = True


def slow_links(scene: Scene) -> None:
    """What the server sends on the links comes late, some of it later than the bound."""
    scene.proxy.link_delay = lambda: scene.some(0.3)
    scene.sleep(0.5)
    scene.proxy.link_delay = none


def drop_all(scene: Scene) -> None:
    """Has the readers ask again: each key changes, though not what it says."""
    for key in scene.server.keys():
        if key != b"ts:kinds":
            scene.server("EXPIRE", key, 600)


def slow_answers(scene: Scene) -> None:
    """Answers come after the messages of changes that were made after them; and what a link asks for comes late to the server."""
    scene.proxy.data_delay = scene.proxy.question_delay = lambda: scene.some(0.03)
    for _ in range(3):
        drop_all(scene)
        scene.sleep(0.1)
    scene.proxy.data_delay = scene.proxy.question_delay = none


def slow_answers_and_flushall(scene: Scene) -> None:
    """They come after the order to drop all."""
    scene.proxy.data_delay = lambda: scene.some(0.05)
    drop_all(scene)
    scene.sleep(0.03)
    flushall(scene)
    scene.sleep(0.1)
    scene.proxy.data_delay = none


def slow_answers_and_a_reset(scene: Scene) -> None:
    """They come when the link is back, which was not told of what changed meanwhile."""
    scene.proxy.data_delay = lambda: scene.some(0.1)
    reset(scene)
    scene.sleep(0.1)
    scene.proxy.data_delay = none


# ---- connections, by the server ------------------------------------------------------------------------


def clients(server: Server) -> tuple[list[str], list[str]]:
    """The ids of those that are told of changes, and of the others."""
    lines = server("CLIENT", "LIST", "TYPE", "normal").decode().splitlines()
    lines += server("CLIENT", "LIST", "TYPE", "pubsub").decode().splitlines()
    found = [dict(part.partition("=")[::2] for part in line.split()) for line in lines]
    told = [one["id"] for one in found if "t" in one["flags"]]
    return told, [one["id"] for one in found if "t" not in one["flags"] and one["cmd"] != "client|list"]


def kill(server: Server, ids: list[str]) -> None:
    for id in ids:
        with suppress(ReplyError):  # it has gone
            server("CLIENT", "KILL", "ID", id)


def kill_links(scene: Scene) -> None:
    for _ in range(scene.random.randint(1, 3)):
        kill(scene.server, clients(scene.server)[0])
        scene.sleep(0.03)


def kill_data(scene: Scene) -> None:
    for _ in range(scene.random.randint(1, 3)):
        kill(scene.server, clients(scene.server)[1])
        scene.sleep(0.03)


def kill_all(scene: Scene) -> None:
    for _ in range(scene.random.randint(1, 3)):
        told, others = clients(scene.server)
        kill(scene.server, told + others)
        scene.sleep(0.03)


FILL = "for i = 1, 3000 do redis.call('set', KEYS[1] .. i, 'x', 'px', 1) end"


def small_buffers(scene: Scene) -> None:
    """The server drops a listener to which it has much to tell."""
    name = "client-output-buffer-limit"
    scene.server("CONFIG", "SET", name, "pubsub 1 0 0")
    scene.server("EVAL", FILL, 1, "ts:fill")
    scene.sleep(0.02)
    scene.server("CONFIG", "SET", name, "pubsub 33554432 8388608 60")


# ---- the server ----------------------------------------------------------------------------------------


def stopped(scene: Scene) -> None:
    """SIGSTOP, and SIGCONT."""
    scene.server.stop()
    scene.sleep(0.4)
    scene.server.cont()


def restarted_empty(scene: Scene) -> None:
    scene.server.kill()
    scene.ended = time.monotonic()
    scene.sleep(0.1)
    scene.server.start()


def restarted(scene: Scene) -> None:
    """With all that it acknowledged."""
    scene.server.kill()
    scene.sleep(0.1)
    scene.server.start()


def flushall(scene: Scene) -> None:
    scene.server("FLUSHALL")
    scene.ended = time.monotonic()


def flushdb(scene: Scene) -> None:
    scene.server("FLUSHDB", "ASYNC")
    scene.ended = time.monotonic()


def evicted(scene: Scene) -> None:
    """There is no memory: all goes."""
    scene.server("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    scene.server("CONFIG", "SET", "maxmemory", 1)
    for _ in range(100):
        with suppress(ReplyError):
            scene.server("SET", "ts:more", "x")
    scene.server("CONFIG", "SET", "maxmemory", 0)
    scene.ended = time.monotonic()


def expired(scene: Scene) -> None:
    """They end, by themselves."""


def one_key_tracked(scene: Scene) -> None:
    """The server remembers one key for its clients."""
    scene.server("CONFIG", "SET", "tracking-table-max-keys", 1)
    scene.sleep(0.15)
    scene.server("CONFIG", "SET", "tracking-table-max-keys", 1_000_000)


# ---- readers -------------------------------------------------------------------------------------------


def suspended(scene: Scene) -> None:
    """The readers' processes stop, and continue."""
    scene.readers.signal(signal.SIGSTOP)
    scene.sleep(0.4)
    scene.readers.signal(signal.SIGCONT)


def forked(scene: Scene) -> None:
    for reader in scene.readers.all:
        if reader.forks:
            reader.send("fork")
            reader.answer()


# ---- all -----------------------------------------------------------------------------------------------


def _by_name(*functions: Fault) -> dict[str, Fault]:
    return {function.__name__.replace("_", "-"): function for function in functions}


PROXIED = _by_name(
    *(reset, silent, slow_links, slow_answers, slow_answers_and_a_reset, slow_answers_and_flushall),
)
DIRECT = _by_name(
    *(kill_links, kill_data, kill_all, small_buffers, stopped, restarted_empty, restarted, flushall, flushdb),
    *(evicted, expired, one_key_tracked, suspended, forked),
)
SINGLE = {**PROXIED, **DIRECT}
ENDING = {"expired": 1.0}
"""Those in which the tokens end by themselves, after so many seconds."""
