"""A cluster whose nodes can be cut off from each other, but not from the clients: each node is in a network namespace of
its own, and this one routes between them.

Only within `unshare` (see `enter`), so that nothing of it is left when the process has ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))

from clusters import Cluster, Node

_ENTERED = "TOKENSTORE_TEST_NAMESPACE"


def enter() -> None:
    """Runs this program again in a network and a mount namespace of its own, unless it is in one. Needs root."""
    if _ENTERED not in os.environ:
        os.environ[_ENTERED] = "1"
        command = ["unshare", "--net", "--mount", "--", sys.executable, *sys.argv]
        os.execvp(command[0], command)
    _run("mount", "-t", "tmpfs", "none", "/run")
    _run("ip", "link", "set", "lo", "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


class PartedCluster(Cluster):
    """Node i has the address 10.77.i.1."""

    def make_node(self) -> Node:
        number = len(self.nodes) + 1
        name, here, prefix = f"n{number}", f"v{number}", f"10.77.{number}"
        node = super().make_node()
        node.host = f"{prefix}.1"
        node.prefix = ("ip", "netns", "exec", name)
        node.options += ["--protected-mode", "no"]
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", name)
        _run("ip", "address", "add", f"{prefix}.254/24", "dev", here)
        _run("ip", "link", "set", here, "up")
        _run("ip", "-n", name, "address", "add", f"{node.host}/24", "dev", "eth0")
        _run("ip", "-n", name, "link", "set", "eth0", "up")
        _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", name, "route", "add", "default", "via", f"{prefix}.254")
        return node

    def part(self, some: Iterable[Node]) -> None:
        """Drops all packets between them and the other nodes."""
        self._rules("add", some, True)

    def heal(self, some: Iterable[Node]) -> None:
        """The same nodes."""
        self._rules("del", some, False)

    def _rules(self, verb: str, some: Iterable[Node], away: bool) -> None:
        inside = list(some)
        for one in inside:
            one.away = away
            for other in self.nodes:
                if other not in inside:
                    for a, b in ((one, other), (other, one)):
                        _run("ip", "rule", verb, "from", a.host, "to", b.host, "blackhole")
