"""The command line, run as by a user."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

import tokenstore
from servers import Server, paused, running
from tokenstore.__main__ import main

Done = subprocess.CompletedProcess


def run(server: Server | None, *words: str, input: str = "", **environment: str) -> Done[str]:
    """In a separate process."""
    variables = {k: v for k, v in os.environ.items() if k != "TOKENSTORE_URL"} | environment
    if server is not None:
        variables["TOKENSTORE_URL"] = server.url
    return subprocess.run(
        [sys.executable, "-m", "tokenstore", *words],
        input=input,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def read_json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def here(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """For main() in this process."""
    monkeypatch.setenv("TOKENSTORE_URL", server.url)
    return server


def test_ping(server: Server) -> None:
    done = run(server, "ping")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"answered in \d+\.\d\d ms", done.stdout)
    done = run(None, "ping", server.url, "--json")
    assert json.loads(done.stdout)["milliseconds"] > 0


def test_list_and_show(here: Server, tokens: tokenstore.RedisTokens, capsys: Any) -> None:
    token = tokens.create("web", "login", "bob", {"role": "é"}, 100)
    lasting = tokens.create("web", "login", "bob")
    assert main(["list", "web", "login", "bob"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert re.split("  +", head) == ["ID", "CREATED", "LAST SEEN", "EXPIRES", "ADDRESS", "USER AGENT"]
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
    assert re.fullmatch(rf"{lasting.id}  {time}  -  +never  +-  +-", first)
    assert re.fullmatch(rf"{token.id}  {time}  -  +{time}  -  +-", second)
    assert main(["list", "web", "login", "bob", "--json"]) == 0
    assert [(t["id"], t["data"]) for t in read_json(capsys)] == [(lasting.id, {}), (token.id, {"role": "é"})]
    assert main(["show", "web", "login", "bob", token.id]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^owner +bob$", shown, re.M)
    assert '{"role": "é"}' in shown
    assert token.token not in shown
    assert main(["show", "web", "login", "bob", token.id, "--json"]) == 0
    assert read_json(capsys)["expires_at"] == pytest.approx(token.expires_at, abs=0.01)
    assert main(["show", "web", "login", "bob", "nothing", "--json"]) == 1
    assert read_json(capsys) is None
    assert main(["list", "web", "login", "nobody"]) == 0


def test_who_and_when(here: Server, client: tokenstore.Client, capsys: Any) -> None:
    tokens = tokenstore.RedisTokens(client, touch_interval=0)
    agent = {"address": "192.0.2.7", "user_agent": "Mozilla/5.0 (x)\x1b[1m"}
    token = tokens.create("web", "login", "bob", idle=100, request=agent)
    while (found := tokens.get("web", "login", token.token, refresh=True)) is None or found.seen_at is None:
        pass
    assert main(["list", "web", "login", "bob"]) == 0
    row = re.split("  +", capsys.readouterr().out.splitlines()[1])
    assert row[2][:2] == "20"
    assert row[4:] == ["192.0.2.7", r"Mozilla/5.0 (x)\x1b[1m"]
    assert main(["show", "web", "login", "bob", token.id]) == 0
    assert re.search(r"^address +192\.0\.2\.7$", capsys.readouterr().out, re.M)
    assert main(["show", "web", "login", "bob", token.id, "--json"]) == 0
    shown = read_json(capsys)
    assert (shown["request"], shown["seen_at"], shown["sid"]) == (agent, found.seen_at, token.id)


def test_a_locale_without_the_letters(server: Server, tokens: tokenstore.RedisTokens) -> None:
    token = tokens.create("web", "login", "bob", {"role": "é"})
    done = run(server, "show", "web", "login", "bob", token.id, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert '{"role": "\\xe9"}' in done.stdout


def test_tokens_come_from_stdin(server: Server, tokens: tokenstore.RedisTokens) -> None:
    token = tokens.create("web", "login", "bob", {"n": 1}, 100)
    secret = str(token.token)
    done = run(server, "show", "web", "login", "--stdin", "--json", input=secret + "\n")
    assert json.loads(done.stdout)["id"] == token.id
    done = run(server, "revoke", "web", "login", "--stdin", input=secret)
    assert (done.returncode, done.stdout) == (0, "ended 1 token\n")
    done = run(server, "revoke", "web", "login", "--stdin", input=secret)
    assert (done.returncode, done.stderr) == (1, "tokenstore: there is no such token\n")
    assert tokens.get("web", "login", secret) is None


def test_revoke_by_id(here: Server, tokens: tokenstore.RedisTokens, capsys: Any) -> None:
    """An id may begin with a dash."""
    dashed = None
    while dashed is None:
        made = tokens.create_many([{"app": "a", "type": "t", "owner": "o"} for _ in range(200)])
        dashed = next((t.id for t in made if t.id.startswith("-")), None)
    count = len(tokens.list("a", "t", "o"))
    assert main(["revoke", "a", "t", "o", dashed, "--json"]) == 0
    assert read_json(capsys) == {"ended": 1}
    assert main(["revoke", "a", "t", "o", dashed]) == 1
    assert len(tokens.list("a", "t", "o")) == count - 1


def test_revoke_all(server: Server, tokens: tokenstore.RedisTokens) -> None:
    for _ in range(3):
        tokens.create("a", "t", "o")
    assert run(server, "revoke-all", "a", "t", "o").returncode == 2  # no terminal for the confirmation
    assert len(tokens.list("a", "t", "o")) == 3
    assert run(server, "revoke-all", "a", "t", "o", "--yes").stdout == "ended 3 tokens\n"
    assert run(server, "revoke-all", "a", "t", "o", "--yes").stdout == "ended 0 tokens\n"


# A simulated terminal, for systems without /dev/pts.
PRETENDED = """
import io, runpy, sys
class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True
sys.stdin = Terminal(sys.stdin.detach(), encoding="utf-8")
sys.stdout = Terminal(sys.stdout.detach(), encoding="utf-8")
sys.stderr = Terminal(sys.stderr.detach(), encoding="utf-8", line_buffering=True)
runpy.run_module("tokenstore", run_name="__main__")
"""


def without_styles(output: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", output)


def on_pipes(server: Server, *words: str, answer: bytes = b"") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", PRETENDED, *words],
        input=answer,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"TOKENSTORE_URL": server.url, "COLUMNS": "80"},
        timeout=60,
    )
    return done.returncode, without_styles(done.stdout.decode())


def on_terminal(server: Server, *words: str, answer: bytes = b"") -> tuple[int, str]:
    """The exit status and all output to its terminal, 80 columns wide."""
    try:
        pid, terminal = pty.fork()
    except OSError:
        return on_pipes(server, *words, answer=answer)
    if pid == 0:
        os.environ.pop("COLUMNS", None)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
        os.environ["TOKENSTORE_URL"] = server.url
        os.execv(sys.executable, [sys.executable, "-m", "tokenstore", *words])
    os.write(terminal, answer)
    output = b""
    try:
        while chunk := os.read(terminal, 4096):
            output += chunk
    except OSError:  # on Linux: the other side is closed
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), without_styles(output.decode())


@pytest.fixture(params=[on_terminal, on_pipes])
def terminal(request: pytest.FixtureRequest) -> Any:
    """Both kinds, so that a machine without /dev/pts runs the same tests."""
    return request.param


def test_revoke_all_asks(server: Server, tokens: tokenstore.RedisTokens, terminal: Any) -> None:
    tokens.create("a", "t", "o")
    status, output = terminal(server, "revoke-all", "a", "t", "o", answer=b"n\n")
    assert status == 1
    assert "end 1 token?" in output
    assert len(tokens.list("a", "t", "o")) == 1
    assert terminal(server, "revoke-all", "a", "t", "o", answer=b"y\n")[0] == 0
    assert tokens.list("a", "t", "o") == []


def test_stats(here: Server, client: tokenstore.Client, capsys: Any) -> None:
    for prefix in ("ts", "p*[x]?"):
        tokens = tokenstore.RedisTokens(client, prefix=prefix)
        for n in range(30):
            tokens.create("web", "login", f"o{n % 10}", duration=100)
        tokens.create("web", "login", "o1")
        tokens.create('q","\n', "t\x1b[2J", b"\xff", custom_token="x")
        assert main(["stats", "--prefix", prefix, "--json"]) == 0
        assert read_json(capsys) == [
            {"app": 'q","\n', "type": "t\x1b[2J", "owners": 1, "tokens": 1, "lasting": 1},
            {"app": "web", "type": "login", "owners": 10, "tokens": 31, "lasting": 1},
        ]
    assert main(["stats"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert re.search(r"^web +login +10 +31 +1$", shown, re.M)


def columns_of(line: str) -> int:
    """As on a terminal: CJK characters have two columns, a combining accent none."""
    return sum(2 if "\u1100" <= c <= "\uffdc" else 0 if "\u0300" <= c <= "\u036f" else 1 for c in line)


def test_wide_characters_are_aligned(here: Server, tokens: tokenstore.RedisTokens, capsys: Any) -> None:
    for app in ("web", "商店", "cafe\u0301", "한국어판"):
        tokens.create(app, "login", "bob")
    assert main(["stats"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 4
    for row in rows:
        before, _, _ = row.partition("login")
        assert columns_of(before) == head.index("TYPE")
        assert columns_of(row) == len(head)


def test_a_table_fits_the_terminal(server: Server, tokens: tokenstore.RedisTokens, terminal: Any) -> None:
    names = "a-very-long-name-of-an-app-" * 3, "商店" * 40
    for name in names:
        tokens.create(name, "login", "bob")
    tokens.create("web", "login", "bob")
    status, output = terminal(server, "stats")
    lines = output.rpartition("\x1b[K")[2].splitlines()
    assert status == 0
    assert [columns_of(line) for line in lines] == [80] * 4
    assert sum("..." in line for line in lines) == 2
    whole = run(server, "stats").stdout  # in a pipe nothing is truncated
    assert all(name in whole for name in names)
    found = tokens.list("web", "login", "bob")[0]
    assert found.id in terminal(server, "list", "web", "login", "bob")[1]


def test_nothing_to_list(server: Server) -> None:
    for words, message in (
        (["list", "web", "login", "nobody"], "this owner has no live tokens"),
        (["stats", "--prefix", "p"], "there are no tokens with the prefix p"),
    ):
        done = run(server, *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", f"tokenstore: {message}\n")
        assert run(server, *words, "--json").stdout == "[]\n"


def test_stats_shows_how_far_it_is(server: Server, terminal: Any) -> None:
    """Also among other programs' keys, with nothing to count for a while."""
    with server.wire() as wire:
        for n in range(0, 20_000, 1000):
            wire("MSET", *(word for i in range(n, n + 1000) for word in (f"other:{i}", "")))
    status, output = terminal(server, "stats")
    assert status == 0
    counts = [int(count) for count in re.findall(r"\r(\d+) keys looked at", output)]
    assert counts
    assert counts == sorted(counts)
    assert "\r\x1b[Ktokenstore: there are no tokens" in output
    assert run(server, "stats").stderr == "tokenstore: there are no tokens with the prefix ts\n"


