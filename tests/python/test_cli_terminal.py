"""The command line on terminals of several widths and in a pipe, compared with kept outputs; completion; the man page.

TOKENSTORE_KEEP_OUTPUTS=1 writes tests/python/shown anew.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tokenstore
from servers import Server, running
from test_cli import columns_of, without_styles

SHOWN = Path(__file__).resolve().parent / "shown"
ROOT = SHOWN.parents[2]
WIDTHS = (40, 80, 200)

WITHOUT_RICH = "import sys; sys.modules['rich.console'] = None; import runpy; runpy.run_module('tokenstore', run_name='__main__')"


def on_terminal(columns: int, *command: str, **variables: str) -> str:
    """All output to a terminal, as it is."""
    try:
        pid, terminal = pty.fork()
    except OSError:
        pytest.skip("no pseudo-terminals here")
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
        os.execve(command[0], command, {**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", **variables})
    output = b""
    try:
        while chunk := os.read(terminal, 4096):
            output += chunk
    except OSError:  # on Linux: the other side is closed
        pass
    os.close(terminal)
    os.waitpid(pid, 0)
    return output.decode().rpartition("\r\x1b[K")[2].replace("\r\n", "\n")


def settled(output: str) -> str:
    """Without what differs from run to run, in the same width."""
    output = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "2026-11-30 12:00:00Z", output)
    output = re.sub(r"(?m)(?<![\w-])[\w-]{22}(?![\w-])", "i" * 22, output)
    output = re.sub(r"\A\w+ +server: .*\n(?: .*\n)*", "", output)  # of doctor: the version
    return re.sub(r"\d+\.\d+ (ms|s)\b", r"0.00 \1", output)


@pytest.fixture(scope="module")
def filled() -> Iterator[Server]:
    with running("--save", "") as server, tokenstore.RedisTokens(server.url, audit_stream=100) as tokens:
        agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
        for n, request in enumerate((None, {"address": "192.0.2.7", "user_agent": agent})):
            tokens.create("web", "login", "bob", {"n": n}, 86400, request=request)
            time.sleep(0.01)
        tokens.create("商店-" + "long-name-" * 4, "login", "王秀英" * 12)
        tokens.create("cafe\u0301", "api", "re\x1b[31md")
        tokens.create("web", "login", "eve")
        tokens.create_many([{"app": "web", "type": "login", "owner": owner} for owner in ("mallory", "mallory", "梅" * 30)])
        with tokenstore.acting("admin:alice\x1b"):  # their events have no sid, which would be another each time
            tokens.delete_all("web", "login", "mallory")
            tokens.delete_all("web", "login", "梅" * 30)
        yield server


COMMANDS = {
    "list": ["list", "web", "login", "bob"],
    "stats": ["stats"],
    "owners": ["owners", "商店-" + "long-name-" * 4, "login"],
    "count": ["count", "web", "login", "bob"],
    "doctor": ["doctor"],
    "audit": ["events", "--audit", "--limit", "2"],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("columns", [*WIDTHS, None], ids=str)
def test_kept_outputs(filled: Server, name: str, columns: int | None) -> None:
    command = [sys.executable, "-m", "tokenstore", *COMMANDS[name], "--url", filled.url]
    if columns is None:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.stderr == ""
        assert "\x1b" not in done.stdout
        output = done.stdout
    else:
        output = without_styles(on_terminal(columns, *command))
        wide = max(columns_of(line) for line in output.splitlines())
        assert wide <= columns
        assert "\x1b" not in output
    output = "".join(line.rstrip() + "\n" for line in settled(output).splitlines())
    kept = SHOWN / f"{name}-{columns or 'pipe'}.txt"
    if os.environ.get("TOKENSTORE_KEEP_OUTPUTS"):
        SHOWN.mkdir(exist_ok=True)
        kept.write_text(output, encoding="utf-8")
    assert output == kept.read_text(encoding="utf-8")


def styles(output: str) -> set[str]:
    return {word for group in re.findall(r"\x1b\[([\d;]*)m", output) for word in group.split(";")} - {"", "0"}


def test_colour_says_nothing_alone(filled: Server) -> None:
    """With and without it, and without rich, the text is the same."""
    command = ["-m", "tokenstore", "doctor", "--url", filled.url]
    colourful = on_terminal(80, sys.executable, *command)
    assert {"1", "7", "34"} <= styles(colourful)  # bold, reverse, blue
    bold = on_terminal(80, sys.executable, *command, NO_COLOR="1")
    assert styles(bold) <= {"1", "7"}
    plain = [
        on_terminal(80, sys.executable, *command, TERM="dumb"),
        on_terminal(80, sys.executable, "-c", WITHOUT_RICH, *command[2:]),
    ]
    for output in plain:
        assert "\x1b" not in output
    assert len({settled(without_styles(output)) for output in (colourful, bold, *plain)}) == 1
    assert re.search(r"^DANGER   persistence: ", plain[0], re.M)
    assert not styles(colourful) & {"31", "32", "91", "92"}  # red and green, which many cannot tell apart


# ---- completion, the man page --------------------------------------------------------------------------


def script_of(shell: str, tmp_path: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-m", "tokenstore", "completion", shell], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    script = tmp_path / f"completion.{shell}"
    script.write_text(done.stdout)
    return script


def test_completion_in_bash(tmp_path: Path) -> None:
    script = script_of("bash", tmp_path)
    code = f"""source {script}; complete -p tokenstore
COMP_WORDS=(tokenstore re); COMP_CWORD=1; _shtab_tokenstore; echo "${{COMPREPLY[@]}}"
COMP_WORDS=(tokenstore list --form); COMP_CWORD=2; COMPREPLY=(); _shtab_tokenstore; echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines()[1:] == ["revoke revoke-all", "--format"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_completion_in_fish(tmp_path: Path) -> None:
    code = f"source {script_of('fish', tmp_path)}; complete -C 'tokenstore re'; complete -C 'tokenstore list --form'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", code],
        capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stderr == ""
    words = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert words == ["revoke", "revoke-all", "--format"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_completion_in_zsh(tmp_path: Path) -> None:
    """It completes only for somebody who types: here for one in a second terminal, zpty."""
    script = script_of("zsh", tmp_path)
    code = f"""zmodload zsh/zpty
zpty -b z 'TERM=dumb PS1=ready- zsh -f -i'
zpty -w z "autoload -U compinit; compinit -u -D; eval \\"\\$(cat {script})\\"; print loaded-\\$_comps[tokenstore]-"
until zpty -r z line '*loaded-_shtab*'; do :; done
zpty -n -w z $'tokenstore stat\\t'
zpty -r z line '*tokenstore stats *' && print completed
"""
    done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1:] == ["completed"], done


def test_completion_without_shtab() -> None:
    code = "import sys; sys.modules['shtab'] = None; from tokenstore.__main__ import main; sys.exit(main(['completion', 'bash']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'tokenstore[cli]'" in done.stderr


def test_the_man_page(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/man-page"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    for word in (r"\fB\-\-dry\-run\fR", ".SS revoke\\-all", ".SS doctor", "TOKENSTORE_URL", "default: ts"):
        assert word in done.stdout
    if shutil.which("groff") is not None:
        checked = subprocess.run(
            ["groff", "-man", "-ww", "-z", "-Tutf8"], input=done.stdout, capture_output=True, text=True, timeout=60
        )
        assert checked.stderr == ""
