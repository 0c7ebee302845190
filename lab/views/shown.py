"""What Allure shows of a cell: one result in Allure's own format, from the cell's record and its run's header.

Status and category follow the verdict; controls and claims are steps; plots, numbers, configuration and the command
that repeats the cell are attached. Nothing else is read, so that a killed worker's cell looks like any other.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from allure_commons import model2
from allure_commons.types import AttachmentType, LinkType
from allure_commons.utils import md5
from attr import asdict

from lab.files.whole import checksum_of, write_whole
from lab.record.fold import KNOWN, NOT_REFUTED, CellRecord, estimates
from lab.study import studies
from lab.views.cards import as_yaml
from lab.views.tables import entry
from lab.views.text import markdown_table, p_value

STATUS = {
    "PASS": "passed",
    "FAIL": "failed",
    "INCONCLUSIVE": "unknown",
    "INVALID": "broken",
    "SKIPPED": "skipped",
    f"FAIL ({KNOWN})": "skipped",
    f"PASS ({NOT_REFUTED})": "failed",
    f"INCONCLUSIVE ({NOT_REFUTED})": "unknown",
}
"""Allure's status by the verdict as it is shown."""
REFUTED, INCONCLUSIVE, INVALID, INFRASTRUCTURE = "Refuted", "Inconclusive", "Invalid", "Infrastructure"
"""Begin the messages of cells, by which the categories of `categories.json` know them."""
_NOT_REFUTED = "Negative control not refuted"
_OURS = ("INVALID: ", "ERROR: ")
"""Begin what is shown of a cell that this laboratory refused, and not something beneath it."""
_FINISHED = "finished"
NUMBERS = ("measure", "value", "interval", "bar", "verdict", "p", "n", "method")


@dataclass(frozen=True)
class Shown:
    """A result as Allure reads it, and its attachments by the names of their files."""

    result: dict[str, Any]
    files: dict[str, bytes]


def shown(record: CellRecord, header: Mapping[str, Any], results: Path) -> Shown:
    """What Allure shows of a cell.

    Parameters
    ----------
    record
        The cell, as the journal gives it.
    header
        The event `run` of the cell's run: who owns its experiments, and links.
    results
        The results folder, in which the plots are. A plot that another run has drawn over is named, and not shown.
    """
    uuid = str(uuid5(NAMESPACE_URL, f"{record.run}/{record.cell}/{record.started}"))
    began = int(datetime.fromisoformat(record.started).timestamp() * 1000)
    there, gone = plots(record, results)
    files: dict[str, bytes] = {}
    attached: list[model2.Attachment] = []

    def attach(name: str, kind: AttachmentType, content: str | bytes) -> None:
        file = model2.ATTACHMENT_PATTERN.format(prefix=f"{uuid}-{len(files)}", ext=kind.extension)
        files[file] = content if isinstance(content, bytes) else content.encode()
        attached.append(model2.Attachment(name, file, kind.mime_type))

    for name, path in there.items():
        attach(name, AttachmentType.PNG, path.read_bytes())
    attach("numbers as a table", AttachmentType.CSV, _csv(numbers(record)))
    attach("numbers", AttachmentType.JSON, json.dumps(entry(record), indent=1))
    if record.config:
        attach("configuration", AttachmentType.YAML, as_yaml(record.config))
    if record.reproduce:
        attach("reproduce", AttachmentType.TEXT, f"{record.reproduce}\n")
    result = model2.TestResult(
        uuid=uuid,
        name=f"{record.cell}: {record.claim}",
        fullName=_full_name(str(record.config.get("test", ""))) or record.cell,
        historyId=md5(record.cell),
        testCaseId=md5(record.cell),  # Allure 3 makes its history id of this one and the parameters that count
        status=STATUS[record.shown_verdict],
        statusDetails=model2.StatusDetails(message=message(record), trace=record.shown),
        stage=_FINISHED,
        description=_description(record, gone),
        labels=[model2.Label(name, value) for name, value in _labels(record, header)],
        links=_links(record, header),
        # The cell's own name tells it from others: no value here counts, so that a new knob ends no history.
        parameters=[model2.Parameter(name, value, excluded=True) for name, value in _parameters(record).items()],
        steps=_steps(record, began),
        attachments=attached,
        start=began,
        stop=began + round(1000 * record.seconds),
    )
    return Shown(as_json(result), files)