def test_stats_under_the_acl_that_the_docs_name(capsys: Any) -> None:
    """docs/reference/cli.md: +scan +@hash +time +eval +evalsha, and none can be spared."""
    needed = ["+scan", "+@hash", "+time", "+eval", "+evalsha"]
    with running(transport="tcp") as server:
        with tokenstore.RedisTokens(server.url) as tokens:
            tokens.create("web", "login", "bob")
        url = f"redis://viewer:secret@127.0.0.1:{server.port}"
        for spared in ["", *needed]:
            server("ACL", "DELUSER", "viewer")
            allowed = [word for word in needed if word != spared]
            server("ACL", "SETUSER", "viewer", "on", ">secret", "~ts:*", "-@all", *allowed)
            server("SCRIPT", "FLUSH")
            assert main(["stats", url]) == (3 if spared else 0)
            assert bool(capsys.readouterr().err) == bool(spared)


def test_prefix_and_pepper(here: Server, client: tokenstore.Client, tmp_path: Path, capsys: Any) -> None:
    pepper = tmp_path / "pepper"
    pepper.write_bytes(b"\x01" * 32)
    tokens = tokenstore.RedisTokens(client, prefix="p", pepper=b"\x01" * 32)
    token = tokens.create("a", "t", "o")
    where = ["--prefix", "p", "--pepper-file", str(pepper)]
    assert main(["revoke", "a", "t", "o", token.id, *where]) == 0
    assert main(["list", "a", "t", "o", "--pepper-file", str(tmp_path / "none")]) == 3


