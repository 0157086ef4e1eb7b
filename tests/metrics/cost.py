"""What a `get` costs more when it is measured: instructions in user space, under callgrind. The server is another process and
does not count; nor does the kernel, which has the larger part of a `get`.

Fails if Prometheus costs more than 3 %, or another tokenstore, without the meter, is cheaper by more than 1 %.

usage: cost.py [BINDINGS …]     directories with another tokenstore, to be compared: they are only run plainly
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from servers import running

HERE = Path(__file__).resolve().parent
BINDINGS = HERE.parents[1] / "bindings/python"
FEW, MANY = 100, 600


def instructions(url: str, how: str, gets: int, bindings: Path = BINDINGS) -> int:
    """Of a whole process."""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/out", sys.executable]
            + [str(HERE / "cost_worker.py"), url, how, str(gets)],
            env={**os.environ, "PYTHONPATH": str(bindings), "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            timeout=300,
        )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise RuntimeError(done.stderr)
    return int(found[1])


def of_a_get(url: str, how: str, bindings: Path = BINDINGS) -> float:
    least, most = (instructions(url, how, gets, bindings) for gets in (FEW, MANY))
    return (most - least) / (MANY - FEW)


def main(others: list[Path]) -> int:
    dear = 0
    with running() as server:
        for driver in ("blocking", "asyncio"):
            plain = of_a_get(server.url, driver)
            print(f"{driver}: {plain:.0f} instructions")
            for other in others:
                count = of_a_get(server.url, driver, other)
                print(f"  {other}: {count:.0f}, here {100 * (plain / count - 1):+.2f} %")
                dear += plain > count * 1.01
            for what in ("prometheus", "callback", "opentelemetry"):
                count = of_a_get(server.url, f"{driver} {what}")
                print(f"  {what}: {count:.0f}, {100 * (count / plain - 1):+.2f} %")
                dear += what == "prometheus" and count > plain * 1.03
    return int(dear > 0)


if __name__ == "__main__":
    sys.exit(main([Path(path) for path in sys.argv[1:]]))
