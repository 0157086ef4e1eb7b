"""`make install` and its way back, for an operator who has neither a venv nor Node."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ.get("TOKENSTORE_BUILD", "build")
ABIS = {"lua5.4": "5.4", "lua5.3": "5.3", "lua5.1": "5.1", "luajit": "5.1"}
NGINX_LUA = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")
LUAS = [name for name in ABIS if shutil.which(name)]
WITHOUT_PATHS = {k: v for k, v in os.environ.items() if not k.startswith(("LUA_", "TOKENSTORE_URL"))}


def make(*words: str) -> None:
    """With what `make` has built - MAKEFLAGS has what it was given - and no venv to be found."""
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
    """docs/install.md says so, and that nginx then needs no lua_package_path."""
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


def test_a_c_program_compiles(installed: Path, tmp_path: Path) -> None:
    source = tmp_path / "program.c"
    source.write_text('#include "tokenstore/client.h"\nint main(void) { return tks_status_code(TKS_OK) == 0; }\n')
    libraries = "-ltokenstore-io -ltokenstore -lhiredis -lcjson -lsodium -lssl -lcrypto -lcurl -lpthread -lm"
    command = ["cc", str(source), f"-I{installed}/include", f"-L{installed}/lib", *libraries.split()]
    subprocess.run([*command, "-o", str(tmp_path / "program")], check=True)
    subprocess.run([str(tmp_path / "program")], check=True)


def test_uninstall_leaves_nothing(installed: Path, tmp_path: Path) -> None:
    others = [installed / "lib/liboftheirs.a", installed / "share/lua/5.4/theirs.lua"]
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
    for page in ("docs/python.md", "docs/install.md"):
        lines = (ROOT / page).read_text().splitlines()
        named = [set(line.split()) for line in lines if line.startswith("apt-get install") and "python3-dev" in line]
        assert len(named) == 1, page
        assert needed <= named[0], page
