"""tokenstore-auth in Kong and in APISIX: what both have in common. test_kong.py has the rest."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

import tokenstore
from clusters import running_cluster
from gateways import GATEWAYS, Gateways, running_gateways, seen
from nginx_server import ROOT
from servers import Server
from servers import running as running_redis
from test_near_cache import wait_until

FORGED = dict.fromkeys(("X-Owner-Id", "X_Owner_Id", "x_owner-id", "X-Role"), "forged")
HEADERS = {"X-Owner-Id": "owner_id", "X-Role": "data.role"}


@pytest.fixture(scope="module")
def own_redis() -> Iterator[Server]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def both(own_redis: Server) -> Iterator[Gateways]:
    with running_gateways() as made:
        for gateway in GATEWAYS:
            made.configure(
                gateway, "web", {"redis": own_redis.url, "app": "web", "cookie": "sid", "headers": HEADERS}
            )
        yield made


@pytest.fixture(scope="module")
def sessions(own_redis: Server) -> Iterator[tokenstore.Sessions]:
    with tokenstore.Sessions(own_redis.url) as made:
        yield made


@pytest.fixture(params=GATEWAYS)
def gateway(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def cookie(token: str | None) -> dict[str, str]:
    return {"Cookie": f"a=b; sid={token}"}


def test_the_configurations_in_the_docs(both: Gateways, gateway: str) -> None:
    """docs/how-to/kong.md and docs/how-to/apisix.md; and their table has each field."""
    page = (ROOT / f"docs/how-to/{gateway}.md").read_text()
    examples = [json.loads(text) for text in re.findall(r"-d '\n(.*?)'\n```", page, re.DOTALL)]
    assert len(examples) >= 1
    for example in examples:
        both.configure(gateway, "docs", example.get("config") or example["plugins"]["tokenstore-auth"])
    if gateway == "kong":
        fields = """
          for _, field in ipairs(require("kong.plugins.tokenstore-auth.schema").fields[3].config.fields) do
            names[#names + 1] = next(field)
          end
        """
    else:
        fields = """
          for name in pairs(require("apisix.plugins.tokenstore-auth").schema.properties) do
            names[#names + 1] = name
          end
        """
    table = page.partition("## Configuration")[2].partition("###")[0]
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE)))
    assert sorted(listed) == sorted(
        both(f"local names = {{}} {fields} return table.concat(names, ' ')").split()
    )


def test_a_session_passes(both: Gateways, gateway: str, sessions: tokenstore.Sessions) -> None:
    token = sessions.create("web", "bob", {"role": "admin"}, duration=100)
    for headers in (cookie(token), {"Authorization": f"Bearer {token}"}, {"Cookie": f"sid=old; sid={token}"}):
        got = seen(both.get(gateway, "web", headers))
        assert (got["x-owner-id"], got["x-role"], got["x-in-context"]) == ("bob", "admin", "bob")


def test_what_the_client_forged_is_removed(
    both: Gateways, gateway: str, sessions: tokenstore.Sessions
) -> None:
    """All spellings that an upstream may take for the same; and what APISIX has read as a variable."""
    token = sessions.create("web", "bob", {}, duration=100)
    got = seen(both.get(gateway, "web", {**cookie(token), **FORGED, "X-Other": "stays"}))
    assert "forged" not in got.values()
    assert (got["x-owner-id"], got.get("x-role"), got["x-other"]) == ("bob", None, "stays")
    got = seen(both.get(gateway, "web", {**cookie(token), "X-Owner-Id": "forged"}))
    assert "forged" not in got.values()


def test_without_a_session(
    both: Gateways, gateway: str, own_redis: Server, sessions: tokenstore.Sessions
) -> None:
    """An unknown cookie is never adopted: nothing is stored, and no cookie is set."""
    visitor = sessions.create("web", None, {})
    elsewhere = sessions.create("other", "bob", {})
    before = own_redis("DBSIZE")
    for headers in (cookie("planted-by-somebody"), cookie(elsewhere), cookie(visitor)):
        answer = both.get(gateway, "web", {**headers, **FORGED})
        assert answer.status == 401
        assert 'Bearer realm="web", error="invalid_token"' in answer.headers["www-authenticate"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.text == '{"message":"The token is unknown or has expired"}'
        assert "set-cookie" not in answer.headers
    answer = both.get(gateway, "web")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="web"')
    answer = both.get(gateway, "web", {"Authorization": "Bearer a b"})
    assert (answer.status, "invalid_request" in answer.headers["www-authenticate"]) == (400, True)
    assert own_redis("DBSIZE") == before


def test_fixation(both: Gateways, gateway: str, sessions: tokenstore.Sessions) -> None:
    """Whoever planted the cookie before the login is not in the session that it becomes."""
    both.configure(gateway, "guests", {**config_of(both, gateway), "anonymous_sessions": True})
    planted = sessions.create("web", None, {"role": "guest"})
    got = seen(both.get(gateway, "guests", {**cookie(planted), **FORGED}))
    assert (got.get("x-owner-id"), got["x-role"]) == (None, "guest")
    token = sessions.rotate("web", planted, owner_id="bob", grace=60)
    assert seen(both.get(gateway, "guests", cookie(token)))["x-owner-id"] == "bob"
    assert both.get(gateway, "guests", cookie(planted)).status == 401


def config_of(both: Gateways, gateway: str) -> dict[str, Any]:
    url = both(f"return configs.{gateway}.web.redis")
    return {"redis": url, "app": "web", "cookie": "sid", "headers": HEADERS}


def test_logout_everywhere(both: Gateways, gateway: str, sessions: tokenstore.Sessions) -> None:
    tokens = [sessions.create("web", "bob", {}) for _ in range(3)]
    other = sessions.create("web", "bobby", {})
    assert [both.get(gateway, "web", cookie(token)).status for token in tokens] == [200, 200, 200]
    sessions.kill_all("web", "bob")
    assert [both.get(gateway, "web", cookie(token)).status for token in tokens] == [401, 401, 401]
    assert both.get(gateway, "web", cookie(other)).status == 200


def test_tokens_and_what_keeps_them_alive(both: Gateways, gateway: str, own_redis: Server) -> None:
    both.configure(
        gateway,
        "api",
        {
            "redis": own_redis.url,
            "prefix": "api",
            "pepper": ["p" * 16],
            "app": "web",
            "type": "key",
            "refresh": 5000,
        },
    )
    both.configure(
        gateway,
        "idle",
        {"redis": own_redis.url, "app": "web", "type": "key", "refresh_idle": True, "realm": "keys"},
    )
    with tokenstore.RedisTokens(own_redis.url, prefix="api", pepper="p" * 16) as tokens:
        made = tokens.create("web", "key", "robot", duration=100).token
        assert seen(both.get(gateway, "api", {"Authorization": f"Bearer {made}"}))["x-owner-id"] == "robot"
        found = tokens.get("web", "key", made, expiry=True)
        assert found is not None
        assert found.expires_at is not None
        assert found.expires_at - found.created_at > 4000
    answer = both.get(gateway, "idle", {"Authorization": f"Bearer {made}"})
    assert (answer.status, 'realm="keys"' in answer.headers["www-authenticate"]) == (401, True)
    with tokenstore.RedisTokens(own_redis.url) as tokens:
        made = tokens.create("web", "key", f"{gateway}'s robot", idle=1).token
        time.sleep(0.2)  # a use is written when a tenth of the idle time has passed
        assert both.get(gateway, "idle", {"Authorization": f"Bearer {made}"}).status == 200
        [listed] = tokens.list("web", "key", f"{gateway}'s robot")
        assert listed.seen_at is not None


def test_a_value_that_no_header_can_hold(both: Gateways, gateway: str, sessions: tokenstore.Sessions) -> None:
    both.nginx.explained.append("a value that is not valid in the header X-Owner-Id")
    token = sessions.create("web", "bob\r\nX-Role: admin", {})
    assert both.get(gateway, "web", cookie(token)).status == 500


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"redis": None}, ["redis", "required"]),
        ({"app": None}, ["app", "required"]),
        ({"app": 5}, ["app"]),
        ({"redis": "http://user:a-secret@localhost"}, ["redis: "]),
        ({"cookie": "a=b"}, ["'cookie'"]),
        ({"refresh": 0.5}, ["'refresh'"]),
        ({"refresh": 60, "refresh_idle": True}, ["'refresh_idle'"]),
        ({"cache": 61}, ["'cache'"]),
        ({"pepper": ["short"]}, ["pepper"]),
        ({"timeout": -1}, ["timeout"]),
        ({"near_cache": 1.5}, ["near_cache"]),
        ({"near_cache": 10, "near_cache_staleness": 0.01}, ["near_cache_staleness"]),
        ({"headers": {"X-Role": 5}}, ["headers"]),
        ({"fail_open": "yes"}, ["fail_open"]),
        ({"coookie": "sid"}, ["coookie"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_mistake_in_the_configuration_is_named(
    both: Gateways, gateway: str, given: dict[str, Any], parts: list[str]
) -> None:
    config = {"redis": "redis://user:a-secret@localhost", "app": "web", **given}
    fault = both.fault(gateway, "wrong", {name: value for name, value in config.items() if value is not None})
    assert fault is not None
    for part in parts:
        assert part in fault
    assert "a-secret" not in fault
    assert "gateway.lua" not in fault


def test_a_secret_may_be_a_reference(
    both: Gateways, gateway: str, own_redis: Server, sessions: tokenstore.Sessions
) -> None:
    """What it refers to comes later, and may change: the plugin follows. A mistake in it fails that request."""
    reference = {"kong": "{vault://env/redis-url}", "apisix": "$secret://vault/1/redis/url"}[gateway]
    both.configure(
        gateway, "vault", {"redis": reference, "app": "web", "cookie": "sid", "pepper": [reference]}
    )
    token = sessions.create("web", "bob", {})
    resolve = f"configs.{gateway}.vault.pepper = nil configs.{gateway}.vault.redis = "
    both.nginx.explained += ["cannot connect", "failed .2: No such file", "redis: unknown scheme http://"]
    both(resolve + "'unix:///no/such/socket'")
    assert both.get(gateway, "vault", cookie(token)).status == 503
    both(resolve + f"'{own_redis.url}'")
    assert both.get(gateway, "vault", cookie(token)).status == 200
    both(resolve + "'http://user:a-secret@localhost'")
    answer = both.get(gateway, "vault", cookie(token))
    assert (answer.status, answer.text) == (500, '{"message":"An unexpected error occurred"}')
    assert not both.nginx.lines("a-secret")


def test_equal_configurations_share_a_store(both: Gateways, gateway: str, own_redis: Server) -> None:
    """And with it its connections and its near cache; APISIX makes a table for each request."""
    both.configure(gateway, "other", {**config_of(both, gateway), "app": "other"})
    assert (
        both(f"""
      local options = require("tokenstore.gateway").options
      local one, other = configs.{gateway}.web, configs.{gateway}.other
      for _ = 1, 200 do -- fields that are not set may be null: that changes the order in tables
        local same = {{}}
        for _, name in ipairs {{ "prefix", "pepper", "near_cache", "type", "refresh", "realm", "cache" }} do
          same[name] = math.random(2) == 1 and ngx.null or nil
        end
        for name, value in pairs(one) do same[name] = value end
        if options(one) ~= options(same) then return "not the same" end
      end
      return options(one) ~= options(other) and options(one).store == options(other).store
    """)
        is True
    )


def test_the_near_cache(
    both: Gateways, gateway: str, own_redis: Server, sessions: tokenstore.Sessions
) -> None:
    both.configure(
        gateway, "near", {**config_of(both, gateway), "near_cache": 100, "near_cache_staleness": 1}
    )
    token = sessions.create("web", "bob", {"role": "admin"})
    stats = f"""
      local options = require("tokenstore.gateway").options(configs.{gateway}.near)
      return options.store.client:near_cache_stats().hits
    """

    def is_near() -> bool:
        before = both(stats)
        assert both.get(gateway, "near", cookie(token)).status == 200
        return bool(both(stats) > before)

    wait_until(is_near)
    sessions.kill_all("web", "bob")
    wait_until(lambda: both.get(gateway, "near", cookie(token)).status == 401, 2)


def test_a_cluster(both: Gateways) -> None:
    with running_cluster() as cluster, tokenstore.Sessions(cluster.url) as sessions:
        tokens = {owner: sessions.create("web", owner, {}) for owner in ("ann", "bob", "cid", "dan")}
        for gateway in GATEWAYS:
            both.configure(gateway, "cluster", {"redis": cluster.url, "app": "web", "timeout": 5})
            for owner, token in tokens.items():
                answer = both.get(gateway, "cluster", {"Authorization": f"Bearer {token}"})
                assert seen(answer)["x-owner-id"] == owner
        for owner in tokens:  # and the storage for lua-resty-session, whose aliases are on other nodes
            assert both.all(f"""
              storage = storage or require("tokenstore.resty_session").new {{ redis = "{cluster.url}" }}
              local metadata = {{ audiences = {{ "a" }}, subjects = {{ "{owner}" }} }}
              local function get(key) return (storage:get("s", "{owner}" .. key)) end
              return storage:set("s", "{owner} 1", "v", 60, 0, nil, nil, metadata),
                storage:set("s", "{owner} 2", "w", 60, 0, "{owner} 1", 10, metadata),
                get " 1", get " 2", storage:end_all "{owner}", get " 2"
            """) == [True, True, "v", "w", 2, None]


def test_redis_away(both: Gateways, gateway: str, own_redis: Server) -> None:
    """503, for whoever has a token; with fail_open the request passes, but as nobody's."""
    both.nginx.explained += ["tokenstore.guard: .* cannot connect", r"connect\(\) to unix:.* failed"]
    both.configure(gateway, "open", {**config_of(both, gateway), "fail_open": True})
    with tokenstore.Sessions(own_redis.url) as sessions:
        token = sessions.create("web", "bob", {})
    assert both.get(gateway, "web", cookie(token)).status == 200
    own_redis.kill()
    try:
        answer = both.get(gateway, "web", cookie(token))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.text == '{"message":"The session cannot be checked now"}'
        got = seen(both.get(gateway, "open", {**cookie(token), **FORGED}))
        assert "x-owner-id" not in got
        assert "forged" not in got.values()
        assert both.get(gateway, "open").status == 401
    finally:
        own_redis.socket_path.unlink(missing_ok=True)  # type: ignore[union-attr]
        own_redis.start()
