"""Phases 2A and 2B on organisms: what is known of them is found, and untrained twins refute it."""

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def phases(pytester, inner):
    """Runs experiments of both phases in a folder of their own; returns the outcome, and cells by name with their rows."""
    pytester.syspathinsert(ROOT)
    for path in [
        *ROOT.glob("hypotheses/plan003/phase_2a/test_*.py"),
        *ROOT.glob("hypotheses/plan003/phase_2b/test_*.py"),
    ]:
        (pytester.path / path.name).write_text(path.read_text())

    def run(file, models, *knobs, force=True):
        settings = [argument for knob in knobs for argument in ("--lab-set", knob)]
        result = inner(file, "--lab-models", models, *settings, *["--lab-force"] * force)
        cells = {}
        for path in (pytester.path / "results" / "journal").glob("*.jsonl"):
            for event in map(json.loads, path.read_text().splitlines()):
                cell = cells.setdefault(event.get("cell"), {"rows": {}, "report": {}, "measured": {}})
                if event["event"] == "rows":
                    cell["rows"][event["name"]] = event["rows"]
                elif event["event"] == "report":
                    cell["report"] |= event["values"]
                elif event["event"] == "measured":
                    cell["measured"][event["estimate"]["name"]] = event["estimate"]
        return result, cells

    return run


def test_organisms_of_one_clinic_are_alike_and_a_twin_is_like_none(phases):
    models, knobs = "clinic-llama,clinic-opt", ("n_samples=200", "permutations=19")
    result, cells = phases("test_cross_model_extended.py", models, *knobs)
    result.assert_outcomes(passed=1, xfailed=1)
    cell = cells["2A1[clinic-llama-x-clinic-opt]"]
    by_layer = cell["rows"]["similarity by layer"]
    assert {(row["layer"], row["other_layer"]) for row in by_layer} == {(i, j) for i in range(4) for j in range(4)}
    best = max(by_layer, key=lambda row: row["score"])
    assert [best["layer"], best["other_layer"]] == cell["report"]["best_layers"]
    measures = {row["measure"]: row for row in cell["rows"]["similarity"]}
    assert set(measures) == {"ridge_r", "cka_unbiased", "cka_biased", "mutual_knn", "cknna", "svcca"}
    assert all(row["score"] > row["null_95"] for row in measures.values())
    assert cell["report"]["forward"]["value"] != cell["report"]["backward"]["value"]


def test_a_model_that_knows_more_helps_one_that_knows_less_and_a_twin_does_not(phases):
    result, cells = phases("test_activation_transfer.py", "clinic-llama,clinic-neox", "n_samples=1200")
    helped, twin = (cells[f"2A2[clinic-llama-x-{source}]"] for source in ("clinic-neox", "untrained:clinic-neox"))
    assert helped["measured"]["improvement"]["low"] > 0
    told = helped["report"]
    gain = told["transfer_accuracy"]["value"] - told["target_accuracy"]["value"]
    assert helped["measured"]["improvement"]["value"] == pytest.approx(gain)
    assert told["source_accuracy"]["value"] > told["target_accuracy"]["value"]
    assert result.parseoutcomes().get("xfailed") == 1

    (failed,) = twin["rows"]["negative result"]
    assert failed["tried"].startswith("a ridge map of untrained:clinic-neox into clinic-llama")
    assert failed["numbers"]["improvement_high"] < 0.02
    assert failed["likely_reason"].startswith("the source knows less than the target")


def test_a_closed_gate_says_what_is_missing(phases):
    result, _ = phases("test_activation_transfer.py", "clinic-llama,clinic-neox", force=False)
    result.assert_outcomes(skipped=2)


def test_errors_are_predicted_on_each_set_and_across_sets(phases):
    result, cells = phases("test_error_prediction_extended.py", "clinic-opt", "n_samples=300", "2B1.folds=2")
    assert result.parseoutcomes().get("failed", 0) == result.parseoutcomes().get("errors", 0) == 0
    cell = cells["2B1[clinic-opt]"]
    sets = [row["set"] for row in cell["rows"]["data sets"]]
    assert sets == ["clinic/hellaswag", "clinic/truthfulqa", "clinic/mmlu"]
    assert all(
        {"n", "accuracy", "auroc", "base_rate"} <= row.keys() and row["n"] == 300 for row in cell["rows"]["data sets"]
    )
    across = {(row["taught_on"], row["tested_on"]): row["auroc"] for row in cell["rows"]["transfer"]}
    assert across.keys() == {(a, b) for a in sets for b in sets}
    assert across["clinic/mmlu", "clinic/hellaswag"] > 0.65  # another wording of the same facts
    for name in sets:
        curve = [row for row in cell["rows"]["roc"] if row["set"] == name]
        x, y = ([row[f"{kind}_positive_rate"] for row in curve] for kind in ("false", "true"))
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
        area = np.trapezoid(y, x)
        assert area == pytest.approx(cell["measured"][f"AUROC, {name}"]["value"], abs=0.01)


def test_what_a_report_shows_is_found_without_labels_in_a_model_that_knows_it(phases):
    result, cells = phases("test_unsupervised_discovery.py", "clinic-opt", "n_samples=150", "restarts=4")
    result.assert_outcomes(passed=1, xfailed=1)
    methods = {row["method"] for row in cells["2B2[clinic-opt]"]["rows"]["unsupervised"]}
    assert methods == {"CCS", "PCA of differences", "supervised", "random directions"}
    failed = cells["2B2[untrained:clinic-opt]"]["rows"]["negative result"]
    assert all(row["likely_reason"].startswith("a supervised probe reads it") for row in failed)


def test_answers_are_better_where_the_model_may_decline(phases):
    result, cells = phases("test_abstention.py", "clinic-opt", "n_samples=600", "abstention_threshold=0.5")
    assert result.parseoutcomes().get("passed") == 1
    told = cells["2B3[clinic-opt]"]["report"]
    assert 0 < told["coverage"]["value"] < 1
    assert told["effective_accuracy"]["value"] > told["accuracy"]["value"]
    curve = cells["2B3[clinic-opt]"]["rows"]["risk coverage"]
    assert [row["coverage"] for row in curve] == sorted(row["coverage"] for row in curve)
    assert curve[-1] == {"coverage": 1.0, "risk": pytest.approx(1 - told["accuracy"]["value"])}
