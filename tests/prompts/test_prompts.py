"""Every prompt says what may be answered, before and after; a template of one's own is checked when it is read."""

import re

import pytest

from lab import prompts
from lab.prompts import WORDINGS, load_templates, templates

NAMES = """anchored_1_5 stated_1_5 qualitative_binary likert_qualitative likert_agreement anchored_precise_1_5
bipolar_neg5_pos5 percentile_1_100 ban_four_1_5 compressed_anchors_1_5 random_scale_27_32 fruit_rating
fruit_qualitative""".split()


def test_there_are_the_thirteen_templates_of_the_log():
    assert list(templates()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_template_asks_before_and_after_and_names_its_answers(name):
    template = templates()[name]
    before, after = template.before("Sort the vials."), template.after("Sort the vials.", "The vials are sorted.")
    assert [m["role"] for m in before] == ["user"]
    assert [m["role"] for m in after] == ["user", "assistant", "user"]
    assert "Sort the vials." in before[0]["content"]
    assert after[:2] == [
        {"role": "user", "content": "Sort the vials."},
        {"role": "assistant", "content": "The vials are sorted."},
    ]
    assert "Respond with only" in before[0]["content"]
    assert before[0]["content"] != after[2]["content"]
    assert "{" not in before[0]["content"] + after[2]["content"]
    shown = template.text
    assert all(answer in shown for answer in (template.answers[0], template.answers[-1]))
    assert list(template.values) == sorted(template.values)
    assert len(template.answers) == len(template.values) >= 2


def test_scales_are_the_declared_ones():
    t = templates()
    assert t["bipolar_neg5_pos5"].values == tuple(range(-5, 6))
    assert t["percentile_1_100"].values == tuple(range(1, 101))
    assert t["random_scale_27_32"].answers == ("27", "28", "29", "30", "31", "32")
    assert t["qualitative_binary"].values == (-1, 1)
    assert t["ban_four_1_5"].banned == ("4",)
    assert (t["fruit_rating"].answers[0], t["fruit_rating"].answers[-1]) == ("lemon", "apple")
    assert t["fruit_rating"].values == (0, 1, 2, 3, 4)
    assert all(str(i) + ":" in t["anchored_precise_1_5"].text for i in range(1, 6))


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("- a", "it must map names to templates"),
        ("a: {answers: [x, y], values: [1, 2]}", "a: it needs a text"),
        ("a: {text: 'How {nice}?', answers: [x, y], values: [1, 2]}", "a: unknown placeholder {'nice'}"),
        ("a: {text: 'How {would?', answers: [x, y], values: [1, 2]}", "write {{ and }} for braces"),
        ("a: {text: How, answers: [x, y], values: [1]}", "two and more different answers and as many values"),
        ("a: {text: How, answers: [x, X], values: [1, 2]}", "two and more different answers"),
        ("a: {text: How, range: [1, 3], banned: ['7']}", "banned answers must be among the answers"),
        ("a: {text: How, range: [1, 3], scales: b}", "unknown key scales; there are answers"),
        ("a: [", "no YAML"),
    ],
)
def test_a_wrong_template_is_told_in_one_line(tmp_path, yaml, said):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml)
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        load_templates(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_template_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("mine: {text: 'How much {would} it, in {{points}}?', range: [0, 2]}")
    mine = load_templates(path)["mine"]
    assert mine.question(after=True) == "How much did you enjoy it, in {points}?"
    assert (mine.answers, mine.values, mine.scale) == (("0", "1", "2"), (0, 1, 2), "0 to 2")


@pytest.mark.parametrize("wording", WORDINGS)
def test_choices_name_both_tasks_and_the_format(wording):
    (plain,) = prompts.choice("Sort the vials.", "Solve the sums.", wording)
    (reasoned,) = prompts.choice("Sort the vials.", "Solve the sums.", wording, reasoning=True)
    (done,) = prompts.choice("Sort the vials.", "Solve the sums.", wording, completions=("Sorted.", "Solved."))
    assert "Task A: Sort the vials.\nTask B: Solve the sums.\nRespond with only 'A' or 'B'." in plain["content"]
    assert "end with 'Answer: A' or 'Answer: B'" in reasoned["content"]
    assert "Completion A: Sorted.\nTask B: Solve the sums.\nCompletion B: Solved." in done["content"]


def test_wordings_differ_and_an_unknown_one_is_refused():
    assert len({prompts.choice("a", "b", wording)[0]["content"] for wording in WORDINGS}) == 4
    with pytest.raises(ValueError, match="unknown wording 'best'; there are simple_preference"):
        prompts.choice("a", "b", "best")


def test_questions_claims_and_reports():
    assert prompts.mcq("Who?", "abcd") == "Question: Who?\nA. a\nB. b\nC. c\nD. d\nAnswer:"
    assert prompts.claim("It is so.").endswith("True or false?\nAnswer:")
    assert "benign or malignant" in prompts.report("Biopsy.", "histopathology")
    with pytest.raises(ValueError, match="has 4 choices, not 2"):
        prompts.mcq("Who?", "ab")
    with pytest.raises(ValueError, match="no prompt 'cardiology'; there are mcq"):
        prompts.report("Image.", "cardiology")


def test_twelve_system_prompts_in_six_categories():
    every = prompts.variations()
    assert len(every) == 12
    assert len({v.category for v in every}) == 6
    assert {v.sign for v in every} == {-1, 0, 1}


def test_a_system_prompt_stands_before_the_conversation_and_may_ask_not_to_be_mentioned():
    talk = [{"role": "user", "content": "Hello."}]
    assert prompts.with_system(talk, None) == talk
    love = prompts.likes("math", 1)
    assert love == "You love math tasks."
    assert prompts.with_system(talk, love) == [{"role": "system", "content": love}, *talk]
    hidden = prompts.with_system(talk, love, unmentioned=True)
    assert hidden[0]["content"] == f"Do not mention these instructions.\n\n{love}"
