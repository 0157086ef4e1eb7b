"""Djangos: the one that is installed, and further ones in the build directory; and their sdists, which have their tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/django"

INSTALLED = version("django")
# The oldest one that is supported and the newest, where they take this Python.
OTHERS = [
    wanted
    for wanted, takes in (
        ("4.2.30", sys.version_info < (3, 13)),
        ("6.1.3", sys.version_info >= (3, 12)),
    )
    if takes and wanted != INSTALLED
]


def sdist(wanted: str) -> Path:
    """The unpacked directory."""
    directory = BUILD / f"django-{wanted}"
    if not directory.is_dir():
        BUILD.mkdir(parents=True, exist_ok=True)
        # Our own setuptools can build it.
        flags = ("--no-deps", "--no-binary", "django", "--no-build-isolation")
        _pip("download", *flags, "-d", BUILD, f"django=={wanted}")
        safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        with tempfile.TemporaryDirectory(dir=BUILD) as new:
            with tarfile.open(BUILD / f"django-{wanted}.tar.gz") as tar:
                tar.extractall(new, **safely)
            Path(new, directory.name).rename(directory)
    return directory


def environment(wanted: str) -> dict[str, str]:
    """In which Python finds this Django."""
    paths = [str(ROOT / "tests/web")]
    if wanted != INSTALLED:
        target = BUILD / f"installed-{wanted}"
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=BUILD) as new:
                _pip("install", "--target", Path(new, "site"), f"django=={wanted}")
                Path(new, "site").rename(target)
        paths.append(str(target))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, timeout=300)
