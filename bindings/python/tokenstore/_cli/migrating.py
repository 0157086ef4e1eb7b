"""``migrate``: import other programs' keys."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from dataclasses import asdict
from typing import Any

from tokenstore import migrate as _migrate
from tokenstore._cli import terminal
from tokenstore._cli.common import Options, read_file
from tokenstore._cli.output import is_for_people, print_record
from tokenstore._kinds import ROUND
from tokenstore._walk import walk
from tokenstore.client import Client

__all__ = ["migrate"]


def migrate(options: Options) -> bool:
    """Move another program's keys; False if some were skipped."""
    with Client(options.url) as client:
        progress = _Lines() if not is_for_people(options) else _progress(options, client)
        try:
            report = _migrate.run(
                options.source,
                client,
                prefix=options.prefix,
                pepper=None if options.pepper_file is None else read_file(options.pepper_file),
                max_data_size=options.max_data_size,
                batch=options.batch,
                dry_run=options.dry_run,
                progress=progress,
            )
        finally:
            progress.close()
    record = asdict(report)
    if not is_for_people(options):
        print_record(options, [*record], record, lambda _: ())
    else:
        for odd in report.odd:
            print(f"skipped: {terminal.plain(odd.key)}: {odd.reason}")
        if report.odd_count > len(report.odd):
            print(f"skipped: {report.odd_count - len(report.odd)} more")
        print(_summary(report))
    return report.odd_count == 0 and report.complete


def _summary(report: _migrate.Report) -> str:
    done = "would move" if report.dry_run else "moved"
    return (
        f"{done} {report.moved}, late updates {report.updated}, ended meanwhile {report.gone}, "
        f"skipped {report.odd_count}, in {report.seconds:.1f} s"
        + ("" if report.complete else "; writers still add keys: run it again")
    )


class _Lines:
    """Progress as occasional lines."""

    _INTERVAL = 5.0  # seconds

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, report: _migrate.Report) -> None:
        if time.monotonic() - self._last >= self._INTERVAL:
            self._last = time.monotonic()
            print(_summary(report).partition(";")[0], file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing to do."""


class _Bar:
    """Progress with tqdm; the keys are counted first."""

    def __init__(self, tqdm: Any, client: Client, match: str) -> None:
        total = 0
        with closing(terminal.Counter("keys looked at")) as counter:
            for _, keys in walk(client, match, ROUND):
                counter.add(ROUND)
                total += len(keys or ())
        self._bar = tqdm(total=total, unit=" keys")

    def __call__(self, report: _migrate.Report) -> None:
        done = report.moved + report.updated + report.gone + report.odd_count
        self._bar.total = max(self._bar.total, done)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def _progress(options: Options, client: Client) -> _Lines | _Bar:
    """A bar on a terminal if tqdm is installed, else lines. Both on stderr."""
    if not sys.stderr.isatty():
        return _Lines()
    try:
        from tqdm import tqdm
    except ImportError:
        return _Lines()
    return _Bar(tqdm, client, _migrate.FORMATS[options.source].match)


