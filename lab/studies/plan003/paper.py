"""The draft of a paper for the venue of the strongest result, its numbers from the journal alone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lab.files.whole import write_whole
from lab.record import CellRecord
from lab.record.fold import estimates
from lab.studies.plan003 import COMPARED, facts
from lab.studies.plan003.directions import DIRECTIONS, Direction, margins, strongest
from lab.studies.plan003.facts import NOT_MEASURED, Number, Printed
from lab.studies.plan003.negative import documented, failures
from lab.studies.plan003.paper_figures import paper_figures
from lab.studies.plan003.planning import verdicts
from lab.studies.plan003.sections import checklist
from lab.views.drawing import Drawing, keep
from lab.views.latex import build, escape
from lab.views.record import Missing, Record, one_setting
from lab.views.tables import compared
from lab.views.templates import path, template

MOST_WORDS = 200
TASK = "multiple-choice question answering"
"""What 2A2 transfers, where its knobs name no other task."""
FIGURES = ("main_result", "ablation", "analysis")


def write_paper(record: Record, folder: Path) -> tuple[list[Path], list[str]]:
    """Writes the paper's folder; returns the files, and a line for each thing that is missing or wrong.

    draft.tex, draft.pdf where LaTeX is here, abstract.txt, related_work.bib, checklist.md and figures/. What a person
    writes stands in sections/NAME.tex beside them, and is never touched. Raises Missing where no direction passed.
    """
    direction = strongest(margins(record))
    if direction is None:
        told = ", ".join(f"{name} {verdict}" for name, verdict in verdicts(record).items())
        raise Missing(f"no paper is drafted, for no pre-mortem came to PASS ({told}); see negative_results.md")
    drawings, remarks = paper_figures(record, direction)
    written = [keep(drawing, folder / "figures" / f"{name}.pdf") for name, drawing in drawings.items()]
    for name in set(FIGURES) - drawings.keys():
        (folder / "figures" / f"{name}.pdf").unlink(missing_ok=True)
    short = abstract(record, direction)
    if (words := len(short.split())) > MOST_WORDS:
        remarks.append(f"abstract.txt has {words} words, more than {MOST_WORDS}")
    source = draft(record, direction, drawings, folder)
    bibliography = path("related_work.bib").read_text(encoding="utf-8")
    for name, text in (("abstract.txt", short), ("draft.tex", source), ("related_work.bib", bibliography)):
        written.append(write_whole(folder / name, text.encode()))
    pdf, why_not = build(folder / "draft.tex")
    if pdf is None:
        (folder / "draft.pdf").unlink(missing_ok=True)
        remarks.append(why_not)
    else:
        written.append(pdf)
    listed = checklist(source, folder, compiled=why_not or "yes", abstract_words=words)
    return [*written, write_whole(folder / "checklist.md", listed.encode())], remarks


# Abstract ------------------------------------------------------------------------------------------------


def abstract(record: Record, direction: Direction) -> str:
    """The abstract as plain text. Every placeholder is filled, or says "not measured"."""
    return _abstract(record, direction, lambda number: number.text, str)


def _abstract(record: Record, direction: Direction, printed: Printed, plain: Callable[[Any], str]) -> str:
    def spread(experiment: str) -> str:
        return _spread(record, experiment, printed, plain)

    def reported(experiment: str, measure: str, name: str) -> str:
        return _spread(record, experiment, printed, plain, measure, name)

    transfers = record.of("2A2")
    text = template(
        f"abstract_{direction.letter}.txt",
        filters={"t": plain},
        models=_few(record.models),
        range=spread,
        reported=reported,
        verdict=lambda experiment: facts.verdict(record, experiment),
        task=_few(str(cell.knobs.get("task", TASK)) for cell in transfers) or "[task not measured]",
        source=_few(cell.params["other_model"] for cell in transfers) or NOT_MEASURED,
        target=_few(cell.params["model"] for cell in transfers) or NOT_MEASURED,
        depth=_depth(record),
        patched=_few(cell.subject for cell in record.of("PM3")) or NOT_MEASURED,
        layers=_layers(record),
        beside=plain(_beside(record, direction)),
    )
    return " ".join(text.split()) + "\n"


def _beside(record: Record, direction: Direction) -> str:
    """What the other directions came to, so that no abstract keeps the best of three to itself."""
    told = [f"{other.name} came to {verdicts(record)[other.premortem]}" for other in DIRECTIONS if other != direction]
    return f"Of the other directions tested, {' and '.join(told)}.".replace("NOT_RUN", "no test")


def _few(names: Iterable[str]) -> str:
    known = sorted(set(names))
    return (
        " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)
        if len(known) <= 3
        else (f"{len(known)} language models")
    )


def _depth(record: Record) -> str:
    """Where PM3, whose change rate the abstract tells, has patched."""
    depths = sorted({cell.knobs["depth"] for cell in record.of("PM3") if "depth" in cell.knobs})
    return f"relative depth {', '.join(map(str, depths))}" if depths else f"[depth {NOT_MEASURED}]"


def _layers(record: Record) -> str:
    """At which layer 2C1 found the largest effect, of which models. After the last layer it is 1 by construction, so
    2C1 has not searched there."""
    searched, _ = one_setting([cell for cell in record.of("2C1") if "strongest_layer" in cell.reported])
    found: dict[int, list[str]] = {}
    for cell in searched:
        found.setdefault(cell.reported["strongest_layer"], []).append(cell.subject)
    told = [f"layer {layer} of {_few(models)}" for layer, models in sorted(found.items())]
    return f"the effect is largest at {', '.join(told)}" if told else f"the effect is {NOT_MEASURED}"


def _spread(
    record: Record,
    experiment: str,
    printed: Printed,
    plain: Callable[[Any], str],
    measure: str | None = None,
    name: str = "",
) -> str:
    """`facts.spread` for text in which `plain` makes words safe and `printed` numbers."""
    marks: list[Number] = []

    def mark(number: Number) -> str:
        marks.append(number)
        return f"\0{len(marks) - 1}\0"

    told = plain(facts.spread(record, experiment, mark, measure, name))
    return re.sub("\0(\\d+)\0", lambda at: printed(marks[int(at[1])]), told)


# Draft ---------------------------------------------------------------------------------------------------


def draft(record: Record, direction: Direction, drawings: dict[str, Drawing], folder: Path) -> str:
    """The draft's LaTeX. Each number stands in \\measured{VALUE}{CELL@KEY}."""
    controls = [control for cell in record.cells if not cell.negative for control in cell.controls]
    negatives = sorted({cell.negative for cell in record.cells if cell.negative})

    def own(name: str, about: str) -> str:
        path = folder / "sections" / f"{name}.tex"
        return f"\\input{{sections/{name}}}" if path.is_file() and path.read_text().strip() else f"\\towrite{{{about}}}"

    def told(experiment: str) -> str:
        text = _spread(record, experiment, printed, escape)
        return f"{escape(experiment)}, {text}"

    return template(
        direction.template,
        filters={"tex": escape},
        abstract=_abstract(record, direction, printed, escape).strip(),
        own=own,
        told=told,
        figures=drawings,
        figure=lambda name: _figure(name, drawings, record),
        compared=[_compared(cell) for cell in record.of("2C4") if cell.rows.get(COMPARED)],
        n_models=len(record.models),
        models=", ".join(record.models) or NOT_MEASURED,
        negatives="; ".join(negatives) or "none was run",
        controls_run=len(controls),
        controls_held=sum(control["outcome"] != "FAIL" for control in controls),
        setup=_setup(record),
        plan_rows=[_plan_row(record, each) for each in DIRECTIONS],
        experiment_rows=_experiment_rows(record),
        result_rows=[row for cell in record.cells for row in _result_rows(cell)],
        other_rows=[row for cell in record.others for row in _result_rows(cell)],
        failures=_failures(record),
    )


