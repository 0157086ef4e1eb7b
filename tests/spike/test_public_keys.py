"""The public keys of a server: which are accepted, and when they are fetched again."""

from __future__ import annotations

import time

import pytest

import tokenstore
from authorization import Answer, Asked, Signer, endpoint, granted
from tokenstore import Spike

AUDIENCE = "https://api.example/a"
QUICK = {"retries": 2, "min": 0.01, "max": 0.02, "total": 2}


def test_a_key_set_with_a_secret_in_it_is_not_believed() -> None:
    secret = tokenstore.jwt.Key.from_secret(b"s" * 32)
    claims = {"aud": AUDIENCE, "iat": int(time.time()), "exp": int(time.time()) + 600}
    token = tokenstore.jwt.encode(claims, secret, algorithm="HS256")
    jwks = {"keys": [{"kty": "oct", "k": "c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M"}]}

    def answer(asked: Asked) -> Answer:
        return Answer(body=jwks) if asked.method == "GET" else granted(token)

    with endpoint(answer) as server:
        with Spike(server.url, "id", "secret", jwks_url=server.url + "/keys", retry=QUICK) as s:
            with pytest.raises(tokenstore.SpikeError):
                s.get_token(AUDIENCE)


def test_keys_are_fetched_once_more_and_no_oftener() -> None:
    """Otherwise an attacker in the server's place, or a broken server, could cause endless fetches."""
    signer, other = Signer(), Signer()

    def answer(asked: Asked) -> Answer:
        if asked.method == "GET":
            return signer.answer(asked)
        return granted(other.token(asked.form["audience"]))

    with endpoint(answer) as server:
        with Spike(server.url, "id", "secret", retry=QUICK) as s:
            for n in range(5):
                with pytest.raises(tokenstore.SpikeError, match="is invalid"):
                    s.get_token(f"{AUDIENCE}/{n}")
        keys = [a.path for a in server.asked if a.method == "GET"]
        assert keys == ["/.well-known/publickey.pem"] * 2


def test_keys_are_not_fetched_again_where_they_would_not_help() -> None:
    signer = Signer()

    def answer(asked: Asked) -> Answer:
        if asked.method == "GET":
            return signer.answer(asked)
        return granted(signer.token("another audience"))

    with endpoint(answer) as server:
        with Spike(server.url, "id", "secret", retry=QUICK) as s:
            for _ in range(3):
                with pytest.raises(tokenstore.SpikeError, match="audience"):
                    s.get_token(AUDIENCE)
        assert len([a for a in server.asked if a.method == "GET"]) == 1


def test_keys_may_change_several_times_in_a_row() -> None:
    signers = [Signer() for _ in range(4)]

    def answer(asked: Asked) -> Answer:
        return signers[0].answer(asked)

    with endpoint(answer) as server:
        with Spike(server.url, "id", "secret", retry=QUICK) as s:
            while signers:
                assert s.get_token(f"https://api.example/{len(signers)}")
                signers.pop(0)
        assert len([a for a in server.asked if a.method == "GET"]) == 4


def test_a_server_without_usable_keys() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(body={"keys": []}) if asked.method == "GET" else granted("a.b.c")

    with endpoint(answer) as server:
        with Spike(server.url, "id", "secret", jwks_url=server.url + "/keys", retry=QUICK) as s:
            with pytest.raises(tokenstore.SpikeError, match="no usable public key"):
                s.get_token(AUDIENCE)
        assert [a.method for a in server.asked] == ["POST", "GET"]
        assert server.asked[1].path == "/keys"
