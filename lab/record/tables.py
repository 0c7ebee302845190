"""What did a run find? `summary_table.md` to read, `statistics.json` to compute with, three files an experiment.

All are made from the journal alone. The first two hold no time and no run's name, so equal runs give equal bytes.
"""

from __future__ import annotations

import json
import re
import statistics as statistics_of
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.estimate import Bar, Estimate
from lab.files.whole import file_name, write_whole
from lab.record.journal import SCHEMA
from lab.record.overall import NOT_RUN, overall
from lab.stats.effect_sizes import effect_size
from lab.study import compared as tables_of_rows
from lab.study import merged, studies

_RUN = ("run", "command", "started", "seconds", "replayed", "effort", "rows", "notes")
"""What a cell's own files hold beside its entry: it differs between equal runs, or is long."""
_CARD = (
    "answers",
    "abandoned",
    "config",
    "folder",
    "reproduce",
    "title",
    "questions",
    "swept",
    "shown",
    "checksums",
    "determined_by",
)
"""What stands on a cell's card, and in Allure, alone."""
_TOLD_LATER = ("population", "title", "questions", "swept")
"""What older journals do not tell."""
_TOLD = ("experiment", "claim", "phase", "subject", "params", "knobs", "seed", "negative")
UNFINISHED = "it never finished: its process ended"
REPORTED = "reported"
KNOWN, NOT_REFUTED = "known negative", "negative control, not refuted"


@dataclass
class Measure:
    """One measured estimate, and every claim that was made about it, with what each came to."""

    estimate: dict[str, Any]
    claims: list[dict[str, Any]] = field(default_factory=list)

    @property
    def read(self) -> Estimate:
        return Estimate(**self.estimate)

    @property
    def p(self) -> float | None:
        """The estimate's own p; of a share, which has none, that of its first one-sided bar (exact binomial)."""
        e = self.read
        bars = (claim["against"] for claim in self.claims if claim.get("against", ("",))[0] in ("<", ">"))
        against = next(bars, None)
        if e.p is not None or against is None or not e.method.startswith(("Wilson", "Clopper-Pearson")):
            return e.p
        from lab.stats.families import p_against  # numpy, which a run that only collects does without

        p = p_against(e, against[1], against[0])
        return None if p != p else p

    @property
    def bar(self) -> str:
        return ", ".join(claim["claim"] for claim in self.claims)


@dataclass
class CellRecord:
    """All that the journal knows of one cell."""

    cell: str
    experiment: str
    claim: str
    phase: str
    subject: str
    params: dict[str, str]
    knobs: dict[str, Any]
    seed: int
    negative: str | None
    population: str = ""
    title: str = ""
    questions: list[str] = field(default_factory=list)
    swept: list[str] = field(default_factory=list)
    """Knobs that differ between the cells of its sweep."""
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    folder: str = ""
    abandoned: list[CellRecord] = field(default_factory=list)
    """Earlier starts of the cell whose process ended before they did."""
    reproduce: str = ""
    measures: list[Measure] = field(default_factory=list)
    controls: list[dict[str, str]] = field(default_factory=list)
    reported: dict[str, Any] = field(default_factory=dict)
    plots: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    """Of the plots, by file: another run of the cell draws over them."""
    arrays: dict[str, dict[str, str]] = field(default_factory=dict)
    raw: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    registration: str | None = None
    run: str = ""
    command: str = ""
    started: str = ""
    seconds: float = 0.0
    replayed: str | None = None
    effort: dict[str, float] = field(default_factory=dict)
    key: str | None = None
    verdict: str = "INVALID"
    reason: str = UNFINISHED
    determined_by: dict[str, Any] = field(default_factory=dict)
    """What its key is made of: fingerprints of subjects, data and code beside what was set."""
    shown: str = ""
    """How pytest showed its failure."""

    @property
    def shown_verdict(self) -> str:
        """The verdict as tables print it; of a negative control they say whether it was refuted, as it must be."""
        if not self.negative or self.verdict in ("INVALID", "SKIPPED"):
            return self.verdict
        return f"{self.verdict} ({KNOWN if self.verdict == 'FAIL' else NOT_REFUTED})"

    @property
    def finished(self) -> bool:
        """Whether it came to an end; False where its process ended first."""
        return self.reason != UNFINISHED

    @property
    def asked(self) -> str:
        """Of whom, and with which parameters beside the models."""
        others = [f"{name}={value}" for name, value in self.params.items() if name not in ("model", "other_model")]
        return " ".join(part for part in (self.subject, *others) if part)


