"""What an editor shows: each public method has a docstring and a signature, according to jedi, which runs no
code."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import jedi
import pytest

import tokenstore.asyncio

PROJECT = jedi.Project(str(Path(tokenstore.__file__).parents[1]), smart_sys_path=False)
CLASSES = ["Client", "RedisTokens", "Sessions", "Tokenstore", "RedisJWT", "Spike"]


def methods(module: Any, cls: str) -> list[str]:
    """Without aliases, which jedi does not follow."""
    members = inspect.getmembers(getattr(module, cls), inspect.isfunction)
    names = [name for name, f in members if f.__name__ == name and not name.startswith("_")]
    return [name for name in names if name not in ("del", "close") or not module.__name__.endswith("asyncio")]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("module", [tokenstore, tokenstore.asyncio], ids=["blocking", "asyncio"])
def test_docstrings_and_signatures(module: Any, cls: str) -> None:
    found = methods(module, cls)
    assert len(found) >= 3
    head = f"from {module.__name__} import {cls}\nx: {cls}\n"
    script = jedi.Script(head + "\n".join(f"x.{name}()" for name in found), project=PROJECT)
    for line, name in enumerate(found, 3):
        [shown] = script.get_signatures(line, len(f"x.{name}("))
        assert [p.name for p in shown.params] == [
            p for p in inspect.signature(getattr(getattr(module, cls), name)).parameters if p != "self"
        ], name
        [told] = script.help(line, len("x.") + 1)
        docstring = inspect.getdoc(getattr(getattr(module, cls), name))
        if name == "aclose":  # the type checker need not know the class
            assert docstring
            assert "May be called twice." in told.docstring(raw=True)
        else:
            assert told.docstring(raw=True) == docstring, name


@pytest.mark.parametrize(("cls", "method"), [("RedisTokens", "get"), ("Sessions", "get"), ("RedisJWT", "verify")])
def test_the_fast_ones_say_the_same(cls: str, method: str) -> None:
    """They are implemented twice, for speed in asyncio."""
    blocking, awaited = (getattr(getattr(m, cls), method) for m in (tokenstore, tokenstore.asyncio))
    assert inspect.getdoc(blocking) == inspect.getdoc(awaited)
    assert inspect.signature(blocking) == inspect.signature(awaited)
