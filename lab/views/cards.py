"""A cell's experiment card: title, status, questions and answers, configuration, reproduce command, results.

All is made from a cell's record, as the journal gives it: a card can be written while its cell runs, when it has
ended, and again years later. Times are UTC.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypedDict

from lab.files.whole import write_whole
from lab.record import Fold, read
from lab.record.fold import CellRecord
from lab.record.journal import runs
from lab.study import named, studies
from lab.views.text import markdown_table

CARD, RESULTS, CONFIG_JSON, CONFIG_YAML = "EXPERIMENT.md", "results.json", "config.json", "config.yaml"
FAILED = "_FAILED"
"""Ends the name of the folder of a cell that failed."""
INVALID = "INVALID"
_TIME = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"


def safe_name(name: str) -> str:
    """A model's name as a part of a folder's: without its owner, and with _ for what is no letter or digit.

    >>> safe_name("google/medgemma-27b-text-it"), safe_name("untrained:EleutherAI/pythia-70m")
    ('medgemma_27b_text_it', 'untrained_pythia_70m')
    """
    return re.sub(r"\W+", "_", re.sub(r"[^:/]*/", "", name)).strip("_")


def variant(name: str, adapter: str | None = None) -> str | None:
    """Which of its family a model is: untrained, under an adapter, or of the size that its name tells.

    >>> variant("google/medgemma-4b-it"), variant("pythia-70m+polite"), variant("untrained:pythia-70m")
    ('4b', 'polite', 'untrained')
    """
    if name.startswith("untrained:"):
        return "untrained"
    if adapter or "+" in name:
        return Path(adapter).name if adapter else name.rpartition("+")[2]
    size = re.search(r"(?<![A-Za-z0-9.])\d+(\.\d+)?[bm](?![a-z0-9])", name, re.IGNORECASE)
    return size[0].lower() if size else None


@dataclass(frozen=True)
class Fields:
    """What a study tells of a cell's knobs on its card.

    Attributes
    ----------
    summary
        The configuration in a few words: fields by name.
    variants
        What the cell compares, each with its name and its settings.
    folder
        Words that stand behind the model in the name of the cell's folder.
    results
        More keys of results.json.
    """

    summary: Mapping[str, str] = field(default_factory=dict)
    variants: Sequence[Mapping[str, str]] = ()
    folder: Sequence[str] = ()
    results: Mapping[str, Any] = field(default_factory=dict)


def fields(knobs: Mapping[str, Any]) -> Fields:
    """What all studies tell of a cell's knobs."""
    told = [named(study.card)(knobs) for study in studies() if study.card]
    return Fields(
        {name: text for each in told for name, text in each.summary.items()},
        [variant for each in told for variant in each.variants],
        [word for each in told for word in each.folder],
        {name: value for each in told for name, value in each.results.items()},
    )


def folder_name(started: datetime, experiment: str, model: str, knobs: Mapping[str, Any], others: Sequence[str]) -> str:
    """DATE/TIME_EXPERIMENT_MODEL_..., with the words that studies have for its knobs."""
    parts = [experiment, safe_name(model), *fields(knobs).folder, *others]
    name = "_".join(re.sub(r"[^\w.=,-]+", "-", part) for part in parts if part)
    return f"{started:%Y-%m-%d}/{started:%H%M%S}_{name[:160]}"


def status(record: CellRecord, *, running: bool = False) -> str:
    """ "Running", "Completed", "Skipped" or "Failed"; a cell whose process ended before it did has failed."""
    if running:
        return "Running"
    return {INVALID: "Failed", "SKIPPED": "Skipped"}.get(record.verdict, "Completed")


def duration(seconds: float) -> str:
    """Whole seconds in words, rounded down.

    >>> duration(80.9), duration(53.2)
    ('1 minutes 20 seconds', '53 seconds')
    """
    minutes, rest = divmod(math.floor(seconds), 60)
    return f"{minutes} minutes {rest} seconds" if minutes else f"{rest} seconds"


def started(record: CellRecord) -> str:
    """When the cell began, as YYYY-MM-DD HH:MM:SS."""
    return f"{datetime.fromisoformat(record.started):%Y-%m-%d %H:%M:%S}"


