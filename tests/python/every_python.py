"""Builds an sdist, installs it with every CPython from 3.9 on this machine, and runs the tests there.

usage: python tests/python/every_python.py [--quick] [PYTHON…]

Without arguments: python3.9 … python3.14 on PATH, /usr/bin/python3, and pyenv's. Each gets a venv in a
separate directory outside the checkout, so that files missing in the sdist are noticed. --quick
runs the tests of values, limits and tokens only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["test_values.py", "test_limits.py", "test_tokens.py"]
ASK = "import sys; print(sys.implementation.name, *sys.version_info[:2])"


def candidates() -> list[str]:
    found = [shutil.which(f"python3.{minor}") for minor in range(9, 15)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return ["/usr/bin/python3", *map(str, pyenv.glob("3.*/bin/python3")), *filter(None, found)]


def choose(pythons: list[str]) -> dict[tuple[int, int], str]:
    """One usable interpreter per version."""
    chosen: dict[tuple[int, int], str] = {}
    for python in pythons:
        answer = subprocess.run([python, "-c", ASK], capture_output=True, text=True, check=False)
        words = answer.stdout.split()
        if answer.returncode == 0 and words[0] == "cpython":
            version = (int(words[1]), int(words[2]))
            if version >= (3, 9):
                chosen.setdefault(version, python)
    return dict(sorted(chosen.items()))


def run(*command: str | Path, cwd: Path) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "TOKENSTORE_LINK")}
    subprocess.run([str(c) for c in command], check=True, cwd=cwd, env=env)


def build_sdist(directory: Path) -> Path:
    backend = f"from setuptools import build_meta; build_meta.build_sdist({str(directory)!r})"
    run(sys.executable, "-c", backend, cwd=ROOT)
    (sdist,) = directory.glob("*.tar.gz")
    return sdist


def check(python: str, sdist: Path, directory: Path, tests: list[str]) -> None:
    venv = directory / "venv"
    run(python, "-m", "venv", venv, cwd=directory)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "-q"]
    run(*pip, "pytest", sdist, cwd=directory)
    run(venv / "bin" / "python", "-W", "error", "-c", "import tokenstore", cwd=directory)
    needless = shutil.ignore_patterns("__pycache__", "node_modules")
    for part in ("tests", "docs", "core/scripts"):  # needed by the tests
        shutil.copytree(ROOT / part, directory / part, ignore=needless)
    shutil.copy(ROOT / "pyproject.toml", directory)
    paths = [directory / "tests/python" / test for test in tests] or [directory / "tests/python"]
    run(venv / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths,
        cwd=directory)  # fmt: skip


def main(arguments: list[str]) -> int:
    tests = QUICK if "--quick" in arguments else []
    pythons = choose([a for a in arguments if not a.startswith("-")] or candidates())
    bad = []
    with tempfile.TemporaryDirectory(prefix="ts-pythons-") as name:
        sdist = build_sdist(Path(name) / "sdist")
        for version, python in pythons.items():
            print(f"==== {version[0]}.{version[1]}: {python}", flush=True)
            directory = Path(name) / f"{version[0]}.{version[1]}"
            directory.mkdir()
            try:
                check(python, sdist, directory, tests)
            except subprocess.CalledProcessError as error:
                print(f"failed: {error}")
                bad.append(version)
            shutil.rmtree(directory)
    print(f"{len(pythons) - len(bad)} passed", *[f"{a}.{b} FAILED" for a, b in bad])
    return 1 if bad or not pythons else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
