"""Builds the extension tokenstore._core; everything else stands in pyproject.toml.

Environment:
  TS_ABI3=1      one build for CPython 3.10 and later (the limited API) instead of one per version;
                 it cannot be imported in interpreters with a GIL of their own
  TS_LINK=…      archives with the compiled C core; without it the core is compiled here
  CFLAGS, LDFLAGS  as usual
"""

import os
import shlex
import subprocess
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

LIBRARIES = {
    "hiredis": ["-lhiredis"],
    "libsodium": ["-lsodium"],
    "libcjson": ["-lcjson"],
    "openssl": ["-lssl", "-lcrypto"],
    "libcurl": ["-lcurl"],
}
ABI3 = os.environ.get("TS_ABI3") == "1"
LINK = shlex.split(os.environ.get("TS_LINK", ""))

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


class BuildExt(build_ext):
    """Embeds the server-side scripts into the core before it is compiled."""

    def build_extension(self, ext):
        if not LINK:
            scripts = os.path.join(self.build_temp, "scripts.c")
            os.makedirs(self.build_temp, exist_ok=True)
            subprocess.check_call(["sh", "core/scripts/embed.sh", scripts])
            ext.sources.append(scripts)
        super().build_extension(ext)


core = Extension(
    "tokenstore._core",
    sources=GLUE if LINK else GLUE + CORE,
    depends=HEADERS + LINK + sorted(glob("core/scripts/**/*", recursive=True)),
    include_dirs=["core/include", "core/src"],
    define_macros=[("Py_LIMITED_API", "0x030A0000")] if ABI3 else [],
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
    ext_modules=[core],
    cmdclass={"build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if ABI3 else {},
)
