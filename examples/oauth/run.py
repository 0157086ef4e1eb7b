"""The Spike part of `make demo`: access tokens from a real OAuth 2.0 server, oidc-provider from npm.

The server publishes its metadata, so Spike needs only its address and the client's credentials.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tokenstore import Spike, jwt

HERE = Path(__file__).parent
API = "https://orders.example"


def say(what, text):
    print(f"  {what:<10} {text}")


def fetch(issuer, client, **options):
    """Fetches one token and prints the claims that the API reads, verified with the server's keys."""
    with Spike.discover(issuer, client, audience_parameter="resource", **options) as spike:
        token = spike.get_token(API, scope="read")
        again = spike.get_token(API, scope="read")
    keys = jwt.KeySet.from_url(issuer + "/jwks")
    claims = jwt.decode(token, keys, ["ES256"], audience=API, issuer=issuer)
    say("fetched", f"by {claims['client_id']}, for {claims['aud']}, to {claims['scope']}")
    say("kept", f"the next call finds it in memory: {again == token}")


def in_lua(interpreter, issuer, client_key):
    """The key is passed by stdin, which no process list shows."""
    print(f" the same in {interpreter}", flush=True)
    subprocess.run(
        [interpreter, str(HERE / "client.lua")],
        input=json.dumps(client_key),
        text=True,
        check=True,
        env={**os.environ, "ISSUER": issuer},
    )


def main():
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "oidc-provider").is_dir():
        print("npm's oidc-provider is not here: Spike's part is left out")
        return
    server = subprocess.Popen(
        [node, str(HERE / "provider.mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = server.stdout.readline()
        if not line:
            sys.exit("the authorization server did not start: node examples/oauth/provider.mjs says why")
        given = json.loads(line)
        print(f"Access tokens from oidc-provider, an OAuth 2.0 server from npm, at {given['issuer']}:")
        print(" client_secret_post: the secret is a parameter")
        fetch(given["issuer"], "by-secret", client_secret=given["secret"])
        print(" private_key_jwt: an assertion, signed for this one request; no secret leaves the client")
        fetch(given["issuer"], "by-key", client_key=given["clientKey"])
        for interpreter in filter(shutil.which, ("lua5.4", "luajit")):
            in_lua(interpreter, given["issuer"], given["clientKey"])
    finally:
        server.stdin.close()
        server.wait(10)


if __name__ == "__main__":
    main()
