"""lab report log: a dated entry of the research log from what was run: setup, results, findings, caveats, files.

An entry is written once, as LOG/entries/DATE-TITLE.md, for a person to go on with; LOG/LOG.md shows all of them. Every
number links to the run that it is of, every plot is a copy named plot_MMDDYY_description, and an entry that corrects
another marks it as superseded: both stay. LOG/log.yaml holds what goes for the whole log where no entry says otherwise.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.files.whole import write_whole
from lab.record import CellRecord, gather, read
from lab.record.fold import called, estimates
from lab.record.journal import header
from lab.record.registry import register
from lab.views.record import MODELS, Missing, load
from lab.views.shown import kind, plots
from lab.views.templates import template

DEFAULTS = {"completion model": "the model under study itself"}
"""What goes for a log that says nothing else."""
_KNOBS = {"completion model": ("completion_model", "author")}
"""Knobs that say of an experiment what is a default of the log; of other defaults, the knob of the same name."""
PLOT = re.compile(r"plot_\d{6}_[a-z0-9]+(_[a-z0-9]+)*\.png")
_TASKS, _TEMPLATES = (re.compile(words) for words in ("data|task|question|corpus|sample_seed", "template|prompt|scale"))
_SAID = {
    "": "It holds for",
    "Refuted": "It is refuted for",
    "Inconclusive": "It is undecided for",
    "Invalid": "It was not tested soundly on",
    "Infrastructure": "It could not be tested on",
    "Known negative": "As it must be, it is refuted for its negative control",
    "Negative control not refuted": "It is not refuted for its negative control, which casts doubt on what held:",
}
"""How a finding begins, by the category of its cell."""


@dataclass
class Entry:
    """One entry: what stands above its text, and the text.

    `effective` are the log's defaults as they go for this entry; `superseded_by` the entry that corrected it.
    """

    name: str
    title: str
    date: str
    runs: list[str]
    command: str
    effective: dict[str, str]
    caveats: list[str] = field(default_factory=list)
    supersedes: str | None = None
    superseded_by: str | None = None
    text: str = ""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="lab report log", description=__doc__)
    parser.add_argument("title", help="what the entry is about, in a few words")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: %(default)s)")
    parser.add_argument("--run", help="one run, as the journal's files are named (default: the newest of each cell)")
    parser.add_argument("--experiments", metavar="IDS", help="only these, separated by commas (default: all)")
    parser.add_argument("--log", type=Path, default=Path("log"), metavar="DIR", help="(default: %(default)s)")
    parser.add_argument("--caveat", action="append", default=[], metavar="TEXT",
                        help="what limits these results; needed where task sets, templates or n differ")  # fmt: skip
    parser.add_argument("--implication", action="append", default=[], metavar="TEXT", help="what follows from them")
    parser.add_argument("--supersedes", metavar="ENTRY",
                        help="the entry that this one corrects (default: that of the superseded run)")  # fmt: skip
    parser.add_argument("--default", action="append", default=[], metavar="NAME=VALUE",
                        help="goes for the whole log from now on, as 'completion model=llama-3.1-8b'")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="goes for this entry in place of the log's default")  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        written = write(given, shlex.join(["lab", "report", "log", *arguments]))
    except (Missing, OSError) as error:
        parser.error(str(error))
    for path in written:
        print(path, file=sys.stderr)
    return 0


def write(given: argparse.Namespace, command: str) -> list[Path]:
    """Writes the entry, its plots and the log. Raises Missing for what cannot be, before anything is written."""
    record = load(given.results, given.run)
    wanted = given.experiments.split(",") if given.experiments else None
    cells = [cell for cell in record.cells if wanted is None or cell.experiment in wanted]
    if not cells:
        raise Missing(
            f"nothing of {given.experiments} has run; known: {', '.join({c.experiment for c in record.cells})}"
        )
    defaults = _defaults(given.log) | _assigned(given.default)
    before = {entry.name: entry for entry in entries(given.log)}
    headers = {run: header(given.results / "journal", run) for run in sorted({cell.run for cell in cells})}
    day = datetime.fromisoformat(max(cell.started for cell in cells))
    entry = Entry(
        name=f"{day:%Y-%m-%d}-{_slug(given.title).replace('_', '-')}",
        title=given.title,
        date=f"{day:%Y-%m-%d}",
        runs=list(headers),
        command=command,
        effective=defaults | _told(cells, defaults) | _assigned(given.set, defaults),
        caveats=given.caveat,
        supersedes=given.supersedes or _corrected(headers.values(), before.values()),
    )
    if entry.name in before:
        raise Missing(f"{given.log} has an entry {entry.name}; it may be written on by now: choose another title")
    if entry.supersedes and entry.supersedes not in before:
        raise Missing(f"{given.log} has no entry {entry.supersedes} to supersede; it has {', '.join(before) or 'none'}")
    differing = unequal(cells)
    if entry.supersedes:
        corrected = [cell for run in before[entry.supersedes].runs for cell in _cells(given.results, run)]
        differing += [f"against {entry.supersedes}: {line}" for line in unequal(cells, corrected)]
    if differing and not given.caveat:
        raise Missing(f"say with --caveat what this means for the results: {'; '.join(differing)}")
    pictures = _pictures(cells, given.results, given.log, entry, day)
    entry.text = _text(cells, given, entry, defaults, headers, differing, list(pictures))
    written = [write_whole(path, content) for path, content in pictures.values()]
    if entry.supersedes:
        before[entry.supersedes].superseded_by = entry.name
        keep(given.log, before[entry.supersedes])
    written.append(keep(given.log, entry))
    write_whole(given.log / "log.yaml", _yaml({"defaults": defaults}).encode())
    return [*written, write_whole(given.log / "LOG.md", shown(given.log, defaults).encode())]


def entries(log: Path) -> list[Entry]:
    """All entries of a log, oldest first. Raises Missing for one whose head cannot be read."""
    import yaml

    found = []
    for path in sorted((log / "entries").glob("*.md")):
        _, head, text = (path.read_text(encoding="utf-8").split("---\n", 2) + ["", ""])[:3]
        try:
            found.append(Entry(name=path.stem, text=text, **yaml.safe_load(head)))
        except (yaml.YAMLError, TypeError) as error:
            raise Missing(f"{path}: its head, between the lines ---, cannot be read ({error}); mend it") from None
    return found


def keep(log: Path, entry: Entry) -> Path:
    """Writes an entry: its head as YAML between two lines ---, and its text."""
    head = {name: value for name, value in vars(entry).items() if name not in ("name", "text")}
    text = f"---\n{_yaml(head)}---\n{entry.text}"
    return write_whole(log / "entries" / f"{entry.name}.md", text.encode())


def shown(log: Path, defaults: Mapping[str, str]) -> str:
    """The whole log: its defaults, what stands and what was superseded, and every entry."""
    return template("log.md", defaults=defaults, entries=entries(log), filters={"seen_from_the_log": _from_the_log})


def _from_the_log(text: str) -> str:
    """An entry's text with its relative links as they go from the log's own folder."""

    def moved(link: re.Match[str]) -> str:
        target = link[1]
        own = target.startswith("#") or "://" in target
        return f"]({target if own else os.path.normpath(os.path.join('entries', target))})"

    return re.sub(r"\]\(([^)\s]+)\)", moved, text)


def plot_name(day: datetime, description: str) -> str:
    """plot_MMDDYY_description.png, in small letters, digits and underscores.

    >>> plot_name(datetime(2026, 2, 3), "Self vs. cross: fruit-rating")
    'plot_020326_self_vs_cross_fruit_rating.png'
    """
    name = f"plot_{day:%m%d%y}_{_slug(description)}.png"
    if not PLOT.fullmatch(name):
        raise ValueError(f"a plot is described in letters and digits, not {description!r}")
    return name


def unequal(cells: Sequence[CellRecord], others: Sequence[CellRecord] | None = None) -> list[str]:
    """In which task sets, templates or n cells of one experiment differ among each other, or from those of others.

    Negative controls, which nobody compares, are left out.
    """
    found = []
    for name in dict.fromkeys(cell.experiment for cell in cells):
        own, against = (
            [c for c in side if c.experiment == name and not c.negative] for side in (cells, others or cells)
        )
        if not against:
            continue
        group = [*own, *against]
        for what, told in (("task sets", _tasks), ("templates", _templates)):
            if len({_yaml(told(cell)) for cell in group}) > 1:
                found.append(f"{name}: {what} differ")
        sizes: dict[str, set[int]] = {}
        for cell in group:
            for measure in cell.measures:
                sizes.setdefault(measure.estimate.name, set()).add(measure.estimate.n)
        found += [
            f"{name}: n of {measure} differs ({min(ns)} to {max(ns)})" for measure, ns in sizes.items() if len(ns) > 1
        ]
    return found


def _tasks(cell: CellRecord) -> dict[str, Any]:
    knobs = {knob: value for knob, value in cell.knobs.items() if _TASKS.search(knob)}
    return {"knobs": knobs, "data": cell.determined_by.get("data")}


def _templates(cell: CellRecord) -> dict[str, Any]:
    return {knob: value for knob, value in cell.knobs.items() if _TEMPLATES.search(knob)}


def _text(
    cells: Sequence[CellRecord], given: argparse.Namespace, entry: Entry, defaults: Mapping[str, str],
    headers: Mapping[str, Mapping[str, Any]], differing: list[str], pictures: list[tuple[str, str, str]],
) -> str:  # fmt: skip
    names = called(list(cells))
    folder = given.log / "entries"
    registry = {run.run: run for run in register(given.results)}
    files = [(path, command) for path, _, command in pictures]
    for cell in cells:
        known = registry[cell.run].cells.get(cell.cell, {}) if cell.run in registry else {}
        command = str(headers[cell.run].get("command", "not known"))
        files += [
            (os.path.relpath(given.results / file, folder), command)
            for file in known.get("files", ())
            if file not in cell.plots.values()
        ]
    files.append((f"{entry.name}.md", entry.command))
    return template(
        "log_entry.md",
        entry=entry,
        effective=[(name, value, defaults[name]) for name, value in entry.effective.items()],
        experiments=[
            {
                "id": name,
                "claim": own[0].claim,
                "setup": _setup(own),
                "rows": [row for cell in own for row in _rows(cell, names[cell.cell])],
                "findings": [_finding(cell, names[cell.cell]) for cell in own],
            }
            for name in dict.fromkeys(cell.experiment for cell in cells)
            for own in [[cell for cell in cells if cell.experiment == name]]
        ],
        pictures=pictures,
        implications=given.implication,
        differing=differing,
        runs=[(run, headers[run], _runs_on(headers[run])) for run in headers],
        registry=os.path.relpath(given.results / "registry.md", folder),
        files=list(dict.fromkeys(files)),
    )


def _rows(cell: CellRecord, name: str) -> list[list[str]]:
    claims = {m.estimate.name: (m.bar, ", ".join(c["outcome"] for c in m.claims)) for m in cell.measures}
    rows = []
    for measure, e in estimates(cell).items():
        bar, outcome = claims.get(measure, ("", "reported"))
        rows.append([name or "no model", measure, f"{e.shown} {e.interval}", str(e.n), bar, outcome, _linked(cell)])
    return rows or [[name or "no model", "", "", "", "", cell.shown_verdict, _linked(cell)]]


def _finding(cell: CellRecord, name: str) -> str:
    """A sentence from a verdict, with the run of its numbers."""
    begin = "It was not run on" if cell.verdict == "SKIPPED" else _SAID[kind(cell)]
    return f"{begin} {name or 'the data'}: {cell.reason.rstrip('.')} ({_linked(cell)})."


def _linked(cell: CellRecord) -> str:
    """The cell's run, as a link to where the entry tells of it; of a result that was taken over also its own run."""
    told = f"[{cell.run}](#run-{cell.run})"
    return f"{told}, taken from {cell.replayed}" if cell.replayed else told


