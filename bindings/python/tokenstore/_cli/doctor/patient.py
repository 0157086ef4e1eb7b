"""The server that doctor examines: its nodes, and what they answered."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tokenstore.client import Client
from tokenstore.errors import Error, ServerError

__all__ = ["Node", "Patient", "lacks_right"]

_OF_CLUSTERS = ("near_cache", "near_cache_staleness", "near_cache_tracking", "sentinel_user", "sentinel_password")


class Node:
    """One server, and what it said."""

    def __init__(self, name: str, client: Client) -> None:
        self.name = name
        self.client = client
        self._settings: dict[str, str | None] = {}

    @cached_property
    def info(self) -> dict[str, str]:
        """All fields of INFO; {} if the user may not ask."""
        reply = ask(self.client, "INFO")
        return _fields(reply) if isinstance(reply, bytes) else {}

    @cached_property
    def cluster_info(self) -> dict[str, str]:
        """All fields of CLUSTER INFO; {} if the user may not ask."""
        reply = ask(self.client, "CLUSTER", "INFO")
        return _fields(reply) if isinstance(reply, bytes) else {}

    def setting(self, name: str) -> str | None:
        """A setting of the server; None if the user may not ask."""
        if name not in self._settings:
            reply = ask(self.client, "CONFIG", "GET", name)
            found = isinstance(reply, list) and len(reply) == 2
            self._settings[name] = reply[1].decode() if found else None
        return self._settings[name]


class Member(NamedTuple):
    """One line of CLUSTER NODES."""

    id: str
    address: str
    flags: frozenset[str]
    primary: str
    slots: tuple[tuple[int, int], ...]
    moving: bool


class Patient:
    """A server, or all primaries of a cluster."""

    def __init__(self, url: str | None, prefix: str) -> None:
        self._stack = ExitStack()
        self.client = self._stack.enter_context(Client(url))
        self.raw_url = url if url is not None else _default_url()
        self.prefix = prefix
        self.is_cluster = "+cluster:" in self.client.url or self.raw_url == "embedded:cluster"

    def __enter__(self) -> Patient:
        try:
            assert self.nodes
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *unused: object) -> None:
        self._stack.close()

    @property
    def is_tls(self) -> bool:
        """Is the connection encrypted?"""
        return self.client.url.startswith(("rediss", "valkeys"))

    def open(self, url: str, **options: Any) -> Client:
        """Another client, which is closed with this."""
        return self._stack.enter_context(Client(url, **options))

    def key(self) -> str:
        """One that does not exist, and that the store's user may use."""
        return f"{self.prefix}:doctor:{secrets.token_hex(8)}"

    @cached_property
    def nodes(self) -> list[Node]:
        """The server, or those primaries of a cluster that answer. Raises the error of the first where none does."""
        if not self.is_cluster or self.raw_url.startswith("embedded"):
            self.client.ping()
            return [Node(self.client.url, self.client)]
        found = [node for node in map(self._node_at, self._addresses) if isinstance(node, Node)]
        if not found:
            self.client.ping()
        return found

    @cached_property
    def unreachable(self) -> list[str]:
        """Primaries of a cluster that do not answer."""
        reached = {node.name for node in self.nodes}
        return [name for name in self._addresses if name not in reached]

    @cached_property
    def members(self) -> list[Member]:
        """All nodes of a cluster, as the first of its seeds that answers sees them; [] if the user may not ask."""
        for seed in self._seeds:
            node = self._node_at(seed)
            reply = ask(node.client, "CLUSTER", "NODES") if isinstance(node, Node) else None
            if isinstance(reply, bytes):
                return [_member(line, seed) for line in reply.decode().splitlines()]
        return []

    @cached_property
    def _addresses(self) -> list[str]:
        primaries = [m.address for m in self.members if "master" in m.flags and (m.slots or "fail" in m.flags)]
        return primaries or self._seeds

    @cached_property
    def _seeds(self) -> list[str]:
        return urlsplit(self.raw_url).netloc.rpartition("@")[2].split(",")

    def _node_at(self, address: str) -> Node | None:
        """With the options and the password of the URL; None if it does not answer."""
        parts = urlsplit(self.raw_url)
        login, at, _ = parts.netloc.rpartition("@")
        query = "&".join(word for word in parts.query.split("&") if word.partition("=")[0] not in _OF_CLUSTERS)
        scheme = parts.scheme.replace("+cluster", "")
        try:
            client = self.open(f"{scheme}://{login}{at}{address}{'?' if query else ''}{query}")
            client.ping()
        except Error:
            return None
        return Node(address, client)

    def option(self, name: str) -> str | None:
        """An option in the URL's query."""
        found = parse_qs(urlsplit(self.raw_url).query).get(name)
        return found[0] if found else None

    def sum_of(self, look: Callable[[Node], int]) -> int:
        """Over all nodes."""
        return sum(map(look, self.nodes))

    def each(self) -> Iterator[tuple[str, Node]]:
        """All nodes, each with what to call it in a sentence."""
        for node in self.nodes:
            yield ("the server" if len(self.nodes) == 1 else node.name), node


def ask(client: Client, *command: str) -> Any:
    """A reply; the ServerError if it is one."""
    try:
        return client.execute(*command)
    except ServerError as error:
        return error


def lacks_right(reply: Any) -> bool:
    """Is this how a server refuses a command that the user may not send?"""
    return isinstance(reply, ServerError) and str(reply).startswith("NOPERM")


def _default_url() -> str:
    return os.environ.get("TOKENSTORE_URL") or "redis://localhost:6379"


def _fields(text: bytes) -> dict[str, str]:
    lines = text.decode(errors="replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def _member(line: str, seed: str) -> Member:
    id, address, flags, primary, _, _, _, _, *slots = line.split(" ")
    host, _, port = address.partition("@")[0].partition(",")[0].rpartition(":")
    ranges = []
    for slot in slots:
        if not slot.startswith("["):
            first, _, last = slot.partition("-")
            ranges.append((int(first), int(last or first)))
    host = host or seed.rpartition(":")[0].strip("[]")
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    moving = any(slot.startswith("[") for slot in slots)
    return Member(id, where, frozenset(flags.split(",")), primary, tuple(ranges), moving)
