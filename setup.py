"""Builds the extension tokenstore._core; everything else stands in pyproject.toml.

Environment:
  TOKENSTORE_ABI3=1  one build for CPython 3.10 and later (the limited API) instead of one per version;
                 it cannot be imported in interpreters with a GIL of their own
  TOKENSTORE_LINK=…  archives with the compiled C core; without it the core is compiled here
  CFLAGS, LDFLAGS  as usual
"""

import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import PlatformError

LIBRARIES = {
    "hiredis": ["-lhiredis"],
    "libsodium": ["-lsodium"],
    "libcjson": ["-lcjson"],
    "openssl": ["-lssl", "-lcrypto"],
    "libcurl": ["-lcurl"],
}
ABI3 = os.environ.get("TOKENSTORE_ABI3") == "1"
LINK = shlex.split(os.environ.get("TOKENSTORE_LINK", ""))

with open("core/include/tokenstore/version.h") as header:
    VERSION = re.search(r'#define TKS_VERSION +"(.*)"', header.read())[1]
GLUE = sorted(glob("bindings/python/src/*.c"))
CORE = sorted(glob("core/src/*.c") + glob("core/src/ops/*.c") + glob("core/io/*.c"))
HEADERS = sorted(
    glob("core/include/tokenstore/*.h")
    + glob("core/src/**/*.h", recursive=True)
    + glob("core/io/*.h")
    + glob("bindings/python/src/*.h")
)


def pkg_config(what, library):
    try:
        command = [os.environ.get("PKG_CONFIG", "pkg-config"), what, library]
        return shlex.split(subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True))
    except (OSError, subprocess.CalledProcessError):
        return LIBRARIES[library] if what == "--libs" else []


def usable_cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class BuildExt(build_ext):
    """Names what is missing before it compiles, and compiles side by side."""

    def build_extension(self, ext):
        os.makedirs(self.build_temp, exist_ok=True)
        self.check_headers(ext)
        if not LINK:
            scripts = os.path.join(self.build_temp, "scripts.c")
            subprocess.check_call(["sh", "core/scripts/embed.sh", scripts])
            ext.sources.append(scripts)
        compile_these = self.compiler.compile

        def compile_side_by_side(sources, **options):
            with ThreadPoolExecutor(usable_cores()) as pool:
                made = pool.map(lambda source: compile_these([source], **options), sources)
                return [one for each in made for one in each]

        self.compiler.compile = compile_side_by_side
        try:
            super().build_extension(ext)
        finally:
            self.compiler.compile = compile_these

    def check_headers(self, ext):
        found = os.path.join(self.build_temp, "headers.out")
        wanted = os.path.join(self.build_temp, "headers.c")
        with open("core/headers.in") as template, open(wanted, "w") as file:
            file.write(template.read())
        try:
            self.compiler.preprocess(
                wanted,
                found,
                macros=[("FOR_PYTHON", "1")],
                include_dirs=ext.include_dirs,
                extra_postargs=ext.extra_compile_args,
            )
        except Exception as problem:
            raise PlatformError(
                f"no C compiler ({problem}); on Debian: apt-get install gcc libc6-dev"
            ) from None
        with open(found) as file:
            missing = re.findall(r"^missing (\S+)", file.read(), re.M)
        if missing:
            raise PlatformError(f"headers are missing; on Debian: apt-get install {' '.join(missing)}")


core = Extension(
    "tokenstore._core",
    sources=GLUE if LINK else GLUE + CORE,
    depends=HEADERS + LINK + sorted(glob("core/scripts/**/*", recursive=True)),
    include_dirs=["core/include", "core/src"],
    define_macros=[("TKS_HIDDEN", None)] + ([("Py_LIMITED_API", "0x030A0000")] if ABI3 else []),
    py_limited_api=ABI3,
    extra_compile_args=[
        "-std=c11",
        "-fvisibility=hidden",
        "-Werror=implicit-function-declaration",  # what the limited API lacks, not when it is linked
        *(flag for library in LIBRARIES for flag in pkg_config("--cflags", library)),
    ],
    extra_objects=LINK,
    extra_link_args=[flag for library in LIBRARIES for flag in pkg_config("--libs", library)],
)

setup(
    version=VERSION,
    ext_modules=[core],
    cmdclass={"build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if ABI3 else {},
)
