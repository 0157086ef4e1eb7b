"""Against a real OAuth 2.0 server: audiences, formats, rotation, restarts, sharing through Redis."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

import tokenstore
from authorization import CLIENT_ID, CLIENT_SECRET, Provider, new_key, provider
from servers import Server
from tokenstore import Spike, jwt

A, B, C = "https://api.example/a", "https://api.example/b", "https://api.example/c"
OPAQUE = "https://api.example/opaque"
HASH = "spike-tokens-for-clientId-" + CLIENT_ID


def spike(server: Provider, **options: object) -> Spike:
    if options.get("token_format") != "opaque":
        options.setdefault("jwks_url", server.jwks_url)
    return Spike(server.url, CLIENT_ID, CLIENT_SECRET, **options)  # type: ignore[arg-type]


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    loaded: dict[str, object] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return loaded


def test_a_token_for_each_audience_is_fetched_once(authority_server: Provider) -> None:
    with spike(authority_server) as s:
        tokens = [s.get_token(audience) for audience in (A, B, C)]
        assert [claims(t)["aud"] for t in tokens] == [A, B, C]
        assert [s.get_token(audience) for audience in (A, B, C)] == tokens
    assert sorted(authority_server.issued) == [A, B, C]


def test_opaque_tokens(authority_server: Provider) -> None:
    with spike(authority_server, token_format="opaque") as s:
        token = s.get_token(OPAQUE)
        assert "." not in token
        assert s.get_token(OPAQUE) == token
    assert authority_server.issued == [OPAQUE]


def test_initialize_fetches_the_key(authority_server: Provider) -> None:
    s = spike(authority_server)
    assert not s.is_initialized()
    s.initialize()
    s.initialize()
    assert s.is_initialized()
    s.close()
    s.close()
    assert not s.is_initialized()
    with pytest.raises(tokenstore.Error, match="closed"):
        s.get_token(A)


def test_a_wrong_secret_is_refused_and_not_sent_again(authority_server: Provider) -> None:
    with Spike(
        authority_server.url, CLIENT_ID, "wrong-canary", jwks_url=authority_server.jwks_url
    ) as s:
        with pytest.raises(tokenstore.SpikeAuthError, match="401 invalid_client") as caught:
            s.get_token(A)
        assert "canary" not in str(caught.value)
        with pytest.raises(tokenstore.SpikeAuthError, match="a moment ago"):
            s.get_token(B)
    assert authority_server.refused == ["invalid_client"]


def test_a_refused_audience_says_nothing_of_others(authority_server: Provider) -> None:
    with spike(authority_server) as s:
        with pytest.raises(tokenstore.SpikeAuthError, match="400 invalid_target"):
            s.get_token("no-url")
        assert s.get_token(A)


def only_own(redis: Server) -> bytes:
    """The name of our HASH, beside the Node package's."""
    (own,) = redis("KEYS", "*:own:*")
    assert isinstance(own, bytes)
    return own


def test_the_hash_is_the_one_that_the_node_package_has(
    authority_server: Provider, redis: Server
) -> None:
    with spike(authority_server, redis=redis.url) as s:
        token = s.get_token(A)
    assert redis("HGETALL", HASH) == [A.encode(), token.encode()]
    assert redis("PTTL", HASH) == -1  # it may contain other tokens, which live longer
    own = only_own(redis)
    assert 50_000 < redis("PTTL", own) <= 60_000
    assert sorted(redis.keys()) == [HASH.encode(), own]  # the lock is gone


def test_a_stored_token_is_verified_and_used(authority_server: Provider, redis: Server) -> None:
    with spike(authority_server) as s:
        token = s.get_token(A)
    authority_server.issued.clear()
    redis("HSET", HASH, A, token)  # like another process, or the Node package
    with spike(authority_server, redis=redis.url) as s:
        assert s.get_token(A) == token
    assert authority_server.issued == []


@pytest.mark.parametrize("what", ["garbage", "other audience", "broken signature"])
def test_a_stored_token_that_is_no_good_is_replaced(
    authority_server: Provider, redis: Server, what: str
) -> None:
    with spike(authority_server) as s:
        stored = {
            "garbage": "*",
            "other audience": s.get_token(B),
            "broken signature": s.get_token(A)[:-4] + "AAAA",
        }[what]
    redis("HSET", HASH, A, stored)
    with spike(authority_server, redis=redis.url) as s:
        token = s.get_token(A)
    assert token != stored
    assert redis("HGET", HASH, A) == token.encode()


