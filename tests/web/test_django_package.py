"""What setup.py installs of the Django app, templates and commands included; and that nobody else pays for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APP = Path("tokenstore/ext/django")


def test_every_file_is_installed(tmp_path: Path) -> None:
    build = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", tmp_path]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)

    def files(root: Path) -> set[Path]:
        found = (root / APP).rglob("*.*")
        return {p.relative_to(root) for p in found if p.suffix in (".py", ".html")}

    assert files(tmp_path) == files(ROOT / "bindings/python")
    assert APP / "templates/tokenstore/devices.html" in files(tmp_path)


def test_the_package_does_not_import_it() -> None:
    code = "import sys, tokenstore, tokenstore.asyncio; print('django' in sys.modules, 'tokenstore.ext' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "False False\n"
