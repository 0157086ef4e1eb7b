"""Certificates for the tests, made by the openssl program in the test's directory."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
SERVER = ("extendedKeyUsage=serverAuth", "keyUsage=digitalSignature")
CLIENT = ("extendedKeyUsage=clientAuth", "keyUsage=digitalSignature")
CA = ("basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign,cRLSign")
LOCAL = "subjectAltName=IP:127.0.0.1,DNS:localhost"
OTHER_HOST = "subjectAltName=DNS:other.example,IP:127.0.0.2"


def openssl(*arguments: str | Path) -> None:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")


@dataclass
class Pair:
    """A certificate (with the chain that the server sends) and its key."""

    cert: Path
    key: Path


class Authority:
    """A CA that signs any certificate, good or bad."""

    def __init__(self, directory: Path, name: str = "ca", parent: Authority | None = None) -> None:
        self.directory = directory
        self.name = name
        if parent is None:
            self.pair = self_signed(directory, name, *CA)
        else:
            self.pair = parent.sign(name, *CA)

    @property
    def cert(self) -> Path:
        return self.pair.cert

    def sign(
        self,
        name: str,
        *extensions: str,
        dates: tuple[str, str] | None = None,
        key: tuple[str, ...] = EC,
        digest: str = "-sha256",
        subject: str | None = None,
    ) -> Pair:
        """`dates`: notBefore and notAfter as YYYYMMDDHHMMSSZ; otherwise valid for ten days."""
        pair = Pair(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        request = self.directory / f"{name}.csr"
        openssl("req", *key, "-nodes", "-keyout", pair.key, "-out", request,
                "-subj", f"/CN={subject or name}")  # fmt: skip
        config = self.directory / f"{name}.cnf"
        config.write_text(
            "[ca]\ndefault_ca=d\n[d]\n"
            f"database={config}.index\nnew_certs_dir={self.directory}\nrand_serial=yes\n"
            "policy=p\nunique_subject=no\n[p]\ncommonName=supplied\n[x]\n"
            + "\n".join(extensions)
            + "\n"
        )
        Path(f"{config}.index").touch()
        period = ("-startdate", dates[0], "-enddate", dates[1]) if dates else ("-days", "10")
        openssl("ca", "-batch", "-notext", "-config", config, "-extensions", "x", *period,
                "-md", digest.lstrip("-"), "-cert", self.pair.cert, "-keyfile", self.pair.key,
                "-in", request, "-out", pair.cert)  # fmt: skip
        return pair


def self_signed(directory: Path, name: str, *extensions: str) -> Pair:
    pair = Pair(directory / f"{name}.pem", directory / f"{name}.key")
    added = [word for e in extensions for word in ("-addext", e)]
    openssl("req", "-x509", *EC, "-nodes", "-days", "10", "-sha256", "-subj", f"/CN={name}",
            *added, "-keyout", pair.key, "-out", pair.cert)  # fmt: skip
    return pair


class Pki:
    """A trusted CA, an untrusted one, and their certificates."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca = Authority(directory, "ca")
        stranger = Authority(directory, "stranger")
        middle = Authority(directory, "middle", self.ca)
        self.stranger = stranger
        self.good = self.ca.sign("good", LOCAL, *SERVER)
        missing = middle.sign("missing", LOCAL, *SERVER)
        self.chained = Pair(directory / "chained.pem", missing.key)
        self.chained.cert.write_bytes(missing.cert.read_bytes() + middle.cert.read_bytes())
        self.middle = middle
        self.bad = {
            "expired": self.ca.sign(
                "expired", LOCAL, *SERVER, dates=("20200101000000Z", "20210101000000Z")
            ),
            "not yet valid": self.ca.sign(
                "future", LOCAL, *SERVER, dates=("20900101000000Z", "20910101000000Z")
            ),
            "wrong host": self.ca.sign("host", OTHER_HOST, *SERVER),
            "unknown CA": stranger.sign("unknown", LOCAL, *SERVER),
            "self-signed": self_signed(directory, "self", LOCAL, *SERVER),
            "wrong EKU": self.ca.sign("eku", LOCAL, *CLIENT),
            "missing intermediate": missing,
        }

    def file(self, name: str) -> Path:
        return self.directory / name
