"""How far is the plan? Its checklist and timeline, derived from the journal and files; nothing is ticked by hand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.evidence import CellRecord
from lab.evidence.tables import experiment_paths
from lab.methods.planning import PHASES, overall
from reports.directions import DIRECTIONS, Direction, margins, strongest
from reports.figures import FIGURES
from reports.paper import FIGURES as PAPER_FIGURES
from reports.pivot import plan_id, read_plan
from reports.record import Record
from reports.sections import done, parts

DECIDED = ("PASS", "FAIL", "INCONCLUSIVE")
SETUP = "not in the journal: it begins with the first run"
ANALYSIS = "not in the journal: reports are made after the runs, in seconds, and write no event"
WRITING = "not in the journal: a person writes"
SEEDS, SETTINGS = 3, 2
"""So many seeds, and so many values of one knob, make an ablation."""


@dataclass(frozen=True)
class Day:
    """A line of the plan's timeline: the phase whose actual time the journal holds, by its first letter; or why it
    holds none."""

    day: int
    activity: str
    expected: str
    phase: str = ""
    untold: str = ""


TIMELINE = (
    Day(1, "Phase 0 (Setup) + Phase 1 (Pre-Mortems)", "4-6 hours", "1"),
    Day(2, "Phase 2 (Experiments for passing directions)", "6-8 hours", "2"),
    Day(3, "Phase 2 continued + Phase 3 (Analysis)", "6-8 hours", untold="phase 2 is in day 2; " + ANALYSIS),
    Day(4, "Phase 4 (Paper outline + draft intro)", "4-6 hours", untold=WRITING),
    Day(5, "Phase 4 (Paper methods + results)", "4-6 hours", untold=WRITING),
    Day(6, "Phase 4 (Paper polish + submission prep)", "4-6 hours", untold=WRITING),
)


def progress(record: Record, figures: Path, paper: Path) -> str:
    """The checklist and the timeline as Markdown. It holds durations, so runs that are equal otherwise differ in it."""
    lines = ["# Progress", "", f"Plan {plan_id(record.results, record)}{_follows(record)}.", ""]
    for title, items in checks(record, figures, paper).items():
        lines += [f"## {title}", "", *(f"- [{'x' if is_so else ' '}] {what}" for what, is_so in items), ""]
    lines += ["## Timeline", "", "| Day | Activity | Expected | Actual |", "| --- | --- | --- | --- |"]
    lines += [f"| {day.day} | {day.activity} | {day.expected} | {_actual(record, day)} |" for day in TIMELINE]
    lines += ["", "Expected: a person's working hours. Actual: seconds of all cells in the journal, added up.", ""]
    lines += ["| Phase | Cells | Expected | Actual |", "| --- | --- | --- | --- |"]
    lines.append(f"| 0 Setup |  | 30 minutes | {SETUP} |")
    for phase, (cells, expected) in _by_phase(record).items():
        lines.append(f"| {phase} | {len(cells)} | {expected} | {_time(cells)} |")
    lines.append(f"| 3 Analysis |  | 6-8 hours with the rest of phase 2 (day 3) | {ANALYSIS} |")
    lines.append(f"| 4 Paper |  | 12-18 hours (days 4 to 6) | {WRITING} |")
    return "\n".join(lines) + "\n"


def checks(record: Record, figures: Path, paper: Path) -> dict[str, list[tuple[str, bool]]]:
    """Each item of the plan's checklist, and whether it is done."""
    opened = [d for d in DIRECTIONS if d.letter in (record.decision.phase or "").removeprefix("2")]
    of_open = ", ".join(d.letter for d in opened) or "none is open"
    return {
        "Pre-Mortems": [
            *((f"{name} ran, result recorded: {record.verdicts[name]}", _recorded(record, name)) for name in PHASES),
            (f"Decision made per table: {_decision(record)}", record.decision.phase is not None),
        ],
        f"Experiments (directions: {of_open})": [
            (f"Extended analysis completed ({_names(d.extended for d in opened)})", _all(record, opened, "extended")),
            (f"Main experiment completed ({_names(n for d in opened for n in d.main)})", _all(record, opened, "main")),
            (
                f"Ablations completed (a knob at {SETTINGS} values or more, under {SEEDS} seeds or more)",
                bool(opened) and all(ablated([c for n in d.experiments for c in record.of(n)]) for d in opened),
            ),
            (f"Baselines compared ({_names(d.baselines for d in opened)})", _all(record, opened, "baselines")),
        ],
        "Analysis": [
            ("Figures generated", all((figures / f"{name}.png").is_file() for name in FIGURES)),
            ("Statistics computed", (record.results / "statistics.json").is_file()),
            ("Summary table created", (record.results / "summary_table.md").is_file()),
        ],
        "Paper": _paper(record, paper),
    }


