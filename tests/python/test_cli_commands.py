"""The commands that make tokens, look for them, count and measure; formats, --watch and --dry-run."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import tokenstore
from servers import Server, running
from test_cli import run
from tokenstore.__main__ import main

SECRET = "a secret of thirty-two bytes and more, of sixty-four even, so for HS512 too"


@pytest.fixture
def here(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("TOKENSTORE_URL", server.url)
    return server


def test_the_console_script_is_the_same_command(server: Server) -> None:
    """As pip writes it from pyproject.toml."""
    pyproject = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    module, function = re.findall(r'^tokenstore = "(.+):(.+)"$', pyproject, re.M)[0]
    code = f"import sys; from {module} import {function}; sys.exit({function}())"
    done = subprocess.run(
        [sys.executable, "-c", code, "ping", server.url], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "answered in" in done.stdout
    done = subprocess.run([sys.executable, "-c", code, "list"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: tokenstore list")
    assert run(None, "list").stderr.startswith("usage: python -m tokenstore list")


def test_the_package_has_all_modules_of_the_command() -> None:
    root = Path(__file__).resolve().parents[2]
    settings = (root / "pyproject.toml").read_text(encoding="utf-8")
    packages = re.findall(r"^packages = \[(.*?)\]$", settings, re.M | re.S)[0]
    made = {path.parent for path in (root / "bindings/python/tokenstore/_cli").rglob("*.py")}
    for directory in made:
        name = ".".join(directory.relative_to(root / "bindings/python").parts)
        assert f'"{name}"' in packages


# ---- create, rotate ------------------------------------------------------------------------------------


def test_create_prints_the_token_alone(
    server: Server, tokens: tokenstore.RedisTokens, tmp_path: Path
) -> None:
    data = tmp_path / "data.json"
    data.write_text('{"role": "é"}', encoding="utf-8")
    done = run(server, "create", "web", "login", "bob", "--duration", "15m", "--data", str(data))
    assert (done.returncode, done.stderr) == (0, "")
    token = tokens.get("web", "login", done.stdout.removesuffix("\n"), expiry=True)
    assert token is not None
    assert (token.owner, token.data) == ("bob", {"role": "é"})
    assert token.expires_at - token.created_at == pytest.approx(900, abs=1)
    done = run(server, "create", "web", "login", "--idle", "60", "--data", "-", "--json", input="{}")
    made = json.loads(done.stdout)
    assert made["owner"] is None
    found = tokens.get("web", "login", made["token"])
    assert found is not None
    assert found.idle == 60


@pytest.mark.parametrize(
    ("data", "more", "message"),
    [
        ("[]", [], "--data: the file must contain a JSON object"),
        ("{", [], "--data: the file must contain a JSON object"),
        ('{"n": 9007199254740993}', [], "data.n"),
        ("{}", ["--duration", "0"], "duration"),
        ("{}", ["--idle", "11y"], "'11y' is no duration"),
    ],
)
def test_create_of_what_cannot_be(server: Server, data: str, more: list[str], message: str) -> None:
    done = run(server, "create", "a", "t", "--data", "-", *more, input=data)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr.splitlines()[-1]
    assert server.keys() == []


def test_a_duration_says_what_it_wants(capsys: Any) -> None:
    with pytest.raises(SystemExit) as error:
        main(["create", "a", "t", "--duration", "soon"])
    assert error.value.code == 2
    assert "'soon' is no duration: give seconds, or a number with s, m, h, d or w" in capsys.readouterr().err


def test_rotate(server: Server, tokens: tokenstore.RedisTokens) -> None:
    old = str(tokens.create("web", "login", "bob", {"n": 1}, 100).token)
    done = run(server, "rotate", "web", "login", "--stdin", "--dry-run", input=old)
    assert (done.returncode, done.stdout, done.stderr) == (0, "would rotate 1 token\n", "")
    assert tokens.get("web", "login", old) is not None
    done = run(server, "rotate", "web", "login", "--stdin", input=old)
    assert (done.returncode, done.stderr) == (0, "")
    new = tokens.get("web", "login", done.stdout.removesuffix("\n"))
    assert new is not None
    assert new.data == {"n": 1}
    for more in ([], ["--dry-run"]):
        done = run(server, "rotate", "web", "login", *more, input=old)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "tokenstore: there is no such token\n")


# ---- --dry-run -----------------------------------------------------------------------------------------


def test_dry_run_ends_nothing(server: Server, tokens: tokenstore.RedisTokens) -> None:
    token = tokens.create("a", "t", "o")
    tokens.create("a", "t", "o")
    secret = str(token.token)
    for words, text, input in (
        (["revoke", "a", "t", "o", token.id], "would end 1 token\n", ""),
        (["revoke", "a", "t", "--stdin"], "would end 1 token\n", secret),
        (["revoke-all", "a", "t", "o"], "would end 2 tokens\n", ""),
    ):
        done = run(server, *words, "--dry-run", input=input)
        assert (done.returncode, done.stdout, done.stderr) == (0, text, "")
        would = json.loads(run(server, *words, "--dry-run", "--json", input=input).stdout)
        assert would == {"dry_run": True, "would_end": int(text.split()[2])}
    assert len(tokens.list("a", "t", "o")) == 2
    done = run(server, "revoke", "a", "t", "o", "nothing", "--dry-run")
    assert (done.returncode, done.stderr) == (1, "tokenstore: there is no such token\n")


# ---- find, count, owners -------------------------------------------------------------------------------


def test_find(server: Server, tokens: tokenstore.RedisTokens) -> None:
    bob = tokens.create("web", "login", "bob", duration=100)
    key = tokens.create('sh"op', "api\n", "商店", custom_token="a key of our own")
    nobody = tokens.create("web", "login")
    lines = [str(bob.token), "nothing", "a key of our own", "", str(nobody.token)]
    done = run(server, "find", "--stdin", "--json", input="\n".join(lines) + "\n")
    found = {row["line"]: (row["app"], row["type"], row["owner"], row["id"]) for row in json.loads(done.stdout)}
    assert found == {
        1: ("web", "login", "bob", bob.id),
        3: ('sh"op', "api\n", "商店", key.id),
        5: ("web", "login", None, nobody.id),
    }
    assert (done.returncode, done.stderr) == (1, "tokenstore: 2 lines without a live token\n")
    done = run(server, "find", input=lines[0])
    assert done.returncode == 0
    assert re.search(rf"^ +1  web  login  bob +{bob.id}  ", done.stdout, re.M)
    assert lines[0] not in done.stdout
    done = run(server, "find", input="nothing")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "tokenstore: none is a live token\n")


def test_count(here: Server, tokens: tokenstore.RedisTokens, capsys: Any) -> None:
    for _ in range(3):
        tokens.create("a", "t", "o")
    assert main(["count", "a", "t", "o"]) == 0
    assert capsys.readouterr().out == "3\n"
    assert main(["count", "a", "t", "nobody", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"count": 0}


def test_owners(here: Server, client: tokenstore.Client, capsys: Any) -> None:
    for prefix in ("ts", "p*[x]?"):
        tokens = tokenstore.RedisTokens(client, prefix=prefix)
        for n in range(30):
            tokens.create("web", "login", f"o{n % 10}", duration=100)
        tokens.create("web", "login", "o1")
        tokens.create("web", "login")  # anonymous
        tokens.create("web", "other", "x")
        tokens.create("web", "login", 'q","\n\\{', request={"address": "192.0.2.1"})
        tokens.create("web", "login", b"\xff")
        assert main(["owners", "web", "login", "--json", "--prefix", prefix]) == 0
        rows = json.loads(capsys.readouterr().out)
        assert rows[0] == {"owner": "o1", "tokens": 4, "lasting": 1}
        assert sorted(row["owner"] for row in rows) == sorted(
            [*(f"o{n}" for n in range(10)), 'q","\n\\{', "\udcff"]
        )
    rotated = tokens.create("web", "magic", "eve", duration=100)
    tokens.rotate("web", "magic", rotated.token, grace=50)
    assert main(["owners", "web", "magic", "--prefix", prefix, "--format", "csv"]) == 0
    assert capsys.readouterr().out == "owner,tokens,lasting\neve,1,0\n"
    assert main(["owners", "web", "nothing"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "tokenstore: this app and type have no owners with live tokens\n")


# ---- formats -------------------------------------------------------------------------------------------


def test_formats(here: Server, tokens: tokenstore.RedisTokens, capsys: Any) -> None:
    tokens.create("web", "login", "bob", {"text": 'a "quoted",\nline'}, 100)
    tokens.create("web", "login", "bob")
    where = ["list", "web", "login", "bob", "--format"]
    assert main([*where, "json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert main([*where, "jsonl"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == whole
    assert main([*where, "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    for row, expected in zip(rows, whole):
        assert list(row) == list(expected)
        assert json.loads(row["data"]) == expected["data"]
        assert (row["id"], row["seen_at"]) == (expected["id"], "")
        assert row["expires_at"] == ("" if expected["expires_at"] is None else str(expected["expires_at"]))
    assert len(rows) == 2
    show = ["show", "web", "login", "bob", "nothing", "--format"]
    assert [main([*show, format]) for format in ("json", "jsonl", "csv")] == [1, 1, 1]
    null, header = capsys.readouterr().out.splitlines()
    assert (null, header.split(",")) == ("null", list(whole[0]))


# ---- --watch -------------------------------------------------------------------------------------------


def lines_of(process: subprocess.Popen[str], count: int) -> list[str]:
    """Empty ones for those that do not come within half a minute."""
    assert process.stdout is not None
    watchdog = threading.Timer(30, process.kill)
    watchdog.start()
    try:
        return [process.stdout.readline() for _ in range(count)]
    finally:
        watchdog.cancel()


def ctrl_c(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    return errors


def started(*words: str) -> subprocess.Popen[str]:
    """Its output is buffered, as that of most programs in a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "tokenstore", *words],
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_watch_goes_on_when_the_server_comes_back() -> None:
    with running() as server:
        process = started("count", "a", "t", "o", "--watch", "0.2", "--url", server.url + "?timeout=1")
        assert lines_of(process, 2) == ["0\n", "0\n"]
        server.kill()
        time.sleep(0.5)
        server.start()
        with tokenstore.RedisTokens(server.url) as tokens:
            tokens.create("a", "t", "o")
        while lines_of(process, 1) == ["0\n"]:
            pass
        errors = ctrl_c(process)
        assert process.returncode == 130
        assert errors.splitlines()[-1] == "tokenstore: interrupted"
        assert len(errors.splitlines()) > 1
    assert run(None, "count", "a", "t", "o", "--watch", "1", "--url", "nix://").returncode == 2


