"""A cluster, and a primary that Sentinels watch, over TLS: in each driver, every node is verified by the name at which
it is reached, and gets nothing before."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Callable

import pytest

import tokenstore
from certs import CLIENT, Authority
from clusters import Cluster, Node, running_cluster, slot_of
from lua_process import ABI, Lua, is_there
from nginx_lua import HTTP, nginx_lua
from nginx_server import MISSING
from over_tls import (
    Asyncio,
    Blocking,
    Certificates,
    InLua,
    carries_data,
    or_skip,
    recording,
    show,
)
from sentinels import SERVICE, Sentinels
from servers import ReplyError, Server

OWNERS = [f"owner-{i}" for i in range(12)]

PASSWORD = "of-an-app-" * 12
"""Long enough to be seen in the size of a record."""

OF_SERVER, OF_SENTINEL, OF_READER = "of-the-server", "of-the-sentinels", "of-a-reader-" * 10

RUNTIMES = [name for name in ("lua5.4", "luajit") if name in ABI and is_there(name)][:1]

NAMES = {"nginx": {"server_name": "localhost"}}
"""nginx verifies no addresses."""

Connect = Callable[..., Any]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"), authority)


@pytest.fixture(scope="module")
def drivers(authority: Authority) -> Iterator[dict[str, Connect]]:
    """By name: a function from a URL and options to an object with the methods of over_tls.Blocking."""
    with ExitStack() as stack:
        found: dict[str, Connect] = {"blocking": Blocking, "asyncio": Asyncio}
        for name in RUNTIMES:
            lua = Lua(name)
            stack.callback(lua.end)
            found["lua"] = partial(InLua, lua)
        if not MISSING:
            http = f"{HTTP} lua_ssl_trusted_certificate {authority.cert}; lua_ssl_protocols TLSv1.2 TLSv1.3;"
            explained = (
                r"lua ssl certificate (verify error|does not match host)",
                r"(recv|send|SSL_\w+)\(\) failed",
                "peer closed connection in SSL handshake",
                "tokenstore: trying again",
            )
            found["nginx"] = partial(
                InLua, stack.enter_context(nginx_lua(http=http, explained=explained))
            )
        yield found


@pytest.fixture(params=["blocking", "asyncio", "lua", "nginx"])
def driver(request: pytest.FixtureRequest, drivers: dict[str, Connect]) -> str:
    if request.param not in drivers:
        pytest.skip(f"no {request.param} here")
    return str(request.param)


@pytest.fixture
def connect(
    driver: str, drivers: dict[str, Connect], certificates: Certificates
) -> Iterator[Connect]:
    with ExitStack() as stack:

        def open(url: str, **options: Any) -> Any:
            made = drivers[driver](url, **{"ca": certificates.ca, "timeout": 20, **options})
            stack.callback(made.close)
            return made

        yield open


# ---- a cluster ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(certificates: Certificates) -> Iterator[Cluster]:
    """Three primaries, the first with a replica. Clients log in as "app"."""
    with ExitStack() as stack:
        with or_skip():
            cluster = stack.enter_context(running_cluster(tls=certificates.any))
        cluster.add_node(replica_of=cluster.nodes[0])
        for node in cluster.nodes:
            node("ACL", "SETUSER", "app", "on", f">{PASSWORD}", "~*", "&*", "+@all")
        yield cluster


@pytest.fixture
def cluster(shared: Cluster, certificates: Certificates) -> Cluster:
    """It announces addresses, and shows certificates for all that it may be called."""
    for node in shared.nodes:
        show(node, certificates.any)
    return shared


@pytest.fixture(scope="module")
def has_names(shared: Cluster) -> None:
    """The nodes know their name, but do not announce it yet."""
    try:
        for node in shared.nodes:
            node("CONFIG", "SET", "cluster-announce-hostname", "localhost")
    except ReplyError:
        pytest.skip("this server announces no names")


@pytest.fixture
def named(cluster: Cluster, has_names: None) -> Iterator[Cluster]:
    """It announces names."""
    try:
        for node in cluster.nodes:
            node("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
        until = time.monotonic() + 20
        while any(
            str(node("CLUSTER", "SLOTS")).count("b'localhost'") < len(cluster.nodes)
            for node in cluster.nodes
        ):
            assert time.monotonic() < until
            time.sleep(0.05)
        yield cluster
    finally:
        for node in cluster.nodes:
            node("CONFIG", "SET", "cluster-preferred-endpoint-type", "ip")


def url_of(cluster: Cluster, host: str = "127.0.0.1") -> str:
    """Without the last primary, so that its address is what the others announce."""
    seeds = ",".join(f"{host}:{node.port}" for node in cluster.primaries[:2])
    return f"rediss+cluster://app:{PASSWORD}@{seeds}"


def use(tokens: Any) -> None:
    """All nodes."""
    made = [tokens.create(owner) for owner in OWNERS]
    assert all(tokens.get(token) for token in made)
    assert tokens.count(made) == len(OWNERS)
    assert all(tokens.delete(token) for token in made)
    assert not any(tokens.get(token) for token in made)


def key_of(token: str, node: Node) -> bytes | None:
    """The key of its owner, which ends with the token's locator, if the node has it."""
    keys: list[bytes] = node("KEYS", f"*{token[1:17]}")
    return keys[0] if keys else None


