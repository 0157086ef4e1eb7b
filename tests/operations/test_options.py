"""Each row of the core's tables of options (core/include/tokenstore/option.h) against what must agree with it: what the
extension and the Lua module take, the stubs, the signatures and docstrings, the types for LuaLS, the docs, and the
tests. An option that is added fails here until it is everywhere."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
from typing import Any

import pytest
from test_table import PRINTED, lua_classes, sources_of, text

import tokenstore
import tokenstore.asyncio
from tokenstore import NodeToken, Session, Token, _core, _oauth
from tokenstore._types import ClientOptions

# Rows that a class fills in, from options of other names.
DERIVED = {"discover", "key_url", "key_text", "client_given", "any_audience", "insecure"}

PAGES = {"Spike's HTTP": "Spike"}  # where the options of an inner table stand

ROWS = [row for row in PRINTED if "of" in row]
PUBLIC = [row for row in ROWS if row["name"] not in DERIVED]
IDS = [f"{row['of']}.{row['name']}" for row in ROWS]
MAKERS: dict[str, tuple[Any, ...]] = {
    "RedisTokens": (_core.redis_tokens, Token),
    "Sessions": (_core.sessions, Session),
    "Tokenstore": (_core.tokenstore, NodeToken),
    "RedisJWT": (_core.redis_jwt,),
}
STUBS = {of: maker[0].__name__ for of, maker in MAKERS.items()}


@pytest.fixture(params=ROWS, ids=IDS)
def row(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=PUBLIC, ids=[f"{row['of']}.{row['name']}" for row in PUBLIC])
def public(request: pytest.FixtureRequest) -> dict[str, Any]:
    """An option of a class. Those of `retry` are one."""
    given: dict[str, Any] = request.param
    retry, _, name = given["name"].rpartition(".")
    return {**given, "of": PAGES.get(given["of"], given["of"]), "retry": retry, "name": name}


def names(of: str) -> set[str]:
    return {row["name"] for row in ROWS if row["of"] == of}


def default(row: dict[str, Any]) -> Any:
    """The default, as Python has it."""
    given = row["fallback"]
    if given is None:
        return None
    if row["type"] == "flag":
        return given == "true"
    return given if row["type"] in ("text", "string", "path", "choice") else int(given)


# ---- the table itself --------------------------------------------------------------------------------


def test_form(row: dict[str, Any]) -> None:
    sizes = {
        "text": (16,), "string": (8, 16), "path": (8, 16), "choice": (1, 4), "count": (4, 8),
        "duration": (4, 8), "flag": (1,), "keys": (8,), "number": (8,), "pairs": (8,), "texts": (8,), "map": (8,),
    }  # fmt: skip
    assert re.fullmatch(r"(retry\.)?[a-z_]+", row["name"])
    assert row["size"] in sizes[row["type"]]
    assert row["end"] == 1, "the member is beyond the struct"
    assert bool(row["choices"]) == (row["type"] == "choice")
    if row["type"] in ("text", "string", "map", "path", "texts"):
        said = ("token_url", "key_url", "client_id", "client_secret")  # that it is missing
        assert row["min"] <= row["max"]
        assert row["min"] >= 1 or row["name"] in said, "the empty text is one that is not given"
    elif row["type"] in ("count", "duration"):
        assert 0 <= row["min"] < row["max"]
        if row["size"] == 4:
            assert row["max"] < 2**32


def test_sessions_are_tokens() -> None:
    def rows(of: str) -> list[dict[str, Any]]:
        return [{**row, "of": ""} for row in ROWS if row["of"] == of]

    assert rows("RedisTokens") == rows("Sessions")


# ---- bound -------------------------------------------------------------------------------------------


def make(of: str, **options: Any) -> Any:
    if of == "Client":
        return _core.Client("rediss://127.0.0.1", options)
    if of == "Spike":
        return _oauth.Spike(None, print, None, None, options, {}, b"")
    if of == "Spike's HTTP":
        return _oauth.Spike(None, print, None, None, {}, options, b"")
    return MAKERS[of][0](*MAKERS[of][1:], **options)


def test_bound_in_python(row: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"^{row['name']} must be "):
        make(row["of"], **{row["name"]: object()})
    number = row["type"] in ("count", "duration", "number")
    if number or row["min"] > 0 or row["choices"]:
        wrong = -1 if number else ""
        with pytest.raises(tokenstore.ConfigurationError, match=row["name"]):
            make(row["of"], **{row["name"]: wrong})


@pytest.mark.parametrize("of", [*MAKERS, "Client", "Spike", "Spike's HTTP"])
def test_nothing_else_is_bound(of: str) -> None:
    with pytest.raises(TypeError, match="no option 'nonsense'"):
        make(of, nonsense=1)


LUA_TYPES = {
    "text": "string", "string": "string", "path": "string", "choice": "string", "count": "number",
    "duration": "number", "flag": "boolean", "keys": "any", "number": "number", "pairs": "table", "texts": "any", "map": "any",
}  # fmt: skip


@pytest.mark.parametrize("lua", ["lua5.4", "lua5.1", "luajit"])
def test_bound_in_lua(lua: str) -> None:
    program = """
        for of, options in pairs(require("tokenstore.core").options) do
          for name, kind in pairs(options) do print(of .. "." .. name .. "=" .. kind) end
        end"""
    try:
        said = subprocess.run([lua, "-e", program], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"{lua} is not installed")
    rows = [row for row in ROWS if row["of"] not in PAGES]  # tokenstore.oauth has those
    wanted = [f"{row['of']}.{row['name']}={LUA_TYPES[row['type']]}" for row in rows]
    assert sorted(said.stdout.split()) == sorted(wanted)


# ---- typed -------------------------------------------------------------------------------------------


def annotation(row: dict[str, Any], stub: bool) -> str:
    """Its type in Python, where the default is no part of it."""
    choice = {"token_encoding": "Encoding", "when_full": "WhenFull", "reuse": "Reuse"}.get(row["name"], "str")
    found = {
        "text": "Text", "string": "str", "path": "Path", "choice": "str" if stub else choice,
        "count": "int", "duration": "Duration", "flag": "bool", "texts": "Pepper",
        "map": "str | Mapping[str, str]",
        "keys": "tuple[Any, ...]" if stub else "Secret",
    }[row["type"]]  # fmt: skip
    optional = row["fallback"] is None and row["type"] != "keys" and row["of"] != "Client"
    return f"{found} | None" if optional else found


def test_typed_in_the_extension(row: dict[str, Any]) -> None:
    if row["of"] not in MAKERS:
        return  # in a dict
    tree = ast.parse(text("bindings/python/tokenstore/_core.pyi"))
    (function,) = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == STUBS[row["of"]]
    ]
    args = {
        arg.arg: (arg, value)
        for arg, value in zip(function.args.kwonlyargs, function.args.kw_defaults)
    }
    assert set(args) == names(row["of"])
    arg, value = args[row["name"]]
    assert arg.annotation is not None
    assert ast.unparse(arg.annotation) == annotation(row, True)
    if row["type"] != "keys":
        assert value is not None
        assert ast.literal_eval(value) == default(row)


@pytest.mark.parametrize("module", [tokenstore, tokenstore.asyncio], ids=["blocking", "asyncio"])
def test_signature(public: dict[str, Any], module: Any) -> None:
    row, of = public, public["of"]
    if of == "Client":
        assert ClientOptions.__annotations__[row["name"]].__forward_arg__ == annotation(row, False)
        return
    if of == "Spike" and module is tokenstore.asyncio:
        assert issubclass(module.Spike, tokenstore.Spike)
        return
    parameter = inspect.signature(getattr(module, of)).parameters[row["retry"] or row["name"]]
    if of != "Spike":
        assert parameter.annotation == annotation(row, False)
        assert parameter.default == default(row)
    elif row["fallback"] is not None and not row["retry"]:
        assert parameter.default == default(row)
    for choice in row["choices"] if of == "Spike" else ():
        source = text("bindings/python/tokenstore/spike.py")
        assert f'"{choice}"' in source.split("    def __init__")[0 if "auth" in row["name"] else 1]


def test_docstring(public: dict[str, Any]) -> None:
    of = "RedisTokens" if public["of"] == "Sessions" else public["of"]  # which says so
    doc = inspect.getdoc(getattr(tokenstore, of)) or ""
    if of == "Spike":
        assert f"``{public['name']}``" in doc
    else:
        assert re.search(rf"^(``\w+``, )*``{public['name']}``(, ``\w+``)*$", doc, re.M)


def test_typed_in_lua(public: dict[str, Any]) -> None:
    row = public
    of = {"RedisTokens": "StoreOptions"}.get(row["of"], f"{row['of']}Options")
    name: str | None = "tokenstore.Retry" if row["retry"] else f"tokenstore.{of}"
    found = None
    while name and not found:
        found = lua_classes()[name]["types"].get(row["name"])
        name = lua_classes()[name]["extends"]
    own = {
        "client_secret": "string|fun():", "client_auth": "tokenstore.ClientAuth",
        "client_algorithm": "tokenstore.jwt.Algorithm", "scope": "string|string[]",
        "expect_audience": "string|false", "audience_parameter": '"audience"|"resource"|false',
    }  # fmt: skip
    if row["name"] in own:
        assert found == own[row["name"]]
        return
    few = 0 < len(row["choices"]) <= 4
    wanted = {
        "count": "integer", "duration": "number", "flag": "boolean", "number": "number",
        "pairs": "table<string,",
        "map": "string|table<string,",
        "texts": "string|string[]",
        "choice": "|".join(f'"{choice}"' for choice in row["choices"]) if few else "string",
        "keys": "string|tokenstore.jwt.Key|tokenstore.jwt.Key[]",
    }  # fmt: skip
    assert found == wanted.get(row["type"], "string")


# ---- documented, tested --------------------------------------------------------------------------------


def test_documented(public: dict[str, Any]) -> None:
    """The defaults are compared by scripts/check-docs."""
    section = text("docs/reference/options.md").split(f"\n## {public['of']}\n")[1].split("\n## ")[0]
    if public["retry"]:
        assert f'"{public["name"]}": {public["fallback"]}' in section
    else:
        assert re.search(rf"^\| [^|]*`{public['name']}`[^|]* \|", section, re.M)


def test_tested(public: dict[str, Any]) -> None:
    word = re.compile(rf"\b{public['name']}\b")
    if public["of"] == "Spike":
        assert word.search(sources_of("spike", ".py"))
    else:
        assert word.search(sources_of("python", ".py"))
        assert word.search(sources_of("lua", ".lua"))
