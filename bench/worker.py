"""A benchmark worker in Python: reads jobs from stdin, one per line, prints "ok" when a job is done.

usage: worker.py tokenstore|near|redis-py|redis-py-cache SOCKET|PORT

A job is a name, a count, and further arguments. The caller measures the time.
"""

import json
import random
import sys

APP = {"app": "web", "type": "login"}
PER_OWNER = 4
SAMPLE = 20_000
BATCH = 1000


def data(number):
    return {"name": f"n{number % 900 + 100}", "role": "admin"}


class Tokenstore:
    options = {}

    def __init__(self, address):
        import tokenstore

        is_socket = address.startswith("/")
        self.tokens = tokenstore.RedisTokens(
            f"unix://{address}" if is_socket else f"redis://127.0.0.1:{address}", **self.options
        )
        self.filled = 0
        self.known = []
        self.spare = []
        self.turn = 0

    def fill(self, count):
        """Adds `count` tokens, 4 per owner, and keeps an even sample of them."""
        every = max(1, count // SAMPLE)
        end = self.filled + count
        for start in range(self.filled, end, BATCH):
            numbers = range(start, min(start + BATCH, end))
            made = self.tokens.create_many(
                {**APP, "owner": f"user{n // PER_OWNER}", "data": data(n), "duration": 36_000}
                for n in numbers
            )
            self.known += [t.token for n, t in zip(numbers, made) if n % every == 0]
        self.filled = end
        random.Random(1).shuffle(self.known)

    def first(self, _count):
        """The token for `get`."""
        return self.known[0]

    def get(self, count):
        get, token = self.tokens.get, self.known[0]
        for _ in range(count):
            get(app="web", type="login", token=token)

    def create(self, count):
        create, value = self.tokens.create, data(123)
        for n in range(count):
            create(app="web", type="login", owner=f"new{n}", data=value, duration=3600)

    def get_many(self, count):
        batch = self.known[:BATCH]
        for _ in range(count):
            found = self.tokens.get_many(**APP, tokens=batch)
        assert len(found) == BATCH
        assert None not in found

    def some(self, count):
        return random.choices(self.known, k=count)

    def find_keys(self, _count):
        """A sample of the records' places, for plain HGETs."""
        cursor, keys, client = b"0", [], self.tokens.client
        while len(keys) < SAMPLE:
            cursor, found = client.execute("SCAN", cursor, "COUNT", 5000, "MATCH", "ts:" + "?" * 20, "TYPE", "hash")
            keys += found
            if cursor == b"0":
                break
        random.Random(2).shuffle(keys)
        keys = keys[:SAMPLE]
        fields = client.pipeline([("HKEYS", key) for key in keys])
        self.places = [(key, names[0]) for key, names in zip(keys, fields)]

    def plain_get_some(self, count):
        for place in random.choices(self.places, k=count):
            assert self.tokens.client.execute("HGET", *place)

    def get_some(self, count):
        for token in self.some(count):
            assert self.tokens.get(**APP, token=token)

    def refresh_some(self, count):
        for token in self.some(count):
            assert self.tokens.refresh(**APP, token=token, duration=36_000)

    def update_some(self, count):
        for n, token in enumerate(self.some(count)):
            assert self.tokens.update(**APP, token=token, data={"name": f"u{n % 900 + 100}"})

    def make_spare(self, count):
        """Of other owners each time: what a rotation leaves would be in their hashes still."""
        self.turn += 1
        self.spare = [
            t.token
            for t in self.tokens.create_many(
                {**APP, "owner": f"spare{self.turn}-{n // PER_OWNER}", "data": data(n), "duration": 36_000}
                for n in range(count)
            )
        ]

    def delete_spare(self, count):
        for token in self.spare[:count]:
            assert self.tokens.delete(**APP, token=token)

    def take_spare(self, count):
        for token in self.spare[:count]:
            assert self.tokens.take(**APP, token=token)

    # ---- one token --------------------------------------------------------------------------------

    def refresh(self, count):
        refresh, token = self.tokens.refresh, self.known[0]
        for _ in range(count):
            refresh(app="web", type="login", token=token, duration=36_000)

    def update(self, count):
        update, token = self.tokens.update, self.known[0]
        for n in range(count):
            update(app="web", type="login", token=token, data={"name": f"u{n % 900 + 100}"})

    def make_idle(self, _count):
        self.idle = self.tokens.create(**APP, owner="idle", data=data(123), duration=36_000, idle=3600).token

    def get_idle(self, count):
        """Within touch_interval, so nothing is written."""
        get, token = self.tokens.get, self.idle
        for _ in range(count):
            get(app="web", type="login", token=token, refresh=True)

    def rotate(self, count, grace=None):
        """Each is of another owner's token, so that no hash grows."""
        rotate = self.tokens.rotate
        for token in self.spare[:count]:
            assert rotate(app="web", type="login", token=token, grace=grace)

    def rotate_with_grace(self, count):
        self.rotate(count, 10)

    # ---- an owner with many -----------------------------------------------------------------------

    def make_crowd(self, count):
        for start in range(0, count, BATCH):
            self.tokens.create_many(
                {**APP, "owner": "crowd", "data": data(n), "duration": 36_000} for n in range(start, start + BATCH)
            )

    def delete_crowd(self, count):
        assert self.tokens.delete_all(**APP, owner="crowd") == count


class Near(Tokenstore):
    options = {"near_cache": 10_000}

    def warm(self, _count):
        """Until `get` does not ask any more."""
        hits = -1
        while hits < 0 or self.tokens.client.near_cache_stats()["hits"] == hits:
            hits = self.tokens.client.near_cache_stats()["hits"]
            self.get(1)


class RedisPy:
    """Handwritten code: GET and json.loads, with the parser in C."""

    options = {}

    def __init__(self, address):
        import redis

        is_socket = address.startswith("/")
        self.redis = (
            redis.Redis(unix_socket_path=address, **self.options)
            if is_socket
            else redis.Redis(host="127.0.0.1", port=int(address), **self.options)
        )
        parser = redis.connection.DefaultParser.__name__
        assert "hiredis" in parser.lower(), parser

    def fill(self, count):
        text = json.dumps({**APP, "owner": "user1", "data": data(123)})
        self.keys = [f"plain:{n}" for n in range(count)]
        for key in self.keys:
            self.redis.set(key, text, ex=36_000)

    def get(self, count):
        key = self.keys[0]
        for _ in range(count):
            json.loads(self.redis.get(key))

    def get_many(self, count):
        for _ in range(count):
            pipeline = self.redis.pipeline(transaction=False)
            for key in self.keys[:BATCH]:
                pipeline.get(key)
            found = [json.loads(text) for text in pipeline.execute()]
        assert len(found) == BATCH


class RedisPyCache(RedisPy):
    """With its client-side cache."""

    def __init__(self, address):
        from redis.cache import CacheConfig

        self.options = {"protocol": 3, "cache_config": CacheConfig()}
        super().__init__(address)


KINDS = {"tokenstore": Tokenstore, "near": Near, "redis-py": RedisPy, "redis-py-cache": RedisPyCache}


def main():
    kind, address = sys.argv[1:]
    worker = KINDS[kind](address)
    for line in sys.stdin:
        name, count = line.split()
        answer = getattr(worker, name)(int(count))
        print("ok", answer or "", flush=True)


if __name__ == "__main__":
    main()