def lying_at(node: Server, tokens: list[str]) -> list[str]:
    ends = {key[-16:].decode() for key in node("KEYS", "*")}
    return [token for token in tokens if token[1:17] in ends]


def refused_by_one(call: Callable[..., Any], servers: Sequence[Server]) -> str:
    """Which of them, is chance."""
    with pytest.raises(tokenstore.ConnectionError) as caught:
        call("owner")
    message = str(caught.value)
    begin = "TLS handshake: the server's certificate was rejected: "
    assert any(f"rediss://{server.address}/0: {begin}" in message for server in servers)
    return message


def refusal(call: Callable[..., Any], *args: Any, address: str) -> str:
    with pytest.raises(tokenstore.ConnectionError) as caught:
        call(*args)
    message = str(caught.value)
    assert f"rediss://{address}/0: TLS handshake: the server's certificate was rejected" in message
    assert PASSWORD not in message
    return message


def follow_a_moved_slot(cluster: Cluster, tokens: Any) -> None:
    token = tokens.create("of a moved slot")
    nodes = cluster.primaries
    key, source = next((key, node) for node in nodes if (key := key_of(token, node)))
    target = next(node for node in nodes if node is not source)
    assert tokens.get(token)
    cluster.move_slots([slot_of(key)], source, target)
    assert tokens.get(token)
    cluster.move_slots([slot_of(key)], target, source)
    assert tokens.delete(token)


def test_all_nodes(cluster: Cluster, driver: str, connect: Connect) -> None:
    tokens = connect(url_of(cluster), **NAMES.get(driver, {}))
    use(tokens)
    follow_a_moved_slot(cluster, tokens)
    assert cluster.nodes[0]("CONFIG", "GET", "port") == [b"port", b"0"]


def test_an_orderly_failover(
    cluster: Cluster, drivers: dict[str, Connect], certificates: Certificates
) -> None:
    """In all drivers at once, since it takes a while."""
    with ExitStack() as stack:
        every = []
        for name, make in drivers.items():
            tokens = make(url_of(cluster), ca=certificates.ca, timeout=20, **NAMES.get(name, {}))
            stack.callback(tokens.close)
            every.append((tokens, [tokens.create(owner) for owner in OWNERS]))
        (replica,) = [node for node in cluster.nodes if node not in cluster.primaries]
        cluster.failover(replica)
        for tokens, made in every:
            assert all(tokens.get(token) for token in made)
        cluster.wait_agreed()  # a delete that the old primary still answers counts as lost
        for tokens, made in every:
            assert all(tokens.delete(token) for token in made)


def test_nodes_of_another_ca(
    cluster: Cluster, driver: str, connect: Connect, certificates: Certificates
) -> None:
    if driver == "nginx":
        pytest.skip("its CAs are a directive")
    refused_by_one(connect(url_of(cluster), ca=certificates.stranger).create, cluster.nodes)


def test_nodes_that_ask_for_a_certificate_get_the_clients(
    cluster: Cluster, driver: str, connect: Connect, authority: Authority, tmp_path: Path
) -> None:
    ours = authority.sign(f"ours-{driver}", *CLIENT)
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    shutil.copy(ours.cert, cert)
    shutil.copy(ours.key, key)
    with ExitStack() as stack:
        wires = [stack.enter_context(node.wire()) for node in cluster.nodes]
        url = url_of(cluster)
        try:
            for wire in wires:
                wire("CONFIG", "SET", "tls-auth-clients", "yes")
            more = NAMES.get(driver, {})
            tokens = connect(url, cert=str(cert), key=str(key), **more)
            if driver == "nginx":  # whose workers may not be allowed to read them
                cert.unlink()
                key.unlink()
            use(tokens)
            with pytest.raises(tokenstore.ConnectionError):
                connect(url, **more).create("owner")
        finally:
            for wire in wires:
                wire("CONFIG", "SET", "tls-auth-clients", "no")


