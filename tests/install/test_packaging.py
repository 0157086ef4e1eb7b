"""What packaging/ makes, as far as it can be seen without building: rocks, OPM's folder, the Debian packages' files, the
image. `make rocks-check`, `deb-check` and `image-check` build and use them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

import tokenstore

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ.get("TOKENSTORE_BUILD", "build")
PACKAGING = ROOT / "packaging"
VERSION = tokenstore.__version__
LUA = next((name for name in ("luajit", "lua5.1", "lua5.4") if shutil.which(name)), None)
PLUGINS = ["kong-plugin-tokenstore-auth", "apisix-plugin-tokenstore-auth"]

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="packages are made from what is committed")


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, stdout=-1, stderr=subprocess.STDOUT, text=True
    )


def done(*command: str | Path, **environment: str) -> str:
    result = run(*command, **environment)
    assert result.returncode == 0, result.stdout
    return result.stdout


def headers_of(language: str) -> set[str]:
    """The packages that compiling needs."""
    return set(re.findall(r"^missing (\S+)", (ROOT / "core/headers.in").read_text(), re.M)) - {language}


# ---- rocks ----------------------------------------------------------------------------------------------


def rockspec(path: Path) -> dict:
    """A rockspec's values, as JSON, by a Lua."""
    program = """
        local function json(value)
          if type(value) ~= "table" then
            return ("%q"):format(tostring(value)):gsub("\\\\\\n", "\\\\n")
          end
          local parts = {}
          for k, v in pairs(value) do parts[#parts + 1] = ("%q:%s"):format(tostring(k), (json(v))) end
          return "{" .. table.concat(parts, ",") .. "}"
        end
        local found = setmetatable({}, { __index = _G })
        local chunk = loadfile(arg[1], "t", found)
        if setfenv then setfenv(chunk, found) end
        chunk()
        print((json(found)))"""
    script = path.with_suffix(".lua")
    script.write_text(program)
    return json.loads(done(LUA, script, path))


@pytest.fixture(scope="module")
def rocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not LUA:
        pytest.skip("no Lua")
    directory = tmp_path_factory.mktemp("rocks")
    done("packaging/rocks/make", directory, VERSION, "https://example.org/releases")
    return directory


def test_the_rockspecs_are_of_this_version(rocks: Path) -> None:
    archive = rocks / f"tokenstore-lua-{VERSION}.tar.gz"
    assert len(list(rocks.glob("*.rockspec"))) == 3
    assert not list(rocks.glob("*.rock")), "luarocks upload makes them, when the archive is published"
    for name in ["tokenstore", *PLUGINS]:
        spec = rockspec(rocks / f"{name}-{VERSION}-1.rockspec")
        assert (spec["package"], spec["version"]) == (name, f"{VERSION}-1")
        assert spec["source"]["url"] == f"https://example.org/releases/{archive.name}"
        assert spec["source"]["md5"] == hashlib.md5(archive.read_bytes()).hexdigest()
        if name in PLUGINS:
            assert f"tokenstore = {VERSION}" in spec["dependencies"].values()


def test_the_archive_has_what_the_rocks_build(rocks: Path) -> None:
    top = f"tokenstore-lua-{VERSION}"
    with tarfile.open(rocks / f"{top}.tar.gz") as archive:
        names = set(archive.getnames())
    assert {f"{top}/Makefile", f"{top}/LICENSE", f"{top}/core/io/http.c", f"{top}/bindings/lua/src/lua_core.c"} <= names
    assert not {name for name in names if name.endswith((".o", ".so", ".a"))}
    plugins = set()
    for name in PLUGINS:
        modules = rockspec(rocks / f"{name}-{VERSION}-1.rockspec")["build"]["modules"]
        for module, path in modules.items():
            assert path == f"bindings/lua/{module.replace('.', '/')}.lua"
            plugins.add(f"{top}/{path}")
    assert plugins == {name for name in names if "/plugins/" in name and name.endswith(".lua")}


# ---- OPM ------------------------------------------------------------------------------------------------


@pytest.fixture
def opm(tmp_path: Path) -> Path:
    done("packaging/opm/make", tmp_path / "opm", VERSION, "https://example.org/tokenstore")
    return tmp_path / "opm"


def test_opms_folder(opm: Path) -> None:
    lines = [line for line in (opm / "dist.ini").read_text().splitlines() if not line.startswith("#")]
    keys = dict(line.split(" = ", 1) for line in lines)
    assert {"name", "abstract", "author", "is_original", "license", "repo_link"} <= keys.keys()
    assert keys.keys() <= {"name", "abstract", "author", "is_original", "license", "repo_link"} | {
        "version", "requires", "lib_dir", "exclude_files", "main_module", "doc_dir",
    }
    assert keys["repo_link"] == "https://example.org/tokenstore"
    # opm takes the version from there, by this pattern.
    main_module = (opm / keys["main_module"]).read_text()
    assert re.search(r'\b(?:_?VERSION|version)\s*=\s*"([^"]+)', main_module)[1] == VERSION
    files = {path.name for path in (opm / "lib/tokenstore").iterdir()}
    committed = done("git", "ls-tree", "--name-only", "HEAD", "bindings/lua/tokenstore/").split()
    assert files == {Path(path).name for path in committed if not path.endswith(".d.lua")}