# ---- events --------------------------------------------------------------------------------------------


def test_events(server: Server) -> None:
    with tokenstore.RedisJWT(server.url, secret=SECRET, multiple=True, kea=True) as sessions:
        process = started("events", server.url, "--kea", "--format", "jsonl")
        while b"sub=1" not in server("CLIENT", "LIST") and b"sub=2" not in server("CLIENT", "LIST"):
            assert process.poll() is None
        token = sessions.sign("bob")
        rjwt = sessions.verify(token)["rjwt"]
        sessions.destroy(rjwt)
        sessions.sign("eve\x1b", ttl=1)
        first, second = (json.loads(line) for line in lines_of(process, 2))
        assert (first["kind"], first["id"]) == ("del", "bob")
        assert (second["kind"], second["id"]) == ("expired", "eve\x1b")
        assert abs(first["at"] - time.time()) < 60
        assert rjwt not in json.dumps(first)
        assert ctrl_c(process) == "tokenstore: interrupted\n"
        process = started("events", server.url, "--limit", "1")
        while b"sub=1" not in server("CLIENT", "LIST") and b"sub=2" not in server("CLIENT", "LIST"):
            assert process.poll() is None
        sessions.destroy(sessions.verify(sessions.sign("a\x1bb"))["rjwt"])
        out, errors = process.communicate(timeout=60)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  ended    a\\x1bb\n", out)
        assert (process.returncode, errors) == (0, "")
    assert "use --format jsonl" in run(server, "events", "--json").stderr
    assert run(server, "events", "--limit", "0").returncode == 2


