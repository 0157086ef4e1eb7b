"""Names: each method also has the Node packages' name, here and in tokenstore.asyncio, and a docstring."""

from __future__ import annotations

import inspect
import re
from types import ModuleType
from typing import Any

import pytest

import tokenstore
import tokenstore.asyncio
from tokenstore import jwt, redis_jwt
from tokenstore.asyncio import _stores

MODULES = {tokenstore: redis_jwt.Calls, tokenstore.asyncio: _stores.Calls}
CLASSES = ("Client", "RedisTokens", "Sessions", "Tokenstore", "RedisJWT", "Spike")


def methods(cls: type) -> dict[str, Any]:
    return {n: m for n, m in inspect.getmembers(cls, inspect.isfunction) if not n.startswith("_")}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_each_method_in_camel_case(module: ModuleType) -> None:
    checked = 0
    for cls in (MODULES[module], *(getattr(module, name) for name in CLASSES)):
        for name, method in methods(cls).items():
            if "_" in name:
                camel = re.sub("_(.)", lambda letter: letter[1].upper(), name)
                assert getattr(cls, camel, None) is method, f"{cls.__name__}.{camel}"
                checked += 1
    assert checked >= 20


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_names_of_the_node_packages(module: Any) -> None:
    assert module.SpotsSessions is module.Sessions
    assert module.RedisJwt is module.RedisJWT
    assert module.getTokenCreator is module.get_token_creator
    assert getattr(module.Tokenstore, "del") is module.Tokenstore.delete
    assert module.Tokenstore.set_attrs is module.Tokenstore.set


def test_all_is_explained() -> None:
    for module in (*MODULES, jwt):
        for name in module.__all__:
            what = getattr(module, name)
            if inspect.isclass(what):
                for member in (what, *methods(what).values()):
                    assert inspect.getdoc(member), f"{module.__name__}.{name}: {member}"
            elif callable(what):
                assert inspect.getdoc(what), f"{module.__name__}.{name}"
