"""What commands share: stores, secrets from stdin, confirmations."""

from __future__ import annotations

import argparse
import os
import re
import sys

from tokenstore.tokens import RedisTokens

__all__ = [
    "Options",
    "UsageError",
    "confirm",
    "counted",
    "open_store",
    "read_file",
    "read_secret",
    "read_token",
    "seconds_of",
]

Options = argparse.Namespace

_NAME_MAX = 1024  # bytes


class UsageError(Exception):
    """An invalid combination of arguments."""


def open_store(options: Options) -> RedisTokens:
    """The store that the options name, for the app, type and owner that they name."""
    for argument in ("app", "type", "owner"):
        name = getattr(options, argument, None)
        if name is not None and not 1 <= len(os.fsencode(name)) <= _NAME_MAX:
            raise UsageError(f"{argument.upper()} must be 1 to {_NAME_MAX} bytes")
    pepper = None if options.pepper_file is None else read_file(options.pepper_file)
    size = getattr(options, "audit_stream", 0)
    return RedisTokens(options.url, prefix=options.prefix, pepper=pepper, audit_stream=size)


def read_file(path: str) -> bytes:
    """All of a file; of stdin for "-"."""
    if path == "-":
        return sys.stdin.buffer.read()
    with open(path, "rb") as file:
        return file.read()


def read_secret(prompt: str) -> bytes:
    """One line of stdin; on a terminal after a prompt, and without echo."""
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass(prompt).encode(errors="surrogateescape")
    return sys.stdin.buffer.readline().rstrip(b"\r\n")


def read_token() -> bytes:
    """A token from stdin."""
    return read_secret("token: ")


def confirm(count: int) -> bool:
    """Ask whether to end so many tokens."""
    if not sys.stdin.isatty():
        raise UsageError("no terminal to confirm on: give --yes")
    print(f"end {counted(count)}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def counted(count: int, noun: str = "token") -> str:
    """A count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds_of(text: str) -> float:
    """A duration: seconds, or a number with a unit, ``90``, ``15m``, ``12h``, ``30d``; for argparse."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no duration: give seconds, or a number with s, m, h, d or w, such as 15m"
        )
    return float(match[1]) * _UNITS[match[2]]
