"""The RESP parsing that a proxy needs: the end of a value."""

from __future__ import annotations

from collections.abc import Iterator


def end_of_value(data: bytes, at: int) -> int:
    """The end of the value at `at`, or -1 if it is incomplete."""
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        return -1
    kind, after = data[at : at + 1], line_end + 2
    if kind == b"$":
        size = int(data[at + 1 : line_end])
        end = after if size < 0 else after + size + 2
        return end if end <= len(data) else -1
    if kind == b"*":
        for _ in range(int(data[at + 1 : line_end])):
            after = end_of_value(data, after)
            if after < 0:
                return -1
    return after


def values(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = end_of_value(data, at)
        if end < 0:
            return
        yield data[at:end]
        at = end