def called(cells: list[CellRecord]) -> dict[str, str]:
    """By cell, what it is called among those of its experiment: of whom it asks, and the knobs and seed that differ."""
    names = {}
    for cell in cells:
        own = differing(cell, [other for other in cells if other.experiment == cell.experiment])
        names[cell.cell] = " ".join([cell.asked, *(f"{name}={value}" for name, value in own.items())]).strip()
    return names


def differing(cell: CellRecord, among: Iterable[CellRecord]) -> dict[str, Any]:
    """The knobs and the seed of a cell in which any of the others differs from it."""
    own, *settings = ({**one.knobs, "seed": one.seed} for one in (cell, *among))
    return {name: value for name, value in own.items() if any(other.get(name) != value for other in settings)}


def gather(events: Iterable[dict[str, Any]]) -> list[CellRecord]:
    """The cells of a journal, sorted by name. A cell that was started again is taken from its last start."""
    cells: dict[str, CellRecord] = {}
    commands: dict[str, str] = {}
    for event in sorted(events, key=lambda event: str(event["time"])):  # stable: equal times keep their file's order
        key, kind = event["cell"], event["event"]
        if kind == "run":
            commands[event["run"]] = event["command"]
        if event["schema"] != SCHEMA or kind in ("run", "ended", "share"):
            continue
        if kind == "started":
            told = {name: event[name] for name in _TOLD}
            told |= {name: event[name] for name in _TOLD_LATER if name in event}
            command = commands.get(event["run"], "")
            known = cells.get(key)
            cells[key] = CellRecord(cell=key, run=event["run"], command=command, started=event["time"], **told)
            if known is not None and not known.finished:
                cells[key].abandoned = [*known.abandoned, known]
            continue
        cell = cells[key]
        if kind == "measured":
            cell.measures.append(Measure(event["estimate"]))
        elif kind == "judged":
            measure = next(m for m in cell.measures if m.estimate["name"] == event["name"])
            parts = ("claim", "outcome", "reason", "point", "against")
            measure.claims.append({name: event[name] for name in parts if name in event})
        elif kind == "control":
            cell.controls.append({name: event[name] for name in ("name", "outcome", "reason")})
        elif kind == "report":
            cell.reported.update(event["values"])
        elif kind == "plot":
            cell.plots[event["name"]] = event["file"]
            cell.checksums[event["file"]] = event.get("sha256", "")
        elif kind == "arrays":
            cell.arrays[event["name"]] = {name: event[name] for name in ("file", "sha256")}
        elif kind == "raw":
            cell.raw[event["name"]] = {name: event[name] for name in ("file", "sha256")}
        elif kind == "configured":
            cell.config, cell.folder, cell.reproduce = event["config"], event["folder"], event["reproduce"]
        elif kind == "answer":
            cell.answers[str(event["number"])] = {name: event[name] for name in ("text", "tables")}
        elif kind == "rows":
            cell.rows[event["name"]] = event["rows"]
        elif kind == "noted":
            cell.notes.append(event["text"])
        elif kind == "keyed":
            cell.key, cell.determined_by = event["key"], event["determined_by"]
        elif kind == "registration":
            cell.registration = event["status"]
        elif kind in ("finished", "failed"):
            cell.verdict, cell.reason, cell.shown = event["verdict"], event["reason"], event.get("shown", "")
            cell.seconds, cell.replayed, cell.effort = event["seconds"], event["replayed"], event["effort"]
    return [cells[key] for key in sorted(cells)]


