"""What nginx loads into its workers. (These tests do not need nginx.)"""

from __future__ import annotations

import subprocess

from nginx_server import BUILD


def test_the_core_links_neither_openssl_nor_libcurl() -> None:
    """OpenResty has its own OpenSSL."""
    module = BUILD / "lua/5.1/tokenstore/core.so"
    shown = subprocess.run(["objdump", "-p", module], check=True, capture_output=True, text=True)
    needed = [line.split()[1] for line in shown.stdout.splitlines() if "NEEDED" in line]
    assert any(name.startswith("libhiredis") for name in needed)
    assert not [name for name in needed if name.startswith(("libssl", "libcrypto", "libcurl"))]
