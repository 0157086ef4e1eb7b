"""`make install` and uninstall, without a venv or Node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import tokenstore

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ.get("TOKENSTORE_BUILD", "build")
ABIS = {"lua5.4": "5.4", "lua5.3": "5.3", "lua5.1": "5.1", "luajit": "5.1"}
NGINX_LUA = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")
LUAS = [name for name in ABIS if shutil.which(name)]
WITHOUT_PATHS = {k: v for k, v in os.environ.items() if not k.startswith(("LUA_", "TOKENSTORE_URL"))}


def make(*words: str) -> None:
    """With the build of `make` (MAKEFLAGS has its arguments), without a venv."""
    done = subprocess.run(
        ["make", "-s", f"BUILD={BUILD}", "VENV=/none", "PYTHON=/none/python", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr/local")
    return tmp_path / "usr/local"


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.mark.parametrize("lua", LUAS)
def test_what_was_installed_loads(installed: Path, lua: str) -> None:
    share, lib = (installed / part / "lua" / ABIS[lua] for part in ("share", "lib"))
    done = subprocess.run(
        [lua, "-e", 'assert(require("tokenstore").RedisTokens("redis://localhost")); require("tokenstore.oauth")'],
        env=WITHOUT_PATHS
        | {"LUA_PATH": f"{share}/?.lua;{share}/?/init.lua", "LUA_CPATH": f"{lib}/?.so"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("lua", LUAS)
def test_a_lua_of_debian_looks_there_by_itself(lua: str) -> None:
    """docs/how-to/install.md says so, and that nginx then needs no lua_package_path."""
    ask = [lua, "-e", "print(package.path) print(package.cpath)"]
    done = subprocess.run(ask, env=WITHOUT_PATHS, stdout=-1, text=True)
    path, cpath = done.stdout.splitlines()
    for template in (f"/usr/local/share/lua/{ABIS[lua]}/?.lua", f"/usr/local/share/lua/{ABIS[lua]}/?/init.lua"):
        assert template in path.split(";")
    assert f"/usr/local/lib/lua/{ABIS[lua]}/?.so" in cpath.split(";")


@pytest.mark.skipif(not NGINX_LUA.exists(), reason="no nginx with its Lua module")
def test_so_does_its_nginx(tmp_path: Path) -> None:
    answer = tmp_path / "paths"
    (tmp_path / "nginx.conf").write_text(
        f"""
        load_module {NGINX_LUA.parent}/ndk_http_module.so;
        load_module {NGINX_LUA};
        daemon off; master_process off; pid {tmp_path}/pid; error_log stderr;
        events {{}}
        http {{
            access_log off;
            init_by_lua_block {{
                local file = io.open("{answer}", "w")
                file:write(package.path, "\\n", package.cpath)
                file:close()
                os.exit(0)
            }}
        }}"""
    )
    subprocess.run(["nginx", "-p", str(tmp_path), "-c", "nginx.conf"], env=WITHOUT_PATHS, timeout=30)
    path, cpath = answer.read_text().splitlines()
    assert {"/usr/local/share/lua/5.1/?.lua", "/usr/local/share/lua/5.1/?/init.lua"} <= set(path.split(";"))
    assert "/usr/local/lib/lua/5.1/?.so" in cpath.split(";")


def pkg_config(installed: Path, *words: str) -> list[str]:
    environment = os.environ | {"PKG_CONFIG_PATH": f"{installed}/lib/pkgconfig"}
    command = ["pkg-config", f"--define-variable=prefix={installed}", *words, "tokenstore"]
    return subprocess.run(command, env=environment, stdout=-1, text=True, check=True).stdout.split()


@pytest.mark.parametrize("how", ["shared", "static"])
@pytest.mark.parametrize("compiler", ["cc", "c++"])
def test_the_c_example(installed: Path, tmp_path: Path, how: str, compiler: str) -> None:
    """Built as its header comment says: only with pkg-config's flags."""
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    program = tmp_path / "tokens"
    flags = pkg_config(installed, "--cflags", f"--define-variable=includedir={installed}/include")
    libraries = pkg_config(installed, "--libs", f"--define-variable=libdir={installed}/lib")
    if how == "static":
        libraries = pkg_config(installed, "--static", "--libs", f"--define-variable=libdir={installed}/lib")
        libraries = ["-l:libtokenstore.a" if word == "-ltokenstore" else word for word in libraries]
    if compiler == "c++":  # only the headers: the example is C
        source = tmp_path / "program.cpp"
        headers = sorted((installed / "include/tokenstore").glob("*.h"))
        source.write_text(
            "".join(f'#include "tokenstore/{path.name}"\n' for path in headers)
            + "int main() { return tks_version() == nullptr || tks_status_code(TKS_OK) == nullptr; }\n"
        )
        flags.append("-Wno-missing-field-initializers")
    else:
        source = ROOT / "examples/tokens.c"
        flags += ["-std=c11"]
    command = [compiler, "-Wall", "-Wextra", "-Werror", *flags, str(source), *libraries, "-o", str(program)]
    subprocess.run(command, check=True)
    environment = {k: v for k, v in os.environ.items() if k != "TOKENSTORE_URL"}
    done = subprocess.run(
        [str(program)], env=environment | {"LD_LIBRARY_PATH": f"{installed}/lib"}, stdout=-1, text=True, check=True
    )
    if compiler == "cc":
        assert done.stdout.splitlines()[1:] == ["it belongs to bob, whose role is admin", "revoked: yes"]


