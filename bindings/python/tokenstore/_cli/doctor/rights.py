"""What the user may do, by commands that have no effect: a right is asked about before a command looks at its
arguments, so one that is allowed fails later, or finds nothing."""

from __future__ import annotations

from collections.abc import Iterator

from tokenstore._cli.doctor.finding import Finding, danger, note, ok
from tokenstore._cli.doctor.patient import Patient, lacks_right

__all__ = ["rights"]

# KEY is one that does not exist.
_STORES = (
    ("+hget", "HGET KEY f"),
    ("+hset", "HSET KEY f v f"),
    ("+hdel", "HDEL KEY f"),
    ("+hgetall", "HGETALL KEY"),
    ("+hlen", "HLEN KEY"),
    ("+get", "GET KEY"),
    ("+set", "SET KEY v wrong"),
    ("+del", "DEL KEY"),
    ("+unlink", "UNLINK KEY"),
    ("+pttl", "PTTL KEY"),
    ("+pexpire", "PEXPIRE KEY 1"),
    ("+pexpireat", "PEXPIREAT KEY 1"),
    ("+persist", "PERSIST KEY"),
    ("+time", "TIME"),
    ("+eval", "EVAL return 0"),
    ("+evalsha", f"EVALSHA {'0' * 40} 0"),
)

_FEATURES = (
    ("RedisJWT", (("+zadd", "ZADD KEY x y"), ("+zrange", "ZRANGE KEY 0 0"), ("+zrem", "ZREM KEY x"), ("+info", "INFO memory"))),
    ("Tokenstore", (("+smembers", "SMEMBERS KEY"), ("+srem", "SREM KEY x"), ("+echo", "ECHO x"))),
    ("an audit stream", (("+xadd", "XADD KEY wrong f v"), ("+xrange", "XRANGE KEY - +"), ("+xrevrange", "XREVRANGE KEY + -"))),
    ("wait_replicas", (("+wait", "WAIT 0 1"),)),
    ("wait_fsync", (("+waitaof", "WAITAOF 0 0 1"),)),
    ("checks of idle connections", (("+ping", "PING"),)),
    ("stats, owners and migrate of the command line", (("+scan", "SCAN 0 COUNT 1"),)),
    ("all checks of doctor", (("+info", "INFO memory"), ("+config|get", "CONFIG GET maxmemory"))),
)


def rights(patient: Patient) -> Iterator[Finding]:
    """Of the stores, and of single features."""
    lacking = _lacking(patient, _STORES)
    if lacking:
        yield danger(
            f"the user lacks {' '.join(lacking)} on {patient.prefix}:*",
            "logins, lookups or logouts fail with a ServerError that begins with NOPERM",
            "give it the rights of docs/reference/acl.md: ACL SETUSER",
        )
    else:
        yield ok("the user may do all that RedisTokens and Sessions do")
    for feature, questions in _FEATURES:
        lacking = _lacking(patient, questions)
        if lacking:
            yield note(
                f"the user lacks {' '.join(lacking)}",
                f"only {feature} needs it",
                "nothing, if that is not used; else docs/reference/acl.md",
            )


def _lacking(patient: Patient, questions: tuple[tuple[str, str], ...]) -> list[str]:
    key = patient.key()
    commands = [[key if word == "KEY" else word for word in command.split()] for _, command in questions]
    replies = patient.nodes[0].client.pipeline(commands, raise_errors=False)
    return [right for (right, _), reply in zip(questions, replies) if lacks_right(reply)]