def summary_table(cells: list[CellRecord]) -> str:
    """The Markdown table: one line a measure, or one for a cell that measured nothing; and one an estimate that a cell
    reported beside them, which was held against no bar."""
    head = ["Experiment", "Metric", "Value", "95% CI", "p-value", "Bar", "Verdict"]
    locked = any(cell.registration for cell in cells)
    rows = [head + ["Registration"] * locked, ["---"] * (len(head) + locked)]
    for cell in cells:
        measures: list[Measure | None] = [*cell.measures] or [None]
        told = [_row(cell, measure) for measure in measures] + _reported(cell)
        rows += [row + [cell.registration or ""] * locked for row in told]
    rows += [row + [""] * locked for row in _not_run(cells)]
    together = [*map(_seeds_row, over_seeds(cells)), *map(_family_row, families(cells))]
    rows += [row + [""] * locked for row in together]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _not_run(cells: list[CellRecord]) -> list[list[str]]:
    """A row for each experiment that a study lists together with others, of which one ran and it did not."""
    ran = {cell.experiment for cell in cells}
    return [
        [name, headline.metric, "not run", "", "", "", NOT_RUN]
        for each in studies()
        if ran & each.headlines.keys()
        for name, headline in each.headlines.items()
        if name not in ran
    ]


@dataclass(frozen=True)
class OverSeeds:
    """One measure of one cell under several seeds. `std` is the sample's (ddof 1)."""

    cell: str
    measure: str
    mean: float
    std: float
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    verdicts: dict[str, int]

    @property
    def shown(self) -> str:
        return f"{self.mean:.4g} ± {self.std:.2g}"

    @property
    def shown_verdicts(self) -> str:
        return ", ".join(f"{n} {verdict}" for verdict, n in self.verdicts.items())


def over_seeds(cells: list[CellRecord]) -> list[OverSeeds]:
    """Mean and std over seeds of every measure of cells that ran under at least two."""
    groups: dict[str, list[CellRecord]] = {}
    for cell in cells:
        same = json.dumps([cell.experiment, cell.params, cell.knobs], sort_keys=True)
        groups.setdefault(same, []).append(cell)
    found = []
    for same_cells in groups.values():
        by_seed = {cell.seed: cell for cell in same_cells}  # the same cell twice is one observation
        group = [by_seed[seed] for seed in sorted(by_seed)]
        if len(group) < 2:
            continue
        name = re.sub(r"-?seed=\d+", "", group[0].cell).replace("[]", "")
        verdicts = Counter(cell.shown_verdict for cell in group)
        for measure in dict.fromkeys(m.read.name for cell in group for m in cell.measures):
            having = [(cell.seed, m.read.value) for cell in group for m in cell.measures if m.read.name == measure]
            seeds, values = zip(*having, strict=True)
            if len(values) > 1:
                mean, std = statistics_of.fmean(values), statistics_of.stdev(values)
                found.append(OverSeeds(name, measure, mean, std, seeds, values, dict(verdicts)))
    return found


def _seeds_row(one: OverSeeds) -> list[str]:
    return [f"{one.cell} over {len(one.seeds)} seeds", one.measure, one.shown, "", "", "", one.shown_verdicts]


@dataclass(frozen=True)
class Family:
    """One claim about several subjects, or places in a sweep, judged together: each verdict after Holm's correction.

    `outcomes` by cell; `p` the largest corrected p of those that PASS, None where none does.
    """

    experiment: str
    measure: str
    bar: str
    outcomes: dict[str, str]
    alone: dict[str, str]
    p: float | None

    @property
    def shown(self) -> str:
        """How many came to what, and which cells the correction changed."""
        counts = ", ".join(f"{n} {outcome}" for outcome, n in sorted(Counter(self.outcomes.values()).items()))
        changed = [cell for cell, outcome in self.outcomes.items() if outcome != self.alone[cell]]
        return counts + (f" (no longer decided: {', '.join(changed)})" if changed else "")


