"""scripts/run-tests: its table for suites that pass, fail, or run nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The output of runners, and their exit status.
SUITES = {
    "good": ("echo '3 passed, 1 skipped in 0.1s'; echo 'lua: 4 passed, 0 failed'", 0),
    "bad": ("echo '2 failed, 3 passed, 1 skipped, 1 error in 0.50s'", 1),
    "all-bad": ("echo '5 failed in 0.50s'", 1),
    "c": ("echo 'core: 7 passed, 2 failed'", 1),
    "nothing": ("echo nothing to do", 0),
    "none": ("echo '0 passed'", 0),
    "broken": ("echo '3 passed'; echo 'make: *** Error 2'", 2),
}


@pytest.mark.parametrize("lanes", ["1", "2"])
def test_the_table(tmp_path: Path, lanes: str) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text(
        "".join(f"test-{name}:\n\t@{command}; exit {status}\n" for name, (command, status) in SUITES.items())
    )
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/run-tests", lanes, tmp_path, f"make -s -f {makefile}", *SUITES],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 1
    head, *rows = (tmp_path / "test-logs/summary").read_text().splitlines()
    assert head.split() == ["suite", "passed", "failed", "skipped", "time"]
    found = {}
    for row in rows:
        name, passed, failed, skipped, _, problem = row.split(None, 5)
        found[name] = (int(passed), int(failed), int(skipped), problem)
    assert found == {
        "good": (7, 0, 1, "ok"),
        "bad": (3, 3, 1, "FAILED: make test-bad"),
        "all-bad": (0, 5, 0, "FAILED: make test-all-bad"),
        "c": (7, 2, 0, "FAILED: make test-c"),
        "nothing": (0, 0, 0, "FAILED, a runner ran no test: make test-nothing"),
        "none": (0, 0, 0, "FAILED, a runner ran no test: make test-none"),
        "broken": (3, 0, 0, "FAILED: make test-broken"),
    }
    assert done.stdout.endswith("\n".join([head, *rows]) + "\n")