def as_json(item: Any) -> dict[str, Any]:
    """A model of `allure_commons` as its own writer puts it into a file."""
    fields: dict[str, Any] = asdict(item, filter=lambda _, value: value or value is False)
    return fields


def plots(record: CellRecord, results: Path) -> tuple[dict[str, Path], list[str]]:
    """The cell's plots by name, and the names of those that are gone, or that another run has drawn over."""
    files = {name: results / file for name, file in record.plots.items()}
    gone = [name for name, path in files.items() if checksum_of(path) != record.checksums.get(record.plots[name])]
    return {name: path for name, path in files.items() if name not in gone}, gone


def keep(folder: Path, one: Shown) -> None:
    """Writes a result and its attachments; each appears whole or not at all.

    A result that is there already keeps what others put beside ours: captured output, and what a test's own code
    attached, linked or labelled.
    """
    path = folder / f"{one.result['uuid']}-result.json"
    before = json.loads(path.read_bytes()) if path.is_file() else {}
    for name, content in one.files.items():
        write_whole(folder / name, content)
    write_whole(path, json.dumps(beside(one.result, before), ensure_ascii=False).encode())


def beside(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Our result of a cell with what somebody else's has more: attachments, links, labels and steps by name."""
    merged = dict(ours)
    for part in ("attachments", "links", "labels", "steps"):
        own = ours.get(part, [])
        known = {_told(one) for one in own}
        merged[part] = [*own, *(one for one in theirs.get(part) or () if _told(one) not in known)]
    return merged


def _told(one: Mapping[str, Any]) -> tuple[Any, Any]:
    """What tells an attachment, link, label or step from others: its name, of a label with its value."""
    return one.get("name"), one.get("value")


def message(record: CellRecord) -> str:
    """One line that begins with the category where the cell belongs to one."""
    word = kind(record)
    return f"{word}: {record.reason}" if word else record.reason


def kind(record: CellRecord) -> str:
    """The category of a cell; "" for PASS and SKIPPED, "Known negative" for a control that was refuted.

    INVALID is Invalid where a control is broken or the laboratory refused what was asked of it, and Infrastructure
    where something beneath it broke: a crash, no memory, a worker that died.
    """
    if record.verdict == "INVALID":
        broken = any(control["outcome"] == "FAIL" for control in record.controls)
        return INVALID if broken or record.shown.startswith(_OURS) else INFRASTRUCTURE
    if record.negative and record.verdict in ("PASS", "FAIL", "INCONCLUSIVE"):
        return KNOWN.capitalize() if record.verdict == "FAIL" else _NOT_REFUTED
    return {"FAIL": REFUTED, "INCONCLUSIVE": INCONCLUSIVE}.get(record.verdict, "")


def severity(record: CellRecord) -> str:
    """ "critical" where what follows hangs on it; "minor" for a control; "normal" else."""
    if record.negative:
        return "minor"
    return "critical" if any(record.phase in study.critical for study in studies()) else "normal"


def numbers(record: CellRecord) -> list[list[str]]:
    """What a cell measured and reported as rows under `NUMBERS`, printed as the tables print it."""
    claims = {m.estimate.name: (m.bar, ", ".join(c["outcome"] for c in m.claims), m.p) for m in record.measures}
    rows = []
    for name, e in estimates(record).items():
        bar, verdict, p = claims.get(name, ("", "reported", e.p))
        interval = e.interval if e.level == 0.95 else f"{e.interval} ({100 * e.level:g} %)"
        rows.append([name, e.shown, interval, bar, verdict, p_value(p), str(e.n), e.method])
    return rows


def _csv(rows: list[list[str]]) -> str:
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows([NUMBERS, *rows])
    return made.getvalue()


def _description(record: CellRecord, gone: list[str]) -> str:
    """Markdown: claim, bar, verdict and numbers in the order in which one asks for them."""
    bars = ", ".join(f"{m.estimate.name} {m.bar}" for m in record.measures if m.claims) or "none was reached"
    lines = [f"**Claim**: {record.claim}", f"**Bar**: {bars}", f"**Verdict**: {record.shown_verdict}. {record.reason}"]
    if record.negative:
        lines.append(f"**Negative control**: {record.negative}")
    if record.registration:
        lines.append(f"**Registration**: {record.registration}")
    lines.append(f"**Speaks of**: {record.population}")
    rows = [[cell.replace("|", "/") for cell in row] for row in numbers(record)]
    lines.append("\n".join(markdown_table(NUMBERS, rows)))
    controls = [f"- {c['outcome']}: {c['name']} ({c['reason']})" for c in record.controls] or ["- none"]
    lines += ["**Controls**", "\n".join(controls)]
    lines += [f"**Note**: {text}" for text in record.notes]
    lines += [f"**Plot {name}** is not shown: another run has drawn over it, or it is gone" for name in gone]
    if record.reproduce:
        lines.append(f"**Reproduce**\n\n```bash\n{record.reproduce}\n```")
    return "\n\n".join(lines)


def _labels(record: CellRecord, header: Mapping[str, Any]) -> list[tuple[str, str]]:
    labels = [
        ("epic", record.phase),
        ("feature", f"{record.experiment}: {record.title}" if record.title else record.experiment),
        ("story", record.claim),
        ("severity", severity(record)),
        ("verdict", record.shown_verdict),
        ("framework", "pytest"),
        ("language", "python"),
    ]
    labels += [("owner", str(header["owner"]))] if header.get("owner") else []
    labels += [("tag", "negative control")] if record.negative else []
    labels += [("tag", "taken from an earlier run")] if record.replayed else []
    return labels


def _links(record: CellRecord, header: Mapping[str, Any]) -> list[model2.Link]:
    """The links that were configured for this experiment, with its id and phase in the places for them."""

    def filled(text: str) -> str:
        return text.replace("{experiment}", record.experiment).replace("{phase}", record.phase)

    return [
        model2.Link(LinkType.LINK, filled(url), filled(name))
        for pattern, name, url in header.get("links") or ()
        if fnmatchcase(record.experiment, pattern)
    ]


def _parameters(record: CellRecord) -> dict[str, str]:
    """Everything that was set, as plain text."""
    told = {**record.params, "seed": str(record.seed), **{k: _text(value) for k, value in record.knobs.items()}}
    told["run"] = record.run
    return told | ({"taken from": record.replayed} if record.replayed else {})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _steps(record: CellRecord, at: int) -> list[model2.TestStepResult]:
    """Controls and claims with what each came to; Allure takes a message beside them for an error."""
    steps = [(f"control: {c['name']}: {c['reason']}", c["outcome"]) for c in record.controls]
    steps += [
        (f"claim: {m.estimate.name} {c['claim']}: {c['reason']}", c["outcome"])
        for m in record.measures
        for c in m.claims
    ]
    return [
        model2.TestStepResult(name=name, status=STATUS[outcome], stage=_FINISHED, start=at, stop=at)
        for name, outcome in steps
    ]


def _full_name(node: str) -> str:
    """A node id as allure-pytest writes it, without parameters: "hypotheses.test_a#test_b"."""
    file, _, name = node.partition("[")[0].partition("::")
    return f"{file.removesuffix('.py').replace('/', '.')}#{name.replace('::', '.')}" if name else ""