def families(cells: list[CellRecord]) -> list[Family]:
    """Every claim made of two cells or more at one seed; known negatives are left out.

    Its cells differ in their subject, in a parameter, or in a knob that was swept, and in no other knob.
    """
    groups: dict[str, list[tuple[CellRecord, Measure, dict[str, Any]]]] = {}
    for cell in cells:
        if cell.negative or cell.verdict in ("INVALID", "SKIPPED"):
            continue
        for measure in cell.measures:
            for claim in measure.claims:
                if "against" in claim:
                    fixed = {knob: value for knob, value in cell.knobs.items() if knob not in cell.swept}
                    same = [cell.experiment, measure.estimate["name"], claim["against"], fixed, cell.seed]
                    groups.setdefault(json.dumps(same, sort_keys=True), []).append((cell, measure, claim))
    return [_family(members) for members in groups.values() if len(members) > 1]


def _family(members: list[tuple[CellRecord, Measure, dict[str, Any]]]) -> Family:
    from lab.stats.families import verdicts  # numpy, which a run that only collects does without

    first, measure, claim = members[0]
    sign, one, two = claim["against"]
    bar: Any = (one, two) if sign == "within" else Bar(one, two)
    judged = verdicts([each.read for _, each, _ in members], bar, "<" if sign == "<" else ">")
    passing = [member.p_pass for member in judged if member.outcome == "PASS"]
    return Family(
        experiment=first.experiment,
        measure=measure.read.name,
        bar=claim["claim"],
        outcomes={cell.cell: member.outcome for (cell, *_), member in zip(members, judged, strict=True)},
        alone={cell.cell: told["outcome"] for cell, _, told in members},
        p=max(passing, default=None),
    )


def _family_row(family: Family) -> list[str]:
    name = f"{family.experiment}: {len(family.outcomes)} cells together (Holm)"
    p = "" if family.p is None else _p(family.p)
    return [name, family.measure, "", "", p, family.bar, family.shown]


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _row(cell: CellRecord, measure: Measure | None) -> list[str]:
    if measure is None:
        return [cell.cell, "", "", "", "", "", cell.shown_verdict]
    return [cell.cell, *_told(measure.read, measure.p), measure.bar, cell.shown_verdict]


def _reported(cell: CellRecord) -> list[list[str]]:
    measured = {measure.read.name for measure in cell.measures}
    others = {name: e for name, e in estimates(cell).items() if name not in measured}
    return [[cell.cell, *_told(e, e.p), "", REPORTED] for e in others.values()]


def _told(e: Estimate, p: float | None) -> list[str]:
    level = "" if e.level == 0.95 else f" ({100 * e.level:g} %)"
    return [e.name, e.shown, e.interval + level, "" if p is None else _p(p)]


def entry(cell: CellRecord) -> dict[str, Any]:
    """A cell as JSON, each measure with its effect size; without what differs between equal runs, and raw rows."""
    told = {name: value for name, value in asdict(cell).items() if name not in (*_RUN, *_CARD)}
    for measure, known in zip(cell.measures, told["measures"], strict=True):
        known["effect_size"], known["p"] = effect_size(measure.read, measure.claims), measure.p
    return told


def statistics(cells: list[CellRecord]) -> str:
    """The cells as JSON, one entry a cell."""
    return _json([entry(cell) for cell in cells])


def write_tables(cells: list[CellRecord], results: Path) -> list[Path]:
    """Writes the two tables, and each experiment's own three files, into `results`; each whole or not at all."""
    files = {"summary_table.md": summary_table(cells), "statistics.json": statistics(cells)}
    if several := over_seeds(cells):
        files["seeds.json"] = _json([asdict(one) for one in several])
    if together := families(cells):
        files["families.json"] = _json([asdict(one) for one in together])
    for name in sorted({cell.experiment for cell in cells}):
        files |= experiment_files([cell for cell in cells if cell.experiment == name])
    return [write_whole(results / name, text.encode()) for name, text in files.items()]


def experiment_paths(cell: CellRecord) -> tuple[str, str, str]:
    """Where a cell's experiment has its summary, its results and its output, in the results folder."""
    stem = f"{file_name(cell.phase).replace('-', '_')}/{file_name(cell.experiment).lower()}"
    return f"{stem}_summary.md", f"{stem}_results.json", f"{stem}_output.txt"


