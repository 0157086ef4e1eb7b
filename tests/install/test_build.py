"""Building from source: a build without its dependencies names the Debian packages, and compiles nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("TOKENSTORE_BUILD", "build")
HEADERS = {
    "libc6-dev": "stdio.h",
    "libhiredis-dev": "hiredis/hiredis.h",
    "libcjson-dev": "cjson/cJSON.h",
    "libsodium-dev": "sodium.h",
    "libssl-dev": "openssl/ssl.h",
    "libcurl4-openssl-dev": "curl/curl.h",
    "python3-dev": "Python.h",
}


def build(tmp_path: Path, cc: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext"]
        + ["--build-temp", str(tmp_path / "temp"), "--build-lib", str(tmp_path / "lib")],
        cwd=ROOT,
        env=os.environ | {"CC": cc, "LDSHARED": f"{cc} -shared"} | environment,
        capture_output=True,
        text=True,
    )


def compiler(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("lacking", [["libcurl4-openssl-dev"], ["libc6-dev", "python3-dev"], list(HEADERS)])
def test_all_that_is_missing_in_one_message(tmp_path: Path, lacking: list[str]) -> None:
    """The compiler sees the system's headers through a directory in which some are missing."""
    include = tmp_path / "include"
    for package, header in HEADERS.items():
        (include / header).parent.mkdir(parents=True, exist_ok=True)
        if package not in lacking:
            (include / header).touch()
    # -I options would add the system's headers again.
    cc = compiler(
        tmp_path / "cc",
        f'for a; do shift; case $a in -I*) ;; *) set -- "$@" "$a" ;; esac; done\nexec gcc -nostdinc -isystem {include} "$@"',
    )
    done = build(tmp_path, cc)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1] == (
        f"error: headers are missing; on Debian: apt-get install {' '.join(lacking)}"
    )
    assert "fatal error" not in done.stderr
    assert not list((tmp_path / "temp").rglob("*.o"))

    if "python3-dev" not in lacking:
        done = subprocess.run(
            ["make", "-s", f"CC={cc}", f"BUILD={tmp_path}/made", "install", f"DESTDIR={tmp_path}/out"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode != 0
        assert f"headers are missing; on Debian: apt-get install {' '.join(lacking)}" in done.stderr
        assert "fatal error" not in done.stderr


def test_no_compiler(tmp_path: Path) -> None:
    done = build(tmp_path, "/none/cc")
    assert done.returncode != 0
    assert "apt-get install gcc libc6-dev" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor")
def test_files_are_compiled_side_by_side(tmp_path: Path) -> None:
    """Only the glue, with the core built by make."""
    log = tmp_path / "log"
    cc = compiler(
        tmp_path / "cc",
        f'echo begin >> {log}\ngcc -O0 "$@"\nstatus=$?\necho end >> {log}\nexit $status',
    )
    archives = f"{BUILD}/libtokenstore-io.a {BUILD}/libtokenstore-core.a"
    done = build(tmp_path, cc, TOKENSTORE_LINK=archives, CFLAGS="-O0")
    assert done.returncode == 0, done.stderr
    running = most = 0
    for word in log.read_text().split():
        running += 1 if word == "begin" else -1
        most = max(most, running)
    assert most >= 2
    assert {path.name.split(".")[0] for path in (tmp_path / "lib").rglob("*.so")} == {"_core", "_oauth"}
