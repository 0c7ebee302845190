"""The checklist and the timeline come from the journal and from files."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from lab.commands.report import main
from lab.record import Journal
from lab.record.events import Ended
from lab.record.machine import describe, setup_seconds
from lab.studies.plan003.progress import ablated, checks
from lab.views.record import load
from lab.views.work import read

ROOT = Path(__file__).parents[3]


def told(results):
    record = load(results.folder)
    found = checks(record, results.folder / "figures", results.folder / "paper")
    return {what.partition(":")[0].partition(" (")[0]: done for items in found.values() for what, done in items}


def test_nothing_is_done_before_it_is_done(results):
    results._premortem("PM2", ("one",), 0.8, "20260101-000000-aaaa", None)
    found = told(results)
    assert len(found) == 16
    assert not any(found.values())  # PM2 ran, but its summary was not written


def test_pre_mortems_and_tables_are_ticked_by_their_files(results):
    results.premortems()
    assert not told(results)["PM1 ran, result recorded"]
    main(["tables", "--results", str(results.folder)])
    found = told(results)
    for what in ("PM1 ran, result recorded", "Decision made per table", "Statistics computed", "Summary table created"):
        assert found[what], what
    assert not found["Figures generated"]
    assert not found["Main experiment completed"]


def test_a_full_plan_is_ticked_but_for_what_people_do(reported):
    text = (reported / "progress.md").read_text()
    open_items = [line for line in text.splitlines() if line.startswith("- [ ]")]
    assert [line.removeprefix("- [ ] ").partition(" (")[0] for line in open_items] == [
        "Ablations completed",
        "All sections drafted",
        "Proofread",
    ]


def test_only_the_phases_that_opened_are_asked_for(results):
    results.premortems(PM1=0.05, PM3=0.1)
    for name in ("2B1", "2B2", "2B3"):
        results.cell(name, "one")
    found = told(results)
    assert found["Main experiment completed"]
    assert found["Baselines compared"]


def test_an_ablation_needs_three_seeds_and_two_values_of_a_knob(results):
    for seed in (1, 2, 3):
        for depth in (0.25, 0.5):
            run = f"2026010{seed}-00000{int(4 * depth)}-aaaa"
            results.cell("PM2", f"one-{seed}-{depth}", knobs={"depth": depth}, seed=seed, run=run)
    cells = load(results.folder).of("PM2")
    assert ablated(cells)
    assert not ablated([cell for cell in cells if cell.seed < 3])
    assert not ablated([cell for cell in cells if cell.knobs["depth"] == 0.5])


def test_the_timeline_sets_planned_against_actual_time(results):
    results.premortems()
    main(["progress", "--results", str(results.folder)])
    text = (results.folder / "progress.md").read_text()
    setup = "not known: not made by `make setup`"
    line = f"| 1 | Phase 0 (Setup) + Phase 1 (Pre-Mortems) | 4-6 hours | phase 0: {setup}; phase 1: 0.0 minutes |"
    assert line in text
    assert "| 1 Pre-Mortems | 10 | 2-4 hours | 0.0 minutes |" in text
    assert "| 2C Activation Patching | 0 | 6-8 hours, 2A to 2C together (day 2) | not run |" in text
    assert "| 3 Analysis |  | 6-8 hours with the rest of phase 2 (day 3) | not begun |" in text
    assert "| 4 Paper |  | 12-18 hours (days 4 to 6) | not begun |" in text


def told_of(reported, phase):
    lines = (reported / "progress.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"| {phase} ") and line.count("|") == 5]
    return line.split("|")[4].strip()


def entered(folder, *work):
    lines = [json.dumps({"part": p, "time": t, "seconds": s, "files": f}) for p, t, s, f in work]
    (folder / "reports.jsonl").write_text("\n".join(lines) + "\n")


def test_analysis_takes_what_its_reports_took_whenever_they_came_to_something_new(own_copy):
    done = read(own_copy)
    assert {work.part for work in done} == {"tables", "figures", "negative", "paper"}
    assert all(work.seconds > 0 for work in done)
    when = "2026-01-05T10:00:00+00:00"
    own = {work.part: work.files for work in done}
    entered(own_copy, ("tables", when, 90, "of before"), *((part, when, 60, files) for part, files in own.items()))
    main(["negative", "--results", str(own_copy)])  # the very same
    main(["progress", "--results", str(own_copy)])
    assert told_of(own_copy, "3 Analysis") == "4.5 minutes"  # tables twice, figures, negative
    entered(own_copy, ("negative", when, 60, "of before"))
    main(["negative", "--results", str(own_copy)])
    assert [work.part for work in read(own_copy)] == ["negative", "negative"]


def test_writing_takes_from_the_first_draft_to_the_proofread_one(own_copy):
    draft, proof = own_copy / "paper" / "draft.tex", own_copy / "paper" / "proofread.txt"
    (files,) = [work.files for work in read(own_copy) if work.part == "paper"]
    earlier = ("paper", "2026-01-05T10:00:00+00:00", 3540, "of before")
    entered(own_copy, earlier, ("paper", "2026-01-07T10:00:00+00:00", 60, files))
    main(["progress", "--results", str(own_copy)])
    assert told_of(own_copy, "4 Paper") == "1.0 hours for drafts, a person writes since 2026-01-05 10:00 UTC"
    proof.write_text(f"{hashlib.sha256(draft.read_bytes()).hexdigest()}  draft.tex\n")
    ended = datetime(2026, 1, 8, 22, tzinfo=UTC).timestamp()
    os.utime(proof, (ended, ended))
    main(["progress", "--results", str(own_copy)])
    assert told_of(own_copy, "4 Paper") == "1.0 hours for drafts, 84.0 hours from the first draft to the proofread one"
    draft.write_text(draft.read_text() + "% one more word\n")  # what was proofread is another draft
    main(["progress", "--results", str(own_copy)])
    assert told_of(own_copy, "4 Paper").endswith("a person writes since 2026-01-05 10:00 UTC")


def test_setup_takes_what_make_put_down(results, monkeypatch, tmp_path):
    assert setup_seconds() is None or setup_seconds() > 0
    (tmp_path / ".ready").write_text("150\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    journal = Journal(results.folder / "journal", "20251231-000000-aaaa", "main",
                      lambda: describe(["pytest"], tmp_path) | {"supersedes": None})  # fmt: skip
    journal.write("", Ended(0))
    results.premortems()
    main(["progress", "--results", str(results.folder)])
    assert told_of(results.folder, "0 Setup") == "2.5 minutes"


def test_make_puts_down_how_long_the_setup_took(tmp_path):
    """The Makefile's own recipe, with a python whose venv and pip take a second."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\n[ "$2" != pip ] || sleep 1.1\n')
    python.chmod(0o755)
    make = ["make", "-C", str(ROOT), "setup", f"PYTHON={python}", f"VENV={tmp_path}/venv"]
    subprocess.run(make, check=True, capture_output=True)
    assert int((tmp_path / "venv" / ".ready").read_text()) in (1, 2)


def test_all_is_made_again_to_the_byte(own_copy):
    def digests():
        return {
            str(path.relative_to(own_copy)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in own_copy.rglob("*")
            if path.is_file()
        }

    before = digests()
    assert main(["--results_dir", str(own_copy)]) == 0
    assert digests() == before
    assert {"paper/draft.tex", "figures/cross_model_heatmap.png", "negative_results.md", "progress.md"} <= before.keys()