def experiment_files(cells: list[CellRecord]) -> dict[str, str]:
    """An experiment's summary, raw results and readable output, as PHASE/ID_summary.md, ID_results.json, ID_output.txt.

    These hold dates and durations, and the raw rows.
    """
    first = cells[0]
    summary_file, results_file, output_file = experiment_paths(first)
    begun = min(datetime.fromisoformat(cell.started) for cell in cells)
    spent = sum(cell.seconds for cell in cells)
    summary = [
        f"# {first.experiment}: {first.claim}",
        f"- Date: {begun:%Y-%m-%d}",
        f"- Duration: {spent / 60:.1f} minutes",
        *_overall(cells),
        f"- Run: {first.run}",
        f"- Command: `{first.command}`",
        f"- Speaks of: {first.population}",
    ]
    output, names = [f"{first.experiment}: {first.claim}"], called(cells)
    for cell in cells:
        summary += ["", f"## {names[cell.cell] or first.experiment}", ""]
        summary += [f"- {m.read.name}: {m.read.shown} {m.read.interval}" for m in cell.measures]
        summary += [f"- Result: {cell.shown_verdict}"]
        summary += [f"- Note: {text}" for text in cell.notes]
        for rows in filter(None, map(cell.rows.get, tables_of_rows())):
            head, *body = compared(rows)
            summary += ["", *(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))]
        output += ["", f"{cell.started} {cell.cell}"]
        output += [f"  control {c['outcome']}: {c['name']}: {c['reason']}" for c in cell.controls]
        output += [f"  {claim['outcome']}: {claim['reason']}" for m in cell.measures for claim in m.claims]
        output += [f"  reported {name}: {json.dumps(value)}" for name, value in sorted(cell.reported.items())]
        output += [f"{cell.shown_verdict} after {cell.seconds:.1f} s: {cell.reason}"]
    results = [entry(cell) | {name: getattr(cell, name) for name in _RUN} for cell in cells]
    return {
        summary_file: "\n".join(summary) + "\n",
        results_file: _json(results),
        output_file: "\n".join(output) + "\n",
    }


def compared(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Rows as the cells of one table, its head first; X, X_low and X_high are one column, as "X [low, high]"."""
    ends = ("_low", "_high")
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if not name.endswith(ends)]

    def shown(row: dict[str, Any], name: str) -> str:
        if row.get(name) is None:
            return ""
        value, *interval = (f"{one:.4g}" if isinstance(one, float) else str(one) for one in _with_ends(row, name))
        return f"{value} [{', '.join(interval)}]" if interval else value

    return [[name.replace("_", " ") for name in columns], *([shown(row, name) for name in columns] for row in rows)]


def _with_ends(row: dict[str, Any], name: str) -> list[Any]:
    return [row[key] for key in (name, f"{name}_low", f"{name}_high") if row.get(key) is not None]


def _overall(cells: list[CellRecord]) -> list[str]:
    """Mean and verdict of an experiment with a headline, over all its cells but the negative controls."""
    first = cells[0]
    tested = [cell for cell in cells if not cell.negative]
    headline = merged("headlines").get(first.experiment)
    if headline is None or not tested:
        return []
    values = (estimates(cell).get(headline.estimate) for cell in tested)
    found = [value.value for value in values if value is not None]
    mean = f"{statistics_of.fmean(found):.3f} (mean of {len(found)})" if found else "not measured"
    return [f"- {headline.label}: {mean}", f"- Result: {overall(cell.verdict for cell in tested)}"]


def estimates(cell: CellRecord) -> dict[str, Estimate]:
    """All estimates of a cell by name: what it measured, and what it reported beside."""
    reported = {
        name: Estimate(**(value | {"name": name}))
        for name, value in cell.reported.items()
        if isinstance(value, dict) and {"value", "low", "high", "method"} <= value.keys()
    }
    return reported | {measure.read.name: measure.read for measure in cell.measures}


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