def test_opaque_tokens_are_shared_with_their_end(authority_server: Provider, redis: Server) -> None:
    with spike(authority_server, redis=redis.url, token_format="opaque") as s:
        token = s.get_token(OPAQUE)
    field, text = redis("HGETALL", only_own(redis))
    assert len(field) == 28  # a digest
    end, _, stored = text.decode().partition(":")
    assert stored == token
    assert abs(int(end) / 1000 - time.time() - 60) < 5
    with spike(authority_server, redis=redis.url, token_format="opaque") as s:
        assert s.get_token(OPAQUE) == token
    assert authority_server.issued == [OPAQUE]


def test_invalidate_forgets_the_one_token_here_and_in_redis(
    authority_server: Provider, redis: Server
) -> None:
    with spike(authority_server, redis=redis.url) as s:
        first = s.get_token(A)
        s.invalidate(A, "another")
        assert s.get_token(A) == first
        s.invalidate(A, first)
        assert redis("HGET", HASH, A) is None
        assert s.get_token(A) != first
    assert authority_server.issued == [A, A]


def test_invalidate_forgets_an_opaque_token_too(authority_server: Provider, redis: Server) -> None:
    with spike(authority_server, redis=redis.url, token_format="opaque") as s:
        first = s.get_token(OPAQUE)
        s.invalidate(OPAQUE, "another")
        assert redis("HLEN", only_own(redis)) == 1
        s.invalidate(OPAQUE, first)
        assert redis.keys() == []
        assert s.get_token(OPAQUE) != first
    assert authority_server.issued == [OPAQUE, OPAQUE]


def test_the_server_may_restart_with_other_keys(redis: Server) -> None:
    options = {"redis": redis.url, "retry": {"min": 0.01, "max": 0.02}}
    with provider(ttl=60) as server, spike(server, expiration_offset=58.5, **options) as s:
        first = s.get_token(A)
        server.stop()
        assert s.get_token(A) == first  # still valid
        time.sleep(1.6)
        with pytest.raises(tokenstore.SpikeError, match=r"after 4 tries in .* s; last error: "):
            s.get_token(A)
        server.restart([new_key("k2")])
        time.sleep(1.1)  # the failure is kept for a second
        renewed = s.get_token(A)  # signed with a new key
        assert renewed != first
        with spike(server, **options) as another:
            assert another.get_token(A) == renewed


def test_threads_share_one_fetch(authority_server: Provider) -> None:
    with spike(authority_server) as s:
        barrier = threading.Barrier(64)
        found: list[str] = []

        def ask() -> None:
            barrier.wait()
            found.append(s.get_token(A))

        threads = [threading.Thread(target=ask) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 64
    assert len(set(found)) == 1
    assert authority_server.issued == [A]


def test_redis_may_be_down(authority_server: Provider, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tokenstore.spike")
    with spike(authority_server, redis="redis://127.0.0.1:1") as s:
        assert s.get_token(A) == s.get_token(A)
    assert "continuing without Redis" in caplog.text
    assert authority_server.issued == [A]


def test_redis_may_hang(authority_server: Provider, redis: Server) -> None:
    from servers import paused

    with spike(authority_server, redis=redis.url) as s, paused(redis):
        begin = time.monotonic()
        assert s.get_token(A)
        assert time.monotonic() - begin < 8  # the client's own timeout is twenty


def test_a_forked_child_has_its_own(authority_server: Provider) -> None:
    with spike(authority_server) as s:
        s.get_token(A)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(write, s.get_token(A).encode())
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            token = pipe.read().decode()
        assert os.waitpid(pid, 0)[1] == 0
        assert claims(token)["aud"] == A
        assert s.get_token(A)


def test_nothing_shows_a_secret(
    authority_server: Provider, redis: Server, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    with spike(authority_server, redis=redis.url) as s:
        token = s.get_token(A)
        shown = repr(s) + str(vars(s).keys())
    assert token not in caplog.text + shown
    assert "canary" not in caplog.text + shown


def test_a_service_checks_such_tokens_with_the_servers_keys() -> None:
    """The API side: it verifies the tokens, over a key rotation and while the server is down."""
    with provider() as server, jwt.KeySet.from_url(server.jwks_url) as keys, spike(server) as s:
        algorithms = ["RS256"]
        token = s.get_token(A)
        assert jwt.decode(token, keys, algorithms, audience=A, issuer=server.url)["aud"] == A
        server.restart([new_key("k2")])
        renewed = s.get_token(B)
        assert jwt.decode(renewed, keys, algorithms, audience=B, issuer=server.url)["aud"] == B
        with pytest.raises(tokenstore.InvalidTokenError):
            jwt.decode(token, keys, algorithms, audience=A)  # its key was removed
        server.stop()
        assert jwt.decode(renewed, keys, algorithms, audience=B)["aud"] == B