# ---- migrate ------------------------------------------------------------------------------------------


def fill(server: Server, count: int) -> None:
    with server.wire() as wire:
        for n in range(count):
            wire("SET", f"app:a|type:t|owner:o|token:s3cret{n}", "{}", "EX", 1000)
        wire("SET", "app:a|type:t|owner:o|token:s3cret-odd", "[]")


def test_migrate(server: Server, tokens: tokenstore.RedisTokens) -> None:
    fill(server, 10)
    done = run(server, "migrate", "redis-tokens", "--dry-run")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == (
        "skipped: app:a|type:t|owner:o|token:…: the data is not an object"
    )
    assert "would move 10," in done.stdout
    assert tokens.get("a", "t", "s3cret1") is None
    done = run(None, "migrate", "redis-tokens", server.url, "--json", "--batch", "3")
    report = json.loads(done.stdout)
    assert (done.returncode, report["moved"], report["odd_count"]) == (1, 10, 1)
    assert tokens.get("a", "t", "s3cret1") is not None
    server("DEL", "app:a|type:t|owner:o|token:s3cret-odd")
    assert run(server, "migrate", "redis-tokens").returncode == 0
    server("SET", "app:a|token:s3cret|ownerId:o", "{}")
    assert "moved 1," in run(server, "migrate", "spots-sessions").stdout


