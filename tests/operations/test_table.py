"""Each row of the core's tables of operations (core/include/tokenstore/operation.h) against what must agree with it:
what the extension binds, the stubs, the classes of each language, the docs, and the tests. A row that is added
fails here until it is everywhere."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import tokenstore
import tokenstore.asyncio
from tokenstore import NodeToken, Session, Token, _core, redis_jwt
from tokenstore.jwt import Key

ROOT = Path(__file__).parent.parent.parent
PRINT = os.environ.get("TOKENSTORE_PRINT_OPERATIONS", str(ROOT / "build/tests/operations/print"))
PRINTED: list[dict[str, Any]] = [
    json.loads(line) for line in subprocess.check_output([PRINT], text=True).splitlines()
]
ROWS = [row for row in PRINTED if "store" in row]
IDS = [f"{row['store']}.{row['name']}" for row in ROWS]

# The helpers that RedisJWT.call() gives, by the Node package's names.
HELPERS = {
    "put": "create",
    "exists": "exists",
    "ttl": "ttl",
    "get_value": "get_value_by_key",
    "get_values": "get_values_by_pattern",
    "count": "get_count_by_pattern",
    "get_info": "get_info",
    "ping": "ping",
}


class Row:
    def __init__(self, row: dict[str, Any]) -> None:
        self.store, self.name, self.summary = row["store"], row["name"], row["summary"]
        self.result, self.optional = row["result"], row["optional"]
        self.all_params = row["params"]
        self.params = [p for p in self.all_params if p["name"] is not None]
        self.is_helper = self.store == "RedisJWT" and self.name in HELPERS
        self.method = HELPERS[self.name] if self.is_helper else self.name

    def names(self, timeout: bool = True) -> list[str]:
        return [p["name"] for p in self.params if timeout or p["type"] != "timeout"]

    def class_in(self, module: Any) -> type:
        if not self.is_helper:
            return getattr(module, self.store)  # type: ignore[no-any-return]
        return redis_jwt.Calls if module is tokenstore else tokenstore.asyncio._stores.Calls


@pytest.fixture(params=ROWS, ids=IDS)
def row(request: pytest.FixtureRequest) -> Row:
    return Row(request.param)


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text()


# ---- the table itself ------------------------------------------------------------------------------


def test_form(row: Row) -> None:
    assert re.fullmatch(r"[A-Z][a-zA-Z' ,]+\.", row.summary)
    assert len(row.all_params) <= 12  # TKS_PARAM_MAX: what the glue has room for on its stack
    if row.result in ("token", "tokens") and row.all_params[0]["type"] != "rows":
        app, type = row.all_params[:2]  # py_store.c: what the tokens of a result have in common
        assert app["name"] == "app"
        assert type["name"] == "type" or type["fallback"] == "session"
    for param in row.params:
        assert re.fullmatch(r"[a-z_]+", param["name"])
        assert (param["each"] is not None) == (param["type"] == "rows")


# ---- bound ------------------------------------------------------------------------------------------


@cache
def stores() -> dict[str, Any]:
    return {
        "RedisTokens": _core.redis_tokens(Token),
        "Sessions": _core.sessions(Session),
        "Tokenstore": _core.tokenstore(NodeToken),
        "RedisJWT": _core.redis_jwt(secret=(Key.from_secret(b"x" * 32),)),
    }


def test_bound_in_python(row: Row) -> None:
    function = getattr(stores()[row.store], row.name)
    assert list(inspect.signature(function).parameters) == row.names(timeout=False)
    assert function.__doc__ == row.summary
    with pytest.raises(
        TypeError, match=f"{row.name} takes {len(row.names(timeout=False))} arguments, 13 were given"
    ):
        function(*range(13))


def test_nothing_else_is_bound() -> None:
    for store, namespace in stores().items():
        assert set(vars(namespace)) == {"store"} | {r["name"] for r in ROWS if r["store"] == store}


@pytest.mark.parametrize("lua", ["lua5.4", "lua5.1", "luajit"])
def test_bound_in_lua(lua: str) -> None:
    program = """
        for store, functions in pairs(require("tokenstore.core").operations) do
          for name in pairs(functions) do print(store .. "." .. name) end
        end"""
    try:
        said = subprocess.run(
            [lua, "-e", program], check=True, capture_output=True, text=True
        ).stdout
    except FileNotFoundError:
        pytest.skip(f"{lua} is not installed")
    assert sorted(said.split()) == sorted(IDS)


# ---- typed ------------------------------------------------------------------------------------------

TYPES = {
    "name": "Name",
    "id": "Id",
    "presented": "Presented",
    "jwt": "Presented",
    "text": "Text",
    "object": "dict[str, Any]",
    "patch": "dict[str, Any]",
    "expected": "dict[str, Any]",
    "fields": "Iterable[str]",
    "duration": "Duration",
    "grace": "Duration",
    "refresh": "Duration | bool",
    "ttl": "Duration | str",
    "limit": "int",
    "replicas": "int",
    "flag": "bool",
    "fresh": "bool",
    "tokens": "Iterable[Presented]",
    "rows": "list[NewToken]",
}
NEVER_NONE = {"flag", "fresh", "replicas", "tokens", "rows"}
RESULTS = {
    "bool": "bool",
    "count": "int",
    "token": "_R",
    "tokens": "list[_R]",
    "text": "str",
    "texts": "list[str]",
    "json": "_V",
    "jsons": "list[_V]",
    "session": "dict[str, Any]",
    "sessions": "list[dict[str, Any]]",
}


@cache
def stub(name: str) -> dict[str, dict[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """The functions of each class in a stub."""
    return {
        node.name: {
            f.name: f for f in node.body if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
        for node in ast.parse(text(name)).body
        if isinstance(node, ast.ClassDef)
    }


def annotation(param: dict[str, Any]) -> str:
    wanted = TYPES[param["type"]]
    maybe = not param["required"] and param["type"] not in NEVER_NONE | {"id", "presented", "jwt"}
    return f"{wanted} | None" if maybe else wanted


def test_typed_in_the_extension(row: Row) -> None:
    function = stub("bindings/python/tokenstore/_core.pyi")[row.store][row.name]
    args = [a for a in function.args.posonlyargs + function.args.args if a.arg != "self"]
    assert [a.arg for a in args] == row.names(timeout=False)
    for arg, param in zip(args, row.params):
        assert arg.annotation is not None
        found = ast.unparse(arg.annotation)
        assert found == annotation(param) or (param["type"] == "id" and found == "Id | None")
    wanted = RESULTS[row.result]
    if row.optional:
        wanted = "list[_R | None]" if row.result == "tokens" else f"{wanted} | None"
    if row.name == "get_info":
        wanted = "Any"  # of DBSIZE a number
    assert function.returns is not None
    assert ast.unparse(function.returns) == f"Op[{wanted}]"


def test_typed_in_asyncio(row: Row) -> None:
    name = "Calls" if row.is_helper else row.store
    function = stub("bindings/python/tokenstore/asyncio/_stores.pyi")[name][row.method]
    assert isinstance(function, ast.AsyncFunctionDef)


@cache
def lua_classes() -> dict[str, dict[str, Any]]:
    """The fields of each class in the types for LuaLS, and what it extends."""
    classes: dict[str, dict[str, Any]] = {}
    for path in sorted((ROOT / "bindings/lua/tokenstore").glob("*.d.lua")):
        types: dict[str, str] = {}
        for line in path.read_text().splitlines():
            if found := re.match(r"---@class (\S+?)(?:: (\S+))?$", line):
                types = {}
                classes[found[1]] = {"fields": types.keys(), "types": types, "extends": found[2]}
            elif found := re.match(r"---@field (\w+)\?? (\S+)", line):
                types[found[1]] = found[2]
    return classes


@cache
def lua_methods() -> dict[str, str]:
    """Class:method -> what stands above it in the types."""
    methods = {}
    for path in sorted((ROOT / "bindings/lua/tokenstore").glob("*.d.lua")):
        for found in re.finditer(r"((?:^---.*\n)+)function (\w+:\w+)\(", path.read_text(), re.M):
            methods[found[2]] = found[1]
    return methods


def test_typed_in_lua(row: Row) -> None:
    if row.is_helper:
        assert row.method in lua_classes()["tokenstore.RedisJWTCalls"]["fields"]
        return
    above = lua_methods()[f"{row.store}:{row.method}"]
    assert re.match(r"---[A-Z\"`]", above), "no line that says what it does"
    if row.params[0]["type"] == "rows":
        return
    found = re.search(r"---@param args\?? (\S+)", above)
    assert found, above
    fields: set[str] = set()
    name = found[1].rstrip("?")
    while name:
        fields |= lua_classes()[name]["fields"]
        name = lua_classes()[name]["extends"]
    assert set(row.names()) <= fields


# ---- classes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [tokenstore, tokenstore.asyncio], ids=["blocking", "asyncio"])
def test_python_method(row: Row, module: Any) -> None:
    method = getattr(row.class_in(module), row.method)
    assert inspect.getdoc(method), "no docstring"
    assert inspect.iscoroutinefunction(method) == (module is tokenstore.asyncio)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    if row.is_helper:
        assert len(parameters) == len(row.params)
        return
    assert [p.name for p in parameters] == row.names()
    for parameter, param in zip(parameters, row.params):
        must = param["required"] and param["fallback"] is None
        spared = param["name"] in ("after", "keep")
        must = must or (param["type"] in ("id", "presented", "jwt") and not spared)
        assert (parameter.default is inspect.Parameter.empty) == must, parameter.name


def test_lua_method(row: Row) -> None:
    files = {
        "RedisTokens": "tokens",
        "Sessions": "sessions",
        "Tokenstore": "node_tokens",
        "RedisJWT": "redis_jwt",
    }
    source = text(f"bindings/lua/tokenstore/{files[row.store]}.lua")
    name = f"{'Calls' if row.is_helper else row.store}:{row.method}"
    assert re.search(rf"^function {name}\(", source, re.M)
    assert f"ops.{row.name}(self._store" in source


# ---- documented -------------------------------------------------------------------------------------


def listed(names: list[str]) -> str:
    return r"\b.*?\b".join(names)


def test_documented(row: Row) -> None:
    if row.store == "RedisJWT":
        words = {row.method, re.sub(r"_(\w)", lambda m: m[1].upper(), row.method)}
        assert any(re.search(rf"\b{word}\(", text("docs/reference/redis-jwt.md")) for word in words)
        return
    for page, opening in (("docs/reference/python.md", r"\("), ("docs/reference/lua.md", r"(?:\(| \{)")):
        section = text(page).split(f"\n## {row.store}\n")[1].split("\n## ")[0]
        parameters = "" if row.params and row.params[0]["type"] == "rows" else listed(row.names())
        assert re.search(rf"`{row.method}{opening}[^`]*?{parameters}", section), (page, row.method)


# ---- tested -----------------------------------------------------------------------------------------


@cache
def sources_of(folder: str, ending: str) -> str:
    return "\n".join(
        path.read_text() for path in sorted((ROOT / "tests" / folder).glob(f"*{ending}"))
    )


def test_tested(row: Row) -> None:
    calls = {"python": rf"\.{row.method}\(", "lua": rf"[:.]{row.method}\b"}
    assert re.search(calls["python"], sources_of("python", ".py"))
    assert re.search(calls["lua"], sources_of("lua", ".lua"))
    vectors = {
        "RedisTokens": ("operations.json", ""),
        "Tokenstore": ("node_operations.json", "node."),
    }
    if row.store in vectors:
        name, prefix = vectors[row.store]
        assert f'"call": "{prefix}{row.name}"' in text(f"tests/vectors/{name}"), "no vector"
