"""pingouin's names are pinned: a rename must fail loudly, and its absence be said in one line."""

import importlib.util
import sys

import numpy as np
import pytest

from lab.stats import second_opinion
from lab.stats.effects import cohen_d
from lab.stats.equivalence import tost_independent, tost_paired

needs_pingouin = pytest.mark.skipif(importlib.util.find_spec("pingouin") is None, reason="pingouin is optional")


def test_a_missing_pingouin_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pingouin", None)
    with pytest.raises(ImportError, match=r'pip install "lab-hypotheses\[stats\]"'):
        second_opinion.tost([1.0, 2.0], [1.0, 3.0], 1)


@needs_pingouin
def test_pingouins_names_are_still_those_that_are_looked_up():
    import pandas as pd
    import pingouin

    frame = pd.DataFrame({"t": np.repeat(range(6), 2), "r": [0, 1] * 6, "y": np.random.default_rng(0).normal(size=12)})
    table = pingouin.intraclass_corr(frame, "t", "r", "y")
    assert table["Type"].tolist() == ["ICC(1,1)", "ICC(A,1)", "ICC(C,1)", "ICC(1,k)", "ICC(A,k)", "ICC(C,k)"]
    assert {"ICC", "F", "pval", "CI95"} <= set(table.columns)


@needs_pingouin
def test_a_renamed_row_is_an_error_and_no_nan(monkeypatch):
    monkeypatch.setitem(second_opinion._ICC_ROWS, "2,1", "ICC2")
    with pytest.raises(RuntimeError, match="renamed rows: no ICC2 among ICC"):
        second_opinion.icc(np.random.default_rng(0).normal(size=(6, 3)))


@needs_pingouin
def test_shrout_and_fleiss_by_pingouin():
    table2 = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    said = second_opinion.icc(table2)["2,1"]
    assert said["value"] == pytest.approx(0.289764, abs=1e-6)
    assert (said["low"], said["high"]) == (0.02, 0.76)
    assert (said["f"], said["p"]) == pytest.approx((11.0272, 0.000134567), rel=1e-5)


@needs_pingouin
def test_tost_and_effect_size_agree_with_ours():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.1, 1, 30), rng.normal(0, 1.5, 30)
    assert second_opinion.tost(x, y, 0.8)["p"] == pytest.approx(tost_independent(x, y, -0.8, 0.8).p)
    assert second_opinion.tost(x, y, 0.8, paired=True)["p"] == pytest.approx(tost_paired(x, y, -0.8, 0.8).p)
    assert second_opinion.effect_size(x, y, "cohen_d")["value"] == pytest.approx(cohen_d(x, y).value)


@needs_pingouin
def test_a_three_by_three_design():
    """The F of each effect by its own sums of squares, and no effect where none was put."""
    rng, n = np.random.default_rng(2), 12
    y = rng.normal(size=(n, 1, 1)) + rng.normal(size=(n, 3, 3)) + np.array([0, 1, 2])[:, None]
    rows = [
        {"task": t, "completion": c, "measurement": m, "rating": y[t, c, m]}
        for t in range(n)
        for c in range(3)
        for m in range(3)
    ]
    found = second_opinion.rm_anova(rows, outcome="rating", within=["completion", "measurement"], unit="task")
    assert list(found) == ["completion", "measurement", "completion x measurement"]
    cell = y.mean(2)  # [task, completion]
    effect = n * ((cell.mean(0) - cell.mean()) ** 2).sum() / 2
    rest = ((cell - cell.mean(0) - cell.mean(1, keepdims=True) + cell.mean()) ** 2).sum() / (2 * (n - 1))
    assert found["completion"]["f"] == pytest.approx(effect / rest)
    assert (found["completion"]["df1"], found["completion"]["df2"]) == (2, 2 * (n - 1))
    assert found["completion"]["p_corrected"] < 0.001 < 0.05 < found["measurement"]["p"]
    [single] = second_opinion.rm_anova(
        [r for r in rows if r["measurement"] == 0], outcome="rating", within=["completion"], unit="task"
    ).values()
    assert single["df2"] == 22
    with pytest.raises(ValueError, match="1 of 108 cells have no rating"):
        second_opinion.rm_anova(rows[1:], outcome="rating", within=["completion", "measurement"], unit="task")
    with pytest.raises(ValueError, match="one or two factors"):
        second_opinion.rm_anova(rows, outcome="rating", within=[], unit="task")
