"""The example runs, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nginx_server import ROOT


def test_edge(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples/edge/run.py"],
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "this is bob's account" in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
