"""What commands print: tables for people; JSON, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from tokenstore._cli.common import Options
from tokenstore._cli.terminal import plain, print_table

__all__ = [
    "FORMATS",
    "Column",
    "is_for_people",
    "print_answer",
    "print_csv_row",
    "print_json",
    "print_record",
    "print_rows",
]

FORMATS = ("table", "json", "jsonl", "csv")

Row = dict[str, Any]


class Column(NamedTuple):
    """A column of a table."""

    head: str
    cell: Callable[[Row], Any]
    """What it shows of a row; numbers are right-aligned."""
    shrinks: bool = False
    """It may be truncated on a narrow terminal."""


def is_for_people(options: Options) -> bool:
    """Is a table wanted, or one of the formats for programs?"""
    return bool(options.format == "table")


def print_rows(
    options: Options, names: Sequence[str], rows: Sequence[Row], columns: Sequence[Column], if_none: str
) -> None:
    """Several of the same kind. `names` are the keys of each row; `if_none` goes to stderr instead of an empty table."""
    if options.format == "json":
        print_json(rows)
    elif options.format == "jsonl":
        for row in rows:
            print_json(row)
    elif options.format == "csv":
        print_csv_row(names)
        for row in rows:
            print_csv_row(row[name] for name in names)
    elif rows:
        shrinking = [number for number, column in enumerate(columns) if column.shrinks]
        cells = [[column.cell(row) for column in columns] for row in rows]
        print_table([column.head for column in columns], cells, shrinking)
    else:
        print(f"tokenstore: {plain(if_none)}", file=sys.stderr)


def print_record(
    options: Options, names: Sequence[str], record: Row | None, lines: Callable[[Row], Iterable[tuple[str, str]]]
) -> None:
    """One of its kind, for people as `lines` of names and values; of None programs see ``null`` or no line."""
    if options.format == "json":
        print_json(record)
    elif not is_for_people(options):
        print_rows(options, names, [] if record is None else [record], (), "")
    elif record is not None:
        for name, value in lines(record):
            print(f"{name:<8} {plain(value)}")


def print_answer(options: Options, record: Row, text: str) -> None:
    """What was done: a sentence for people, a record for programs."""
    if is_for_people(options):
        print(text)
    else:
        print_record(options, [*record], record, lambda _: ())


def print_json(value: Any) -> None:
    """On one line, and in ASCII, so that bytes that are not UTF-8 can be written too."""
    print(json.dumps(value), flush=True)


def print_csv_row(cells: Iterable[Any]) -> None:
    """What is no text or number is JSON; None is empty."""
    csv.writer(sys.stdout, lineterminator="\n").writerow(map(_csv_cell, cells))
    sys.stdout.flush()


def _csv_cell(value: Any) -> Any:
    if value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool)):
        return value
    return json.dumps(value)
