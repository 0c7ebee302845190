"""lab report comparisons FOLDER: utilities from comparison files, and how much their sigma must be held back.

Every .jsonl and .csv file beneath FOLDER, and every measurements.yaml, is a study of its own: one answer a row, with
`first`, `second` and `chosen` (the id of the one that was; or "first", "second", "refusal", ...), or `task_a`, `task_b`
and `choice` ("a" or "b"), or a raw file of choices as a run of this suite leaves it. A study has the name of its file,
with the suffix where another differs in nothing else. Each is fitted with a term for position over a grid of penalties,
on whole pairs held out. Into the output folder go the figure, the penalty that the density of the answers asks for
beside the best one, the ranks of Bradley and Terry and of TrueSkill beside Thurstone's, how the ranks hang on the
bounds, and utilities as CSV and YAML.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.files.whole import file_name, write_whole
from lab.studies.preferences import regularisation, thurstone
from lab.studies.preferences.comparisons import Comparisons, answers_of, of_answers
from lab.studies.preferences.reports.ranks import table_of, utilities_files
from lab.studies.preferences.reports.regularising import MOST, drawing_now
from lab.views.drawing import keep

KINDS = ("**/*.jsonl", "**/*.csv", "**/measurements.yaml")
LEAST = 10
"""Pairs of items in a file, below which folds say nothing."""


class Bad(ValueError):
    """A file that cannot be read as comparisons. Its text is one line: file, line, and what is wrong."""


@dataclass(frozen=True)
class File:
    """The comparisons of one file: its name in the folder, ids of the items, and how many answers chose neither."""

    name: str
    ids: tuple[str, ...]
    counted: Comparisons
    neither: int


def rows_of(path: Path) -> Iterator[tuple[int, Any]]:
    """Each row with the number of its line (of YAML: of its entry), from 1. Raises Bad."""
    try:
        if path.suffix == ".jsonl":
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if line.strip():
                    try:
                        yield number, json.loads(line)
                    except ValueError as error:
                        raise Bad(f"{path}, line {number}: it is no JSON ({error})") from None
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                table = csv.DictReader(file)
                try:
                    for row in table:
                        yield table.line_num, row
                except csv.Error as error:
                    raise Bad(f"{path}, line {table.line_num + 1}: it is no CSV ({error})") from None
        else:
            yield from enumerate(_yaml(path), 1)
    except UnicodeDecodeError as error:
        raise Bad(f"{path}: it is no text in UTF-8 ({error.reason})") from None


def _yaml(path: Path) -> list[Any]:
    """Raises Bad for what is no YAML, or no list."""
    import yaml

    text = path.read_text(encoding="utf-8")
    try:
        rows = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError) as error:  # a day that no calendar has is a ValueError
        raise Bad(f"{path}: it is no YAML ({' '.join(str(error).split())})") from None
    if not isinstance(rows, list):
        raise Bad(f"{path}: it holds no list of comparisons but {'nothing' if rows is None else type(rows).__name__}")
    return rows


def read(path: Path, name: str) -> File:
    """Raises Bad for a row that is no comparison, with its line, and for a file with too few."""
    answers, place = [], "entry" if path.suffix == ".yaml" else "line"
    for number, row in rows_of(path):
        try:
            if not isinstance(row, dict):
                raise ValueError("is no object with first, second and chosen")
            answers += answers_of(row)
        except (ValueError, TypeError) as error:
            raise Bad(f"{path}, {place} {number}: the row {error}") from None
    try:
        found = File(name, *of_answers(answers))
    except ValueError as error:
        raise Bad(f"{path}: {error}") from None
    if found.counted.n_pairs < LEAST:
        raise Bad(f"{path}: {found.counted.n_pairs} pairs are too few to hold any out; it takes {LEAST}")
    return found


def files_of(folder: Path, output: Path) -> dict[str, Path]:
    """The files by the names of their studies; what lies in the output folder was written by this command.

    Raises Bad where there is none, and where two would write the same file of utilities.
    """
    inside = output.resolve()
    found = sorted({path for kind in KINDS for path in folder.glob(kind) if path.is_file()})
    paths = [path for path in found if inside not in path.resolve().parents]
    if not paths:
        apart = f" (what lies in {output} is not read)" if found else ""
        raise Bad(
            f"there is no .jsonl, .csv or measurements.yaml beneath {folder}{apart}; name a folder of comparison files"
        )
    short = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
    times = Counter(map(file_name, short))
    files: dict[str, Path] = {}
    written: dict[str, Path] = {}
    for path, name in zip(paths, short, strict=True):
        name = name if times[file_name(name)] == 1 else path.relative_to(folder).as_posix()
        if (other := written.setdefault(file_name(name), path)) is not path:
            raise Bad(f"{other} and {path} would both write utilities/{file_name(name)}.csv; rename one of them")
        files[name] = path
    return files


def told(file: File, study: regularisation.Study, fit: thurstone.Fit) -> dict[str, Any]:
    """What is said of one file, as plain values."""
    from scipy.stats import spearmanr

    counted, (l2, why) = file.counted, study.recommended
    logit = thurstone.bradley_terry(*counted.asked, counted.n_items, counted.asked_weights, l2_mu=0.1, position=True)
    try:
        third = float(spearmanr(fit.mu, thurstone.trueskill(counted)).statistic)
    except ModuleNotFoundError:
        third = None
    held = thurstone.evaluated(counted, l2, True, study.folds, 0, max_iterations=MOST)[0]
    agreement = counted.agreement
    bounds = regularisation.bounds_sensitivity(counted, l2=l2, position=True, max_iterations=MOST)
    return {
        "study": file.name,
        "items": counted.n_items,
        "pairs": counted.n_pairs,
        "answers": counted.total,
        "chose neither": file.neither,
        "share of all pairs": counted.density,
        "recommended penalty": l2,
        "why": why,
        "best penalty of the grid": study.best,
        "held-out NLL": held.nll,
        "least held-out NLL of the grid": min(each.test_nll for each in study.by_l2),
        "held-out accuracy": held.accuracy.value,
        "accuracy low": held.accuracy.low,
        "accuracy high": held.accuracy.high,
        "pair agreement": None if agreement is None else agreement.value,
        "position": fit.position,
        "largest sigma": float(fit.sigma.max()),
        "at bounds": len(fit.at_bounds),
        "converged": fit.converged,
        "rank agreement with Bradley and Terry": float(spearmanr(fit.mu, logit.mu).statistic),
        "rank agreement with TrueSkill": third,
        "least rank agreement under other bounds": min(each["rank_correlation"] for each in bounds),
        "objective": fit.objective,
        "code": thurstone.version(),
    }


def write(files: list[File], output: Path) -> tuple[list[Path], list[dict[str, Any]]]:
    """Studies every file; returns what was written, and a row a file."""
    studies, rows, written = [], [], []
    for file in files:
        print(f"{file.name}: {file.counted.n_items} items, {file.counted.total:g} answers", file=sys.stderr)
        study = regularisation.study(file.counted, name=file.name, position=True, max_iterations=MOST)
        fit = thurstone.fitted(file.counted, study.recommended[0], True, max_iterations=MOST)
        studies.append(study)
        rows.append(told(file, study, fit))
        run = {"study": file.name, "objective": fit.objective, "utilities": fit.rows(file.ids)}
        written += utilities_files(output / "utilities" / file_name(file.name), run)
    drawing = drawing_now(studies, "file")
    data = json.dumps(drawing.data, indent=1) + "\n"
    written.append(keep(drawing, output / "regularisation_real.png"))
    written.append(write_whole(output / "regularisation_real.json", data.encode()))
    grid = [row for study in studies for row in study.rows()]
    for name, table in (("studies", rows), ("penalties", grid)):
        written.append(write_whole(output / f"{name}.csv", table_of(table).encode()))
    return written, rows


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="lab report comparisons", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of comparison files, looked through with all beneath it")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", default=Path("results/comparisons"), help="(default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    try:
        files = [read(path, name) for name, path in files_of(given.folder, given.output).items()]
        written, rows = write(files, given.output)
    except (Bad, OSError) as error:
        parser.error(str(error))
    for path in written:
        print(path, file=sys.stderr)
    for row in rows:
        print(f"{row['study']}: penalty {row['recommended penalty']:g} ({row['why']}); held-out accuracy "
              f"{row['held-out accuracy']:.1%} [{row['accuracy low']:.1%}, {row['accuracy high']:.1%}]")  # fmt: skip
    return 0
