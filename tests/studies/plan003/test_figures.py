"""The figures show what the journal holds, and nothing else."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from lab.commands.report import main
from lab.studies.plan003 import figures, paper_figures
from lab.studies.plan003.directions import DIRECTIONS
from lab.views.drawing import render
from lab.views.record import load
from tests.views.conftest import RUN, estimate


def draw(results, *arguments):
    assert main(["figures", "--results", str(results.folder), *arguments]) == 0


def axes_of(drawing):
    """The axes as matplotlib drew them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=drawing.size)
    drawing.draw(figure)
    return [ax for ax in figure.axes if ax.axison]


def test_the_heat_map_equals_its_json_which_equals_the_journal(reported):
    panels = json.loads((reported / "figures" / "cross_model_heatmap.json").read_text())["panels"]
    assert [panel["models"] for panel in panels] == [["one", "two"]] * 2
    # Forward is from the first model to the second.
    assert [panel["r"] for panel in panels] == [[[1.0, 0.61], [0.59, 1.0]], [[1.0, 0.7], [0.5, 1.0]]]
    drawing = figures.cross_model_heatmap(load(reported))
    texts = [[t.get_text() for t in ax.texts] for ax in axes_of(drawing) if ax.texts]
    assert texts == [["1\n(self)", "0.61", "0.59", "1\n(self)"], ["1\n(self)", "0.70", "0.50", "1\n(self)"]]


def test_each_figure_is_a_picture_and_a_pdf_of_the_paper(reported):
    for name in figures.FIGURES:
        assert (reported / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (reported / "paper" / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_a_pair_that_was_not_run_is_said_and_not_drawn_as_zero(results):
    results.premortems()
    results._premortem("PM1", ("two", "three"), 0.4, RUN, None)
    (panel,) = figures.cross_model_heatmap(load(results.folder)).data["panels"]
    assert panel["r"][panel["models"].index("one")][panel["models"].index("three")] is None


def test_the_legend_has_the_auc_of_statistics_json(reported):
    entries = json.loads((reported / "statistics.json").read_text())
    known = {e["cell"]: {m["estimate"]["name"]: m["estimate"]["value"] for m in e["measures"]} for e in entries}
    drawing = figures.error_prediction_roc(load(reported))
    assert [re.split(r"[,\n]", ax.get_title())[0] for ax in axes_of(drawing)] == ["PM2", "2B1", "2B1"]
    legends = [[t.get_text() for t in ax.get_legend().get_texts()] for ax in axes_of(drawing)]
    assert f"one: AUC {known['PM2[one]']['AUROC']:.3f} [0.792, 0.832]" in legends[0]
    assert "negative controls (2): AUC 0.500" in legends[0]
    assert legends[1] == [f"one: AUC {known['2B1[one]']['AUROC, first']:.3f} [0.680, 0.720]"]


def test_patching_has_a_band_by_layer_and_else_intervals_by_depth(results):
    record = load(results.premortems().folder)
    (ax,) = axes_of(figures.patching_effect_by_layer(record))
    assert len(ax.containers) == 2  # clean and random, with their intervals
    (ax,) = axes_of(figures.patching_effect_by_layer(load(results.second_phase().folder)))
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    np.testing.assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [0.0, 1.1], atol=1e-9)
    assert ax.get_title() == "2C1, one\nn = 200"


def test_what_is_missing_is_named_and_the_others_are_drawn(results, capsys):
    results._premortem("PM3", ("one",), 0.9, RUN, None)
    stale = results.folder / "figures" / "cross_model_heatmap.png"
    stale.parent.mkdir()
    stale.write_bytes(b"of another run")
    draw(results)
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("missing: ")] == [
        "missing: cross_model_heatmap: neither PM1 nor 2A1 has reported r forward and backward; "
        "pytest hypotheses/ -k 'PM1 or 2A1'",
        "missing: error_prediction_roc: neither PM2 nor 2B1 has kept rows 'roc'; pytest hypotheses/ -k 'PM2 or 2B1'",
    ]
    assert sorted(path.name for path in stale.parent.iterdir()) == [
        "patching_effect_by_layer.json",
        "patching_effect_by_layer.png",
    ]


@pytest.mark.parametrize("form", ["png", "pdf"])
def test_equal_journals_give_equal_pictures(results, form):
    results._premortem("PM3", ("one",), 0.9, RUN, None)
    drawings = [figures.patching_effect_by_layer(load(results.folder)) for _ in range(2)]
    assert render(drawings[0], form) == render(drawings[1], form)


def test_one_setting_is_drawn_and_the_others_are_said(results):
    results.premortems()
    other = results.cell("PM1", "one", "two", "x", knobs={"depth": 0.9}, run="20260102-000000-bbbb", finish=False)
    other.report(forward=estimate(0.1), backward=estimate(0.1))
    other.finish("PASS", "r")
    results._premortem("PM1", ("two", "three"), 0.4, RUN, None)
    (panel,) = figures.cross_model_heatmap(load(results.folder)).data["panels"]
    assert panel["remark"] == "depth = 0.5; 1 other setting is in the table"
    assert 0.1 not in np.ravel(panel["r"])


def test_of_a_sweep_the_default_is_drawn_though_more_ran_under_another_value(results):
    for depth, models in ((0.25, ("one", "two")), (0.5, ("one",))):
        for model in models:
            changed = [] if depth == 0.5 else ["depth"]
            cell = results.cell("PM2", model, f"depth={depth}", knobs={"depth": depth}, changed=changed, finish=False)
            cell.measure("AUROC", estimate(0.5 + depth, method="DeLong, clustered"))
            cell.rows("roc", [{"set": "questions", "false_positive_rate": x, "true_positive_rate": x} for x in (0, 1)])
            cell.finish("PASS", "r")
    (ax,) = axes_of(figures.error_prediction_roc(load(results.folder)))
    title = "PM2, questions\nn = 200 groups\n(depth = 0.5; 1 other setting is in\nthe table)"
    assert ax.get_title() == title
    assert "AUC 1.000" in ax.get_legend().get_texts()[0].get_text()


@pytest.mark.parametrize(("letter", "rows"), [("A", 12), ("B", 3), ("C", 3)])
def test_each_direction_has_its_own_analysis(reported, letter, rows):
    direction = next(d for d in DIRECTIONS if d.letter == letter)
    drawing = paper_figures.analysis(load(reported), direction)
    assert len(drawing.data["panels"][0]["rows"]) == rows
    assert axes_of(drawing)


def test_the_ablation_has_every_cell_with_its_bar(results):
    record = load(results.premortems().folder)
    (panel,) = paper_figures.ablation(record, DIRECTIONS[1]).data["panels"]
    assert panel["bar"] == 0.55
    assert [(line["cell"], line["negative"]) for line in panel["lines"]] == [
        ("PM2[one]", False),
        ("PM2[two]", False),
        ("PM2[untrained:one]", True),
        ("PM2[untrained:two]", True),
    ]


def test_reports_run_without_torch(results):
    results._premortem("PM3", ("one",), 0.9, RUN, None)
    called = f"r.main(['figures', '--results', {str(results.folder)!r}])"
    code = f"import sys, lab.commands.report as r; {called}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
