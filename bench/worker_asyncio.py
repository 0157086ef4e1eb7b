"""A benchmark worker on an event loop: reads jobs from stdin, one per line, prints "ok" when a job is done.

usage: worker_asyncio.py tokenstore|near|redis-py|protocol SOCKET|PORT asyncio|uvloop

A job is ``get TASKS COUNT``: that many tasks make that many calls together. ``protocol`` is the minimum in
Python: one connection, a queue of futures, hiredis' parser, and json.loads of the reply.
"""

import asyncio
import json
import sys
from collections import deque

APP = {"app": "web", "type": "login"}
DATA = {"name": "n123", "role": "admin"}
TEXT = json.dumps({**APP, "owner": "user1", "data": DATA})


class Tokenstore:
    options = {}

    async def open(self, address):
        from tokenstore.asyncio import RedisTokens

        url = f"unix://{address}" if address.startswith("/") else f"redis://127.0.0.1:{address}"
        self.tokens = RedisTokens(url, **self.options)
        made = await self.tokens.create(**APP, owner="user1", data=DATA, duration=36_000)
        self.token = made.token

    async def calls(self, count):
        get, token = self.tokens.get, self.token
        for _ in range(count):
            await get(app="web", type="login", token=token)

    async def close(self):
        await self.tokens.aclose()


class Near(Tokenstore):
    options = {"near_cache": 10_000}

    async def open(self, address):
        await super().open(address)
        while self.tokens.client.near_cache_stats()["hits"] == 0:
            await self.calls(1)


class RedisPy:
    async def open(self, address):
        import redis.asyncio

        self.redis = (
            redis.asyncio.Redis(unix_socket_path=address, max_connections=500)
            if address.startswith("/")
            else redis.asyncio.Redis(host="127.0.0.1", port=int(address), max_connections=500)
        )
        await self.redis.set("plain", TEXT)

    async def calls(self, count):
        get = self.redis.get
        for _ in range(count):
            json.loads(await get("plain"))

    async def close(self):
        await self.redis.aclose()


class Protocol(asyncio.Protocol):
    async def open(self, address):
        import hiredis

        self.loop = asyncio.get_running_loop()
        self.reader, self.waiting, self.out = hiredis.Reader(), deque(), []
        if address.startswith("/"):
            await self.loop.create_unix_connection(lambda: self, address)
        else:
            await self.loop.create_connection(lambda: self, "127.0.0.1", int(address))
        await self.ask(
            b"*3\r\n$3\r\nSET\r\n$5\r\nplain\r\n$%d\r\n%s\r\n" % (len(TEXT), TEXT.encode())
        )

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.reader.feed(data)
        while (reply := self.reader.gets()) is not False:
            self.waiting.popleft().set_result(reply)

    def ask(self, command):
        future = self.loop.create_future()
        self.waiting.append(future)
        if len(self.waiting) == 1:
            self.transport.write(command)
        else:
            if not self.out:
                self.loop.call_soon(self.flush)
            self.out.append(command)
        return future

    def flush(self):
        self.transport.write(b"".join(self.out))
        self.out.clear()

    async def calls(self, count):
        for _ in range(count):
            json.loads(await self.ask(b"*2\r\n$3\r\nGET\r\n$5\r\nplain\r\n"))

    async def close(self):
        self.transport.close()
        await asyncio.sleep(0)


def main():
    kind, address, loop_kind = sys.argv[1:]
    if loop_kind == "uvloop":
        import uvloop

        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    worker = {"tokenstore": Tokenstore, "near": Near, "redis-py": RedisPy, "protocol": Protocol}[kind]()
    loop.run_until_complete(worker.open(address))
    for line in sys.stdin:
        _, tasks, count = line.split()
        share = int(count) // int(tasks)

        async def job(tasks=int(tasks), share=share):
            await asyncio.gather(*[worker.calls(share) for _ in range(tasks)])

        loop.run_until_complete(job())
        print("ok", flush=True)
    loop.run_until_complete(worker.close())
    loop.close()


if __name__ == "__main__":
    main()