def test_migrate_shows_a_bar_on_a_terminal(server: Server, terminal: Any) -> None:
    pytest.importorskip("tqdm")
    fill(server, 200)
    status, output = terminal(server, "migrate", "redis-tokens", "--batch", "20")
    assert status == 1
    assert "100%" in output
    assert "moved 200," in output
    assert "s3cret" not in output


def test_migrate_ended_by_ctrl_c(server: Server, tokens: tokenstore.RedisTokens) -> None:
    fill(server, 3)
    with paused(server):
        process = subprocess.Popen(
            [sys.executable, "-m", "tokenstore", "migrate", "redis-tokens", server.url],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        # It is connected, so it waits for a reply.
        while "redis.sock" not in sockets_of(process.pid):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1] == "tokenstore: interrupted\n"
    assert process.returncode == 130
    assert run(server, "migrate", "redis-tokens", "--json").returncode == 1
    assert len(tokens.list("a", "t", "o")) == 3


def sockets_of(pid: int) -> str:
    """The names of the unix sockets to which the process is connected."""
    table = Path(f"/proc/{pid}/net/unix").read_text().splitlines()
    own = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            own.add(os.readlink(link).removeprefix("socket:[").removesuffix("]"))
        except OSError:
            continue
    inodes = [line.split()[6] for line in table[1:]]
    return "redis.sock" if own & set(inodes) else ""


# ---- usage errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "a", "t"], "give OWNER and ID"),
        (["show", "a", "t", "o"], "give OWNER and ID"),
        (["revoke", "a", "t", "o", "i", "--stdin"], "not both"),
        (["ping", "nix://x"], "unknown scheme"),
        (["migrate", "redis-tokens", "--batch", "0"], "batch"),
        (["migrate", "redis-tokens", "--prefix", "{"], "prefix"),
        (["stats", "--prefix", ""], "prefix"),
        (["stats", "--pepper-file", "/dev/null"], "pepper"),
        (["list", "", "t", "o"], "APP must be 1 to 1024 bytes"),
        (["show", "a", "", "o", "i"], "TYPE must be"),
        (["revoke", "a", "t", "ö" * 513, "i"], "OWNER must be"),
        (["revoke-all", "--yes", "a", "t", ""], "OWNER must be"),
    ],
)
def test_wrong_usage_is_one_line(here: Server, capsys: Any, words: list[str], message: str) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tokenstore: ")
    assert message in line


@pytest.mark.parametrize("words", [[], ["nothing"], ["migrate", "other"], ["list", "a"]])
def test_usage(words: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as error:
        main(words)
    assert error.value.code == 2
    assert "usage: " in capsys.readouterr().err


def test_no_server(tmp_path: Path) -> None:
    done = run(None, "ping", f"unix://{tmp_path}/none", TOKENSTORE_URL="redis://u:s3cret@127.0.0.1:1")
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    done = run(None, "ping", TOKENSTORE_URL="redis://u:s3cret@127.0.0.1:1?connect_timeout=1")
    assert done.returncode == 3
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(server: Server, tokens: tokenstore.RedisTokens, closed: str) -> None:
    tokens.create("a", "t", "o")
    for words, status in (
        ("list a t o", 0),
        ("stats", 0),
        ("show a t --stdin </dev/null", 1),
        ("revoke-all a t o", 2),
        ("list a t", 2),
        ("ping redis://127.0.0.1:1", 3),
    ):
        command = f"{sys.executable} -m tokenstore {words} {closed}"
        environment = {**os.environ, "TOKENSTORE_URL": server.url}
        done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode, "Traceback" in done.stderr) == (status, False), (words, done.stderr)


def test_a_reader_that_has_seen_enough(server: Server, tokens: tokenstore.RedisTokens) -> None:
    tokens.create_many([{"app": "a", "type": "t", "owner": "o"} for _ in range(3000)])
    process = subprocess.Popen(
        [sys.executable, "-m", "tokenstore", "list", "a", "t", "o", "--url", server.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0
