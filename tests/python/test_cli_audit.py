"""``tokenstore events --audit``, and what the commands write to the stream."""

from __future__ import annotations

import getpass
import json
import re

import tokenstore
from servers import Server
from test_cli import run
from test_cli_commands import ctrl_c, lines_of, started


def test_the_audit_stream(server: Server) -> None:
    assert "the audit stream is empty" in run(server, "events", "--audit").stderr
    audited = ("--audit-stream", "100")
    token = run(server, "create", "web", "login", "b\x1bob", *audited).stdout.strip()
    run(server, "create", "web", "login", "b\x1bob")  # tells nobody
    run(server, "rotate", "web", "login", "--stdin", *audited, input=token + "\n")
    run(server, "revoke-all", "web", "login", "b\x1bob", "--yes", *audited)
    rows = json.loads(run(server, "events", "--audit", "--json").stdout)
    assert [(row["kind"], row["count"]) for row in rows] == [("created", 1), ("rotated", 1), ("ended", 2)]
    assert {row["actor"] for row in rows} == {f"cli:{getpass.getuser()}"}
    assert {row["owner"] for row in rows} == {"b\x1bob"}
    assert token not in json.dumps(rows)
    shown = run(server, "events", "--audit", "--limit", "1").stdout.splitlines()
    assert shown[0].split() == ["TIME", "KIND", "OWNER", "APP", "TYPE", "N", "REASON", "ACTOR", "SID"]
    assert shown[1].split()[2:8] == ["ended", "b\\x1bob", "web", "login", "2", "all"]
    head, *lines = run(server, "events", "--audit", "--format", "csv").stdout.splitlines()
    assert (head, len(lines)) == ("at,kind,name,reason,app,type,owner,sid,id,count,actor", 3)
    assert run(server, "events", "--audit", "--prefix", "other").stdout == ""
    for wrong in (["--kea"], ["--follow", "--json"], ["--limit", "0"]):
        assert run(server, "events", "--audit", *wrong).returncode == 2
    assert run(server, "events", "--follow").returncode == 2


def test_following_the_audit_stream(server: Server) -> None:
    with tokenstore.RedisTokens(server.url, audit_stream=100) as tokens:
        tokens.create("a", "t", "first")
        process = started("events", server.url, "--audit", "--follow", "--format", "jsonl")
        assert json.loads(lines_of(process, 1)[0])["owner"] == "first"
        tokens.create("a", "t", "second")
        with tokenstore.acting("admin"):
            tokens.delete_all("a", "t", "second")
        second, ended = (json.loads(line) for line in lines_of(process, 2))
        assert (second["owner"], ended["reason"], ended["actor"]) == ("second", "all", "admin")
        assert ctrl_c(process) == "tokenstore: interrupted\n"
        process = started("events", server.url, "--audit", "--follow")
        assert len(lines_of(process, 4)) == 4
        tokens.create("a", "t", "third\x1b")
        assert re.fullmatch(r"\S+ \S+Z  created         a/t/third\\x1b  \S{22}\n", lines_of(process, 1)[0])
        ctrl_c(process)