# ---- nodes that announce names ------------------------------------------------------------------------


def test_an_announced_name_is_what_is_verified(
    named: Cluster, connect: Connect, certificates: Certificates
) -> None:
    for node in named.nodes:
        show(node, certificates.name)
    tokens = connect(url_of(named, "localhost"))
    use(tokens)
    follow_a_moved_slot(named, tokens)


def commands(node: Node) -> dict[str, str]:
    """How often each command was called, and refused, but for those of other servers and of the tests."""
    lines = node("INFO", "commandstats").decode().lower().splitlines()[1:]
    counts = dict(line.partition(":")[::2] for line in lines)
    ours = (
        "cmdstat_info",
        "cmdstat_config",
        "cmdstat_cluster",
        "cmdstat_keys",
        "cmdstat_repl",
        "cmdstat_ping",
    )
    return {name: count for name, count in counts.items() if not name.startswith(ours)}


def test_a_node_whose_certificate_lacks_its_name_gets_nothing(
    named: Cluster, driver: str, connect: Connect, certificates: Certificates
) -> None:
    *good, bad = named.primaries
    for node in good:
        show(node, certificates.name)
    tokens = connect(url_of(named, "localhost"))
    made = [tokens.create(owner) for owner in OWNERS]
    there = lying_at(bad, made)
    show(bad, certificates.other)
    before = commands(bad)
    with recording(bad) as recorder:
        # The same name, but a port at which it is seen what is sent.
        through = {f"localhost:{bad.port}": f"localhost:{recorder.port}"}
        tokens = connect(url_of(named, "localhost"), address_map=through)
        assert all(tokens.get(token) for token in made if token not in there)
        assert there
        for call, args in ((tokens.get, there[0]), (tokens.count, made), (tokens.delete, there[0])):
            message = refusal(call, args, address=f"localhost:{recorder.port}")
            assert "server_name=" in message
            assert "subjectAltName" in message
        assert any(recorder.sent)
        assert not any(carries_data(sent) for sent in recorder.sent)
        assert commands(bad) == before
        show(bad, certificates.name)
        assert all(tokens.delete(token) for token in made)
        assert any(carries_data(sent) for sent in recorder.sent)


# ---- nodes that announce addresses ---------------------------------------------------------------------


def test_an_announced_address_must_be_in_the_certificate(
    cluster: Cluster, driver: str, connect: Connect, certificates: Certificates
) -> None:
    if driver == "nginx":
        tokens = connect(url_of(cluster))
        with pytest.raises(
            tokenstore.ConfigurationError, match="for an IP address: give server_name="
        ):
            tokens.create("owner")
        return
    for node in cluster.nodes:
        show(node, certificates.address)
    use(connect(url_of(cluster)))
    for node in cluster.nodes:
        show(node, certificates.name)
    assert "server_name=" in refused_by_one(connect(url_of(cluster)).create, cluster.nodes)


def test_a_server_name_counts_for_all_nodes(
    cluster: Cluster, connect: Connect, certificates: Certificates
) -> None:
    bad = cluster.primaries[-1]
    for node in cluster.nodes:
        show(node, certificates.name)
    tokens = connect(url_of(cluster), server_name="localhost")
    use(tokens)
    made = [tokens.create(owner) for owner in OWNERS]
    there = lying_at(bad, made)[0]
    show(bad, certificates.other)
    tokens = connect(url_of(cluster), server_name="localhost")
    refusal(tokens.get, there, address=bad.address)
    show(bad, certificates.name)
    assert all(tokens.delete(token) for token in made)


def test_the_translation_of_an_address_is_what_is_verified(
    cluster: Cluster, driver: str, connect: Connect, certificates: Certificates
) -> None:
    for node in cluster.nodes:
        show(node, certificates.name)
    use(connect(url_of(cluster, "localhost"), address_map={"127.0.0.1": "localhost"}))
    bad = cluster.primaries[-1]
    tokens = connect(url_of(cluster, "localhost"), address_map={"127.0.0.1": "localhost"})
    made = [tokens.create(owner) for owner in OWNERS]
    there = lying_at(bad, made)[0]
    show(bad, certificates.address)  # what it announces
    tokens = connect(url_of(cluster, "localhost"), address_map={"127.0.0.1": "localhost"})
    refusal(tokens.get, there, address=f"localhost:{bad.port}")