def _paper(record: Record, folder: Path) -> list[tuple[str, bool]]:
    chosen = strongest(margins(record))
    path = folder / "draft.tex"
    draft = path.read_text(encoding="utf-8") if path.is_file() else ""
    bibliography = folder / "related_work.bib"
    entries = bibliography.read_text(encoding="utf-8") if bibliography.is_file() else ""
    known = set(re.findall(r"^@\w+\{([^,]+),", entries, re.MULTILINE))
    cited = {key for group in re.findall(r"\\cite\{([^}]*)\}", draft) for key in group.split(",")}
    drawn = re.findall(r"\\includegraphics\[[^\]]*\]\{figures/(\w+)\.pdf\}", draft)
    drawn = [name for name in drawn if (folder / "figures" / f"{name}.pdf").is_file()]
    proof = folder / "proofread.txt"
    digest = hashlib.sha256(draft.encode()).hexdigest()
    return [
        (f"Template selected{f': {chosen.template} for {chosen.venues}' if chosen else ''}", bool(chosen and draft)),
        ("All sections drafted (checklist.md)", bool(draft) and all(done(parts(draft, folder)).values())),
        ("Figures embedded", all(name in drawn for name in PAPER_FIGURES)),
        ("References complete", bool(cited) and cited <= known),
        (
            "Proofread (this very draft: `sha256sum draft.tex > proofread.txt`)",
            bool(draft) and proof.is_file() and digest in proof.read_text(encoding="utf-8"),
        ),
    ]


def ablated(cells: list[CellRecord]) -> bool:
    """Whether an experiment among them ran under several seeds, and under several values of one knob."""
    for name in {cell.experiment for cell in cells}:
        same = [cell for cell in cells if cell.experiment == name]
        knobs = {knob for cell in same for knob in cell.knobs}
        varied = any(len({str(cell.knobs.get(knob)) for cell in same}) >= SETTINGS for knob in knobs)
        if varied and len({cell.seed for cell in same}) >= SEEDS:
            return True
    return False


def _recorded(record: Record, name: str) -> bool:
    cells = record.of(name)
    return record.verdicts[name] in DECIDED and (record.results / experiment_paths(cells[0])[0]).is_file()


def _decision(record: Record) -> str:
    phase = record.decision.phase
    return f"phase {phase}" if phase else "; ".join(record.decision.notes) or "no phase is named"


def _all(record: Record, directions: list[Direction], part: str) -> bool:
    """Whether, in every open direction, all experiments of a part came to a verdict."""
    named = [getattr(direction, part) for direction in directions]
    experiments = [name for one in named for name in ([one] if isinstance(one, str) else one)]
    return bool(experiments) and all(
        overall(cell.verdict for cell in record.of(name)) in DECIDED for name in experiments
    )


def _names(experiments: Iterable[str]) -> str:
    return ", ".join(experiments) or "none"


def _follows(record: Record) -> str:
    told = read_plan(record.results)
    return f", which follows {told['follows']['id']} ({told['follows']['results']}): {told['option']}" if told else ""


def _by_phase(record: Record) -> dict[str, tuple[list[CellRecord], str]]:
    """All work of the journal by phase, and what the plan expected of it."""
    work = [*record.cells, *record.others]
    second = {name for direction in DIRECTIONS for name in direction.experiments if name not in PHASES}
    return {
        "1 Pre-Mortems": ([cell for cell in work if cell.experiment in PHASES], "2-4 hours"),
        **{
            f"2{d.letter} {d.title}": (
                [cell for cell in work if cell.experiment in second.intersection(d.experiments)],
                "6-8 hours, 2A to 2C together (day 2)",
            )
            for d in DIRECTIONS
        },
        "other experiments": ([cell for cell in work if cell.experiment not in second.union(PHASES)], ""),
    }


def _actual(record: Record, day: Day) -> str:
    if day.untold:
        return day.untold
    cells = [cell for phase, (cells, _) in _by_phase(record).items() if phase[0] == day.phase for cell in cells]
    return _time(cells)


def _time(cells: list[CellRecord]) -> str:
    seconds = sum(cell.seconds for cell in cells)
    if not cells:
        return "not run"
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
