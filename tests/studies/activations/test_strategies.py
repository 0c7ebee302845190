"""Every combination of flags builds a prompt of its own, and each prompt stays what it was."""

import json
from itertools import product
from pathlib import Path

import pytest
import yaml

from lab.studies.activations.strategies import FORMATS, STRATEGIES, Style, strategy

GOLDEN = Path(__file__).with_name("strategies.yaml")
MODES = ({}, {"answer_first": True}, {"contrarian": True})
MCQ = {
    "question": "Which drug does patient Gresten take?",
    "options": ["Kisbumab", "Restromab", "Golmimab", "Fonlumab"],
}
ITEMS = {
    "mcq": MCQ,
    "histopathology": {"id": "h1", "text": "Biopsy of the stomach. It shows fibrosis."},
    "radiology": {"report": "Image of the chest. It shows contours.", "question": "Is the image normal or abnormal?"},
}


def every():
    """Each strategy in each style, by a name that says which."""
    for name, few_shot, form, mode in product(STRATEGIES, (False, True), FORMATS, MODES):
        style = Style(few_shot=few_shot, output_format=form, **mode)
        yield (
            f"{name}, {'few' if few_shot else 'zero'}-shot, {form}, {style.mode}",
            strategy(name).prompt(ITEMS[name], style),
        )


def test_all_combinations_of_flags_build_distinct_prompts():
    made = dict(every())
    assert len(made) == len(set(made.values())) == 3 * 2 * 7 * 3


def test_prompts_are_those_of_the_golden_file():
    """To change a prompt is to change every result on it: write the file anew, and look at the difference.

    python -c "import yaml; from tests.prompts import test_strategies as t; yaml.safe_dump(dict(t.every()),
    t.GOLDEN.open('w'), sort_keys=False, default_style='|')"
    """
    assert dict(every()) == yaml.safe_load(GOLDEN.read_text())


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("alias", ["text", "report", "question"])
def test_an_item_has_its_text_under_any_of_three_names(name, alias):
    assert "It shows fibrosis." in strategy(name).prompt({alias: "It shows fibrosis."})


def test_an_item_without_a_text_is_refused():
    with pytest.raises(ValueError, match="text, report, question; this one has id, label"):
        strategy("mcq").prompt({"id": 1, "label": "x", "text": ""})


def test_options_are_lettered_and_the_cue_ends_every_item():
    style = Style(few_shot=True)
    prompt = strategy("mcq").prompt(MCQ, style)
    assert prompt.endswith("\nA. Kisbumab\nB. Restromab\nC. Golmimab\nD. Fonlumab\n\nAnswer:")
    assert prompt.count("\n\nAnswer:") == 3
    assert strategy("mcq").prompt(MCQ, Style(answer_cue=" =>")).endswith("Fonlumab =>")
    assert strategy("mcq").prompt(MCQ, Style(answer_cue="")).endswith("Fonlumab")


def test_examples_are_answered_in_the_form_that_is_asked_for():
    prompt = strategy("histopathology").prompt(ITEMS["histopathology"], Style(few_shot=True, output_format="json"))
    answers = [json.loads(line.removeprefix("Answer: ")) for line in prompt.splitlines() if line.startswith("Answer: ")]
    assert answers == [{"answer": "benign"}, {"answer": "malignant"}]


def test_settings_that_make_no_sense_are_told_in_one_line():
    with pytest.raises(ValueError, match="answer_first and contrarian exclude one another"):
        Style(answer_first=True, contrarian=True)
    with pytest.raises(ValueError, match="no output_format 'csv'; there are plain, json"):
        Style(output_format="csv")
    with pytest.raises(ValueError, match="no prompt strategy 'cardiology'; there are mcq"):
        strategy("cardiology")
