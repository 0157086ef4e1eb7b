"""What the shared fixtures give as the server: one server, or, by TOKENSTORE_TEST_TOPOLOGY, a cluster of three primaries
("cluster"), or a primary that Sentinels watch ("sentinel"), so that the tests of all classes run there unchanged.

usage: topologies.py COMMAND...      runs it with its TEST_URL
"""

from __future__ import annotations

import functools
import operator
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from clusters import Cluster, running_cluster, slot_of
from sentinels import running_sentinels
from servers import Server, Wire, running

TOPOLOGY = os.environ.get("TOKENSTORE_TEST_TOPOLOGY", "")

CALM = 10_000
"""ms until a server that is silent counts as failed: none is to fail over, however busy the machine."""

OF_ALL = {"FLUSHALL", "CONFIG", "SCRIPT", "ACL"}
OF_EACH = {"KEYS", "DBSIZE", "INFO"}
OF_EACH_KEY = {"DEL", "EXISTS", "UNLINK"}
OF_SOME = {"ECHO", "PING", "TIME"}
BEHIND_A_WORD = {"EVAL", "EVALSHA", "OBJECT", "MEMORY"}


BOTH: dict[str, dict[str, list[str]]] = {
    "it names a server by its socket": {"test_redis_jwt.py": ["test_options"]},
    "it pauses the server": {"test_tokens.py": ["test_a_kind_that_did_not_arrive_is_registered_later"]},
}
ONE_PRIMARY: dict[str, dict[str, list[str]]] = {
    "it reads the MONITOR of one server": {
        "test_hostile.py": ["test_commands_that_are_sent"],
        "test_tokens.py": ["test_get_is_one_get"],
        "test_tokenstore_others.py": ["test_a_token_that_node_is_just_adding_is_not_dropped"],
        "test_tokenstore_server.py": [
            "test_list_of_many_takes_three_round_trips",
            "test_add_that_is_sent_again_adds_nothing",
        ],
        "test_wrong_types.py": ["test_anothers_value_under_each_key"],
    },
    "it runs an operation without a key twice": {"test_session_events.py": ["test_parts_for_drivers_in_python"]},
    "it runs a script without keys": {
        "test_tokens.py": ["test_the_time_of_creation_is_nine_base64url_digits"]
    },
    "it looks at one connection, or is about one server as it says": {
        "test_update.py": ["test_a_conflict_is_no_reason_to_close_the_connection"],
        "test_call_key.py": ["test_one_server_is_its_only_node"],
    },
    "a cluster's map wants rights": {"test_errors.py": ["test_the_code_is_the_servers_word"]},
    "a cluster has one database": {"test_session_events.py": ["test_the_database_is_the_clients"]},
    "it stops the server": {
        "test_errors.py": ["test_who_raises_what"],
        "test_provider.py": ["test_redis_may_hang"],
    },
    "RedisJWT on a cluster wants braces, which no number has": {"test_presented.py": ["test_redis_jwt"]},
}
WATCHED: dict[str, dict[str, list[str]]] = {
    "it counts the commands of the server, which Sentinels give some, too": {
        "test_django_contract.py": ["test_a_request_that_does_not_touch_the_session_costs_nothing"],
    },
    "it cuts all connections, the Sentinels' too, more often than those are asked": {
        "test_races_rotation.py": [
            "test_rotations_within_the_grace_give_one_successor[lost connections]",
            "test_a_chain_of_rotations_loses_nobody[lost connections]",
        ]
    },
}
LEFT_OUT = {"": [], "cluster": [BOTH, ONE_PRIMARY], "sentinel": [BOTH, WATCHED]}[TOPOLOGY]
"""Tests about one server, for which the fixtures give nothing else, by the reason."""


def is_left_out(file: str, test: str) -> bool:
    """`test`: with its parameters."""
    names = [name for reasons in LEFT_OUT for files in reasons.values() for name in files.get(file, [])]
    return test in names or test.partition("[")[0] in names


def tagged(name: str) -> str:
    """A name whose keys must share a slot: in braces on a cluster."""
    return f"{{{name}}}" if TOPOLOGY == "cluster" else name


RIGHTS = {
    "": "",
    "cluster": " +cluster|slots +cluster|info +asking +pttl ~*",
    "sentinel": " +role",
}[TOPOLOGY]
"""What a user needs besides (docs/reference/acl.md), for events."""

TOKEN = tagged("token")
"""The prefix of Tokenstore."""

NODE: dict[str, str] = {} if TOKEN == "token" else {"prefix": TOKEN}
"""Options of a Tokenstore with the default prefix, or on a cluster with TOKEN."""


class ClusterWire:
    """A connection to each primary."""

    def __init__(self, primaries: list[Server], place: list[int]) -> None:
        self._place = place
        self._stack = ExitStack()
        self._wires = [self._stack.enter_context(Wire(node)) for node in primaries]

    def _of(self, key: str | bytes | int) -> Wire:
        return self._wires[self._place[slot_of(key if isinstance(key, bytes) else str(key))]]

    def __call__(self, *args: str | bytes | int) -> Any:
        """A command goes where its key is, or to all."""
        name = str(args[0]).upper()
        if name in OF_ALL:
            return [wire(*args) for wire in self._wires].pop()
        if name in OF_EACH:
            return functools.reduce(operator.add, [wire(*args) for wire in self._wires])
        if name in OF_EACH_KEY:
            return sum(self._of(key)(name, key) for key in args[1:])
        if name == "MSET":
            return [
                self._of(key)("SET", key, value) for key, value in zip(args[1::2], args[2::2])
            ].pop()
        if name in OF_SOME:
            return self._wires[0](*args)
        if name not in BEHIND_A_WORD:
            return self._of(args[1])(*args)
        if name.startswith("EVAL"):
            assert args[2], "a script without keys is about one server: server.primaries"
            return self._of(args[3])(*args)
        return self._of(args[2])(*args)

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> ClusterWire:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


class ClusterServer(Server):
    """A cluster that looks like one server."""

    def __init__(self, cluster: Cluster) -> None:
        self.url = cluster.url
        self.binary = cluster.binary
        self.socket_path = None
        self._nodes: list[Server] = list(cluster.nodes)
        self._place = [0] * (1 << 14)
        for number, node in enumerate(cluster.nodes):
            for slot in cluster.slots_of(node):
                self._place[slot] = number

    @property
    def primaries(self) -> list[Server]:
        return self._nodes

    def wire(self) -> Any:
        return ClusterWire(self._nodes, self._place)


@contextmanager
def running_topology() -> Iterator[Server]:
    if TOPOLOGY == "cluster":
        with running_cluster(node_timeout=CALM) as cluster:
            yield ClusterServer(cluster)
    elif TOPOLOGY == "sentinel":
        with running_sentinels(replicas=0, down_after=CALM) as watched:
            watched.primary.url = watched.url
            yield watched.primary
    else:
        with running() as server:
            yield server


if __name__ == "__main__":
    with running_topology() as given:
        sys.exit(subprocess.call(sys.argv[1:], env={**os.environ, "TEST_URL": given.url}))