@pytest.mark.skipif(not LUA, reason="no Lua")
def test_opms_files_belong_to_the_compiled_modules(opm: Path) -> None:
    abi = "5.4" if LUA == "lua5.4" else "5.1"
    paths = {
        name + suffix: value
        for suffix in ("", "_5_4")
        for name, value in (
            ("LUA_PATH", f"{opm}/lib/?.lua;{opm}/lib/?/init.lua"),
            ("LUA_CPATH", f"{ROOT / BUILD}/lua/{abi}/?.so"),
        )
    }
    program = 'print(require("tokenstore")._VERSION)'
    assert done(LUA, "-e", program, **paths) == f"tokenstore {VERSION}\n"

    missing = run(LUA, "-e", program, **paths | {"LUA_CPATH": "/none/?.so", "LUA_CPATH_5_4": "/none/?.so"})
    assert missing.returncode != 0
    assert f"OPM installs no compiled modules; install those of version {VERSION}" in missing.stdout

    main_module = opm / "lib/tokenstore.lua"
    main_module.write_text(main_module.read_text().replace(f'"{VERSION}"', '"0.0.9"'))
    other = run(LUA, "-e", program, **paths)
    assert other.returncode != 0
    assert f"version 0.0.9 and the compiled modules of version {VERSION}; install the same" in other.stdout


# ---- Debian ---------------------------------------------------------------------------------------------


def test_each_file_is_in_one_debian_package(tmp_path: Path) -> None:
    variables = [f"BUILD={BUILD}", "VENV=/none", "PYTHON=/none/python", "PREFIX=/usr", "LIBDIR=/usr/lib/any"]
    done("make", "-s", *variables, f"DESTDIR={tmp_path}", "install-c", "install-lua")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    assert len(files) > 50
    packages: dict[str, list[str]] = {}
    for listing in (PACKAGING / "debian").glob("*.install"):
        for pattern in listing.read_text().split():
            found = {name for name in files if fnmatch(name, pattern) or fnmatch(name, f"{pattern}/*")}
            assert found, f"{listing.name}: {pattern}"
            for name in found:
                packages.setdefault(name, []).append(listing.stem)
    assert files == packages.keys()
    assert not {name for name, owners in packages.items() if len(owners) > 1}


def symbols(version: str, root: Path = ROOT) -> dict[str, str]:
    return dict(re.findall(r"^ (\w+)@Base (\S+)$", done(root / "packaging/deb-symbols", version), re.M))


def test_the_symbols_are_those_of_the_library() -> None:
    done("make", "-s", f"BUILD={BUILD}", "VENV=/none", "PYTHON=/none/python", "library")
    library = ROOT / BUILD / f"lib/libtokenstore.so.{VERSION}"
    exported = set(done("nm", "-D", "--defined-only", "--format=just-symbols", library).split())
    assert len(exported) > 300
    assert symbols(VERSION).keys() == exported


def test_the_symbols_keep_what_was_published(tmp_path: Path) -> None:
    """A function of an earlier version that has gone stays in the list, so that the build fails."""
    shutil.copytree(ROOT / "core/include", tmp_path / "core/include")
    (tmp_path / "packaging/debian").mkdir(parents=True)
    shutil.copy(PACKAGING / "deb-symbols", tmp_path / "packaging")
    (tmp_path / "packaging/debian/libtokenstore0.symbols").write_text(
        "libtokenstore.so.0 libtokenstore0 #MINVER#\n* Build-Depends-Package: libtokenstore-dev\n"
        " tks_buf_append@Base 0.9\n tks_gone@Base 0.9\n tks_never_published@Base 1.0\n"
    )
    found = symbols("1.0", tmp_path)
    assert found["tks_buf_append"] == found["tks_gone"] == "0.9"
    assert found["tks_version"] == "1.0"
    assert "tks_never_published" not in found


def test_the_packages_that_compiling_needs_are_named() -> None:
    control = (PACKAGING / "debian/control").read_text()
    build_depends = set(re.findall(r"^ ([\w.-]+)", control.split("Package:")[0], re.M))
    needed = headers_of("python3-dev") - {"libc6-dev"}
    assert len(needed) >= 5
    assert needed <= build_depends
    development = set(re.findall(r"^ (\S+),$", control.split("Package: libtokenstore-dev")[1].split("\n\n")[0], re.M))
    assert needed <= development


# ---- the image ------------------------------------------------------------------------------------------


def test_the_image_copies_and_installs_what_there_is() -> None:
    text = re.sub(r"\\\n", " ", (PACKAGING / "docker/Dockerfile").read_text())
    for source in re.findall(r"^COPY (?!--from)(\S+)", text, re.M):
        assert (ROOT / source).exists(), source
    assert headers_of("python3-dev") <= set(re.search(r"^RUN apt-get.*", text, re.M)[0].split())
