"""The ACL in docs/reference/acl.md is sufficient and minimal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tokenstore
from servers import ReplyError, Server, running
from tokenstore.__main__ import main

DOC = Path(__file__).resolve().parents[2] / "docs/reference/acl.md"


def printed_rule() -> list[str]:
    (line,) = re.findall(r"<!-- acl: .*?-->\s*```\s*\n(.*)\n", DOC.read_text(encoding="utf-8"))
    words = line.split()
    assert words[:3] == ["ACL", "SETUSER", "tokens"]
    return [word.replace("PASSWORD", "secret") for word in words]


@pytest.fixture
def server() -> Iterator[Server]:
    with running(transport="tcp") as server:
        server(*printed_rule())
        yield server


def use_everything(tokens: tokenstore.RedisTokens) -> None:
    app = {"app": "web", "type": "login"}
    token = tokens.create(**app, owner="bob", data={"n": 1}, duration=60)
    tokens.create(**app, owner="bob", custom_token="custom", duration=60)
    tokens.create(**app, owner="bob", custom_token="forever")
    many = tokens.create_many([{**app, "owner": f"o{n}"} for n in range(4)])
    assert tokens.get(**app, token=token.token, refresh=600, expiry=True) is not None
    assert all(tokens.get_many(**app, tokens=[t.token for t in many]))
    assert tokens.refresh(**app, token=token.token, duration=60)
    assert tokens.update(**app, token=token.token, data={"m": 2}) is not None
    new = tokens.rotate(**app, token=token.token, duration=60)
    assert new is not None
    assert len(tokens.list(**app, owner="bob")) == 3
    assert tokens.delete_by_id(**app, owner="bob", id=new.id)
    assert tokens.refresh(**app, token="custom", duration=30)
    assert tokens.delete(**app, token="custom")
    tokens.create(**app, owner="bob", custom_token="once", duration=60)
    assert tokens.take(**app, token="once") is not None
    for _ in range(5):
        tokens.create(**app, owner="bob")
    kept = tokens.create(**app, owner="bob", duration=60)
    assert tokens.delete_all(**app, owner="bob", keep=kept.token) >= 2
    assert tokens.delete_all(**app, owner="bob") == 1
    assert tokens.delete_all(**app, owner="nobody") == 0


def test_it_is_enough(server: Server) -> None:
    url = f"redis://tokens:secret@127.0.0.1:{server.port}"
    for options in ({}, {"max_per_owner": 3, "max_age": 1000, "touch_interval": 0}):
        with tokenstore.RedisTokens(url, **options) as tokens:
            use_everything(tokens)
    with tokenstore.Sessions(url) as sessions:
        token = sessions.create("web", "bob", {"a": 1}, 60)
        assert sessions.get("web", token, refresh=60) is not None
        assert sessions.kill_all("web", "bob")


def test_ping_needs_no_right(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that does not permit PING is reachable and has accepted the login."""
    url = f"redis://tokens:secret@127.0.0.1:{server.port}"
    with tokenstore.Client(url) as client:
        with pytest.raises(tokenstore.ServerError, match="^NOPERM"):
            client.execute("PING")
        assert client.ping() is True
    assert main(["ping", url]) == 0
    assert "answered in" in capsys.readouterr().out
    assert main(["ping", url.replace("secret", "wrong")]) == 3
    assert "WRONGPASS" in capsys.readouterr().err


def test_nothing_else_is_allowed(server: Server) -> None:
    with tokenstore.Client(f"redis://tokens:secret@127.0.0.1:{server.port}") as client:
        for command in (
            ["KEYS", "*"],
            ["SCAN", "0"],
            ["FLUSHALL"],
            ["CONFIG", "GET", "*"],
            ["GET", "other:key"],
            ["SCRIPT", "FLUSH"],
            ["PUBLISH", "x", "y"],
        ):
            with pytest.raises(tokenstore.ServerError, match="^NOPERM"):
                client.execute(*command)


def test_every_word_of_it_is_needed(server: Server) -> None:
    """Take one command away, and something stops working."""
    spared = {"+eval", "+persist", "+pexpireat"}
    rule = printed_rule()
    url = f"redis://tokens:secret@127.0.0.1:{server.port}"
    idle = []
    for word in [w for w in rule if w.startswith("+")]:
        server("ACL", "DELUSER", "tokens")
        server(*[w for w in rule if w != word])
        server("FLUSHALL")
        server("SCRIPT", "FLUSH")
        try:
            for options in ({}, {"max_per_owner": 3, "max_age": 1000, "touch_interval": 0}):
                with tokenstore.RedisTokens(url, **options) as tokens:
                    use_everything(tokens)
        except tokenstore.ServerError as error:
            # The errors of Redis before 7, Redis 7, and Redis 8 or Valkey.
            words = ("NOPERM", "can't run this command", "has no permissions to run")
            assert any(word in str(error) for word in words), error
        else:
            idle.append(word)
    assert set(idle) <= spared


def test_without_permission_it_says_so(server: Server) -> None:
    server("ACL", "SETUSER", "weak", "on", ">pw", "~ts:*", "+get")
    with tokenstore.RedisTokens(f"redis://weak:pw@127.0.0.1:{server.port}") as tokens:
        assert tokens.get("a", "t", "x") is None
        with pytest.raises(tokenstore.ServerError, match="NOPERM"):
            tokens.create("a", "t", "o")
    with tokenstore.RedisTokens(f"redis://weak:no@127.0.0.1:{server.port}") as tokens:
        with pytest.raises(tokenstore.Error):
            tokens.get("a", "t", "x")
    with pytest.raises(ReplyError):
        server("AUTH", "weak", "no")
