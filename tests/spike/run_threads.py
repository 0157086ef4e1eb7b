"""Sixteen C threads read a token that is renewed all the time.

usage: run_threads.py PROGRAM READS RENEWALS      PROGRAM: bench/spike_threads
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))

from authorization import endpoint, granted

THREADS = 16


def main() -> int:
    program, reads, renewals = sys.argv[1:]
    with endpoint(lambda asked: granted("t" * len(server.asked), refresh_in=0)) as server:
        with subprocess.Popen(
            [program, server.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            while len(server.asked) <= int(renewals):
                process.stdin.write(f"read {THREADS} {reads}\n")
                process.stdin.flush()
                if not process.stdout.readline().startswith("ok"):
                    print("FAILED: a reader found no token, or the program ended")
                    return 1
            process.stdin.close()
            if process.wait(30) != 0:
                return 1
    print(f"1 passed: {len(server.asked) - 1} renewals under {THREADS} readers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
