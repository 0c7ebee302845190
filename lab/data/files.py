"""Reader of data files: records of JSON lines, JSON, tables, Parquet or plain text, each with its place."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab.data.errors import DataError

Record = tuple[str, dict[str, Any]]
"""Where it stands ("mine.jsonl:12"), and its fields."""


def records(path: Path) -> Iterator[Record]:
    """The records of a file that is there; its ending says how it is read. Raises DataError, naming file and line."""
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path}: files end in {', '.join(_READERS)}; this one does not")
    try:
        yield from read(path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: it is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None


def _lines(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _record(f"{path}:{number}", _parsed(path, number, json.loads, line))


def _list(path: Path) -> Iterator[Record]:
    """The items of a JSON list, one by one, so that each has its line."""
    text, decoder = path.read_text(encoding="utf-8-sig"), json.JSONDecoder()
    begins, line, place = 0, 1, _skip(text, 0)
    if text[place : place + 1] != "[":
        raise DataError(f"{path}: it must hold a JSON list of records")
    place = _skip(text, place + 1)
    while text[place : place + 1] != "]":
        line += text.count("\n", begins, place)
        begins = place
        item, place = _parsed(path, 1, decoder.raw_decode, text, place)
        yield _record(f"{path}:{line}", item)
        place = _skip(text, place)
        if text[place : place + 1] == ",":
            place = _skip(text, place + 1)
        elif text[place : place + 1] != "]":
            line += text.count("\n", begins, place)
            raise DataError(f"{path}:{line}: no JSON: a comma or a bracket is missing")


def _skip(text: str, place: int) -> int:
    """The next place that is not white space."""
    found = re.compile(r"\s*").match(text, place)
    return found.end() if found else place


def _parsed(path: Path, first: int, parse: Callable[..., Any], *given: Any) -> Any:
    """What stands in a text that begins at the line `first` of a file."""
    try:
        return parse(*given)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{first + error.lineno - 1}: no JSON: {error.msg} at column {error.colno}") from None


def _record(where: str, value: Any) -> Record:
    if not isinstance(value, dict):
        raise DataError(f"{where}: a record is an object with fields, not {json.dumps(value)[:60]}")
    return where, value


def _table(path: Path, delimiter: str) -> Iterator[Record]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        header: list[str] | None = None
        begins = 1
        try:
            for row in rows:
                where, begins = f"{path}:{begins}", rows.line_num + 1
                if not row:
                    continue
                if header is None:
                    header = row
                elif len(row) != len(header):
                    raise DataError(
                        f"{where}: {len(row)} columns, but the header names {len(header)} ({', '.join(header)})"
                    )
                else:
                    yield where, dict(zip(header, row, strict=True))
        except csv.Error as error:
            raise DataError(f"{path}:{begins}: no table: {error}") from None


def _parquet(path: Path) -> Iterator[Record]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_table
    except ImportError:
        raise DataError(f'{path}: Parquet needs the package pyarrow: pip install "lab-hypotheses[data]"') from None
    try:
        rows = read_table(path).to_pylist()
    except ArrowException as error:
        raise DataError(f"{path}: no Parquet: {str(error).splitlines()[0]}") from None
    for number, row in enumerate(rows):
        yield f"{path}: row {number}", row


def _text(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            yield f"{path}:{number}", {"text": line.rstrip("\n")}


_READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".jsonl": _lines,
    ".json": _list,
    ".csv": lambda path: _table(path, ","),
    ".tsv": lambda path: _table(path, "\t"),
    ".parquet": _parquet,
    ".txt": _text,
    ".raw": _text,
}
