"""Is every slot of a cluster served, and by what?"""

from __future__ import annotations

from collections.abc import Iterator

from tokenstore._cli.doctor.finding import Finding, danger, note, ok, unknown, warning
from tokenstore._cli.doctor.patient import Patient

__all__ = ["cluster"]

_SLOTS = 16384
_PATIENCE_MS = 3000  # docs/explanation/cluster.md


def cluster(patient: Patient) -> Iterator[Finding]:
    """Nothing about a single server."""
    if not patient.is_cluster:
        if patient.nodes[0].info.get("cluster_enabled") == "1":
            yield danger(
                "the server is a node of a cluster, and the URL is that of a single server",
                "only sessions whose slots are on this node are found; all others fail with a ServerError",
                "use redis+cluster:// (docs/explanation/cluster.md)",
            )
        return
    if patient.raw_url.startswith("embedded"):
        return
    if not patient.members:
        yield unknown("the user may not send CLUSTER NODES", "allow the user that doctor logs in as +cluster|nodes")
        return
    problems = [*_holes(patient), *_states(patient), *_lonely(patient), *_slow(patient)]
    yield from problems or [ok(f"{len(patient.nodes)} primaries serve all slots, each with a replica")]


def _holes(patient: Patient) -> Iterator[Finding]:
    served = {
        slot
        for member in patient.members
        if not member.flags & {"fail", "noaddr"}
        for first, last in member.slots
        for slot in range(first, last + 1)
    }
    missing = _SLOTS - len(served)
    if missing:
        yield danger(
            f"{missing} of {_SLOTS} slots are not served"
            + (f", {', '.join(patient.unreachable)} cannot be reached" if patient.unreachable else ""),
            f"about {-(-missing * 100 // _SLOTS)} % of all owners can neither log in nor out; with"
            " cluster-require-full-coverage yes, the default, nobody can",
            "start the missing primary or let its replica take over (CLUSTER FAILOVER TAKEOVER); slots that nobody has:"
            " redis-cli --cluster fix",
        )
    elif patient.unreachable:
        yield danger(
            f"{', '.join(patient.unreachable)} cannot be reached from here",
            "operations on the sessions in its slots fail with a TimeoutError",
            "look at the network, and at cluster-announce-ip; address_map= translates addresses",
        )


def _states(patient: Patient) -> Iterator[Finding]:
    failed = [node.name for node in patient.nodes if node.cluster_info.get("cluster_state") not in (None, "ok")]
    if failed:
        yield danger(
            f"the cluster's state is not ok at {', '.join(failed)}",
            "these nodes refuse every change and lookup: CLUSTERDOWN",
            "look at CLUSTER INFO and CLUSTER NODES there",
        )
    if any(member.moving for member in patient.members):
        yield note(
            "slots are moving from node to node",
            "that is safe, and a little slower; if nobody moves them, it was interrupted",
            "redis-cli --cluster fix, if it does not end",
        )


def _lonely(patient: Patient) -> Iterator[Finding]:
    replicated = {member.primary for member in patient.members if not member.flags & {"fail", "noaddr"}}
    lonely = [member.address for member in patient.members if member.slots and member.id not in replicated]
    if lonely:
        yield warning(
            f"{', '.join(lonely)} {'have' if len(lonely) > 1 else 'has'} no replica",
            "if it dies, the sessions in its slots are away, or lost, until it is started again",
            "add a replica to each: redis-cli --cluster add-node … --cluster-slave",
        )


def _slow(patient: Patient) -> Iterator[Finding]:
    timeouts = {node.setting("cluster-node-timeout") for node in patient.nodes} - {None}
    slow = max((int(ms) for ms in timeouts if ms), default=0)
    if slow > _PATIENCE_MS:
        yield note(
            f"cluster-node-timeout is {slow} ms",
            "a failover takes longer than an operation's default timeout of 5 s: until it is over, they fail",
            f"CONFIG SET cluster-node-timeout {_PATIENCE_MS}, or a longer timeout= (docs/explanation/cluster.md)",
        )
