"""Our counterpart of node.mjs: reads jobs from stdin, one per line, prints "ok" when one is done.

usage: node_twin.py redis-tokens|tokenstore|redis-jwt PORT
"""

import random
import sys

import tokenstore

PER_OWNER = 4
DATA = {"name": "n123", "role": "admin"}
WHERE = {"app": "web", "type": "login"}


class RedisTokens:
    def __init__(self, url):
        self.tokens = tokenstore.RedisTokens(url)

    def make(self, owner):
        return self.tokens.create(**WHERE, owner=owner, data=DATA, duration=36_000).token

    def fill(self, count):
        self.known = [self.make(f"user{n // PER_OWNER}") for n in range(count)]

    def create(self, count):
        for n in range(count):
            self.make(f"new{n}")

    def get(self, count):
        for token in random.choices(self.known, k=count):
            assert self.tokens.get(**WHERE, token=token)

    def refresh(self, count):
        for token in random.choices(self.known, k=count):
            assert self.tokens.refresh(**WHERE, token=token, duration=36_000)

    def update(self, count):
        for n, token in enumerate(random.choices(self.known, k=count)):
            assert self.tokens.update(**WHERE, token=token, data={"name": f"u{n}"})

    def ready_delete(self, count):
        self.spare = [self.make(f"spare{n}") for n in range(count)]

    def delete(self, _count):
        for token in self.spare:
            assert self.tokens.delete(**WHERE, token=token)

    def ready_delete_all(self, count):
        for n in range(count * PER_OWNER):
            self.make(f"all{n // PER_OWNER}-")

    def delete_all(self, count):
        for n in range(count):
            assert self.tokens.delete_all(**WHERE, owner=f"all{n}-") == PER_OWNER


class Tokenstore:
    def __init__(self, url):
        self.store = tokenstore.Tokenstore(url, prefix="ours")

    def make(self, owner):
        return self.store.add(owner, DATA)

    def fill(self, count):
        self.known = [self.make(f"user{n // PER_OWNER}") for n in range(count)]

    def add(self, count):
        for n in range(count):
            self.make(f"new{n}")

    def get(self, count):
        for token in random.choices(self.known, k=count):
            assert self.store.get(token.id)

    def get_key(self, count):
        for token in random.choices(self.known, k=count):
            assert self.store.get_key(token.key)

    def set(self, count):
        for n, token in enumerate(random.choices(self.known, k=count)):
            assert self.store.set(token.id, {"name": f"u{n}"})

    def list(self, count):
        for token in random.choices(self.known, k=count):
            assert len(self.store.list(token.owner_id)) == PER_OWNER

    def ready_delete(self, count):
        self.spare = [self.make(f"spare{n}") for n in range(count)]

    ready_delete_key = ready_delete

    def delete(self, _count):
        for token in self.spare:
            assert self.store.delete(token.id)

    def delete_key(self, _count):
        for token in self.spare:
            assert self.store.delete_key(token.key)

    def make_hash(self, count):
        for _ in range(count):
            self.store.make_hash("bob@example.org")

    def ready_get_hash(self, count):
        self.spare = [self.store.make_hash("bob@example.org") for _ in range(count)]

    ready_del_hash = ready_get_hash

    def get_hash(self, _count):
        for made in self.spare:
            assert self.store.get_hash(made)

    def del_hash(self, _count):
        for made in self.spare:
            assert self.store.del_hash(made)

    def ready_reset(self, count):
        for n in range(count):
            self.make(f"reset{n}")

    def reset(self, count):
        assert self.store.reset() >= count


class RedisJWT:
    def __init__(self, url):
        client = tokenstore.Client(url)
        self.one = tokenstore.RedisJWT(client, secret="s" * 32, multiple=False)
        self.many = tokenstore.RedisJWT(client, secret="s" * 32, multiple=True)
        self.call = self.many.call()

    def make(self, id):
        return self.many.sign(id, ttl=36_000, data_session=DATA)

    def rjwt(self, token):
        return self.many.verify(token)["rjwt"]

    def fill(self, count):
        self.known = [self.make(f"user{n}") for n in range(count)]
        self.keys = [self.rjwt(token) for token in self.known]

    def sign(self, count):
        for n in range(count):
            self.one.sign(f"new{n % 50}", ttl=36_000, data_session=DATA)

    def sign_multiple(self, count):
        for n in range(count):
            self.make(f"many{n}")

    def verify(self, count):
        for token in random.choices(self.known, k=count):
            assert self.many.verify(token)["id"]

    def verify_value(self, count):
        for token in random.choices(self.known, k=count):
            assert self.many.verify(token, value_session=True)["dataSession"]

    def exists(self, count):
        for key in random.choices(self.keys, k=count):
            assert self.call.exists(key)

    def ttl(self, count):
        for key in random.choices(self.keys, k=count):
            assert self.call.ttl(key) > 0

    def get_value_by_key(self, count):
        for key in random.choices(self.keys, k=count):
            assert self.call.get_value_by_key(key)

    def get_values_by_pattern(self, count):
        for n in range(count):
            assert self.call.get_values_by_pattern(f"user{n}")

    def get_count_by_pattern(self, count):
        for n in range(count):
            assert self.call.get_count_by_pattern(f"user{n}") == 1

    def ready_destroy(self, count):
        self.spare = [self.rjwt(self.make(f"spare{n}")) for n in range(count)]

    ready_destroy_multiple = ready_destroy

    def destroy(self, _count):
        for key in self.spare:
            assert self.call.destroy(key)

    def destroy_multiple(self, count):
        for n in range(count):
            assert self.call.destroy_multiple(f"spare{n}") == 1


def main():
    kind, port = sys.argv[1:]
    kinds = {"redis-tokens": RedisTokens, "tokenstore": Tokenstore, "redis-jwt": RedisJWT}
    worker = kinds[kind](f"redis://127.0.0.1:{port}")
    for line in sys.stdin:
        name, count = line.split()
        getattr(worker, name)(int(count))
        print("ok", flush=True)


if __name__ == "__main__":
    main()
