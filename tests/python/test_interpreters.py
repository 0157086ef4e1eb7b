"""What the extension declares of interpreters and of the GIL: each in a fresh process."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import tokenstore

PACKAGES = str(Path(tokenstore.__file__).parents[1])

USE = f"""
import sys; sys.path.insert(0, {PACKAGES!r})
import tokenstore
from tokenstore import _oauth
with tokenstore.Sessions("embedded:") as sessions:
    token = sessions.create(app="web", owner_id="bob", data={{"n": 1}}, duration=60)
    assert sessions.get(app="web", token=token).data == {{"n": 1}}
    try:
        sessions.get(app="", token=token)
    except tokenstore.DataError:
        print("used")
"""

# Two interpreters with a GIL each, at once.
OWN_GIL = """
import threading
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

def use():
    one = interpreters.create()
    problem = interpreters.run_string(one, code)
    if problem is not None:
        print(problem)
    interpreters.destroy(one)

threads = [threading.Thread(target=use) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def said(code: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, check=True)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="CPython 3.12 and later have them")
def test_interpreters_with_a_gil_of_their_own() -> None:
    code = USE.replace('print("used")', 'import os; os.write(1, b"used\\\\n")')
    done = said(f"code = '''{code}'''\n{USE}\n{OWN_GIL}")
    assert done.stdout.split() == ["used"] * 3, done.stdout + done.stderr


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this CPython always has a GIL")
def test_without_a_gil_it_is_switched_on() -> None:
    """Views of the near cache are copied while nobody changes them, which the GIL sees to."""
    done = said("import sys, tokenstore; print(sys._is_gil_enabled())")
    assert done.stdout.strip() == "True"
    assert "GIL" in done.stderr, "CPython says which module wanted it"