# ---- jwt decode ----------------------------------------------------------------------------------------


def test_jwt_decode(tmp_path: Path) -> None:
    key = tokenstore.jwt.Key.from_secret(SECRET)
    token = tokenstore.jwt.encode({"sub": "bob\x1b", "exp": 4_000_000_000}, key, "HS256")
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET.encode())
    done = run(None, "jwt", "decode", "--stdin", input=token)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].startswith("NOT VERIFIED: ")
    assert '  sub: "bob\\u001b"' in done.stdout
    assert "exp: 4000000000 (2096-10-02 07:06:40Z)" in done.stdout
    for more, variables in (
        (["--key-file", str(secret)], {}),
        ([], {"TOKENSTORE_JWT_SECRET": SECRET}),
        (["--key-file", str(secret), "--algorithm", "HS256"], {}),
    ):
        done = run(None, "jwt", "decode", "--json", *more, input=token, **variables)
        shown = json.loads(done.stdout)
        assert (done.returncode, shown["verified"], shown["claims"]["sub"]) == (0, True, "bob\x1b")
    for more, problem in (
        (["--algorithm", "HS512"], "algorithm"),
        (["--issuer", "https://issuer.example"], "iss"),
        (["--audience", "x"], "aud"),
    ):
        done = run(None, "jwt", "decode", "--json", "--key-file", str(secret), *more, input=token)
        shown = json.loads(done.stdout)
        assert (done.returncode, shown["verified"], shown["claims"]) == (1, False, None)
        assert problem in shown["problem"]
    pair = tmp_path / "pair"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", pair], check=True, capture_output=True)
    done = run(None, "jwt", "decode", "--key-file", str(pair), input=token)  # of another kind
    assert (done.returncode, done.stdout.startswith("NOT VALID: ")) == (1, True)
    forged = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    done = run(None, "jwt", "decode", "--key-file", str(secret), input=forged)
    assert (done.returncode, done.stdout.startswith("NOT VALID: ")) == (1, True)
    assert "bob" not in done.stdout
    for input in ("", "x.y.z", "e30.e30.", "\0"):
        done = run(None, "jwt", "decode", input=input)
        assert (done.returncode, done.stdout.startswith("NOT VALID: "), done.stderr) == (1, True, "")
    for words in (["--key-file", "-"], ["--key-file", "x", "--jwks-url", "https://x"], ["--key-file", os.devnull]):
        assert run(None, "jwt", "decode", *words, input=token).returncode == 2


