"""Access tokens from a real authorization server, by client_secret_post and by private_key_jwt.

The server is oidc-provider from npm, as tests/oauth starts it; `scripts/setup test` brings it. Where it is not there
this says so.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from tokenstore import Spike, jwt

SERVER = Path(__file__).resolve().parent.parent / "tests/oauth"
AUDIENCE = "https://api.example/orders"
SECRET = "a secret that both sides know"


def new_key(kid):
    command = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    return jwt.Key.from_pem(subprocess.run(command, check=True, capture_output=True).stdout, kid=kid)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def main():
    if shutil.which("node") is None or not (SERVER / "node_modules/oidc-provider").is_dir():
        print("no authorization server here: scripts/setup test brings one from npm")
        return
    ours, theirs, port = new_key("ours"), new_key("theirs"), free_port()
    url = f"http://127.0.0.1:{port}"
    clients = [
        {"client_id": "by-secret", "token_endpoint_auth_method": "client_secret_post", "client_secret": SECRET},
        {"client_id": "by-key", "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [ours.to_jwk()]}},
    ]
    options = {"issuer": url, "port": port, "clients": clients, "jwks": {"keys": [theirs.to_jwk(private=True)]}}
    command = ["node", str(SERVER / "provider.mjs"), json.dumps(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            if not any(line == "ready\n" for line in server.stdout):
                sys.exit("the authorization server did not start")
            for name, shown in (
                ("by-secret", {"client_auth": "post", "client_secret": SECRET}),
                ("by-key", {"client_auth": "private_key_jwt", "client_key": ours}),
            ):
                with Spike(url, name, jwks_url=url + "/.well-known/jwks.json", issuer=url, **shown) as spike:
                    token = spike.get_token(AUDIENCE)
                claims = jwt.decode(token, theirs, ["RS256"], audience=AUDIENCE, issuer=url)
                left = claims["exp"] - time.time()
                print(f"{shown['client_auth']:16} {claims['client_id']} may ask {claims['aud']} for {left:.0f} s")
        finally:
            server.kill()


main()
