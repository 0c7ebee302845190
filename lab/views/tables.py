"""What a run found: `summary_table.md` to read, `statistics.json` to compute with, three files an experiment.

All are made from the journal alone. The first two hold no time and no run's name, so equal runs give equal bytes.
"""

from __future__ import annotations

import json
import re
import statistics as statistics_of
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.estimate import Bar, Estimate
from lab.files.whole import write_whole
from lab.record.fold import NOT_RUN, CellRecord, Measure, called, estimates, experiment_paths, overall
from lab.stats.effect_sizes import effect_size
from lab.study import compared as tables_of_rows
from lab.study import merged, studies
from lab.views.text import markdown_table, p_value

_RUN = ("run", "command", "started", "seconds", "replayed", "effort", "rows", "notes")
"""What a cell's own files hold beside its entry: it differs between equal runs, or is long."""
_CARD = (
    "answers",
    "abandoned",
    "config",
    "folder",
    "ready",
    "ended",
    "reproduce",
    "registered",
    "title",
    "questions",
    "swept",
    "shown",
    "checksums",
    "determined_by",
)
"""What stands on a cell's card, in Allure or in the lock, alone."""
REPORTED = "reported"


def summary_table(cells: list[CellRecord]) -> str:
    """The Markdown table: one line a measure, or one for a cell that measured nothing; and one an estimate that a cell
    reported beside them, which was held against no bar."""
    head = ["Experiment", "Metric", "Value", "95% CI", "p-value", "Bar", "Verdict"]
    locked = any(cell.registration for cell in cells)
    rows: list[list[str]] = []
    for cell in cells:
        measures: list[Measure | None] = [*cell.measures] or [None]
        told = [_row(cell, measure) for measure in measures] + _reported(cell)
        rows += [row + [cell.registration or ""] * locked for row in told]
    rows += [row + [""] * locked for row in _not_run(cells)]
    together = [*map(_seeds_row, over_seeds(cells)), *map(_family_row, families(cells))]
    rows += [row + [""] * locked for row in together]
    return "".join(f"{line}\n" for line in markdown_table(head + ["Registration"] * locked, rows))


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
        for measure in dict.fromkeys(m.estimate.name for cell in group for m in cell.measures):
            having = [
                (cell.seed, m.estimate.value) for cell in group for m in cell.measures if m.estimate.name == measure
            ]
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
                    same = [cell.experiment, measure.estimate.name, claim["against"], fixed, cell.seed]
                    groups.setdefault(json.dumps(same, sort_keys=True), []).append((cell, measure, claim))
    return [_family(members) for members in groups.values() if len(members) > 1]


def _family(members: list[tuple[CellRecord, Measure, dict[str, Any]]]) -> Family:
    from lab.stats.families import verdicts  # numpy, which a run that only collects does without

    first, measure, claim = members[0]
    sign, one, two = claim["against"]
    bar: Any = (one, two) if sign == "within" else Bar(one, two)
    judged = verdicts([each.estimate for _, each, _ in members], bar, "<" if sign == "<" else ">")
    passing = [member.p_pass for member in judged if member.outcome == "PASS"]
    return Family(
        experiment=first.experiment,
        measure=measure.estimate.name,
        bar=claim["claim"],
        outcomes={cell.cell: member.outcome for (cell, *_), member in zip(members, judged, strict=True)},
        alone={cell.cell: told["outcome"] for cell, _, told in members},
        p=max(passing, default=None),
    )


def _family_row(family: Family) -> list[str]:
    name = f"{family.experiment}: {len(family.outcomes)} cells together (Holm)"
    return [name, family.measure, "", "", p_value(family.p), family.bar, family.shown]


def _row(cell: CellRecord, measure: Measure | None) -> list[str]:
    if measure is None:
        return [cell.cell, "", "", "", "", "", cell.shown_verdict]
    return [cell.cell, *_told(measure.estimate, measure.p), measure.bar, cell.shown_verdict]


def _reported(cell: CellRecord) -> list[list[str]]:
    measured = {measure.estimate.name for measure in cell.measures}
    others = {name: e for name, e in estimates(cell).items() if name not in measured}
    return [[cell.cell, *_told(e, e.p), "", REPORTED] for e in others.values()]


def _told(e: Estimate, p: float | None) -> list[str]:
    level = "" if e.level == 0.95 else f" ({100 * e.level:g} %)"
    return [e.name, e.shown, e.interval + level, p_value(p)]


def entry(cell: CellRecord) -> dict[str, Any]:
    """A cell as JSON, each measure with its effect size; without what differs between equal runs, and raw rows."""
    told = {name: value for name, value in asdict(cell).items() if name not in (*_RUN, *_CARD)}
    for measure, known in zip(cell.measures, told["measures"], strict=True):
        known["effect_size"], known["p"] = effect_size(measure.estimate, measure.claims), measure.p
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
        summary += [f"- {m.estimate.name}: {m.estimate.shown} {m.estimate.interval}" for m in cell.measures]
        summary += [f"- Result: {cell.shown_verdict}"]
        summary += [f"- Note: {text}" for text in cell.notes]
        for rows in filter(None, map(cell.rows.get, tables_of_rows())):
            head, *body = compared(rows)
            summary += ["", *markdown_table(head, body)]
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


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
