"""Django's own tests of its session backends and of its middleware, run on our engine: of the installed version, and with
TOKENSTORE_SOAK=1 of the others that are supported, which test_django_versions.py tries always."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from django_versions import INSTALLED, OTHERS, environment, sdist
from servers import Server

HERE = Path(__file__).parent

NOT_APPLICABLE: dict[str, str] = {}
"""Tests of theirs that are not for us, and why: none."""


def names_in(directory: Path, name: str) -> set[str]:
    """The tests of a class, as its text has them."""
    tree = ast.parse((directory / "tests/sessions_tests/tests.py").read_text())
    (cls,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    functions = (n for n in cls.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return {n.name for n in functions if n.name.startswith("test_")}


@pytest.mark.parametrize(
    "version", [INSTALLED, *(pytest.param(other, marks=pytest.mark.slow) for other in OTHERS)]
)
def test_their_tests(server: Server, version: str) -> None:
    directory = sdist(version)
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error::ResourceWarning",
            HERE / "django_own.py",
            directory,
            server.url,
        ],
        env=environment(version),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    wanted = {f"EngineTests.{name}" for name in names_in(directory, "SessionTestsMixin")}
    wanted |= {f"MiddlewareTests.{name}" for name in names_in(directory, "SessionMiddlewareTests")}
    assert len(wanted) > 40
    assert set(outcomes) - {"EngineTests.test_clearsessions"} == wanted - NOT_APPLICABLE.keys()
    assert {name: text for name, text in outcomes.items() if text != "passed"} == {}
