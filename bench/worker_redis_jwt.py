"""A benchmark worker for RedisJWT: reads jobs from stdin, one per line, prints "ok" when a job is done.

usage: worker_redis_jwt.py PORT

A job is a name and a count. The caller measures the time.
"""

import sys

import tokenstore

SECRET = "a secret of thirty-two bytes, yes"
BATCH = 1000


class Worker:
    def __init__(self, port):
        url = f"redis://127.0.0.1:{port}"
        self.single = tokenstore.RedisJWT(url, secret=SECRET)
        self.many = tokenstore.RedisJWT(self.single.client, secret=SECRET, multiple=True)
        self.token = self.many.sign("bob", ttl=36_000, data_session={"role": "admin"})

    def key(self, _count):
        """The session for `verify`."""
        return self.many.verify(self.token)["rjwt"]

    def fill(self, count):
        """Sessions of other users, as `sign` stores them."""
        commands = []
        for n in range(count):
            name = f"user{n}:ABCDEFGHIJK"
            commands.append(("SET", name, f'{{"rjwt":"{name}"}}', "EX", 36_000))
            commands.append(
                ("ZADD", f"rjwt-sessions/user{n}", 2**31, "0000000000000000ABCDEFGHIJK")
            )
        for start in range(0, len(commands), BATCH):
            self.many.client.pipeline(commands[start : start + BATCH])

    def verify(self, count):
        verify, token = self.many.verify, self.token
        for _ in range(count):
            verify(token)

    def sign(self, count):
        for _ in range(count):
            self.single.sign("alice", ttl=3600)

    def list(self, count):
        for _ in range(count):
            self.many.list("bob")

    def destroy(self, count):
        sessions = self.many
        for _ in range(count):
            sessions.destroy(sessions.verify(sessions.sign("carol"))["rjwt"])


def main():
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        name, count = line.split()
        answer = getattr(worker, name)(int(count))
        print("ok", answer or "", flush=True)


if __name__ == "__main__":
    main()