# ---- Sentinels -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_watched(certificates: Certificates) -> Iterator[Sentinels]:
    """The certificate of the last Sentinel lacks its address."""
    watched = Sentinels(tls=certificates.any, passwords=(OF_SERVER, OF_SENTINEL))
    watched.sentinels[-1].tls = certificates.name
    with or_skip():
        watched.start()
    try:
        for sentinel in watched.sentinels:
            sentinel(
                "ACL",
                "SETUSER",
                "reader",
                "on",
                f">{OF_READER}",
                "+sentinel|master",
                "+client|setname",
            )
        yield watched
    finally:
        watched.remove()


@pytest.fixture
def watched(shared_watched: Sentinels, certificates: Certificates) -> Sentinels:
    for server in shared_watched.nodes:
        show(server, certificates.any)
    return shared_watched


def url_behind(watched: Sentinels, password: str = OF_SERVER) -> str:
    return watched.url.replace("://", f"://:{password}@")


READER = {"sentinel_user": "reader", "sentinel_password": OF_READER}


def test_wrong_passwords(watched: Sentinels, driver: str, connect: Connect) -> None:
    more = NAMES.get(driver, {})
    for url, login in (
        (url_behind(watched), {"sentinel_user": "reader", "sentinel_password": OF_SERVER}),
        (url_behind(watched), {}),
        (url_behind(watched, OF_READER), READER),
    ):
        with pytest.raises(tokenstore.Error) as caught:
            connect(url, **login, **more).create("owner")
        assert not isinstance(caught.value, tokenstore.TimeoutError)
        assert OF_SERVER not in str(caught.value)
        assert OF_READER not in str(caught.value)


def test_sentinels_of_another_ca(
    watched: Sentinels, driver: str, connect: Connect, certificates: Certificates
) -> None:
    if driver == "nginx":
        pytest.skip("its CAs are a directive")
    tokens = connect(url_behind(watched), **READER, ca=certificates.stranger)
    refused_by_one(tokens.create, watched.sentinels)


def test_sentinels_and_the_primary_are_verified(
    watched: Sentinels, driver: str, connect: Connect, certificates: Certificates
) -> None:
    """Each by its address, or all by server_name."""
    primary = watched.primary
    last = watched.sentinels[-1].address
    alone = f"rediss+sentinel://:{OF_SERVER}@{last}/{SERVICE}"
    if driver != "nginx":
        refusal(connect(alone, **READER).create, "owner", address=last)
    refusal(connect(alone, **READER, server_name="sentinel.example").create, "owner", address=last)
    use(connect(alone, **READER, server_name="localhost"))
    show(primary, certificates.other)
    more = NAMES.get(driver, {})
    refusal(connect(url_behind(watched), **READER, **more).create, "owner", address=primary.address)
    show(primary, certificates.name)
    use(connect(url_behind(watched), **READER, server_name="localhost"))


def wait_for_copies(watched: Sentinels) -> None:
    """Until all have what the primary has now."""
    primary = watched.primary
    offset = int(primary.info("replication", "master_repl_offset"))
    until = time.monotonic() + 20
    for node in watched.nodes:
        while node is not primary and int(node.info("replication", "slave_repl_offset")) < offset:
            assert time.monotonic() < until
            time.sleep(0.02)


def until_it_writes_to(primary: Server, tokens: Any) -> None:
    """A Sentinel tells the old primary ten seconds later."""
    until = time.monotonic() + 20
    while not lying_at(primary, [tokens.create(f"at {time.monotonic()}")]):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_failover_by_sentinels(
    watched: Sentinels, drivers: dict[str, Connect], certificates: Certificates
) -> None:
    """In all drivers at once, since it takes a while."""
    with ExitStack() as stack:
        every = []
        for name, make in drivers.items():
            more = {"ca": certificates.ca, "timeout": 20, **READER, **NAMES.get(name, {})}
            tokens = make(url_behind(watched), **more)
            stack.callback(tokens.close)
            use(tokens)
            every.append((tokens, [tokens.create(owner) for owner in OWNERS]))
        wait_for_copies(watched)
        watched.failover()
        for tokens, made in every:
            assert all(tokens.get(token) for token in made)
            until_it_writes_to(watched.primary, tokens)
            assert all(tokens.delete(token) for token in made)