def _setup(cells: Sequence[CellRecord]) -> list[str]:
    """Models, knobs and seeds of an experiment; of knobs that differ, all values."""
    models = dict.fromkeys(n for c in cells if not c.negative for p, n in c.params.items() if p in MODELS)
    lines = [f"models: {', '.join(models) or 'none'}"]
    controls = dict.fromkeys(cell.subject for cell in cells if cell.negative)
    lines += [f"negative controls: {', '.join(controls)}"] if controls else []
    for knob in dict.fromkeys(knob for cell in cells for knob in cell.knobs):
        values = dict.fromkeys(str(cell.knobs[knob]) for cell in cells if knob in cell.knobs)
        lines.append(f"{knob}: {', '.join(values)}")
    return [*lines, f"seeds: {', '.join(dict.fromkeys(str(cell.seed) for cell in cells))}"]


def _pictures(
    cells: Sequence[CellRecord], results: Path, log: Path, entry: Entry, day: datetime
) -> dict[tuple[str, str, str], tuple[Path, bytes]]:
    """Copies of the plots under the log's names: (path from the entry, what it shows, command) -> (path, bytes)."""
    found = {}
    for cell in cells:
        for name, path in plots(cell, results)[0].items():
            copy = log / "assets" / entry.name / plot_name(day, f"{cell.cell} {name}")
            told = os.path.relpath(copy, log / "entries"), f"{cell.cell}: {name}", cell.reproduce
            found[told] = copy, path.read_bytes()
    return found


