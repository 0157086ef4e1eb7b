"""The frameworks' own tests: from the sdist of the installed version, and run with one of our plug-ins in place of theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sdist(name: str) -> Path:
    """The directory of what PyPI has of the installed version; fetched once, into the build directory."""
    wanted = f"{name}-{version(name)}"
    cache = ROOT / "build/sdists"
    if not (cache / wanted).is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            name,
        ]
        subprocess.run([*command, "-d", cache, f"{name}=={version(name)}"], check=True)
        (archive,) = (
            p for p in cache.glob("*.tar.gz") if re.sub("[-_]", "-", p.name).startswith(wanted)
        )
        with tarfile.open(archive) as tar:
            tar.extractall(cache, filter="data") if hasattr(
                tarfile, "data_filter"
            ) else tar.extractall(cache)
        unpacked = cache / archive.name.removesuffix(".tar.gz")
        if unpacked.name != wanted:
            unpacked.rename(cache / wanted)
    return cache / wanted


def outcomes(
    directory: Path, test_files: list[str], plugin: str, *flags: str, **env: str
) -> dict[str, str]:
    """Runs test files of theirs with the pytest plug-in ``plugin``: {test: "PASSED", "FAILED", …}."""
    config = directory / "ours.ini"
    config.write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-c", config, "-p", plugin, *flags, *test_files],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    found = dict(re.findall(r"^\S+?::(\S+) (PASSED|FAILED|ERROR|SKIPPED)\b", done.stdout, re.M))
    print(done.stdout)
    assert done.returncode in (0, 1), done.stdout
    return found
