"""All keys of a client are in one slot of a cluster, so that scripts may change them together."""

from __future__ import annotations

import logging

import pytest

import tokenstore
from authorization import Answer, Asked, Signer, endpoint, granted
from clusters import slot_of
from servers import Server
from tokenstore import Spike

NAMES = ["spike-tokens-for-clientId-", "{tag}", "a{tag}b{c}", "a{b", "{", "{{tag}"]


@pytest.mark.parametrize("name", NAMES)
def test_tokens_are_shared_on_a_cluster(slots: Server, name: str, caplog: pytest.LogCaptureFixture) -> None:
    slots("FLUSHALL")
    signer = Signer()
    seen: set[bytes] = set()

    def answer(asked: Asked) -> Answer:
        seen.update(slots.keys())
        if asked.method == "GET":
            return signer.answer(asked)
        audience = asked.form["audience"]
        if audience == "none":
            return Answer(503, headers={"Retry-After": "60"})
        if audience == "bad":
            return Answer(500)
        return granted(signer.token(audience, sub="id")) if audience == "signed" else granted()

    options = {"redis": slots.url, "token_key_prefix": name, "retry": {"retries": 0}}
    with endpoint(answer) as server, caplog.at_level(logging.WARNING, "tokenstore"):
        for _ in range(2):  # the second time from Redis
            with Spike(server.url, "id", "secret", token_format="opaque", **options) as s:
                assert s.get_token("opaque") == "opaque-token"
            with Spike(server.url, "id", "secret", **options) as s:
                token = s.get_token("signed")
        assert len(server.tokens_asked) == 2
        assert slots("HVALS", name + "id") == [token.encode()]
        with Spike(server.url, "id", "secret", **options) as s:
            assert s.get_token("signed") == token
            for audience in ("bad", "none"):
                with pytest.raises(tokenstore.SpikeError):
                    s.get_token(audience)
            seen.update(slots.keys())
            s.invalidate("signed", token)
    assert not slots("EXISTS", name + "id")
    assert {slot_of(key) for key in seen} == {slot_of(name + "id")}
    for kind in (b":own:", b":lock:", b":failed:", b":barred:"):
        assert any(kind in key for key in seen), kind
    assert not [line for line in caplog.messages if "without Redis" in line]
