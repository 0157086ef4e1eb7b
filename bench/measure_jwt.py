"""JWTs: against PyJWT, which does all the work in Python, and against the bare primitive."""

import base64
import subprocess
import sys
from pathlib import Path

from harness import ROOT, Worker, stop_all, turns
from worker_jwt import CLAIMS

RAW = ROOT / "build/bench/raw_verify"
ED25519_PREFIX = 12  # bytes of DER before the key itself (RFC 8410)


def make_tokens(directory):
    """For each algorithm the public key, a token, and the input of the bare primitive."""
    from tokenstore import jwt

    for name, algorithm, kind in (
        ("rs256", "RS256", ("RSA", "-pkeyopt", "rsa_keygen_bits:2048")),
        ("eddsa", "EdDSA", ("ed25519",)),
    ):
        private = subprocess.run(
            ["openssl", "genpkey", "-algorithm", *kind], check=True, capture_output=True
        ).stdout
        public = subprocess.run(
            ["openssl", "pkey", "-pubout"], input=private, check=True, capture_output=True
        ).stdout
        token = jwt.encode(CLAIMS, jwt.Key.from_pem(private), algorithm=algorithm)
        text, _, signature = token.rpartition(".")
        (directory / f"{name}.pem").write_bytes(public)
        (directory / f"{name}.jwt").write_text(token)
        (directory / f"{name}.text").write_text(text)
        (directory / f"{name}.signature").write_bytes(base64.urlsafe_b64decode(signature + "=="))
    der = base64.b64decode("".join((directory / "eddsa.pem").read_text().splitlines()[1:-1]))
    (directory / "eddsa.key").write_bytes(der[ED25519_PREFIX:])


def worker(kind, directory):
    return Worker(
        kind, sys.executable, str(Path(__file__).parent / "worker_jwt.py"), kind, directory
    )


def measure(table, directory, rounds, count):
    directory = Path(directory)
    make_tokens(directory)
    ours, theirs = worker("tokenstore", directory), worker("pyjwt", directory)
    for job in ("decode", "encode"):
        a, b, ratio = turns(
            rounds,
            lambda j=job: ours.do(f"{j}_hs256", 10 * count),
            lambda j=job: theirs.do(f"{j}_hs256", count),
        )
        table.add(
            f"jwt.{job}/s, HS256, Python, against PyJWT",
            10 * count / a,
            count / b,
            10 * b / a,
            (">=", 10),
            unit="/s",
        )
    files = [
        f"{name}.{part}"
        for name, key in (("rs256", "pem"), ("eddsa", "key"))
        for part in (key, "text", "signature")
    ]
    raw = Worker("raw", str(RAW), *(str(directory / file) for file in files))
    for job, what in (
        ("rs256", "RS256, Python, against OpenSSL's verify"),
        ("eddsa", "EdDSA, Python, against libsodium's verify"),
    ):
        a, b, ratio = turns(
            rounds, lambda j=job: ours.do(f"decode_{j}", count), lambda j=job: raw.do(j, count)
        )
        table.add(f"jwt.decode, {what}", a / count * 1e6, b / count * 1e6, ratio, ("<=", 1.3))
    stop_all()
