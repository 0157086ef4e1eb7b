"""Authorization servers from npm and PyPI, each in a separate process on loopback, and their features.

Missing features are listed with the reason; test_matrix.py checks that those are rejected.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import string
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, get_args

from joserfc import jwt
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from certs import CLIENT, LOCAL, SERVER, Authority, self_signed
from servers import _die_with_parent, free_port
from tokenstore.spike import ClientAuth

HERE = Path(__file__).parent
METHODS: tuple[str, ...] = get_args(ClientAuth)
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
FORMATS = ("jwt", "opaque")

# Secrets for a server that decodes Basic credentials, and for one that does not. Both are long enough for
# HS256.
ODD = "s e+c/r%et:&=~ of more than 32 bytes-canary"
PLAIN = "a_secret-of.RFC-3986~s.unreserved.letters-canary"


# OSpike's alphabet of ids and secrets.
OSPIKE = string.ascii_letters + string.digits + "-._~"


def drawn(count: int) -> dict[str, str]:
    """Random ids with their secrets."""
    return {_word(24): _word(48) for _ in range(count)}


def _word(size: int) -> str:
    return "".join(secrets.choice(OSPIKE) for _ in range(size))


def new_key(algorithm: str, kid: str = "") -> dict[str, Any]:
    """A private key as JWK."""
    key: Any
    if algorithm == "EdDSA":
        key = OKPKey.generate_key("Ed25519")
    elif algorithm.startswith("ES"):
        key = ECKey.generate_key({"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm])
    else:
        key = RSAKey.generate_key(2048)
    return {**key.as_dict(private=True), "kid": kid or algorithm, "alg": algorithm, "use": "sig"}


def new_keys(suffix: str = "") -> list[dict[str, Any]]:
    """One for each family of algorithms; an RSA key supports six."""
    keys = [new_key(alg, alg + suffix) for alg in ("RS256", "ES256", "ES384", "ES512", "EdDSA")]
    return [{name: value for name, value in key.items() if name != "alg"} for key in keys]


def public(key: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in key.items() if name not in ("d", "p", "q", "dp", "dq", "qi")
    }


class RealServer:
    """A server. `takes`: the options for each supported method; `lacks`: why the others are not supported."""

    name: ClassVar[str]
    command: ClassVar[list[str]]
    token_path: ClassVar[str] = "/oauth2/token"
    jwks_path: ClassVar[str] = "/.well-known/jwks.json"
    parameter: ClassVar[str] = "audience"  # the parameter for the audience
    methods: ClassVar[tuple[str, ...]]  # a suffix distinguishes variants
    lacks: ClassVar[dict[str, str]] = {}
    formats: ClassVar[tuple[str, ...]] = FORMATS
    lacks_formats: ClassVar[dict[str, str]] = {}
    algorithms: ClassVar[tuple[str, ...]] = ()  # of access tokens
    lacks_algorithms: ClassVar[str] = ""
    assertions: ClassVar[tuple[str, ...]] = ()  # algorithms of assertions
    lacks_metadata: ClassVar[str] = ""

    def __init__(self, clients: dict[str, str] | None = None) -> None:
        """`clients`: further ones, of method basic, with their secrets."""
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="ts-oauth-"))
        self.more = clients or {}
        self.takes: dict[str, dict[str, Any]] = {}
        self.process: subprocess.Popen[str] | None = None
        self.output: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        """`iss` of its tokens, and the URL of its metadata."""
        return self.url

    def config(self) -> dict[str, Any]:
        """The configuration of its program."""
        raise NotImplementedError

    def audience(self, kind: str, name: str = "a") -> str:
        """An audience with tokens of this kind: "opaque", "jwt", or the name of an algorithm."""
        return f"https://api.example/{name}/{'RS256' if kind == 'jwt' else kind}"

    def options(self, method: str = "basic") -> dict[str, Any]:
        """Spike's options for this server and a client with this method."""
        options = {
            "url": self.url,
            "token_url": self.url + self.token_path,
            "jwks_url": self.url + self.jwks_path,
            "client_auth": method.split()[0],
            "audience_parameter": self.parameter,
            "retry": {"retries": 0, "total": 10},
            **self.takes[method],
        }
        if method == "client_assertion":
            key = json.loads(self.takes["private_key_jwt"]["client_key"])
            options["client_assertion_file"] = self.assertion(options["client_id"], key)
        return options

    def assertion(self, client: str, key: dict[str, Any]) -> str:
        """The name of a file with a new assertion, as issued elsewhere: each is valid once."""
        now = int(time.time())
        audience = self.url + self.token_path
        claims = {"iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + 60}
        header = {"alg": key["alg"], "kid": key["kid"]}
        text = jwt.encode(
            header, {**claims, "jti": secrets.token_hex(8)}, JWKRegistry.import_key(key)
        )
        file = self.directory / secrets.token_hex(8)
        file.write_text(text + "\n")
        return str(file)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*self.command, json.dumps(self.config())],
            cwd=HERE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_die_with_parent,
        )
        known = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(known, self.process), daemon=True)
        self._reader.start()
        if not known.wait(60) or "ready" not in self.output:
            self.stop()
            raise RuntimeError(f"{self.name} did not start:\n" + "\n".join(self.output[-20:]))

    def _read(self, known: threading.Event, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output.append(line.strip())
                if line == "ready\n":
                    known.set()
        known.set()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._reader.join()
            self.process = None

    def remove(self) -> None:
        """Removes its files, after the last stop."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def rotate(self) -> None:
        """Restarts it with new signing keys."""
        self.stop()
        self.new_keys()
        self.start()

    def new_keys(self) -> None:
        """The signing keys for the next start."""


class OidcProvider(RealServer):
    name = "oidc-provider"
    command = ["node", "provider.mjs"]
    methods = (
        "basic",
        "basic_raw",
        "post",
        "client_secret_jwt",
        "private_key_jwt",
        "client_assertion",
        "none",
        "auto",
    )
    lacks = {"tls": "a server that asks for certificates is another: OidcProviderOverTls"}
    algorithms = ALGORITHMS
    assertions = ("RS256", "PS256", "ES256", "EdDSA")

    def __init__(self, clients: dict[str, str] | None = None) -> None:
        super().__init__(clients)
        self.keys = new_keys()
        self.client_keys = {alg: new_key(alg, "client-" + alg) for alg in self.assertions}
        self.takes = {
            "basic": {"client_id": "basic: /+%~", "client_secret": ODD},
            "basic_raw": {"client_id": "basic-raw~", "client_secret": PLAIN},
            "post": {"client_id": "post: /+%~", "client_secret": ODD},
            "client_secret_jwt": {"client_id": "secret: /+%~", "client_secret": ODD},
            "private_key_jwt": {"client_id": "key: /+%~", "client_key": json.dumps(self.client_keys["RS256"])},
            "client_assertion": {"client_id": "assertion: /+%~"},
            "none": {"client_id": "public: /+%~"},
            "auto": {"client_id": "auto: /+%~", "client_secret": ODD},
        }  # fmt: skip

    def config(self) -> dict[str, Any]:
        names = {
            "basic": "client_secret_basic",
            "basic_raw": "client_secret_basic",
            "post": "client_secret_post",
            "client_assertion": "private_key_jwt",
            "auto": "client_secret_basic",
        }
        clients: list[dict[str, Any]] = []
        for method, options in self.takes.items():
            client = {
                "client_id": options["client_id"],
                "token_endpoint_auth_method": names.get(method, method),
            }
            if client["token_endpoint_auth_method"] == "private_key_jwt":
                client["jwks"] = {"keys": list(map(public, self.client_keys.values()))}
            elif "client_secret" in options:
                client["client_secret"] = options["client_secret"]
            clients.append(client)
        clients += [
            {
                "client_id": id,
                "client_secret": secret,
                "token_endpoint_auth_method": "client_secret_basic",
            }
            for id, secret in self.more.items()
        ]
        return {
            "issuer": self.url,
            "port": self.port,
            "jwks": {"keys": self.keys},
            "clients": clients,
        }

    def new_keys(self) -> None:
        self.keys = new_keys("-new")


class OidcProviderOverTls(OidcProvider):
    """With client certificates: one signed by a CA, and a self-signed one."""

    name = "oidc-provider over TLS"
    methods = ("tls", "tls self-signed")
    lacks = dict.fromkeys(OidcProvider.methods, "OidcProvider has it")
    assertions = ()

    def __init__(self, clients: dict[str, str] | None = None) -> None:
        RealServer.__init__(self, clients)
        self.keys = new_keys()
        self.authority = Authority(self.directory)
        self.pair = self.authority.sign("server", LOCAL, *SERVER)
        signed = self.authority.sign("client", *CLIENT)
        self.alone = self_signed(self.directory, "alone", *CLIENT)
        self.takes = {
            "tls": {"client_id": "signed", "cert": str(signed.cert), "key": str(signed.key)},
            "tls self-signed": {"client_id": "alone", "cert": str(self.alone.cert), "key": str(self.alone.key)},
        }  # fmt: skip

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def options(self, method: str = "tls") -> dict[str, Any]:
        return {**super().options(method), "ca": str(self.authority.cert)}

    def config(self) -> dict[str, Any]:
        certificate = "".join(self.alone.cert.read_text().splitlines()[1:-1])
        jwk = ECKey.import_key(self.alone.key.read_bytes()).as_dict(private=False)
        tls = {
            "key": str(self.pair.key),
            "cert": str(self.pair.cert),
            "ca": str(self.authority.cert),
        }
        clients = [
            {
                "client_id": "signed",
                "token_endpoint_auth_method": "tls_client_auth",
                "tls_client_auth_subject_dn": "CN=client",
            },
            {
                "client_id": "alone",
                "token_endpoint_auth_method": "self_signed_tls_client_auth",
                "jwks": {"keys": [{**jwk, "x5c": [certificate]}]},
            },
        ]
        return {
            "issuer": self.url,
            "port": self.port,
            "jwks": {"keys": self.keys},
            "clients": clients,
            "tls": tls,
        }


class MockServer(RealServer):
    name = "oauth2-mock-server"
    command = ["node", "mock_server.mjs"]
    token_path = "/token"
    jwks_path = "/jwks"
    methods = OidcProvider.methods
    lacks = {"tls": "it asks for no certificate"}
    algorithms = ALGORITHMS
    formats = ("jwt",)
    lacks_formats = {"opaque": "it makes JWTs alone"}

    def __init__(self, clients: dict[str, str] | None = None) -> None:
        super().__init__(clients)
        self.takes = {
            "basic": {"client_id": "me: /+%~", "client_secret": ODD},
            "basic_raw": {"client_id": "me~", "client_secret": ODD},
            "post": {"client_id": "me: /+%~", "client_secret": ODD},
            "client_secret_jwt": {"client_id": "me", "client_secret": ODD},
            "private_key_jwt": {"client_id": "me", "client_key": json.dumps(new_key("ES256"))},
            "client_assertion": {"client_id": "me"},
            "none": {"client_id": "me"},
            "auto": {"client_id": "me", "client_secret": ODD},
        }

    def config(self) -> dict[str, Any]:
        return {"port": self.port, "algorithms": self.algorithms}


class NodeOauth(RealServer):
    name = "@node-oauth/oauth2-server"
    command = ["node", "node_oauth.mjs"]
    methods = ("basic", "basic_raw", "post", "none", "auto")
    lacks = {
        "client_assertion": "it knows no assertions",
        "client_secret_jwt": "it knows no assertions",
        "private_key_jwt": "it knows no assertions",
        "tls": "it knows no certificates",
    }
    formats = ("opaque",)
    lacks_formats = {"jwt": "what a token looks like is its model's business; its own are opaque"}
    lacks_algorithms = "it signs nothing"
    lacks_metadata = "it is a library for the token endpoint alone"

    def __init__(self, clients: dict[str, str] | None = None) -> None:
        super().__init__(clients)
        self.takes = {
            "basic": {"client_id": "basic~", "client_secret": PLAIN},  # the server does not decode
            "basic_raw": {"client_id": "raw /+%~", "client_secret": ODD},
            "post": {"client_id": "post: /+%~", "client_secret": ODD},
            "none": {"client_id": "public: /+%~"},
            "auto": {"client_id": "auto~", "client_secret": PLAIN},
        }

    def config(self) -> dict[str, Any]:
        clients = [
            {name: options[name] for name in ("client_id", "client_secret") if name in options}
            for options in self.takes.values()
        ]
        clients += [{"client_id": id, "client_secret": secret} for id, secret in self.more.items()]
        return {"port": self.port, "clients": clients}


class Authlib(RealServer):
    name = "authlib"
    command = [sys.executable, "authlib_server.py"]
    methods = OidcProvider.methods
    lacks = {"tls": "it knows no certificates"}
    algorithms = ("RS256", "ES256")
    lacks_algorithms = (
        "its generator signs with what joserfc recommends, and that is RS256 and ES256"
    )
    assertions = ("RS256", "ES256")

    def __init__(self, clients: dict[str, str] | None = None) -> None:
        super().__init__(clients)
        self.keys = [new_key(algorithm) for algorithm in self.algorithms]
        self.client_keys = {alg: new_key(alg, "client-" + alg) for alg in self.assertions}
        self.takes = {
            "basic": {"client_id": "basic: /+%~", "client_secret": ODD},
            "basic_raw": {"client_id": "basic-raw~", "client_secret": PLAIN},
            "post": {"client_id": "post: /+%~", "client_secret": ODD},
            "client_secret_jwt": {"client_id": "secret: /+%~", "client_secret": ODD},
            "private_key_jwt": {"client_id": "key: /+%~", "client_key": json.dumps(self.client_keys["RS256"])},
            "client_assertion": {"client_id": "assertion: /+%~"},
            "none": {"client_id": "public: /+%~"},
            "auto": {"client_id": "auto: /+%~", "client_secret": ODD},
        }  # fmt: skip

    config = OidcProvider.config  # it uses the names of RFC 7591 too

    def new_keys(self) -> None:
        self.keys = [new_key(algorithm, algorithm + "-new") for algorithm in self.algorithms]


class Toolkit(RealServer):
    name = "django-oauth-toolkit"
    command = [sys.executable, "toolkit_server.py"]
    token_path = "/oauth2/token/"
    jwks_path = "/oauth2/.well-known/jwks.json"
    parameter = "resource"
    methods = ("basic", "basic_raw", "post", "auto")
    lacks = {
        "client_assertion": "it knows no assertions",
        "client_secret_jwt": "it knows no assertions",
        "private_key_jwt": "it knows no assertions",
        "tls": "it knows no certificates",
        "none": "its client credentials are for confidential clients",
    }
    algorithms = ("RS256",)
    lacks_algorithms = "it signs with OIDC_RSA_PRIVATE_KEY, by RS256"

    def __init__(self, clients: dict[str, str] | None = None) -> None:
        super().__init__(clients)
        self.keys = [RSAKey.generate_key(2048).as_pem(private=True).decode()]
        self.takes = {
            "basic": {"client_id": "basic: /+%~", "client_secret": ODD},
            "basic_raw": {"client_id": "basic-raw~", "client_secret": PLAIN},
            "post": {"client_id": "post: /+%~", "client_secret": ODD},
            "auto": {"client_id": "auto: /+%~", "client_secret": ODD},
        }

    @property
    def issuer(self) -> str:
        return self.url + "/oauth2"

    def config(self) -> dict[str, Any]:
        clients = {o["client_id"]: o["client_secret"] for o in self.takes.values()} | self.more
        listed = [{"client_id": id, "client_secret": secret} for id, secret in clients.items()]
        return {"port": self.port, "keys": self.keys, "clients": listed}

    def new_keys(self) -> None:
        """The old key stays in the JWKS, as the toolkit's documentation advises."""
        self.keys.insert(0, RSAKey.generate_key(2048).as_pem(private=True).decode())


SERVERS: tuple[type[RealServer], ...] = (
    OidcProvider,
    OidcProviderOverTls,
    MockServer,
    NodeOauth,
    Authlib,
    Toolkit,
)


def missing(kind: type[RealServer]) -> str | None:
    """Why it is not available; None: it is."""
    if kind.command[0] != "node":
        return None
    package = kind.name.split()[0]
    if shutil.which("node") is None or not os.path.isdir(HERE / "node_modules" / package):
        return f"no Node with {package} here: scripts/setup installs it"
    return None


@contextmanager
def running(kind: type[RealServer], **options: Any) -> Iterator[RealServer]:
    server = kind(**options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        server.remove()
