"""What stands in the server (docs/explanation/stored-format.md), for tests that look at it or break it."""

from __future__ import annotations

import time

from servers import Server
from tokenstore import Token

B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
KINDS = b"ts:kinds"


def keys(server: Server) -> list[bytes]:
    """All keys but the registry of kinds, which stays."""
    return [key for key in server.keys() if not key.endswith(b":kinds")]


def hashes(server: Server) -> list[bytes]:
    """The hashes of all owners."""
    return [key for key in keys(server) if server("TYPE", key) == "hash"]


def place_of(server: Server, token: Token) -> tuple[bytes, str]:
    """The hash and the field of a token's record."""
    (key,) = [key for key in hashes(server) if server("HEXISTS", key, token.id)]
    return key, token.id


def is_stored(server: Server, token: Token) -> bool:
    return any(server("HEXISTS", key, token.id) for key in hashes(server))


def record_of(server: Server, token: Token) -> bytes:
    record = server("HGET", *place_of(server, token))
    assert isinstance(record, bytes)
    return record


def replace(server: Server, token: Token, record: bytes) -> None:
    """Puts something else in the place of a token's record, with its end where the server keeps that."""
    key, field = place_of(server, token)
    ends = own_end(server, key, field)
    server("HSET", key, field, record)
    if ends > 0:
        server("HPEXPIREAT", key, ends, "FIELDS", 1, field)


def own_end(server: Server, key: bytes, field: str) -> int:
    """When the server itself ends the field, in ms since 1970; -1: it does not, or cannot."""
    try:
        return int(server("HPEXPIRETIME", key, "FIELDS", 1, field)[0])
    except Exception as error:  # the server's own error reply, whoever makes it
        assert "unknown command" in str(error)
        return -1


def end_of(server: Server, token: Token) -> int:
    """When a token ends, in ms since 1970, asked of the server itself; -1: never."""
    key, field = place_of(server, token)
    record = record_of(server, token).decode("latin-1")
    if record[13] == "e":
        end = 0
        for digit in record[14:21]:
            end = end * 64 + B64.index(digit)
        return end
    return own_end(server, key, field)


def left(server: Server, token: Token) -> int:
    """Milliseconds that a token has left; -1: no expiry."""
    end = end_of(server, token)
    if end < 0:
        return -1
    seconds, micros = server("TIME")
    return end - int(seconds) * 1000 - int(micros) // 1000


def wait_for_end(server: Server, token: Token) -> None:
    time.sleep(max(0, left(server, token)) / 1000 + 0.005)


def set_left(server: Server, token: Token, seconds: int) -> None:
    """Moves a token's end, as an earlier moment would have set it. With 0 it has ended."""
    key, field = place_of(server, token)
    record = record_of(server, token)
    now, micros = server("TIME")
    end = (int(now) + seconds) * 1000 + int(micros) // 1000
    if record[13:14] != b"e":
        assert server("HPEXPIREAT", key, end, "FIELDS", 1, field) == [1 if seconds > 0 else 2]
        return
    stamp = "".join(B64[end >> 6 * place & 63] for place in range(6, -1, -1))
    server("HSET", key, field, record[:14] + stamp.encode() + record[21:])


def end_grace(server: Server, token: Token) -> None:
    """Ends the grace of a token that was rotated, as time would."""
    key, field = place_of(server, token)
    assert server("HDEL", key, field) == 1


def left_of(server: Server, token: Token) -> list[str]:
    """The fields of what a rotation left of a token: its forward, its tombstone."""
    fields = [field for key in hashes(server) for field in server("HKEYS", key)]
    names = [f.decode() if isinstance(f, bytes) else f for f in fields]
    return sorted(name for name in names if name[:21] == token.id[:21])
