"""The example runs, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nginx_server import ROOT


@pytest.mark.parametrize("app", ["edge", "fastapi", "flask"])
def test_edge(tmp_path: Path, app: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples/edge/run.py", "--app", app],
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    let_through = "this is bob's account" if app == "edge" else "POST /logout-others 303"
    assert let_through in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
