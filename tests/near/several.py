"""Faults where there are several servers: of a cluster, and of a primary with a replica that Sentinels watch."""

from __future__ import annotations

from clusters import Cluster, slot_of
from rounds import Fault, Scene
from servers import Server

SLOTS = 4


def slots_move(scene: Scene) -> None:
    """Some with keys, there and back."""
    source, target = scene.random.sample(scene.server.primaries, 2)
    slots = {slot_of(key) for key in source.keys() if key != b"ts:kinds"}
    some = scene.random.sample(sorted(slots), min(SLOTS, len(slots)))
    scene.server.move_slots(some, source, target)
    scene.server.wait_agreed()  # nodes that hear of two moves in the wrong order may disagree for good
    scene.sleep(0.2)
    scene.server.move_slots(some, target, source)


def failover(scene: Scene) -> None:
    """An orderly one."""
    primary = scene.random.choice(scene.server.primaries)
    scene.server.failover(scene.server.replicas_of(primary)[0])


def sentinels_fail_over(scene: Scene) -> None:
    scene.server.failover()


def a_primary(scene: Scene) -> Server:
    """Of a cluster a random one."""
    if isinstance(scene.server, Cluster):
        return scene.random.choice(scene.server.primaries)
    primary: Server = scene.server.primary
    return primary


def primary_killed(scene: Scene) -> None:
    """SIGKILL; it comes back when another has taken over."""
    primary = a_primary(scene)
    primary.kill()
    scene.server.wait_agreed()
    primary.start()


def primary_stopped(scene: Scene) -> None:
    """SIGSTOP; it continues when another has taken over, and finds that out."""
    primary = a_primary(scene)
    primary.stop()
    scene.server.wait_agreed()
    primary.cont()


OF_CLUSTERS: dict[str, Fault] = {
    "slots-move": slots_move,
    "failover": failover,
    "primary-killed": primary_killed,
    "primary-stopped": primary_stopped,
}
OF_SENTINELS: dict[str, Fault] = {
    "sentinel-failover": sentinels_fail_over,
    "sentinel-primary-killed": primary_killed,
    "sentinel-primary-stopped": primary_stopped,
}
SEVERAL = {**OF_CLUSTERS, **OF_SENTINELS}
