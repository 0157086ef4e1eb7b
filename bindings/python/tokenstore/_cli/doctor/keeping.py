"""Does the server keep what it was given: eviction, persistence, replication."""

from __future__ import annotations

from collections.abc import Iterator

from tokenstore._cli.doctor.finding import Finding, danger, note, ok, unknown, warning
from tokenstore._cli.doctor.patient import Node, Patient

__all__ = ["eviction", "persistence", "replication"]

_NO_INFO = "the user may not send INFO"
_ALLOW = "allow the user that doctor logs in as +info and +config|get"


def eviction(patient: Patient) -> Iterator[Finding]:
    """maxmemory and its policy."""
    for name, node in patient.each():
        if "maxmemory_policy" not in node.info:
            yield unknown(_NO_INFO, _ALLOW)
            return
        policy, most = node.info["maxmemory_policy"], int(node.info["maxmemory"])
        used, evicted = int(node.info["used_memory"]), int(node.info.get("evicted_keys", 0))
        if policy != "noeviction" and most:
            yield danger(
                f"{name} evicts keys when its memory is full: maxmemory-policy is {policy}",
                "an evicted key logs out all sessions of its owner at once; and an evicted index of RedisJWT hides"
                ' sessions from "log out everywhere"',
                "CONFIG SET maxmemory-policy noeviction, in redis.conf too; then run reindex() of RedisJWT once",
            )
        elif policy != "noeviction":
            yield warning(
                f"{name} has the maxmemory-policy {policy}, and no maxmemory yet",
                "it begins to evict sessions as soon as somebody sets maxmemory",
                "CONFIG SET maxmemory-policy noeviction, in redis.conf too",
            )
        elif most and used > most * 0.9:
            yield warning(
                f"{name} has used {used * 100 // most} % of its maxmemory",
                "when it is full, nobody can log in; lookups and logouts keep working",
                "raise maxmemory, or find what fills it: tokenstore stats",
            )
        else:
            yield ok(f"{name} never evicts" + (f"; {used * 100 // most} % of maxmemory is used" if most else ""))
        if evicted and policy == "noeviction":
            yield warning(
                f"{name} has evicted {evicted} keys since it started",
                "the sessions in them are gone, and an index of RedisJWT may lack live sessions",
                "run reindex() of RedisJWT once",
            )


def persistence(patient: Patient) -> Iterator[Finding]:
    """The append-only file, snapshots, and whether they can be written."""
    for name, node in patient.each():
        if "aof_enabled" not in node.info:
            yield unknown(_NO_INFO, _ALLOW)
            return
        yield _kept(name, node)
        aof = node.info["aof_enabled"] == "1"
        if (aof and node.info.get("aof_last_write_status") != "ok") or (
            node.info.get("rdb_last_bgsave_status") != "ok" and node.setting("save")
        ):
            yield danger(
                f"{name} could not write to its disk",
                "changes fail with MISCONF, logouts too, or are lost when it restarts",
                "make room on its disk, and read its log",
            )


def _kept(name: str, node: Node) -> Finding:
    turn_on = "CONFIG SET appendonly yes, in redis.conf too; appendfsync always where no logout may be lost"
    if node.info["aof_enabled"] == "1":
        fsync = node.setting("appendfsync")
        if fsync == "no":
            return danger(
                f"{name} leaves it to the system when its append-only file reaches the disk: appendfsync is no",
                "half a minute of changes may be lost: tokens revoked in it are alive again",
                "CONFIG SET appendfsync everysec, or always",
            )
        return ok(
            f"{name} has an append-only file"
            + {
                "always": ", on the disk before a change is acknowledged",
                "everysec": ", on the disk after a second: what was revoked in the last one may be alive again",
            }.get(fsync or "", "")
        )
    if node.setting("save") == "":
        return danger(
            f"{name} keeps nothing on a disk: no append-only file, no snapshots",
            "a restart logs everybody out; and if a replica is loaded from an empty primary, that loses all, too",
            turn_on,
        )
    return danger(
        f"{name} writes snapshots only",
        "a restart goes back to the last snapshot: later logins are lost, and tokens revoked since are alive again",
        turn_on,
    )


def replication(patient: Patient) -> Iterator[Finding]:
    """Its role, and its replicas."""
    alone = []
    for name, node in patient.each():
        if "role" not in node.info:
            yield unknown(_NO_INFO, _ALLOW)
            return
        if node.info["role"] != "master":
            yield danger(
                f"{name} is a replica of {node.info.get('master_host')}:{node.info.get('master_port')}",
                "logins and logouts fail with READONLY, and what is read may be old: a revoked token is still found",
                "name the primary in the URL, or use redis+sentinel:// or redis+cluster://, which find it",
            )
            continue
        lines = [value for field, value in node.info.items() if field.startswith("slave") and "state=" in value]
        behind = [line for line in lines if not _is_near(line)]
        if behind:
            yield warning(
                f"of {len(lines)} replicas of {name}, {len(behind)} are not in step",
                "a failover to one of them loses what it has not heard of: logouts too",
                "look at INFO replication, and at the replicas' logs",
            )
        elif lines:
            yield _in_step(name, node, len(lines))
        else:
            alone.append(name)
    if alone:
        yield ok(f"{_list(alone)} {'are primaries' if len(alone) > 1 else 'is a primary'} without replicas: there is no failover")


def _in_step(name: str, node: Node, replicas: int) -> Finding:
    least = node.setting("min-replicas-to-write") or node.setting("min-slaves-to-write")
    if least == "0":
        return note(
            f"{name} is a primary with {replicas} replicas in step, and min-replicas-to-write is 0",
            "a primary that is cut off from them goes on for a while, and what it does then is lost: logouts too",
            "CONFIG SET min-replicas-to-write 1; wait_replicas=1 for revocations (docs/explanation/durability.md)",
        )
    return ok(f"{name} is a primary with {replicas} replicas in step")


def _is_near(line: str) -> bool:
    """ip=…,port=…,state=online,offset=…,lag=0"""
    fields = dict(part.partition("=")[::2] for part in line.split(","))
    return fields.get("state") == "online" and int(fields.get("lag", 0)) <= 10


def _list(names: list[str]) -> str:
    return ", ".join(names)
