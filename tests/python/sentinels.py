"""A primary with replicas and the Sentinels that watch them, for the tests; independent of the package."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from servers import BINARY, ReplyError, Server, Tls

SERVICE = "tests"


class Sentinel(Server):
    """One Sentinel. Its directory holds its configuration, which it rewrites, so it knows what it knew when it is started
    again."""

    ready = "+monitor master"

    def configure(self, primary: Server, quorum: int, down_after: int) -> None:
        settings = self.tls.settings(self.port) if self.tls else {"port": str(self.port)}
        lines = [
            *(f"{name} {value}" for name, value in settings.items()),
            f"bind {self.host}",
            f"dir {self.directory}",
            f"sentinel monitor {SERVICE} {primary.host} {primary.port} {quorum}",
            f"sentinel down-after-milliseconds {SERVICE} {down_after}",
            f"sentinel failover-timeout {SERVICE} 5000",
        ]
        if self.password:
            lines.append(f"requirepass {self.password}")
        if primary.password:
            lines.append(f"sentinel auth-pass {SERVICE} {primary.password}")
        self.configuration.write_text("\n".join(lines) + "\n")

    @property
    def configuration(self) -> Path:
        return self.directory / "sentinel.conf"

    def command(self) -> list[str]:
        return [self.binary, str(self.configuration), "--sentinel", *self.options]

    def watches(self) -> dict[str, str]:
        """The service as it sees it."""
        fields = [field.decode() for field in self("SENTINEL", "MASTER", SERVICE)]
        return dict(zip(fields[::2], fields[1::2]))


class Sentinels:
    """`down_after` in ms. `options` are the servers'; `passwords`: the servers', and the Sentinels'."""

    def __init__(
        self,
        *options: str,
        replicas: int = 1,
        sentinels: int = 3,
        down_after: int = 1000,
        binary: str = BINARY,
        tls: Tls | None = None,
        passwords: tuple[str, str] = ("", ""),
    ) -> None:
        sync = ("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0")
        login = ("--requirepass", passwords[0], "--masterauth", passwords[0]) if passwords[0] else ()
        self.tls = tls
        self.nodes = [
            Server("--appendonly", "no", *sync, *login, *options, transport="tcp", binary=binary, tls=tls)
            for _ in range(1 + replicas)
        ]
        """The first primary, then its replicas."""
        self.sentinels = [
            Sentinel(transport="tcp", binary=binary, tls=tls) for _ in range(sentinels)
        ]
        for node in self.nodes:
            node.password = passwords[0]
        for sentinel in self.sentinels:
            sentinel.password = passwords[1]
        self._down_after = down_after

    def start(self) -> None:
        """Ready after 3 s: Sentinels find each other by what they publish every two."""
        primary = self.nodes[0]
        try:
            for node in self.nodes[1:]:
                node.options += ["--replicaof", primary.host, str(primary.port)]
            for node in self.nodes:
                node.start()
            for node in self.nodes[1:]:
                del node.options[-3:]  # started again, it is a primary until a Sentinel turns it
            for sentinel in self.sentinels:
                sentinel.configure(primary, len(self.sentinels) // 2 + 1, self._down_after)
                sentinel.start()
            self.wait_agreed()
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        for server in (*self.sentinels, *self.nodes):
            server.remove()

    @property
    def url(self) -> str:
        scheme = "rediss+sentinel" if self.tls else "redis+sentinel"
        return f"{scheme}://{','.join(s.address for s in self.sentinels)}/{SERVICE}"

    @property
    def living(self) -> list[Server]:
        return [node for node in self.nodes if node.alive]

    @property
    def primary(self) -> Server:
        """As most Sentinels see it."""
        ports = [int(sentinel.watches()["port"]) for sentinel in self.sentinels if sentinel.alive]
        port = max(ports, key=ports.count)
        return next(node for node in self.nodes if node.port == port)

    def wait_agreed(self, seconds: float = 60) -> None:
        """Until the living Sentinels know each other and the living servers, none is failing over, and the living servers
        have the roles that they should."""
        end = time.monotonic() + seconds
        while problem := self._disagreement():
            if time.monotonic() > end:
                raise TimeoutError(f"after {seconds} s: {problem}")
            time.sleep(0.02)

    def settle(self, seconds: float = 60) -> None:
        """wait_agreed, but the old primary is told at once whom to follow: a Sentinel does so after ten seconds."""
        end = time.monotonic() + seconds
        while problem := self._disagreement():
            if time.monotonic() > end:
                raise TimeoutError(f"after {seconds} s: {problem}")
            primary = self.primary
            for node in self.living:
                if node is not primary and primary.alive and node("ROLE")[0] == b"master":
                    node("REPLICAOF", primary.host, primary.port)
            time.sleep(0.02)

    def _disagreement(self) -> str:
        primary = self.primary
        if not primary.alive:
            return f"the primary is {primary.address}, which is killed or away"
        for sentinel in self.sentinels:
            if not sentinel.alive:
                continue
            seen = sentinel.watches()
            others = int(seen["num-other-sentinels"]), int(seen["num-slaves"])
            if int(seen["port"]) != primary.port or seen["flags"] != "master":
                return f"{sentinel.address} sees {seen['ip']}:{seen['port']}, {seen['flags']}"
            if others != (len(self.sentinels) - 1, len(self.nodes) - 1):
                return f"{sentinel.address} sees {others[0]} others, {others[1]} replicas"
        for node in self.living:
            try:
                role = node("ROLE")
            except (EOFError, OSError) as error:  # a Sentinel has just turned it
                return f"{node.address}: {error}"
            if node is primary:
                if role[0] != b"master":
                    return f"{node.address} is no primary: {role}"
            elif role[0] != b"slave" or role[2] != primary.port or role[3] != b"connected":
                return f"{node.address} is no replica of {primary.address}: {role}"
        return ""

    def failover(self, seconds: float = 30) -> None:
        """An orderly one, by a Sentinel: until the Sentinels name another primary. It does not wait for the replica to have
        all: what the old primary acknowledges meanwhile may be lost."""
        before = self.primary
        end = time.monotonic() + seconds
        again = 0.0
        while self.primary is before:
            now = time.monotonic()
            if now > end:
                raise TimeoutError(f"no failover within {seconds} s")
            if now > again:
                with suppress(ReplyError):  # one is in progress; or it has not heard of a good replica yet
                    self.sentinels[0]("SENTINEL", "FAILOVER", SERVICE)
                    again = now + 10  # it may have ended it long before the others hear of it, and would make another
            time.sleep(0.05)


@contextmanager
def running_sentinels(
    *options: str,
    replicas: int = 1,
    sentinels: int = 3,
    down_after: int = 1000,
    binary: str = BINARY,
    tls: Tls | None = None,
    passwords: tuple[str, str] = ("", ""),
) -> Iterator[Sentinels]:
    watched = Sentinels(
        *options,
        replicas=replicas,
        sentinels=sentinels,
        down_after=down_after,
        binary=binary,
        tls=tls,
        passwords=passwords,
    )
    try:
        watched.start()
        yield watched
    finally:
        watched.remove()
