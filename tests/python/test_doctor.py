"""``tokenstore doctor`` at servers that were really prepared, each bad in one respect; and at good ones."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import tokenstore
from clusters import running_cluster
from servers import OLD, ReplyError, Server, Tls, free_port, running
from test_acl import printed_rule
from test_cli import run
from test_tls import make_ca, openssl
from tokenstore.__main__ import main
from tokenstore._cli.doctor import abilities
from tokenstore._cli.doctor.patient import Patient
from tokenstore._cli.doctor.rights import rights

KEPT = ("--appendonly", "yes")
"""A good server."""

Examined = dict[str, list[dict[str, str]]]


def examine(capsys: pytest.CaptureFixture[str], url: str, *more: str) -> tuple[int, Examined]:
    """The exit status, and the findings by check."""
    status = main(["doctor", url, "--json", *more])
    captured = capsys.readouterr()
    assert captured.err == ""
    found: Examined = {}
    for row in json.loads(captured.out):
        found.setdefault(row["check"], []).append(row)
        if row["verdict"] not in ("ok",):
            assert row["meaning"]
            assert row["advice"]
    return status, found


def complaints(found: Examined) -> dict[str, str]:
    """The worst verdict of each check that is not content."""
    order = ["note", "unknown", "warning", "danger"]
    worst = {name: max((row["verdict"] for row in rows), key=["ok", *order].index) for name, rows in found.items()}
    return {name: verdict for name, verdict in worst.items() if verdict != "ok"}


def text_of(rows: list[dict[str, str]]) -> str:
    return "\n".join(row["found"] for row in rows)


def test_a_good_server_has_no_complaint(capsys: Any) -> None:
    with running(*KEPT) as server:
        with tokenstore.RedisTokens(server.url) as tokens:
            tokens.create("web", "login", "bob")
        before = server.keys()
        status, found = examine(capsys, server.url)
        assert (status, complaints(found)) == (0, {})
        assert list(found) == [
            *("server", "rights", "eviction", "persistence", "replication"),
            *("tls", "clock", "latency", "near cache", "indexes"),
        ]
        assert server.keys() == before  # nothing is written
        done = run(server, "doctor")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-1] == "no complaints"


def test_evicting(capsys: Any) -> None:
    with running(*KEPT, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        status, found = examine(capsys, server.url)
        assert (status, complaints(found)) == (1, {"eviction": "danger"})
        assert "allkeys-lru" in text_of(found["eviction"])
        server("CONFIG", "SET", "maxmemory", "0")
        assert examine(capsys, server.url)[0] == 0
        status, found = examine(capsys, server.url, "--strict")
        assert (status, complaints(found)) == (1, {"eviction": "warning"})
        server("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server("CONFIG", "SET", "maxmemory", str(int(server.info("memory", "used_memory")) + 10_000))
        assert "% of its maxmemory" in text_of(examine(capsys, server.url)[1]["eviction"])


def test_no_persistence(capsys: Any) -> None:
    with running() as server:
        for save, word in (("", "keeps nothing on a disk"), ("3600 1", "snapshots only")):
            server("CONFIG", "SET", "save", save)
            status, found = examine(capsys, server.url)
            assert (status, complaints(found)) == (1, {"persistence": "danger"})
            assert word in text_of(found["persistence"])
        server("CONFIG", "SET", "appendonly", "yes", "appendfsync", "no")
        assert "appendfsync is no" in text_of(examine(capsys, server.url)[1]["persistence"])


def test_a_replica(capsys: Any) -> None:
    with running(*KEPT, "--repl-diskless-sync-delay", "0", transport="tcp") as primary:
        with running(*KEPT, "--replicaof", primary.host, str(primary.port), transport="tcp") as replica:
            while replica.info("replication", "master_link_status") != "up":
                time.sleep(0.05)
            status, found = examine(capsys, replica.url)
            assert (status, complaints(found)) == (1, {"replication": "danger"})
            assert f"is a replica of {primary.address}" in text_of(found["replication"])
            while b"state=online" not in primary("INFO", "replication"):
                time.sleep(0.05)
            status, found = examine(capsys, primary.url)
            assert (status, complaints(found)) == (0, {"replication": "note"})
            primary("CONFIG", "SET", "min-replicas-to-write", "1")
            assert complaints(examine(capsys, primary.url)[1]) == {}


@pytest.mark.skipif(not Path(OLD).exists(), reason="there is no Redis 6.2")
def test_an_old_server(capsys: Any) -> None:
    with running(*KEPT, binary=OLD) as server:
        status, found = examine(capsys, server.url)
        assert (status, complaints(found)) == (0, {"server": "warning"})
        assert "Redis 6.2" in text_of(found["server"])


def test_rights_that_are_missing(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abilities, "_PATIENCE", 0.2)  # the near cache lacks rights, too
    with running(*KEPT, transport="tcp") as server:
        url = f"redis://tokens:secret@127.0.0.1:{server.port}"
        rule = printed_rule()
        server(*rule)
        status, found = examine(capsys, url)
        assert status == 0  # what the docs say is enough
        assert set(complaints(found).values()) == {"note", "unknown"}
        assert complaints(found)["rights"] == "note"
        server("ACL", "SETUSER", "tokens", "-unlink", "-hset", "-evalsha")
        status, found = examine(capsys, url)
        assert status == 1
        assert "lacks +hset +unlink +evalsha on ts:*" in text_of(found["rights"])
        server("ACL", "SETUSER", "tokens", "+unlink", "+hset", "+evalsha", "resetkeys", "~other:*")
        status, found = examine(capsys, url)
        assert (status, complaints(found)["rights"]) == (1, "danger")
        assert examine(capsys, url, "--prefix", "other")[0] == 0
        assert server.keys() == []
        assert "secret" not in json.dumps(found)


def test_each_right_is_asked_about(capsys: Any) -> None:
    """Take one away, and it is named."""
    needed = [word for word in printed_rule() if word.startswith("+") and word != "+@hash"]
    needed += ["+hget", "+hset", "+hdel", "+hgetall", "+hlen"]
    with running(*KEPT, transport="tcp") as server:
        for word in needed:
            server("ACL", "DELUSER", "tokens")
            server(*printed_rule(), f"-{word[1:]}")
            with Patient(f"redis://tokens:secret@127.0.0.1:{server.port}", "ts") as patient:
                first = next(rights(patient))
            assert first.found == f"the user lacks {word} on ts:*"


def test_a_cluster_with_a_hole(capsys: Any) -> None:
    with running_cluster(*("--appendonly", "yes"), replicas=1) as cluster:
        url = f"redis+cluster://{cluster.nodes[0].address}"
        status, found = examine(capsys, url)
        assert (status, complaints(found)) == (0, {"replication": "note"})  # min-replicas-to-write
        assert text_of(found["cluster"]) == "3 primaries serve all slots, each with a replica"
        cluster.nodes[1]("CLUSTER", "DELSLOTS", *range(6000, 6010))
        while cluster.nodes[0].info("cluster", "cluster_state") == "ok":
            for node in cluster.nodes:  # the others keep the owner they know
                if node is not cluster.nodes[1]:
                    with suppress(ReplyError):
                        node("CLUSTER", "DELSLOTS", *range(6000, 6010))
            time.sleep(0.2)
        status, found = examine(capsys, url + "?timeout=1")
        assert (status, complaints(found)["cluster"]) == (1, "danger")
        assert "10 of 16384 slots are not served" in text_of(found["cluster"])
        status, found = examine(capsys, cluster.nodes[0].url)
        assert "the URL is that of a single server" in text_of(found["cluster"])


# ---- TLS -----------------------------------------------------------------------------------------------


@pytest.fixture(params=[365, 5])
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, str]]:
    """How many days a server's certificate is valid, and the server's URL."""
    ca = make_ca(tmp_path, "ca")
    key, cert, asked, extensions = (tmp_path / f"server.{end}" for end in ("key", "crt", "csr", "ext"))
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", key, "-out", asked, "-subj", "/CN=server")  # fmt: skip
    extensions.write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", asked, "-CA", ca[0], "-CAkey", ca[1], "-CAcreateserial", "-out", cert,
            "-days", str(request.param), "-extfile", extensions)  # fmt: skip
    server = Server(*KEPT, transport="tcp", tls=Tls(cert, key, ca[0]))
    try:
        try:
            server.start()
        except RuntimeError as error:
            if "'tls-port" not in str(error):
                raise
            pytest.skip(f"{server.binary} was built without TLS")
        yield request.param, f"{server.url}?ca={ca[0]}"
    finally:
        server.remove()


def test_a_certificate_about_to_expire(secured: tuple[int, str], capsys: Any) -> None:
    days, url = secured
    status, found = examine(capsys, url)
    assert (status, complaints(found)) == (0, {} if days > 30 else {"tls": "warning"})
    assert f"ends in {days} days" in text_of(found["tls"])


# ---- clock, near cache, indexes ------------------------------------------------------------------------


LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


class Shifted(Server):
    """Its clock is ten minutes ahead. The command faketime would stay between us and the server."""

    prefix = ("env", f"LD_PRELOAD={LIBRARY}", "FAKETIME=+600s")


@pytest.mark.skipif(
    LIBRARY is None or not Path(OLD).exists(),
    reason="there is no faketime, or no Redis 6.2: faketime and jemalloc, which Debian's Redis has, exclude each other",
)
def test_a_clock_that_is_off(capsys: Any) -> None:
    server = Shifted(*KEPT, binary=OLD)
    try:
        server.start()
        status, found = examine(capsys, server.url)
        assert (status, complaints(found)) == (0, {"server": "warning", "clock": "warning"})
        assert "600.0 s ahead of this machine's" in text_of(found["clock"])
    finally:
        server.remove()


def test_no_near_cache(capsys: Any) -> None:
    with running(*KEPT, "--rename-command", "CLIENT", "") as server:
        status, found = examine(capsys, server.url)
        assert (status, complaints(found)) == (0, {"near cache": "note"})
        assert "unknown command" in text_of(found["near cache"])


def test_a_leaking_index(capsys: Any) -> None:
    with running(*KEPT) as server, tokenstore.Tokenstore(server.url) as node_tokens:
        with tokenstore.RedisJWT(server.url, secret=40 * "x", multiple=True) as sessions:
            for _ in range(3):
                sessions.sign("bob")
                node_tokens.add("bob")
            assert complaints(examine(capsys, server.url)[1]) == {}
            with server.wire() as wire:
                for n in range(100):
                    wire("ZADD", "rjwt-sessions/bob", "inf", f"{n:016d}{n:011d}")
                for n in range(50):
                    wire("SADD", "token:tokens:bob", f"id{n}")
            status, found = examine(capsys, server.url)
            assert (status, complaints(found)) == (0, {"indexes": "warning"})
            assert "list 150 sessions or tokens that have ended, beside 6 live ones" in text_of(found["indexes"])
            sessions.list("bob")
            node_tokens.list("bob")
            assert complaints(examine(capsys, server.url)[1]) == {}
            server("DEL", "rjwt-sessions/bob")
            status, found = examine(capsys, server.url)
            assert "3 sessions of RedisJWT in the sample are in no index" in text_of(found["indexes"])
            sessions.reindex()
            assert complaints(examine(capsys, server.url)[1]) == {}


def test_a_server_that_is_away(capsys: Any) -> None:
    assert main(["doctor", f"redis://u:s3cret@127.0.0.1:{free_port()}?timeout=1"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tokenstore: ")
    assert "s3cret" not in captured.err
