"""A benchmark worker that encodes and decodes JWTs: reads jobs from stdin, prints "ok" when a job is done.

usage: worker_jwt.py tokenstore|pyjwt DIRECTORY

The directory contains the files of `measure_jwt.py`. A job is a name and a count.
"""

import sys
from pathlib import Path

SECRET = "0123456789abcdef0123456789abcdef"
CLAIMS = {"sub": "user-4711", "iat": 1700000000, "exp": 4102444800}


class Tokenstore:
    def __init__(self, directory):
        from tokenstore import jwt

        self.jwt = jwt
        self.secret = jwt.Key.from_secret(SECRET)
        self.token = jwt.encode(CLAIMS, self.secret, algorithm="HS256")
        self.rsa = jwt.Key.from_pem((directory / "rs256.pem").read_bytes())
        self.ed25519 = jwt.Key.from_pem((directory / "eddsa.pem").read_bytes())
        self.rs256 = (directory / "rs256.jwt").read_text()
        self.eddsa = (directory / "eddsa.jwt").read_text()

    def decode_hs256(self, count):
        decode, token, secret = self.jwt.decode, self.token, self.secret
        for _ in range(count):
            decode(token, secret, algorithms=["HS256"])

    def encode_hs256(self, count):
        encode, secret = self.jwt.encode, self.secret
        for _ in range(count):
            encode(CLAIMS, secret, algorithm="HS256")

    def decode_rs256(self, count):
        decode, token, key = self.jwt.decode, self.rs256, self.rsa
        for _ in range(count):
            decode(token, key, algorithms=["RS256"])

    def decode_eddsa(self, count):
        decode, token, key = self.jwt.decode, self.eddsa, self.ed25519
        for _ in range(count):
            decode(token, key, algorithms=["EdDSA"])


class PyJWT:
    def __init__(self, _directory):
        import jwt

        self.jwt = jwt
        self.token = jwt.encode(CLAIMS, SECRET, algorithm="HS256")

    def decode_hs256(self, count):
        decode, token = self.jwt.decode, self.token
        for _ in range(count):
            decode(token, SECRET, algorithms=["HS256"])

    def encode_hs256(self, count):
        encode = self.jwt.encode
        for _ in range(count):
            encode(CLAIMS, SECRET, algorithm="HS256")


def main():
    kind, directory = sys.argv[1:]
    worker = {"tokenstore": Tokenstore, "pyjwt": PyJWT}[kind](Path(directory))
    for line in sys.stdin:
        name, count = line.split()
        getattr(worker, name)(int(count))
        print("ok", flush=True)


if __name__ == "__main__":
    main()