def _runs_on(told: Mapping[str, Any]) -> str:
    machine = told.get("machine", {})
    return ", ".join([str(machine.get("name", "not known")), *(machine.get("gpus") or ())])


def _corrected(headers: Iterable[Mapping[str, Any]], known: Iterable[Entry]) -> str | None:
    """The newest entry of a run that one of these runs corrects."""
    runs = {told.get("supersedes") for told in headers} - {None}
    return next((entry.name for entry in reversed(list(known)) if runs.intersection(entry.runs)), None)


def _cells(results: Path, run: str) -> list[CellRecord]:
    """The cells of an earlier entry's run; none where its journal is not in this results folder."""
    return gather(read(results / "journal", run))


def _told(cells: Sequence[CellRecord], defaults: Mapping[str, str]) -> dict[str, str]:
    """What the experiments' own knobs say of the log's defaults, with whose where they differ."""
    found = {}
    for name, default in defaults.items():
        said: dict[str, list[str]] = {}
        for cell in cells:
            knob = next((k for k in _KNOBS.get(name, (name.replace(" ", "_"),)) if k in cell.knobs), None)
            said.setdefault(str(cell.knobs[knob]) if knob else default, []).append(cell.experiment)
        whose = {value: ", ".join(dict.fromkeys(ids)) for value, ids in said.items()}
        found[name] = "; ".join(f"{v} ({ids})" if len(said) > 1 else v for v, ids in whose.items())
    return found


def _defaults(log: Path) -> dict[str, str]:
    import yaml

    path = log / "log.yaml"
    try:
        return DEFAULTS | (yaml.safe_load(path.read_text(encoding="utf-8"))["defaults"] if path.is_file() else {})
    except (yaml.YAMLError, KeyError, TypeError):
        raise Missing(f"{path} is not a mapping `defaults: {{NAME: VALUE}}`; mend it") from None


def _assigned(given: Iterable[str], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """NAME=VALUE as pairs. Raises Missing for another form, or for a name that the log has no default for."""
    pairs = {name.strip(): value.strip() for name, _, value in (text.partition("=") for text in given)}
    for name, value in pairs.items():
        if not name or not value:
            raise Missing(f"{name}={value}: write NAME=VALUE, as 'completion model=llama-3.1-8b'")
        if known is not None and name not in known:
            raise Missing(f"this log has no default for {name!r}, but for {', '.join(known)}; give it one by --default")
    return pairs


def _slug(text: str) -> str:
    return "_".join(re.findall(r"[a-z0-9]+", text.lower()))


def _yaml(told: Any) -> str:
    import yaml

    return str(yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=100))