def as_yaml(config: Mapping[str, Any]) -> str:
    """A configuration as YAML that reads back as the very same."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(config, Dumper=dumper, sort_keys=False, allow_unicode=True, width=100))


def card(record: CellRecord, *, running: bool = False) -> str:
    """EXPERIMENT.md."""
    now = status(record, running=running)
    lines = [f"# Experiment: {title(record)}", "", f"**Status:** {now}  "]
    if now in ("Failed", "Skipped"):
        lines.append(f"**{'Error' if now == 'Failed' else 'Reason'}:** {record.reason}  ")
    lines.append(f"**Started:** {started(record)}  ")
    if not running and record.finished:
        lines.append(f"**Duration:** {duration(record.seconds)}")
    lines += ["", "## Research Questions", "", *_questions(record)]
    if record.answers:
        lines += ["", "## Answers", *_answers(record)]
    lines += ["", "## Configuration", "", *(f"**{name}:** {value}  " for name, value in summary(record).items())]
    if told := fields(record.knobs).variants:
        lines += ["", "**Variants:**"]
        lines += [f"- {one['name']}: " + ", ".join(f"{k}={v}" for k, v in one.items() if k != "name") for one in told]
    lines += ["", "<details>", "<summary>Full Configuration (YAML)</summary>", "", "```yaml"]
    lines += [as_yaml(record.config) + "```", "</details>", "", "## Reproduce", "", "```bash", record.reproduce, "```"]
    if not running:
        lines += ["", "## Results", "", *_results(record)]
    return "\n".join(lines) + "\n"


def title(record: CellRecord) -> str:
    """The experiment's title, with the names of its variants where it has some."""
    name = record.title or record.experiment
    compared = " vs ".join(one["name"] for one in fields(record.knobs).variants)
    return f"{name}: {compared}" if compared else name


def summary(record: CellRecord) -> dict[str, str]:
    """The configuration in a few words."""
    shown = dict(fields(record.knobs).summary)
    for model in record.config.get("models", [])[:1]:
        ignored = record.config.get("experiment", {}).get("ignored", {})
        shown["Generation"] = _generation(model.get("generation", {}), ignored)
    return {**shown, "Model": record.asked or "none", "Seed": str(record.seed), "Claim": record.claim}


