"""Builds the extension modules tokenstore._core and tokenstore._oauth; everything else stands in pyproject.toml.

Both contain the C core; only _oauth, which Spike and keys at a URL need, links libcurl.

Environment:
  TOKENSTORE_ABI3=1  one build for CPython 3.10 and later (the limited API) instead of one per version
  TOKENSTORE_LINK=…  archives with the compiled C core; without it the core is compiled here
  CFLAGS, LDFLAGS  as usual
"""

import os
import re
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import PlatformError

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # before 70, with which the package for Debian 12 is built
    from wheel.bdist_wheel import bdist_wheel

LIBRARIES = {
    "hiredis": ["-lhiredis"],
    "libsodium": ["-lsodium"],
    "libcjson": ["-lcjson"],
    "openssl": ["-lssl", "-lcrypto"],
}
CURL = {"libcurl": ["-lcurl"]}
ABI3 = os.environ.get("TOKENSTORE_ABI3") == "1"
LINK = shlex.split(os.environ.get("TOKENSTORE_LINK", ""))

with open("core/include/tokenstore/version.h") as header:
    VERSION = re.search(r'#define TKS_VERSION +"(.*)"', header.read())[1]
GLUE = [re.search(r"py_(\w+)\.c$", name)[1] for name in sorted(glob("bindings/python/src/*.c"))]
OF_OAUTH = ["oauth_module", "remote_keys", "spike", "spike_creator", "spike_open"]
IN_BOTH = ["convert", "errors", "jwt_given", "jwt_key", "member_names", "options", "state", "wait"]
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
        return (LIBRARIES | CURL)[library] if what == "--libs" else []


def usable_cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def flags(what, libraries):
    return [flag for library in libraries for flag in pkg_config(what, library)]


class BuildExt(build_ext):
    """Names what is missing before it compiles. Compiles side by side, and what both modules contain once."""

    def build_extensions(self):
        os.makedirs(self.build_temp, exist_ok=True)
        self.check_headers(self.extensions[0])
        compile_all, objects = self.compiler.compile, {}

        def compile_new(sources, **options):
            new = [source for source in sources if source not in objects]
            with ThreadPoolExecutor(usable_cores()) as pool:
                made = pool.map(lambda source: compile_all([source], **options)[0], new)
                objects.update(zip(new, made))
            return [objects[source] for source in sources]

        self.compiler.compile = compile_new
        if not LINK:
            core = self.build_core(self.extensions[0])
            for ext in self.extensions:
                ext.extra_objects.append(core)
                ext.depends.append(core)
        super().build_extensions()

    def build_core(self, ext):
        """An archive, from which each module takes what it needs."""
        scripts = os.path.join(self.build_temp, "scripts.c")
        subprocess.check_call(["sh", "core/scripts/embed.sh", scripts])
        objects = self.compiler.compile(
            [*CORE, scripts],
            output_dir=self.build_temp,
            macros=ext.define_macros,
            include_dirs=ext.include_dirs,
            extra_postargs=ext.extra_compile_args,
            debug=self.debug,
        )
        archive = self.compiler.library_filename("tokenstore", output_dir=self.build_temp)
        if os.path.exists(archive):  # an object whose source is gone would stay in it
            os.remove(archive)
        self.compiler.create_static_lib(objects, "tokenstore", output_dir=self.build_temp)
        return archive

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


class BdistWheel(bdist_wheel):
    """Packs what it has built itself: files that an earlier build has left may be of other sources."""

    def run(self):
        build = self.get_finalized_command("build")
        shutil.rmtree(build.build_lib, ignore_errors=True)
        super().run()


def module(name, glue, libraries):
    return Extension(
        name,
        sources=[f"bindings/python/src/py_{stem}.c" for stem in glue],
        depends=HEADERS + LINK + sorted(glob("core/scripts/**/*", recursive=True)),
        include_dirs=["core/include", "core/src"],
        define_macros=[("TKS_HIDDEN", None)] + ([("Py_LIMITED_API", "0x030A0000")] if ABI3 else []),
        py_limited_api=ABI3,
        extra_compile_args=[
            "-std=c11",
            "-fvisibility=hidden",
            "-Werror=implicit-function-declaration",  # what the limited API lacks, not when it is linked
            *flags("--cflags", [*LIBRARIES, *CURL]),
        ],
        extra_objects=[*LINK],
        extra_link_args=flags("--libs", libraries),
    )


setup(
    version=VERSION,
    ext_modules=[
        module("tokenstore._core", [stem for stem in GLUE if stem not in OF_OAUTH], [*LIBRARIES]),
        module("tokenstore._oauth", OF_OAUTH + IN_BOTH, [*LIBRARIES, *CURL]),
    ],
    cmdclass={"build_ext": BuildExt, "bdist_wheel": BdistWheel},
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if ABI3 else {},
)