def test_the_shared_library_exports_what_its_headers_declare(installed: Path) -> None:
    library = installed / "lib/libtokenstore.so"
    assert library.resolve().name == f"libtokenstore.so.{tokenstore.__version__}"
    dynamic = subprocess.run(["readelf", "-d", str(library)], stdout=-1, text=True, check=True).stdout
    assert "soname: [libtokenstore.so.0]" in dynamic
    assert "NODELETE" in dynamic
    command = ["nm", "-D", "--defined-only", "--format=just-symbols", str(library)]
    exported = set(subprocess.run(command, stdout=-1, text=True, check=True).stdout.split())
    declared = set()
    for header in (installed / "include/tokenstore").glob("*.h"):
        for line in header.read_text().splitlines():
            if not line.startswith(("static", "#", " ", "typedef")):
                declared |= set(re.findall(r"\b(tks_\w+)\(", line))
                declared |= set(re.findall(r"^extern const \w+ (tks_\w+);", line))
    assert exported == declared
    assert pkg_config(installed, "--modversion") == [tokenstore.__version__]


def test_the_bindings_export_none_of_it() -> None:
    modules = [*(ROOT / "bindings/python/tokenstore").glob("_*.so"), *(ROOT / BUILD / "lua").rglob("*.so")]
    assert len(modules) >= 5
    for module in modules:
        command = ["nm", "-D", "--defined-only", "--format=just-symbols", str(module)]
        exported = subprocess.run(command, stdout=-1, text=True, check=True).stdout.split()
        assert exported, module
        assert all(name.startswith(("PyInit_", "luaopen_")) for name in exported), module


def test_uninstall_leaves_nothing(installed: Path, tmp_path: Path) -> None:
    others = [
        installed / "lib/liboftheirs.a",
        installed / "share/lua/5.1/kong/plugins/theirs/handler.lua",
        installed / "share/lua/5.4/theirs.lua",
    ]
    assert (installed / "share/lua/5.1/kong/plugins/tokenstore-auth/handler.lua").is_file()
    assert (installed / "share/lua/5.1/kong/plugins/tokenstore-auth/schema.lua").is_file()
    assert (installed / "share/lua/5.1/apisix/plugins/tokenstore-auth.lua").is_file()
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert len(files(installed)) > 50
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/usr/local")
    assert sorted(files(installed)) == sorted(others)


def test_the_modules_alone(tmp_path: Path) -> None:
    make("install-lua", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert {path.relative_to(tmp_path / "usr").parts[1] for path in files(tmp_path)} == {"lua"}


# ---- packages -------------------------------------------------------------------------------------------


def packages(level: str) -> set[str]:
    done = subprocess.run(["scripts/setup", "--list", level], cwd=ROOT, stdout=-1, text=True, check=True)
    return set(done.stdout.split())


def test_each_level_asks_for_no_more_than_it_needs() -> None:
    levels = [packages(level) for level in ("install", "demo", "test", "dev")]
    assert levels[0] < levels[1] < levels[2] < levels[3]
    assert {"libcurl4-openssl-dev", "liblua5.1-0-dev"} <= levels[0]
    assert not {name for name in levels[0] if "python" in name or name.startswith("redis") or name == "nginx"}
    assert not {"g++", "npm", "nodejs", "luarocks", "valkey-server", "clang"} & levels[1]


def test_the_docs_name_the_packages_that_the_build_wants() -> None:
    needed = {
        line.split()[1] for line in (ROOT / "core/headers.in").read_text().splitlines() if line.startswith("missing")
    }
    assert {"libcurl4-openssl-dev", "python3-dev"} <= needed
    for page in ("docs/reference/python.md", "docs/how-to/install.md"):
        lines = (ROOT / page).read_text().splitlines()
        named = [set(line.split()) for line in lines if line.startswith("apt-get install") and "python3-dev" in line]
        assert len(named) == 1, page
        assert needed <= named[0], page
