"""A reader of reach.py: reads tokens from stdin, a line of them at a time; gets them in turn, says "ready" when all are in its near
cache, and when the read began by which each was refused, or had other data, by CLOCK_MONOTONIC.

usage: worker_reach.py blocking|asyncio URL
"""

import asyncio
import sys
import time

import tokenstore
import tokenstore.asyncio

A, T = "web", "login"
PAUSE = 0.0005


class Blocking:
    def __init__(self, url):
        self.tokens = tokenstore.RedisTokens(url, near_cache=1000)
        self.client = self.tokens.client

    async def get(self, token):
        return self.tokens.get(A, T, token)


class Asyncio:
    def __init__(self, url):
        self.tokens = tokenstore.asyncio.RedisTokens(url, near_cache=1000)
        self.client = self.tokens.client

    async def get(self, token):
        return await self.tokens.get(A, T, token)


async def warm(reader, tokens):
    """Until one turn finds none by asking. Some may have ended."""
    while True:
        hits = reader.client.near_cache_stats()["hits"]
        found = 0
        for token in tokens:
            found += await reader.get(token) is not None
        if reader.client.near_cache_stats()["hits"] >= hits + found:
            return


async def follow(reader, tokens):
    refused = {}
    while len(refused) < len(tokens):
        for token in tokens:
            if token in refused:
                continue
            began = time.monotonic()
            found = await reader.get(token)
            if found is None or found.data["n"] != 1:
                refused[token] = began
        await asyncio.sleep(PAUSE)
    return [refused[token] for token in tokens]


async def main():
    reader = {"blocking": Blocking, "asyncio": Asyncio}[sys.argv[1]](sys.argv[2])
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        tokens = line.split()
        await warm(reader, tokens)
        print("ready", flush=True)
        print(*await follow(reader, tokens), flush=True)


asyncio.run(main())
