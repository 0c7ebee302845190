"""The checklist and the timeline come from the journal and from files."""

import hashlib

from reports.__main__ import main
from reports.progress import ablated, checks
from reports.record import load


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
    assert "| 1 | Phase 0 (Setup) + Phase 1 (Pre-Mortems) | 4-6 hours | 0.0 minutes |" in text
    assert "| 1 Pre-Mortems | 10 | 2-4 hours | 0.0 minutes |" in text
    assert "| 2C Activation Patching | 0 | 6-8 hours, 2A to 2C together (day 2) | not run |" in text
    assert "| 4 Paper |  | 12-18 hours (days 4 to 6) | not in the journal: a person writes |" in text


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