def printed(number: Number) -> str:
    """A number in the draft, with its source."""
    return f"\\measured{{{escape(number.text)}}}{{{escape(number.source)}}}"


def _compared(cell: CellRecord) -> dict[str, Any]:
    """2C4's effects and costs as a table of the draft. Not what differs between equal runs."""
    rows = [{k: v for k, v in row.items() if k not in ("seconds", "cached")} for row in cell.rows[COMPARED]]
    head, *body = compared(rows)
    told = [
        [escape(row[0]), *(printed(Number(text, facts.source(cell))) if text else "" for text in row[1:])]
        for row in body
    ]
    name = ", ".join(filter(None, [cell.subject, str(cell.knobs.get("behaviour", ""))]))
    return {"name": name, "head": list(map(escape, head)), "rows": [" & ".join(row) for row in told]}


def _figure(name: str, drawings: dict[str, Drawing], record: Record) -> str:
    if name not in drawings:
        return f"\\towrite{{figure {escape(name)}: {NOT_MEASURED}}}"
    drawing = drawings[name]
    caption = f"{drawing.caption} {facts.sizes(cell for cell in record.cells if cell.cell in drawing.cells)}."
    width = f"{drawing.size[0]:.2f}in"  # its own, for its text is as large as the paper's then
    return "\n".join(
        [
            f"% {name}: {', '.join(drawing.cells)}",
            "\\begin{figure}[htbp]",
            "\\centering",
            f"\\includegraphics[width=\\ifdim{width}<\\linewidth {width}\\else\\linewidth\\fi,height=0.8\\textheight,"
            f"keepaspectratio]{{figures/{name}.pdf}}",
            f"\\caption{{{escape(caption)}}}",
            f"\\label{{fig:{name.split('_')[0]}}}",
            "\\end{figure}",
        ]
    )


