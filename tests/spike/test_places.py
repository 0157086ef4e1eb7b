"""The keys of tokens in Redis: shared with the Node packages, never with another client."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

import tokenstore
from authorization import Answer, Asked, Endpoint, Signer, endpoint, granted
from lua_process import Lua, get, quote
from servers import Server
from tokenstore import Spike, get_token_creator

AUDIENCE = "https://api.example/a"
HASH = "spike-tokens-for-clientId-id"


class Authority(Signer):
    """A server whose tokens contain the client and the issuer, like OSpike; `claims` overrides them."""

    def __init__(self, **claims: Any) -> None:
        super().__init__()
        self.claims = claims

    def answer(self, asked: Asked) -> Answer:
        if asked.method == "GET":
            return super().answer(asked)
        claims = {"sub": asked.basic[0], "jti": str(time.monotonic_ns()), **self.claims}
        given = {name: value for name, value in claims.items() if value is not None}
        return granted(self.token(asked.form["audience"], **given))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(params=["named", "nameless"])
def either(request: pytest.FixtureRequest, authority: Authority) -> Authority:
    """Servers whose tokens contain the client, and ones whose tokens do not."""
    nameless = Authority(sub=None)
    return authority if request.param == "named" else nameless


def client_of(token: str) -> Any:
    """The client in a token."""
    return jwt_claims(token).get("sub")


def jwt_claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def creator(server: Endpoint, redis: Server, **options: Any) -> str:
    given = {"ClientId": "id", "ClientSecret": "s", "spikeURL": server.url, "tokenAudience": AUDIENCE,
             "useRedis": True, "redisHost": redis.url, **options}  # fmt: skip
    with get_token_creator(given) as get_token:
        return get_token()


def spike(server: Endpoint, redis: Server, client: str = "id", **options: Any) -> str:
    with Spike(server.url, client, "s", redis=redis.url, **options) as s:
        return s.get_token(AUDIENCE)


# ---- get_token_creator: tokenRedisKeyName -----------------------------------------------------------------


def test_the_name_is_a_prefix_and_a_string(authority: Authority, redis: Server) -> None:
    """spike-token-manager has a HASH <name><client>, spike-get-token a STRING <name>."""
    with endpoint(authority.answer) as server:
        token = creator(server, redis, tokenRedisKeyName="tokens")
        assert redis("HGETALL", "tokensid") == [AUDIENCE.encode(), token.encode()]
        assert redis("GET", "tokens") == token.encode()
        assert 3_590_000 < redis("PTTL", "tokens") <= 3_600_000
        assert creator(server, redis, tokenRedisKeyName="tokens") == token
        assert len(server.tokens_asked) == 1


def test_redis_key_and_redis_string(authority: Authority, redis: Server, lua: Lua) -> None:
    """The same by Spike's own options, in both languages."""
    places = {"redis_key": "hash", "redis_string": "string"}
    with endpoint(authority.answer) as server:
        token = spike(server, redis, **places)
        assert redis("HGETALL", "hash") == [AUDIENCE.encode(), token.encode()]
        assert redis("GET", "string") == token.encode()
        redis("DEL", "hash")
        options = {"url": server.url, "client_id": "id", "client_secret": "s", "redis": redis.url, **places}
        lua(f"spike = assert(tokenstore.Spike({quote(options)}))")
        assert lua(get(AUDIENCE)) == token
        assert len(server.tokens_asked) == 1


def test_what_spike_token_manager_stored_is_used(authority: Authority, redis: Server) -> None:
    with endpoint(authority.answer) as server:
        token = authority.token(AUDIENCE, sub="id")
        redis("HSET", "tokensid", AUDIENCE, token)
        assert creator(server, redis, tokenRedisKeyName="tokens") == token
        assert server.tokens_asked == []


def test_what_spike_get_token_stored_is_used(authority: Authority, redis: Server) -> None:
    with endpoint(authority.answer) as server:
        token = authority.token(AUDIENCE, sub="id")
        redis("SET", "tokens", token)
        assert creator(server, redis, tokenRedisKeyName="tokens") == token
        assert server.tokens_asked == []
        assert redis("PTTL", "tokens") == -1


@pytest.mark.parametrize("claims", [{"sub": "another"}, {}, {"client_id": "another"}], ids=str)
def test_a_string_of_another_client_is_left_alone(authority: Authority, redis: Server, claims: Any) -> None:
    with endpoint(authority.answer) as server:
        theirs = authority.token(AUDIENCE, **claims)
        redis("SET", "tokens", theirs)
        ours = creator(server, redis, tokenRedisKeyName="tokens")
        assert ours != theirs
        assert redis("GET", "tokens") == theirs.encode()
        assert creator(server, redis, tokenRedisKeyName="tokens") == ours  # from the HASH


def test_what_is_no_string_does_no_harm(authority: Authority, redis: Server) -> None:
    redis("SADD", "tokens", "x")
    with endpoint(authority.answer) as server:
        token = creator(server, redis, tokenRedisKeyName="tokens")
        assert creator(server, redis, tokenRedisKeyName="tokens") == token
    assert redis("TYPE", "tokens") == "set"


# ---- clients never share tokens
# ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "two"), [(("a", "bc"), ("ab", "c")), (("x", ":own:y"), ("x:own:", "y"))])
def test_clients_whose_prefix_and_id_make_one_name(
    either: Authority, redis: Server, one: tuple[str, str], two: tuple[str, str]
) -> None:
    with endpoint(either.answer) as server:
        got: dict[str, set[str]] = {one[1]: set(), two[1]: set()}
        for _ in range(2):  # the second time from Redis
            for prefix, client in (one, two):
                got[client].add(spike(server, redis, client, token_key_prefix=prefix))
        assert not got[one[1]] & got[two[1]]
        assert [len(tokens) for tokens in got.values()] == [1, 1]
        assert len(server.tokens_asked) == 2


