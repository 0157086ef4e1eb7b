"""The sdist and a wheel, as pip makes it: of the sources that are there, whatever an earlier build has left. The wheels that
are released are another matter: `make dist-check`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("TOKENSTORE_BUILD", "build")
PARTS = ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "README.md", "CHANGELOG.md", "core", "bindings/python")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the package is made of."""
    ignore = shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__")
    (tmp_path / "tree").mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tmp_path / "tree" / part, ignore=ignore)
        else:
            shutil.copy(ROOT / part, tmp_path / "tree" / part)
    return tmp_path / "tree"


def build(tree: Path, *command: str) -> Path:
    """What the command makes in dist/."""
    archives = f"{BUILD}/libtokenstore-io.a {BUILD}/libtokenstore-core.a"
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", *command],
        cwd=tree,
        env=os.environ | {"TOKENSTORE_LINK": archives, "CFLAGS": "-O0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (made,) = (tree / "dist").iterdir()
    return made


def test_a_used_tree(tree: Path) -> None:
    """What an earlier build has left, newer than every source, is not packed."""
    done = subprocess.run(
        [sys.executable, "-c", "from setuptools.dist import Distribution as D; b = D().get_command_obj('build');"
         "b.ensure_finalized(); print(b.build_platlib, D().get_command_obj('build_ext').get_ext_filename('_core'))"],
        cwd=tree, stdout=-1, text=True, check=True,
    )  # fmt: skip
    folder, module = done.stdout.split()
    left = tree / folder / "tokenstore"
    left.mkdir(parents=True)
    for name in ("gone.py", "sessions.py", module):
        (left / name).write_bytes(b"left")
        os.utime(left / name, (2**32, 2**32))
    shutil.copy(left / module, tree / "bindings/python/tokenstore" / module)
    header = tree / "core/include/tokenstore/version.h"
    header.write_text(header.read_text().replace(f'TKS_VERSION       "{version()}"', 'TKS_VERSION       "9.8.7"'))

    with zipfile.ZipFile(build(tree, "bdist_wheel")) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist()}
    assert "tokenstore-9.8.7.dist-info/METADATA" in files
    assert "tokenstore/gone.py" not in files
    assert b"left" not in files.values()
    packed = {name for name in files if name.startswith("tokenstore/") and not name.endswith(".so")}
    source = tree / "bindings/python"
    there = {str(path.relative_to(source)) for path in source.glob("tokenstore/**/*") if path.is_file()}
    assert packed == {name for name in there if not name.endswith(".so")}
    assert {name.split(".")[0] for name in files if name.endswith(".so")} == {"tokenstore/_core", "tokenstore/_oauth"}


def version() -> str:
    header = (ROOT / "core/include/tokenstore/version.h").read_text()
    found = re.search(r'#define TKS_VERSION +"(.*)"', header)
    assert found
    return found[1]


def test_the_sdist(tree: Path) -> None:
    """It has all that is needed to build, and nothing that was built."""
    for name in ("core/src/left.o", "bindings/python/tokenstore/_core.left.so", "bindings/python/tokenstore/left.pyc"):
        (tree / name).write_bytes(b"left")
    with tarfile.open(build(tree, "sdist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert not [name for name in names if name.endswith((".o", ".so", ".pyc", ".a"))]
    wanted = {str(path.relative_to(tree)) for path in tree.glob("core/**/*.[chl]*") if path.suffix in (".c", ".h", ".lua")}
    wanted |= {str(path.relative_to(tree)) for path in tree.glob("bindings/python/**/*.[chp]*") if path.suffix in (".c", ".h", ".py", ".pyi")}
    assert wanted <= names
    assert {"core/scripts/embed.sh", "core/headers.in", "setup.py", "LICENSE"} <= names


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("TKS_VERSION_MINOR 1", "TKS_VERSION_MINOR 2"), "and the numbers are 0.2.0"),
        (lambda text: text, None),
    ],
    ids=["another number", "as it is"],
)
def test_release_check_reads_one_version(tree: Path, change: object, says: str | None) -> None:
    header = tree / "core/include/tokenstore/version.h"
    header.write_text(change(header.read_text()))  # type: ignore[operator]
    (tree / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/release-check", tree / "scripts")
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    command = [sys.executable, "scripts/release-check", "--no-tag", "--no-dist"]
    done = subprocess.run(command, cwd=tree, stdout=-1, text=True)
    assert done.returncode == 1
    assert "the tree is not clean" in done.stdout
    assert "'## [" in done.stdout, "nothing has been released"
    assert ("version.h: " in done.stdout) == (says is not None)
    assert says is None or says in done.stdout