def test_jwt_decode_with_published_keys(tmp_path: Path) -> None:
    for kind, options in (("ec", ["-pkeyopt", "ec_paramgen_curve:P-256"]), ("ed25519", [])):
        pem = tmp_path / f"{kind}.pem"
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", kind, *options, "-out", pem], check=True, capture_output=True
        )
        key = tokenstore.jwt.Key.from_pem(pem.read_bytes(), kid=kind)
        token = tokenstore.jwt.encode({"sub": "bob"}, key, key.algorithms[0], headers={"kid": kind})
        one, more = tmp_path / f"{kind}.jwk", tmp_path / f"{kind}.jwks"
        one.write_text(json.dumps(key.to_jwk()))
        more.write_text(json.dumps({"keys": [key.to_jwk()]}))
        for path in (pem, one, more):
            done = run(None, "jwt", "decode", "--key-file", str(path), input=token)
            assert done.stdout.startswith("verified: "), done


# ---- bench ---------------------------------------------------------------------------------------------


def test_bench_leaves_nothing_behind(server: Server) -> None:
    done = run(server, "bench", "--seconds", "0.05", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert [row["operation"] for row in rows] == ["ping", "create", "get", "get_many of 100"]
    assert all(row["calls"] >= 1 and 0 < row["p50_ms"] <= row["p99_ms"] for row in rows)
    assert server.keys() == []
    assert run(server, "bench", "--seconds", "0").returncode == 2


def test_bench_that_is_interrupted_leaves_nothing_behind(server: Server) -> None:
    process = started("bench", server.url, "--seconds", "2")  # of ping, and of each thing that has keys
    while len(server.keys()) < 10:
        assert process.poll() is None
    time.sleep(0.1)
    assert ctrl_c(process) == "tokenstore: interrupted\n"
    assert process.returncode == 130
    assert server.keys() == []
