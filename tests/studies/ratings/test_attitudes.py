"""Judged attitudes: nonsense is left out and shown, a failed judge is counted, and no value leaves its range."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from lab.judging.judges import Judged
from lab.studies.ratings import attitudes


def judged(*pairs):
    return [
        Judged(None, "", 4, "judge_failed: cut: at the limit", "j")
        if pair is None
        else Judged({"attitude": pair[0], "coherence": pair[1]}, "{}", 1, None, "j")
        for pair in pairs
    ]


def test_nonsense_is_left_out_of_one_mean_and_stands_in_the_other():
    found = attitudes.attitudes(judged((0.5, 1), (-1, 0.1), (0.1, 0.9), None), 2)
    row = found.row(selector="first", coefficient=-2.0)
    assert row["attitude"] == pytest.approx((0.5 - 1 + 0.1) / 3)
    assert row["attitude, coherent"] == pytest.approx(0.3)
    assert (row["n"], row["coherent"], row["judge failed"], row["questions"]) == (3, 2, 1, 2)
    assert found.by_question == pytest.approx([0.5, 0.1])


def test_where_all_is_nonsense_there_is_no_mean():
    found = attitudes.attitudes(judged((0.5, 0), (0.5, 0)), 1)
    assert found.row()["attitude, coherent"] is None
    assert np.isnan(found.by_question).all()


@pytest.mark.parametrize(("pair", "said"), [((1.5, 1), "attitude lies between -1 and 1"), ((0, 2), "coherence lies")])
def test_values_out_of_range_are_refused(pair, said):
    with pytest.raises(ValueError, match=said):
        attitudes.attitudes(judged(pair), 1)


def test_answers_that_are_not_as_many_to_each_question_are_refused():
    with pytest.raises(ValueError, match="3 answers are not 2 to each"):
        attitudes.attitudes(judged((0, 1), (0, 1), (0, 1)), 2)


def made(values, coherence=1.0):
    return attitudes.attitudes(judged(*((v, coherence) for v in values)), 1)


def test_questions_are_compared_where_both_ends_are_language():
    low, high = made([-0.5, -0.4, -0.5, 0.0]), made([0.1, 0.3, 0.2, 0.9])
    broken = attitudes.attitudes(judged((0, 1), (0, 1), (0, 1), (0, 0.2)), 1)
    found = attitudes.shift(low, high, [(made([0, 0, 0, 0]), broken)])
    assert found.lost == 1
    assert found.effect.change.n == 3
    assert found.effect.change.value == pytest.approx((0.6 + 0.7 + 0.7) / 3)
    with pytest.raises(ValueError, match="0 of 4 questions have coherent answers"):
        attitudes.shift(low, made([0] * 4, coherence=0), [])


def test_raw_rows_hold_both_values_or_why_there_are_none():
    rows = list(attitudes.raw_rows(["q1", "q2"], ["a", "b"], judged((0.5, 0.9), None), 1))
    assert (rows[0]["question"], rows[0]["attitude"], rows[0]["coherence"], rows[0]["failed"]) == ("q1", 0.5, 0.9, None)
    assert "attitude" not in rows[1]
    assert rows[1]["failed"].startswith("judge_failed: cut")


def test_the_plot_says_how_many_answers_a_mean_has():
    found = {("mean", -1.0): made([0, 0.5]), ("mean", 1.0): made([0, 0], coherence=0.0)}
    ax = Figure().add_subplot()
    attitudes.Comparison(found, {}, 1.0).plot(ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["mean (n=2 each)"]


def test_every_selector_stands_beside_random_directions_of_its_own_length():
    low, high = made([-0.5, -0.4, -0.5]), made([0.1, 0.3, 0.2])
    found = {
        ("first", -1.0): low,
        ("first", 1.0): high,
        ("mean", -1.0): high,
        ("mean", 1.0): made([0] * 3, coherence=0),
    }
    flat = made([0.0, 0.1, 0.0]), made([0.1, 0.0, 0.2])
    every = attitudes.Comparison(found, {"first": [flat, flat], "mean": [flat]}, 1.0)
    first, mean = every.effects()
    assert (first["selector"], first["random directions"], first["n"]) == ("first", 2, 3)
    assert first["change"] == pytest.approx(every.shift("first").effect.change.value) == pytest.approx(2 / 3)
    assert first["random"] == pytest.approx(0.2 / 3)
    assert first["beyond random, low"] > 0
    assert (mean["n"], mean["questions lost"]) == (0, 3)
    assert "change" not in mean, "no question has a coherent answer at either end"
    names = [row["selector"] for row in every.rows()]
    assert names[4:] == ["random 1 for first"] * 2 + ["random 2 for first"] * 2 + ["random 1 for mean"] * 2
    ax = Figure().add_subplot()
    every.plot(ax)
    dotted = [line.get_color() for line in ax.lines if line.get_linestyle() == ":"]
    solid = [line.get_color() for line in ax.lines if line.get_linestyle() == "-" and line.get_marker() == "o"]
    assert dotted == [solid[0], solid[0], solid[1]], "each in the colour of the vector that it is as long as"
    with pytest.raises(ValueError, match=r"nothing was judged of last at -1 and last at \+1"):
        every.shift("last")
