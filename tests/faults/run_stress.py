"""Runs a program with the URL of a private server: plain, and with TLS.

usage: python3 run_stress.py PROGRAM [ARGUMENT...]
"""

from __future__ import annotations

import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))

from certs import LOCAL, SERVER, Authority
from fault_server import FaultServer
from servers import running


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="ts-stress-") as directory, running() as redis:
        ca = Authority(Path(directory))
        pair = ca.sign("server", LOCAL, *SERVER)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        assert redis.socket_path is not None
        with FaultServer(redis.socket_path, context) as tls:
            for url in (redis.url, f"{tls.url}?ca={ca.cert}"):
                done = subprocess.run([arguments[0], url, *arguments[1:]], check=False)
                if done.returncode != 0:
                    return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