def test_creators_of_two_clients_with_one_name(either: Authority, redis: Server) -> None:
    with endpoint(either.answer) as server:
        got: dict[str, set[str]] = {"one": set(), "two": set()}
        for _ in range(2):
            for client, tokens in got.items():
                tokens.add(creator(server, redis, ClientId=client, tokenRedisKeyName="tokens"))
        assert not got["one"] & got["two"]
        assert [len(tokens) for tokens in got.values()] == [1, 1]


def test_node_stored_for_another_client_under_the_same_name(authority: Authority, redis: Server) -> None:
    with endpoint(authority.answer) as server:
        redis("HSET", "abc", AUDIENCE, authority.token(AUDIENCE, sub="bc"))
        assert client_of(spike(server, redis, "c", token_key_prefix="ab")) == "c"


# ---- servers never share tokens
# --------------------------------------------------------------------------------------


def test_two_servers_with_one_key_and_one_client(either: Authority, redis: Server) -> None:
    with endpoint(either.answer) as one, endpoint(either.answer) as two:
        got: dict[str, set[str]] = {one.url: set(), two.url: set()}
        for _ in range(2):
            for server in (one, two):
                got[server.url].add(spike(server, redis))
        assert not got[one.url] & got[two.url]
        assert len(one.tokens_asked) == len(two.tokens_asked) == 1


def test_issuer(authority: Authority, redis: Server) -> None:
    """Tokens stored by Node identify their server only by iss."""
    theirs = authority.token(AUDIENCE, sub="id", iss="https://other.example")
    redis("HSET", HASH, AUDIENCE, theirs)
    ours = Authority(iss="https://ours.example")
    ours.private, ours.public = authority.private, authority.public
    with endpoint(ours.answer) as server:
        assert spike(server, redis) == theirs
        token = spike(server, redis, issuer="https://ours.example")
        assert jwt_claims(token)["iss"] == "https://ours.example"
        with pytest.raises(tokenstore.SpikeError, match="issuer"):
            spike(server, redis, issuer="https://third.example")


def test_lua_the_same(lua: Lua, authority: Authority, redis: Server) -> None:
    with endpoint(authority.answer) as one, endpoint(authority.answer) as two:
        tokens = []
        for server, issuer in ((one, None), (two, None), (one, None)):
            options = {"url": server.url, "client_id": "id", "client_secret": "s", "redis": redis.url, "issuer": issuer}
            lua(f"spike = assert(tokenstore.Spike({quote(options)}))")
            tokens.append(lua(get(AUDIENCE)))
        assert tokens[0] == tokens[2] != tokens[1]
        options["issuer"] = "https://third.example"
        lua(f"spike = assert(tokenstore.Spike({quote(options)}))")
        lua.fails("spike", "issuer", get(AUDIENCE))
        given = {"ClientId": "id", "ClientSecret": "s", "spikeURL": one.url, "tokenAudience": AUDIENCE,
                 "redisHost": redis.url, "tokenRedisKeyName": "tokens"}  # fmt: skip
        token = lua(f"return assert(tokenstore.get_token_creator({quote(given)}))()")
        assert redis("HGETALL", "tokensid") == [AUDIENCE.encode(), token.encode()]
        assert redis("GET", "tokens") == token.encode()


# ---- content of Redis -------------------------------------------------------------------------------------------


def test_no_parameter_can_be_read_in_redis(redis: Server) -> None:
    with endpoint(lambda asked: granted()) as server:
        spike(server, redis, token_format="opaque", scope="scope-canary", parameters={"x": "value-canary"})
    for key in redis.keys():
        assert b"canary" not in key
        assert b"canary" not in b"".join(redis("HGETALL", key))


@pytest.mark.parametrize("name", ["client_secret", "client_id", "client_assertion", "client_assertion_type"])
def test_credentials_are_no_parameters(lua: Lua, name: str) -> None:
    given = {"url": "https://spike.example", "client_id": "id", "client_secret": "s", "parameters": {name: "canary"}}
    with pytest.raises(tokenstore.ConfigurationError, match="client_auth") as caught:
        Spike(**given)
    message = lua.fails("configuration", "client_auth", f"return tokenstore.Spike({quote(given)})")
    assert "canary" not in str(caught.value) + message


# ---- expiry in Redis --------------------------------------------------------------------------------------------


def test_no_token_of_others_dies_with_ours(authority: Authority, redis: Server) -> None:
    theirs = authority.token("https://api.example/node", sub="id", exp=int(time.time()) + 86400)
    short = Authority(exp=int(time.time()) + 20)
    redis("HSET", HASH, "https://api.example/node", theirs)
    with endpoint(short.answer) as server:
        spike(server, redis)
        assert redis("PTTL", HASH) == -1
        redis("DEL", HASH)  # ours first, then theirs
        spike(server, redis, expiration_offset=5)
    redis("HSET", HASH, "https://api.example/node", theirs)
    assert redis("PTTL", HASH) == -1
    assert redis("HGET", HASH, "https://api.example/node") == theirs.encode()


def test_our_own_end_by_themselves(redis: Server) -> None:
    with endpoint(lambda asked: granted(expires_in=60)) as server:
        spike(server, redis, token_format="opaque")
    (own,) = redis.keys()
    assert 50_000 < redis("PTTL", own) <= 60_000
