"""What must be true of each wheel in dist/; a function for each. `make dist-check` and `make release-check` ask all."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import contents
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

SIZE = 4_000_000

# What every system has.
SYSTEM = re.compile(
    r"lib(c|m|pthread|dl|rt)\.so\.\d|ld-linux-(x86-64|aarch64)\.so\.\d|libc\.musl-(x86_64|aarch64)\.so\.1"
)
MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}


def objects(wheel: zipfile.ZipFile) -> Iterator[tuple[str, ELFFile]]:
    for name in wheel.namelist():
        if re.search(r"\.so(\.\d+)?$", name):
            yield name, ELFFile(BytesIO(wheel.read(name)))


def needed(elf: ELFFile) -> Iterator[tuple[str, str]]:
    dynamic = elf.get_section_by_name(".dynamic")
    assert isinstance(dynamic, DynamicSection)
    for tag in dynamic.iter_tags():
        if tag.entry.d_tag == "DT_NEEDED":
            yield "needed", tag.needed
        elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
            yield "path", getattr(tag, "runpath", None) or tag.rpath


def check_size(path: Path, wheel: zipfile.ZipFile) -> Iterator[str]:
    if path.stat().st_size > SIZE:
        yield f"{path.stat().st_size} bytes, more than {SIZE}"


def check_libraries(path: Path, wheel: zipfile.ZipFile) -> Iterator[str]:
    """Each object needs the system's C library and what is in the wheel, and only _oauth has curl."""
    inside = {name.rsplit("/", 1)[-1] for name in wheel.namelist()}
    for name, elf in objects(wheel):
        machine = next(m for m in MACHINES if path.stem.endswith(m))
        if elf["e_machine"] != MACHINES[machine]:
            yield f"{name} is for {elf['e_machine']}"
        for kind, value in needed(elf):
            if kind == "needed" and value not in inside and not SYSTEM.fullmatch(value):
                yield f"{name} needs {value}, which is not in the wheel"
            if kind == "path" and not all(part.startswith("$ORIGIN") for part in value.split(":")):
                yield f"{name} looks for libraries in {value}"
        has_curl = b"CURL_SSLVERSION" in (data := wheel.read(name)) or b"libcurl/" in data
        if has_curl != ("/_oauth." in name):
            yield f"{name} {'contains' if has_curl else 'lacks'} libcurl"


def check_exports(path: Path, wheel: zipfile.ZipFile) -> Iterator[str]:
    for name, elf in objects(wheel):
        if not name.startswith("tokenstore/"):
            continue
        symbols = elf.get_section_by_name(".dynsym").iter_symbols()
        exported = {s.name for s in symbols if s["st_shndx"] != "SHN_UNDEF" and s.name}
        exported -= {"_init", "_fini"}
        if exported != {f"PyInit_{name.split('/')[1].split('.')[0]}"}:
            yield f"{name} exports {', '.join(sorted(exported)[:5])}"


def check_paths(path: Path, wheel: zipfile.ZipFile) -> Iterator[str]:
    """No directory of the machine that built it."""
    here = str(Path(__file__).resolve().parents[2]).encode()
    for name in wheel.namelist():
        if here in wheel.read(name):
            yield f"{name} names the directory it was built in"


def check_files(path: Path, wheel: zipfile.ZipFile) -> Iterator[str]:
    """The files of the package as they are committed, and nothing else."""
    root = Path(__file__).resolve().parents[2] / "bindings/python"
    listed = subprocess.run(["git", "ls-files", "tokenstore"], cwd=root, stdout=-1, text=True, check=True).stdout
    wanted, names = set(listed.split()), set(wheel.namelist())
    packed = {n for n in names if n.startswith("tokenstore/") and ".so" not in n and not n.endswith("/")}
    for name in sorted(packed ^ wanted):
        yield f"{name} is {'not committed' if name in packed else 'missing'}"
    for name in sorted(packed & wanted):
        if (root / name).read_bytes() != wheel.read(name):
            yield f"{name} is not as in the checkout"
    for module in ("_core", "_oauth"):
        if len([name for name in names if name.startswith(f"tokenstore/{module}.") and name.endswith(".so")]) != 1:
            yield f"not exactly one {module}"


def check_bill(path: Path, wheel: zipfile.ZipFile) -> Iterator[str]:
    """The bill of materials is valid and has each library, and so has the folder of licences."""
    names = wheel.namelist()
    for library in contents.LIBRARIES:
        text = [n for n in names if n.endswith(f".dist-info/licenses/bundled/{library}.txt")]
        if not text or len(wheel.read(text[0])) < 500:
            yield f"the licence of {library} is missing"
    found = [n for n in names if n.endswith(".dist-info/sboms/tokenstore.cdx.json")]
    if not found:
        yield "there is no bill of materials"
        return
    text = wheel.read(found[0]).decode()
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        yield f"its bill of materials is invalid: {error}"
    if {c["name"] for c in json.loads(text)["components"]} != set(contents.LIBRARIES):
        yield "its bill of materials does not have just the libraries that are in it"


CHECKS = (check_size, check_libraries, check_exports, check_paths, check_files, check_bill)


def problems(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as wheel:
        return [f"{path.name}: {problem}" for check in CHECKS for problem in check(path, wheel)]


if __name__ == "__main__":
    found = [problem for argument in sys.argv[1:] for problem in problems(Path(argument))]
    print(*found, sep="\n", end="\n" if found else "")
    print(f"wheels: {len(sys.argv) - 1} looked into, {len(found)} problems")
    sys.exit(1 if found or len(sys.argv) < 2 else 0)
