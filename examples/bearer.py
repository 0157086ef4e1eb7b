"""One service calls another with an access token, which is fetched once and cached.

Runs on $SPIKE_URL, which `python examples/spike_server.py` prints, and shares its tokens with other processes
through $TOKENSTORE_URL, if that is set.
"""

import json
import os
import urllib.error
import urllib.request

import tokenstore

URL = os.environ["SPIKE_URL"]
AUDIENCE = "https://hello.example"

spike = tokenstore.Spike(
    URL,
    os.environ.get("SPIKE_CLIENT_ID", "my-client"),
    os.environ.get("SPIKE_CLIENT_SECRET", "my-secret"),
    jwks_url=URL + "/.well-known/jwks.json",
    redis=os.environ.get("TOKENSTORE_URL"),
)


def ask(path, token):
    request = urllib.request.Request(URL + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def call(path):
    """Sends the current token. If the service rejects it, it is forgotten, and another is tried once."""
    token = spike.get_token(AUDIENCE)
    try:
        return ask(path, token)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 401:
            raise
    spike.invalidate(AUDIENCE, token)
    return ask(path, spike.get_token(AUDIENCE))


with spike:
    assert call("/hello") == {"hello": "my-client"}
    token = spike.get_token(AUDIENCE)
    assert spike.get_token(AUDIENCE) == token  # from memory, without a request
    print("the service said hello")

    try:
        tokenstore.Spike(URL, "my-client", "wrong", token_format="opaque").get_token(AUDIENCE)
    except tokenstore.SpikeAuthError as error:
        print("refused:", error)
    else:
        raise AssertionError("a wrong secret was taken")