def _generation(settings: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """How the model writes, as far as the experiment has knobs for it; which it has not, and those given in vain."""
    own = [f"{knob}={value}" for knob, value in settings.items() if value is not None]
    others = ", ".join(knob for knob, value in settings.items() if value is None)
    in_vain = ", ".join(f"{knob}={value}" for knob, value in given.items())
    said = f"{others} {'are' if ',' in others else 'is'} no knob of this experiment, and ignored" if others else ""
    return "; ".join(filter(None, [", ".join(own), said + f" ({in_vain})" * bool(in_vain)]))


def _questions(record: CellRecord) -> list[str]:
    asked = record.questions or [f"Does it hold that: {record.claim}?"]
    return [f"{number}. {question}" for number, question in enumerate(asked, 1)]


def _answers(record: CellRecord) -> list[str]:
    lines = []
    for number in sorted(record.answers, key=int):
        lines += ["", f"{number}. {record.answers[number]['text']}"]
        for table in record.answers[number]["tables"]:
            lines += ["", *_table(table)]
    return lines


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Markdown of rows that have the same columns."""
    if not rows:
        return []
    head = list(rows[0])
    body = [[_shown(row.get(name)) for name in head] for row in rows]
    return markdown_table(head, body)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value).replace("|", "\\|")


def _results(record: CellRecord) -> list[str]:
    lines = [f"- **Verdict:** {record.shown_verdict}" + (f" ({record.reason})" if record.reason else "")]
    for measure in record.measures:
        claims = "; ".join(f"{claim['claim']}: {claim['outcome']}" for claim in measure.claims)
        e = measure.estimate
        told = f"- **{e.name}:** {e.shown} {e.interval} (n={e.n})"
        lines.append(told + (f", {claims}" if claims else ""))
    lines += [f"- **Control:** {c['name']}: {c['outcome']} ({c['reason']})" for c in record.controls]
    for name, value in record.reported.items():
        lines.append(f"- **{name.replace('_', ' ').capitalize()}:** {_reported(value)}")
    lines += [f"- **Note:** {text}" for text in record.notes]
    lines += [f"- **Plot:** {name}: {file}" for name, file in record.plots.items()]
    lines += [f"- **Arrays:** {name}: {kept['file']}" for name, kept in record.arrays.items()]
    return lines


def _reported(value: Any) -> str:
    """A reported value; an estimate as one, numbers by name in four digits, and what is long by its size."""
    if isinstance(value, dict) and {"value", "low", "high"} <= set(value):
        return f"{value['value']:.4g} [{value['low']:.4g}, {value['high']:.4g}]"
    if isinstance(value, dict) and all(isinstance(item, int | float) for item in value.values()):
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, dict | list) and len(json.dumps(value)) > 200:
        return f"{len(value)} entries, in {RESULTS}"
    return _shown(value)


class Metadata(TypedDict):
    """How the cell was run."""

    config: dict[str, Any]
    """The effective configuration, as config.json holds it."""
    start_time: Annotated[str, {"pattern": _TIME}]
    run: str
    cell: str
    key: str | None
    status: Annotated[str, {"enum": ["Completed", "Failed", "Skipped"]}]
    error: str | None
    replayed: str | None
    reproduce: str


class Results(TypedDict):
    """results.json of one cell, beside what studies registered (`fields`)."""

    metadata: Metadata
    experiment: str
    model: str
    verdict: str
    reason: str
    metrics: dict[str, Any]
    """Estimates by name, each with its claims, and whatever else was reported."""
    controls: list[dict[str, str]]
    answers: dict[str, dict[str, Any]]
    """By the number of the research question."""
    num_samples: int | None
    """Samples that contributed, where the experiment counts them."""
    raw_outputs: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    plots: dict[str, str]
    arrays: dict[str, dict[str, Any]]
    raw: dict[str, dict[str, Any]]
    notes: list[str]
    end_time: Annotated[str, {"pattern": _TIME}]
    duration_seconds: float


def outcome(record: CellRecord) -> dict[str, Any]:
    """results.json."""
    now = status(record)
    ended = datetime.fromisoformat(record.started).timestamp() + record.seconds
    own: Results = {
        "metadata": {
            "config": record.config,
            "start_time": started(record),
            "run": record.run,
            "cell": record.cell,
            "key": record.key,
            "status": now,
            "error": record.reason if now == "Failed" else None,
            "replayed": record.replayed,
            "reproduce": record.reproduce,
        },
        "experiment": record.experiment,
        "model": record.subject,
        "verdict": record.shown_verdict,
        "reason": record.reason,
        "metrics": {
            **{m.estimate.name: {**asdict(m.estimate), "claims": m.claims} for m in record.measures},
            **record.reported,
        },
        "controls": record.controls,
        "answers": record.answers,
        "num_samples": record.reported.get("samples processed"),
        "raw_outputs": [{"name": n, "rows": rows} for n, rows in record.rows.items() if n != "samples"],
        "samples": record.rows.get("samples", []),
        "plots": record.plots,
        "arrays": record.arrays,
        "raw": record.raw,
        "notes": record.notes,
        "end_time": f"{datetime.fromtimestamp(ended, datetime.fromisoformat(record.started).tzinfo):%Y-%m-%d %H:%M:%S}",
        "duration_seconds": record.seconds,
    }
    return {**own, **fields(record.knobs).results}


def write(results: Path, record: CellRecord) -> Path:
    """All files of an ended cell; a failed one's folder is marked. Returns the folder."""
    folder = results / record.folder
    if status(record) == "Failed":
        marked = folder.with_name(folder.name + FAILED)
        if folder.is_dir() and not marked.exists():
            os.replace(folder, marked)
        folder = marked
    told = json.dumps(outcome(record), indent=1, allow_nan=False) + "\n"
    missing = {n: text for n, text in configuration(record).items() if not (folder / n).is_file()}
    for name, text in {CARD: card(record), RESULTS: told, **missing}.items():
        write_whole(folder / name, text.encode())
    return folder


def configuration(record: CellRecord) -> dict[str, str]:
    """The configuration as JSON and as YAML."""
    return {CONFIG_JSON: json.dumps(record.config, indent=1) + "\n", CONFIG_YAML: as_yaml(record.config)}


def command(node: str, options: Sequence[str]) -> str:
    """The command that runs one cell anew, as a shell reads it."""
    return shlex.join(["pytest", node, *options])


def main(arguments: list[str]) -> int:
    """`lab report card`: makes the experiment cards of a run anew from its journal."""
    parser = argparse.ArgumentParser(prog="lab report card", description=main.__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: %(default)s)")
    parser.add_argument("--run", help="the run, as the journal's files are named (default: every run)")
    given = parser.parse_args(arguments)
    folders = render(given.results, given.run)
    if not folders:
        parser.error(f"no cell of {given.run or 'any run'} in {given.results / 'journal'} has a card; see --results")
    print(*folders, sep="\n")
    return 0


def render(results: Path, run: str | None = None) -> list[Path]:
    """Writes the folders of all cells of a run, or of every run; a cell that was killed is told to have failed."""
    journal = results / "journal"
    fold = Fold(read(journal, run))
    cells = [cell for name in runs(journal) for found in fold.cells(name) for cell in (*found.abandoned, found)]
    return [write(results, cell) for cell in cells if cell.folder]
