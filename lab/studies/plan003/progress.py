"""The plan's checklist and timeline, derived from the journal and files; nothing is ticked by hand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lab.record import CellRecord
from lab.record.fold import experiment_paths, overall
from lab.record.journal import header, runs
from lab.studies.plan003.directions import DIRECTIONS, Direction, margins, strongest
from lab.studies.plan003.figures import FIGURES
from lab.studies.plan003.paper import FIGURES as PAPER_FIGURES
from lab.studies.plan003.pivot import plan_id, read_plan
from lab.studies.plan003.planning import PHASES, decision, verdicts
from lab.studies.plan003.sections import done as drafted
from lab.studies.plan003.sections import parts
from lab.views.record import Record
from lab.views.work import Work

DECIDED = ("PASS", "FAIL", "INCONCLUSIVE")
DRAFT = "paper"
"""The part of the reports that is phase 4; the others are phase 3."""
SEEDS, SETTINGS = 3, 2
"""So many seeds, and so many values of one knob, make an ablation."""


@dataclass(frozen=True)
class Day:
    """A line of the plan's timeline: the phases that are told there, by their first letter, and a remark."""

    day: int
    activity: str
    expected: str
    phases: str
    remark: str = ""


TIMELINE = (
    Day(1, "Phase 0 (Setup) + Phase 1 (Pre-Mortems)", "4-6 hours", "01"),
    Day(2, "Phase 2 (Experiments for passing directions)", "6-8 hours", "2"),
    Day(3, "Phase 2 continued + Phase 3 (Analysis)", "6-8 hours", "3", "phase 2 is in day 2"),
    Day(4, "Phase 4 (Paper outline + draft intro)", "4-6 hours", "4"),
    Day(5, "Phase 4 (Paper methods + results)", "4-6 hours", "", "in day 4"),
    Day(6, "Phase 4 (Paper polish + submission prep)", "4-6 hours", "", "in day 4"),
)
EXPECTED = (
    "Expected: a person's working hours. Actual: of phase 0 what `make setup` took; of 1 and 2 the seconds of all "
    "cells in the journal, added up; of 3 and 4 what `lab report` took whenever it came to something new, and "
    "of 4 also the time from the first draft to the proofread one."
)


def progress(record: Record, figures: Path, paper: Path, done: Sequence[Work]) -> str:
    """The checklist and the timeline as Markdown. It holds durations, so runs that are equal otherwise differ in it."""
    lines = ["# Progress", "", f"Plan {plan_id(record.results, record)}{_follows(record)}.", ""]
    for title, items in checks(record, figures, paper).items():
        lines += [f"## {title}", "", *(f"- [{'x' if is_so else ' '}] {what}" for what, is_so in items), ""]
    lines += ["## Timeline", "", "| Day | Activity | Expected | Actual |", "| --- | --- | --- | --- |"]
    actual = _actual(record, paper, done)
    for day in TIMELINE:
        told = "; ".join([*(f"phase {phase}: {actual[phase]}" for phase in day.phases), *filter(None, [day.remark])])
        lines.append(f"| {day.day} | {day.activity} | {day.expected} | {told} |")
    lines += ["", EXPECTED, ""]
    lines += ["| Phase | Cells | Expected | Actual |", "| --- | --- | --- | --- |"]
    lines.append(f"| 0 Setup |  | 30 minutes | {actual['0']} |")
    for phase, (cells, expected) in _by_phase(record).items():
        lines.append(f"| {phase} | {len(cells)} | {expected} | {_time(cells)} |")
    lines.append(f"| 3 Analysis |  | 6-8 hours with the rest of phase 2 (day 3) | {actual['3']} |")
    lines.append(f"| 4 Paper |  | 12-18 hours (days 4 to 6) | {actual['4']} |")
    return "\n".join(lines) + "\n"


def checks(record: Record, figures: Path, paper: Path) -> dict[str, list[tuple[str, bool]]]:
    """Each item of the plan's checklist, and whether it is done."""
    opened = [d for d in DIRECTIONS if d.letter in (decision(record).phase or "").removeprefix("2")]
    of_open = ", ".join(d.letter for d in opened) or "none is open"
    return {
        "Pre-Mortems": [
            *((f"{name} ran, result recorded: {verdicts(record)[name]}", _recorded(record, name)) for name in PHASES),
            (f"Decision made per table: {_decision(record)}", decision(record).phase is not None),
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
    return [
        (f"Template selected{f': {chosen.template} for {chosen.venues}' if chosen else ''}", bool(chosen and draft)),
        ("All sections drafted (checklist.md)", bool(draft) and all(drafted(parts(draft, folder)).values())),
        ("Figures embedded", all(name in drawn for name in PAPER_FIGURES)),
        ("References complete", bool(cited) and cited <= known),
        (
            "Proofread (this very draft: `sha256sum draft.tex > proofread.txt`)",
            proofread(folder) is not None,
        ),
    ]


def proofread(folder: Path) -> Path | None:
    """The file that vouches for the draft of this folder as it is, by its digest; None where none does."""
    draft, proof = folder / "draft.tex", folder / "proofread.txt"
    if not (draft.is_file() and proof.is_file()):
        return None
    digest = hashlib.sha256(draft.read_bytes()).hexdigest()
    return proof if digest in proof.read_text(encoding="utf-8") else None


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
    return verdicts(record)[name] in DECIDED and (record.results / experiment_paths(cells[0])[0]).is_file()


def _decision(record: Record) -> str:
    phase = decision(record).phase
    return f"phase {phase}" if phase else "; ".join(decision(record).notes) or "no phase is named"


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


def _actual(record: Record, paper: Path, done: Sequence[Work]) -> dict[str, str]:
    """What each phase took, by its number."""
    by_phase = _by_phase(record).items()
    cells = {n: [cell for phase, (cells, _) in by_phase if phase[0] == n for cell in cells] for n in "12"}
    reports = [work.seconds for work in done if work.part != DRAFT]
    return {
        "0": _setup(record),
        **{n: _time(of_phase) for n, of_phase in cells.items()},
        "3": _span(sum(reports)) if reports else "not begun",
        "4": _writing(paper, [work for work in done if work.part == DRAFT]),
    }


def _setup(record: Record) -> str:
    journal = record.results / "journal"
    headers = (header(journal, run) for run in runs(journal))
    seconds = next(filter(None, headers), {}).get("machine", {}).get("setup_seconds")
    return "not known: not made by `make setup`" if seconds is None else _span(seconds)


def _writing(paper: Path, drafts: Sequence[Work]) -> str:
    """The drafts' own time, and the person's: until the draft is proofread, since when."""
    if not drafts:
        return "not begun"
    first, proof = datetime.fromisoformat(drafts[0].time), proofread(paper)
    person = f"a person writes since {first:%Y-%m-%d %H:%M} UTC"
    if proof is not None:
        person = f"{_span(proof.stat().st_mtime - first.timestamp())} from the first draft to the proofread one"
    return f"{_span(sum(work.seconds for work in drafts))} for drafts, {person}"


def _time(cells: list[CellRecord]) -> str:
    return _span(sum(cell.seconds for cell in cells)) if cells else "not run"


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