def _setup(record: Record) -> list[dict[str, str]]:
    """Each experiment with the settings under which it ran."""
    lines = []
    for name in dict.fromkeys(cell.experiment for cell in record.cells):
        cells = [cell for cell in record.cells if cell.experiment == name]
        settings: dict[str, list[Any]] = {}
        for cell in cells:
            for knob, value in {**cell.knobs, "seed": cell.seed}.items():
                if value not in settings.setdefault(knob, []):
                    settings[knob].append(value)
        told = ", ".join(f"{knob} {' / '.join(_value(v) for v in values)}" for knob, values in settings.items())
        lines.append({"experiment": name, "claim": cells[0].claim, "settings": told})
    return lines


def _value(value: Any) -> str:
    """A knob's value as it is read; a text with white space in it is quoted, so that a line break can be seen."""
    plain = isinstance(value, str) and value and not re.search(r"\s", value)
    return str(value) if plain else json.dumps(value)


def _plan_row(record: Record, direction: Direction) -> str:
    values = facts.found(record, direction.premortem, direction.measure)
    head = f"{direction.title} & {direction.metric}"
    if not values:
        return f"{head} & not run & & &"
    cell, e = values[0]
    p = next((m.p for m in cell.measures if m.estimate.name == direction.measure), e.p)
    cells = record.of(direction.premortem)
    passed = f"{sum(cell.verdict == 'PASS' for cell in cells)} of {len(cells)}"
    source = escape(facts.source(cell))
    value = f"\\measured{{{escape(e.shown)}}}{{{source}}} & \\measured{{{escape(e.interval)}}}{{{source}}}"
    return f"{head} & {value} & {_p(p)} & {passed}"


def _p(p: float | None) -> str:
    return "" if p is None else "$<$ 0.001" if p < 0.001 else f"{p:.3f}"


def _experiment_rows(record: Record) -> list[str]:
    rows = []
    for name in dict.fromkeys(cell.experiment for cell in record.cells):
        cells, controls = record.of(name), record.controls(name)
        claim = (cells or controls)[0].claim
        refuted = f"{sum(cell.verdict == 'FAIL' for cell in controls)} of {len(controls)}" if controls else ""
        told = (name, claim, len(cells), facts.came_to(cells), refuted)
        rows.append(" & ".join(map(escape, told)))
    return rows


def _result_rows(cell: CellRecord) -> list[str]:
    """A row each measure, and each estimate that was reported beside; one for a cell that measured nothing."""
    name = escape(cell.cell).replace("-", "-\\hspace{0pt}")
    source = escape(facts.source(cell))
    judged = {measure.estimate.name: measure.p for measure in cell.measures}
    rows = [
        f"{name} & {escape(measure)} & \\measured{{{escape(e.shown)}}}{{{source}}} & "
        f"\\measured{{{escape(e.interval)}}}{{{source}}} & {_p(judged.get(measure, e.p))} & "
        + (escape(cell.shown_verdict) if measure in judged else "reported")
        for measure, e in sorted(estimates(cell).items(), key=lambda known: known[0] not in judged)
    ]
    nothing = f"{name} & \\measured{{{NOT_MEASURED}}}{{{source}}} & & & & {escape(cell.shown_verdict)}"
    return rows or [nothing]


def _failures(record: Record) -> str:
    """What was refuted, undecided or invalid, one item a cell, with what it wrote down about it."""
    items = []
    for cell in failures(record):
        items.append(f"\\item {escape(cell.cell)}: {escape(cell.verdict)}. {escape(_sentence(cell.reason))}")
        items += [escape(_sentence(line)) for line in documented(cell)]
    if not items:
        return "No claim was refuted, left undecided or invalid in these runs."
    return "\n".join(["\\begin{itemize}", *items, "\\end{itemize}"])


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def clear(folder: Path) -> None:
    """Takes away a draft that the journal no longer supports; what a person wrote in sections/ stays."""
    for name in ("draft.tex", "draft.pdf", "abstract.txt", "related_work.bib", "checklist.md"):
        (folder / name).unlink(missing_ok=True)
    for name in FIGURES:
        (folder / "figures" / f"{name}.pdf").unlink(missing_ok=True)
    if (folder / "figures").is_dir() and not any((folder / "figures").iterdir()):
        shutil.rmtree(folder / "figures")
