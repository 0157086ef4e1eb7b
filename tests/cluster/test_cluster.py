"""The same classes on a cluster: what spreads over its nodes, and what answers of a wrong node lead to."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import tokenstore
import tokenstore.migrate
from authorization import endpoint, granted
from clusters import Cluster, slot_of
from servers import ReplyError, running
from tokenstore import Client, ConfigurationError, ConnectionError, RedisTokens, ServerError

A, T = "app", "web"
OWNERS = [f"owner-{i}" for i in range(40)]


def nodes_with_keys(cluster: Cluster) -> int:
    return sum(node("DBSIZE") > 0 for node in cluster.primaries)


def asked_for_slots(cluster: Cluster) -> int:
    lines = [line for node in cluster.living for line in node("INFO", "commandstats").decode().splitlines()]
    return sum(
        int(line.partition("calls=")[2].partition(",")[0])
        for line in lines
        if line.lower().startswith("cmdstat_cluster|slots:")
    )


def test_everything_of_tokens(cluster: Cluster, tokens: RedisTokens) -> None:
    made = {owner: tokens.create(A, T, owner, {"of": owner}) for owner in OWNERS}
    assert nodes_with_keys(cluster) == 3
    for owner, token in made.items():
        found = tokens.get(A, T, token.token, expiry=True)
        assert found is not None
        assert (found.owner, found.data, found.id) == (owner, {"of": owner}, token.id)
        assert tokens.get_by_id(A, T, owner, token.id) == tokens.get_by_id(A, T, owner, token.sid)
        changed = tokens.update(A, T, token.token, {"n": 1})
        assert changed is not None
        assert changed.data == {"of": owner, "n": 1}
        assert tokens.update_all(A, T, owner, {"m": 2}) == 1
        assert tokens.refresh(A, T, token.token, 1000)
        assert [each.id for each in tokens.list(A, T, owner)] == [token.id]
        assert tokens.count(A, T, owner) == 1
        next_one = tokens.rotate(A, T, token.token, grace=30)
        assert next_one is not None
        after = tokens.get(A, T, token.token)
        assert after is not None
        assert after.superseded
        assert tokens.take(A, T, next_one.token) is not None
        assert tokens.delete_all(A, T, owner) == 0
        assert tokens.get(A, T, next_one.token) is None


def test_many_over_all_nodes(cluster: Cluster, tokens: RedisTokens) -> None:
    wishes = [{"app": A, "type": T, "owner": owner, "data": {"of": owner}} for owner in OWNERS]
    made = tokens.create_many(wishes)
    assert [token.owner for token in made] == OWNERS
    assert nodes_with_keys(cluster) == 3
    asked = [token.token for token in made]
    asked[7:7] = ["unknown", asked[3]]
    found = tokens.get_many(A, T, asked)
    assert found[7] is None
    assert [token.data["of"] for token in found if token] == [*OWNERS[:7], OWNERS[3], *OWNERS[7:]]


def test_custom_tokens_whose_alias_lies_elsewhere(tokens: RedisTokens) -> None:
    for owner in OWNERS:
        token = tokens.create(A, T, owner, custom_token=f"custom-{owner}")
        found = tokens.get(A, T, f"custom-{owner}")
        assert found is not None
        assert found.owner == owner
        with pytest.raises(tokenstore.DataError):
            tokens.create(A, T, owner, custom_token=f"custom-{owner}")
        assert tokens.delete(A, T, token.token)
        assert tokens.get(A, T, f"custom-{owner}") is None


def test_a_login_binds_an_anonymous_token_to_an_owner_elsewhere(tokens: RedisTokens) -> None:
    for owner in OWNERS:
        before = tokens.create(A, T, data={"cart": 1})
        after = tokens.rotate(A, T, before.token, owner=owner, data={"user": owner})
        assert after is not None
        assert (after.owner, after.data) == (owner, {"cart": 1, "user": owner})
        assert tokens.get(A, T, before.token) is None
        assert [each.id for each in tokens.list(A, T, owner)] == [after.id]


def test_raw_commands_go_to_the_node_of_their_key(cluster: Cluster, client: Client) -> None:
    for i in range(20):
        assert client.execute("SET", f"k{i}", i) == "OK"
        assert client.execute("GET", f"k{i}") == str(i).encode()
    replies = client.pipeline([["INCR", f"k{i}"] for i in range(20)])
    assert replies == [i + 1 for i in range(20)]
    assert nodes_with_keys(cluster) == 3
    assert client.ping()
    with pytest.raises(ServerError, match="CROSSSLOT"):
        client.execute("MGET", "k1", "k2")


def test_a_key_of_another_node_does_no_harm(cluster: Cluster, client: Client) -> None:
    elsewhere = [next(k for k in (f"k{i}" for i in range(99)) if cluster.primary_of(k) is node) for node in cluster.primaries]
    for key in elsewhere:
        assert client.execute("SET", "{t}a", key, key=key) == "OK"
        assert client.execute("GET", "{t}a", key=key) == key.encode()
        asked = [["MULTI"], ["SET", "{t}b", "1"], ["INCR", "{t}b"], ["EXEC"]]
        assert client.pipeline(asked, key=key)[3] == ["OK", 2]


def test_a_transaction_goes_to_its_slot_as_a_whole(cluster: Cluster, client: Client) -> None:
    transaction = [["MULTI"], ["INCR", "{t}a"], ["INCR", "{t}b"], ["EXEC"]]
    assert client.pipeline(transaction)[3] == [1, 1]
    source = cluster.primary_of("{t}")
    target = next(node for node in cluster.primaries if node is not source)
    slot = slot_of("{t}")
    cluster.move_slots([slot], source, target)
    assert client.pipeline([["SET", "x", "1"], *transaction, ["GET", "{t}a"]])[4:] == [[2, 2], b"2"]

    def half_way(slot: int) -> None:
        asked = [["MULTI"], ["INCR", "{t}new"], ["INCR", "{t}new"], ["EXEC"]]  # not there: ASK
        assert client.pipeline(asked)[3] == [1, 2]

    cluster.move_slots([slot], target, source, half_way)
    assert client.pipeline(transaction)[3] == [3, 3]


def test_a_slot_moves_amid_reads_and_writes(cluster: Cluster, tokens: RedisTokens) -> None:
    """Half its keys are at the target already: ASK, and TRYAGAIN, and then MOVED."""
    made = {f"{i}": tokens.create(A, T, f"{i}") for i in range(300)}
    keys = {key: node for node in cluster.primaries for key in node("KEYS", "*")}
    slots = sorted({slot_of(key) for key in keys}, key=lambda slot: -sum(slot_of(k) == slot for k in keys))[:8]
    seen = []

    def check(slot: int) -> None:
        for owner, token in made.items():
            assert tokens.get(A, T, token.token) is not None
            if int(owner) % 10 == 0:
                assert tokens.update(A, T, token.token, {"at": slot}) is not None
        assert all(tokens.get_many(A, T, [token.token for token in made.values()]))
        seen.append(slot)

    for slot in slots:
        source = cluster.primary_of(slot)
        target = next(node for node in cluster.primaries if node is not source)
        cluster.move_slots([slot], source, target, check)
        check(slot)
        cluster.move_slots([slot], target, source, check)
    assert len(seen) == 3 * len(slots)
    check(-1)
    for owner in made:
        assert tokens.count(A, T, owner) == 1


def test_moved_slots_cost_few_questions(cluster: Cluster, tokens: RedisTokens) -> None:
    made = [tokens.create(A, T, f"{i}") for i in range(100)]
    before = asked_for_slots(cluster)
    source, target = cluster.primaries[:2]
    slots = cluster.slots_of(source)[:200]
    cluster.move_slots(slots, source, target)
    for _ in range(20):
        assert all(tokens.get(A, T, token.token) for token in made)
    cluster.move_slots(slots, target, source)
    for _ in range(20):
        assert all(tokens.get(A, T, token.token) for token in made)
    assert asked_for_slots(cluster) - before <= 5


def test_an_orderly_failover_is_not_seen(cluster: Cluster, tokens: RedisTokens) -> None:
    made = [tokens.create(A, T, f"{i}") for i in range(60)]
    for mode in (None, "FORCE"):
        old = cluster.primaries[0]
        cluster.failover(cluster.replicas_of(old)[0], mode)
        for token in made:
            assert tokens.update(A, T, token.token, {"mode": str(mode)}) is not None
        assert all(tokens.get(A, T, token.token) for token in made)
        cluster.wait_agreed()


def test_one_node_of_the_url_is_enough(cluster: Cluster) -> None:
    port = cluster.primaries[0].port
    for first in ("127.0.0.1:1", "nowhere.invalid:7000"):
        with RedisTokens(f"redis+cluster://{first},127.0.0.1:{port}") as tokens:
            assert all(tokens.create(A, T, owner) for owner in OWNERS)


def test_no_node_answers() -> None:
    began = time.monotonic()
    with Client("redis+cluster://127.0.0.1:1,127.0.0.1:2") as client:
        with pytest.raises(ConnectionError, match="refused"):
            client.ping()
    assert time.monotonic() - began < 4


def test_a_server_that_is_no_cluster() -> None:
    with running(transport="tcp") as server, Client(f"redis+cluster://127.0.0.1:{server.port}") as client:
        with pytest.raises(ConfigurationError, match=r"is not a cluster: use redis://"):
            client.ping()


def test_a_client_of_one_server_is_told_of_the_cluster(cluster: Cluster) -> None:
    def create() -> None:
        for owner in OWNERS:
            tokens.create(A, T, owner)

    with RedisTokens(f"redis://127.0.0.1:{cluster.primaries[0].port}") as tokens:
        with pytest.raises(ServerError, match=r"use a redis\+cluster:// URL"):
            create()


def test_its_url(cluster: Cluster) -> None:
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in cluster.primaries)
    with Client(f"valkey+cluster://user:secret@{hosts}/0?timeout=3") as client:
        assert client.url == f"redis+cluster://{hosts}/0"
        assert "secret" not in repr(client)
    for bad in ("redis+cluster://", "redis+cluster://a,,b", "redis+cluster://a:0", "redis+cluster:a"):
        with pytest.raises(ConfigurationError):
            Client(bad)


def test_node_packages_need_a_hash_tag(cluster: Cluster, client: Client) -> None:
    plain = tokenstore.Tokenstore(client)
    with pytest.raises(ConfigurationError, match=r"in braces"):
        plain.add("bob")
    store = tokenstore.Tokenstore(client, prefix="{token}")
    made = store.add("bob", {"n": 1})
    assert store.get(made.id) == store.get_key(made.key) == store.list("bob")[0]
    assert store.get_hash(store.make_hash("value")) == "value"
    assert store.reset() == 1
    assert store.get(made.id) is None
    jwt = tokenstore.RedisJWT(client, secret="s" * 32)
    with pytest.raises(ConfigurationError, match=r"in braces"):
        jwt.sign("bob")
    token = jwt.sign("{bob}")
    assert jwt.verify(token)
    assert len(jwt.list("{bob}")) == 1
    assert jwt.destroy(jwt.verify(token)["rjwt"])


def test_spikes_first_tokens_wait_for_the_map(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    with endpoint(lambda asked: granted("a-token")) as server:
        options = {"url": server.url, "client_id": "c", "client_secret": "s" * 16, "token_format": "opaque"}
        with tokenstore.Spike(**options, redis=cluster.url) as spike, ThreadPoolExecutor(16) as pool:
            tokens = {pool.submit(spike.get_token, f"audience-{n % 2}") for n in range(64)}
            assert {token.result() for token in tokens} == {"a-token"}
        assert len(server.asked) == 2
    assert "without Redis" not in caplog.text


def test_reindex_looks_at_every_primary(cluster: Cluster, client: Client) -> None:
    jwt = tokenstore.RedisJWT(client, secret="s" * 32, node_writers=True)
    users = [f"{{user-{i}}}" for i in range(30)]
    for user in users:
        jwt.sign(user)
        assert client.execute("DEL", f"rjwt-sessions/{user}") == 1  # as Node leaves it
    assert nodes_with_keys(cluster) == 3
    assert jwt.reindex() == 30
    assert jwt.reindex() == 0
    assert all(client.execute("ZCARD", f"rjwt-sessions/{user}") == 1 for user in users)


def test_reindex_passes_over_users_without_braces(client: Client) -> None:
    """Of another program, or of Node, which signs for them on a cluster, too."""
    jwt = tokenstore.RedisJWT(client, secret="s" * 32, node_writers=True)
    for i in range(30):
        assert client.execute("SET", f"user-{i}:ABCDEFGHIJK", f'{{"rjwt":"user-{i}:ABCDEFGHIJK"}}')
    jwt.sign("{bob}")
    assert client.execute("DEL", "rjwt-sessions/{bob}") == 1
    assert jwt.reindex() == 1


def test_what_is_about_no_user_needs_no_braces(client: Client) -> None:
    call = tokenstore.RedisJWT(client, secret="s" * 32).call()
    assert call.ping() == "PONG"
    assert call.get_info("server").startswith("# Server")
    client.pipeline([["SET", f"k{i}", "x"] for i in range(60)])
    assert call.get_info("DBSIZE") == 60


def test_addresses_that_are_translated(cluster: Cluster) -> None:
    """The nodes announce names that cannot be resolved."""
    hide = {"cluster-announce-hostname": "inside.invalid", "cluster-preferred-endpoint-type": "hostname"}
    show = {"cluster-announce-hostname": "", "cluster-preferred-endpoint-type": "ip"}
    try:
        for node in cluster.nodes:
            for name, value in hide.items():
                node("CONFIG", "SET", name, value)
    except ReplyError:
        pytest.skip("this server announces no names")
    try:
        until = time.monotonic() + 20
        for node in cluster.nodes:  # the client may ask any
            while str(node("CLUSTER", "SLOTS")).count("inside.invalid") < len(cluster.nodes):
                assert time.monotonic() < until
                time.sleep(0.05)
        by_port = {f"inside.invalid:{node.port}": node.address for node in cluster.nodes}
        for addresses in ({"inside.invalid": "127.0.0.1"}, by_port):
            with tokenstore.RedisTokens(cluster.url, address_map=addresses) as tokens:
                made = [tokens.create("app", "web", f"owner-{i}") for i in range(30)]
                assert all(tokens.get_many("app", "web", [token.token for token in made]))
        with Client(cluster.url, timeout=1) as client, pytest.raises(tokenstore.Error):
            client.pipeline([["GET", key] for key in ("a", "b", "c")])
    finally:
        for node in cluster.nodes:
            for name, value in show.items():
                node("CONFIG", "SET", name, value)
