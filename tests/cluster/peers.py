"""Other clients at the same work, for comparison: redis-py's, and ioredis by a process of Node.

Their tokens are strings, each in a sorted set of its owner, which a tag keeps on the token's slot.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from stores import LIVES, Place, Waiting, result_of

CREATE = """redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3]) redis.call('ZADD', KEYS[2], ARGV[2], KEYS[1])
redis.call('EXPIRE', KEYS[2], ARGV[3] + 1) return 1"""
UPDATE = "return redis.call('SET', KEYS[1], ARGV[1], 'XX', 'EX', ARGV[2])"
DELETE = "redis.call('ZREM', KEYS[2], KEYS[1]) return redis.call('DEL', KEYS[1])"


def text_of(answer: Any) -> Any:
    return answer.decode() if isinstance(answer, bytes) else answer


class Peer(Waiting):
    def __init__(self, client: Any, blocking: bool) -> None:
        super().__init__(blocking)
        self._client = client
        self._made = 0

    @staticmethod
    def _index(token: str) -> str:
        return token.partition("}")[0] + "}:o"

    def place(self, token: str) -> Place:
        return Place(token, None)

    def unsure(self, error: Exception) -> bool:
        return True

    async def create(self, owner: str, value: str) -> str:
        self._made += 1
        token = f"ts:{{{owner}}}:{self._made}-{time.time_ns()}"
        keys = (token, self._index(token))
        await result_of(self._client.eval(CREATE, 2, *keys, value, int(time.time()), LIVES))
        return token

    async def get(self, token: str) -> str | None:
        return text_of(await result_of(self._client.get(token)))

    async def update(self, token: str, value: str) -> bool:
        return await result_of(self._client.eval(UPDATE, 1, token, value, LIVES)) is not None

    async def delete(self, token: str) -> bool:
        return bool(await result_of(self._client.eval(DELETE, 2, token, self._index(token))))

    async def list(self, owner: str) -> set[str]:
        return set(map(text_of, await result_of(self._client.zrange(f"ts:{{{owner}}}:o", 0, -1))))

    async def close(self) -> None:
        await result_of(getattr(self._client, "aclose", self._client.close)())


class Ioredis:
    """A part of redis-py's asyncio interface."""

    def __init__(self, url: str) -> None:
        program = Path(__file__).with_name("ioredis.cjs")
        self._process = subprocess.Popen(
            ["node", str(program), url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._rest = b""
        self._last = 0
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        asyncio.get_running_loop().add_reader(self._output, self._read)

    def _read(self) -> None:
        assert self._process.stdout is not None
        *lines, self._rest = (self._rest + self._process.stdout.read(1 << 20)).split(b"\n")
        for line in lines:
            id, value, error = json.loads(line)
            future = self._waiting.pop(id)
            if future.cancelled():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(RuntimeError(error))

    def _call(self, *command: Any) -> asyncio.Future[Any]:
        assert self._process.stdin is not None
        self._last += 1
        self._waiting[self._last] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps((self._last, *command)).encode() + b"\n")
        return self._waiting[self._last]

    def eval(self, *arguments: Any) -> asyncio.Future[Any]:
        return self._call("eval", *arguments)

    def get(self, key: str) -> asyncio.Future[Any]:
        return self._call("get", key)

    def zrange(self, *arguments: Any) -> asyncio.Future[Any]:
        return self._call("zrange", *arguments)

    def close(self) -> None:
        """Ends Node, whose input ends."""
        asyncio.get_running_loop().remove_reader(self._output)
        self._process.communicate()


def open_peer(driver: str, url: str) -> Peer:
    if driver == "ioredis":
        return Peer(Ioredis(url), False)
    return Peer(_redis_py(url, driver == "redis-py"), driver == "redis-py")


def _redis_py(url: str, blocking: bool) -> Any:
    from redis.asyncio.cluster import ClusterNode as AsyncNode
    from redis.asyncio.cluster import RedisCluster as AsyncCluster
    from redis.asyncio.sentinel import Sentinel as AsyncSentinel
    from redis.cluster import ClusterNode, RedisCluster
    from redis.sentinel import Sentinel

    scheme, _, rest = url.partition("://")
    hosts, _, service = rest.partition("/")
    addresses = [(host, int(port)) for host, port in (at.split(":") for at in hosts.split(","))]
    timeouts = {"socket_timeout": 5, "socket_connect_timeout": 2}
    if scheme == "redis+sentinel":
        return (Sentinel if blocking else AsyncSentinel)(addresses, **timeouts).master_for(service)
    client, node = (RedisCluster, ClusterNode) if blocking else (AsyncCluster, AsyncNode)
    return client(startup_nodes=[node(host, port) for host, port in addresses], **timeouts)
