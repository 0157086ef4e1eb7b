"""The tests of this directory for Django, again with the other versions that are supported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from django_versions import OTHERS, ROOT, environment

FILES = ["contract", "engine", "users"]
WAITING = "it_ends or twenty"
"""These take seconds, for nothing that depends on Django."""


@pytest.mark.parametrize("version", OTHERS)
def test_another_django(version: str) -> None:
    paths = [Path(__file__).with_name(f"test_django_{name}.py") for name in FILES]
    again = [sys.executable, "-c", f"import django; assert django.__version__ == {version!r}"]
    subprocess.run(again, env=environment(version), check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", f"not ({WAITING})", *paths],
        cwd=ROOT,
        env=environment(version),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"^(\d+) passed, \d+ deselected in", done.stdout, re.M)
    assert passed, done.stdout
    assert int(passed[1]) > 100
