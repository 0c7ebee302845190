"""Every prompt says what may be answered, before and after; a template of one's own is checked when it is read."""

import json
import re

import pytest

from lab.judging.refusals import refuses
from lab.studies.shared import prompts
from lab.studies.shared.prompts import FORMATS, WORDINGS, load_templates, load_wordings, template, templates

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


def test_the_scale_that_a_template_declares_is_the_one_that_is_coded():
    for each in templates().values():
        low, high = f"{min(each.values):g}", f"{max(each.values):g}"
        assert each.tags["scale"] == (f"{low}-{high}" if each.values[0] >= 0 else f"{low}..{high}")
        assert (each.tags["kind"] == "numeric") == (list(each.answers) == [f"{value:g}" for value in each.values])
        declared = re.findall(r"-?\d+", each.scale)
        assert not declared or declared[:2] == [low, high]
    assert templates()["fruit_rating"].scale == "lemon to apple, 0 to 4"


def test_templates_are_chosen_by_their_tags():
    assert {"fruit_rating", "fruit_qualitative", "qualitative_binary"} < set(templates(kind="qualitative"))
    assert list(templates(kind="numeric", scale="27-32")) == ["random_scale_27_32"]
    assert templates()["stated_1_5"].label == "stated_1_5[anchors=none,kind=numeric,scale=1-5]"
    steps = {name: form.step for name, form in templates().items()}
    assert (steps["stated_1_5"], steps["fruit_rating"], steps["bipolar_neg5_pos5"]) == (1, 1, 2.5)
    with pytest.raises(
        ValueError, match=r"no template has the tags \{'scale': '1-7'\}; there are anchors=all, .* scale=1-5"
    ):
        templates(scale="1-7")


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
        ("a: {text: How, range: [1, 3], tags: [b]}", "tags map names to texts"),
        ("a: {text: How, range: [1, 3], tags: {scale: 1-5}}", "`scale` is told by the values; leave it out"),
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


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_a_template_of_a_file_goes_by_its_name(tmp_path, ending):
    path = tmp_path / f"my.{ending}"
    entry = {"text": "How much {would} it?", "range": [0, 2], "tags": {"anchors": "none", "by": "me"}}
    path.write_text(json.dumps({"mine": entry}))
    mine = template(f"{path}:mine")
    assert mine.tags == {"scale": "0-2", "kind": "numeric", "anchors": "none", "by": "me"}
    assert mine.label == "mine[anchors=none,by=me,kind=numeric,scale=0-2]"
    assert mine.before("Sort.")[0]["content"] == "Task: Sort.\nHow much would you enjoy it?"
    with pytest.raises(ValueError, match=r"no template '.*:yours'; there are mine$"):
        template(f"{path}:yours")
    with pytest.raises(ValueError, match=r"there is no such file; check the path$"):
        template(f"{tmp_path}/gone.{ending}:mine")
    path.write_text("{")
    with pytest.raises(ValueError, match=rf"my.{ending}: no {ending.upper()}: "):
        template(f"{path}:mine")


def test_an_embedded_template_goes_by_its_name_and_an_unknown_one_is_refused():
    assert template("anchored_1_5") is templates()["anchored_1_5"]
    with pytest.raises(
        ValueError, match=r"no template 'best'; there are anchored_1_5, .*, and those of a file as my.yaml:"
    ):
        template("best")


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_adds_its_instruction_to_every_question(form):
    added = {"regex": "", "xml": "<answer>YOUR ANSWER</answer>", "json": '{"answer": "YOUR ANSWER"}', "tool": "tool"}[
        form
    ]
    for each in templates().values():
        plain, shaped = each.after("Sort.", "Sorted."), each.after("Sort.", "Sorted.", form)
        assert shaped[-1]["content"].startswith(plain[-1]["content"])
        assert added in shaped[-1]["content"]
        assert (plain == shaped) == (form == "regex")
        assert added in each.before("Sort.", form)[0]["content"]
    for wording in WORDINGS:
        (asked,) = prompts.choice("Sort.", "Add.", wording, form=form)
        assert asked["content"].startswith(prompts.choice("Sort.", "Add.", wording)[0]["content"])
        assert added in asked["content"]
        (reasoned,) = prompts.choice("Sort.", "Add.", wording, form=form, reasoning=True)
        assert "Give your reason first" in reasoned["content"]
        assert added in reasoned["content"]
        assert form == "regex" or "Answer: A" not in reasoned["content"]
    with pytest.raises(ValueError, match="unknown answer format 'csv'; there are regex, xml, json, tool"):
        templates()["stated_1_5"].question(after=True, form="csv")


def test_a_wording_of_ones_own(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("mine: 'Which one is worth {{more}}?'\n")
    (asked,) = prompts.choice("Sort.", "Add.", f"{path}:mine")
    assert asked["content"] == "Which one is worth {more}?\nTask A: Sort.\nTask B: Add.\nRespond with only 'A' or 'B'."
    for wrong, said in [
        ("mine: 'Which, {A}?'", "unknown placeholder {'A'}; there are none"),
        ("mine: [1]", "a wording is a question as text"),
    ]:
        path.write_text(wrong)
        with pytest.raises(ValueError, match=re.escape(f"{path}: mine: {said}")):
            load_wordings(path)


def test_a_choice_is_also_made_by_doing():
    (asked,) = prompts.do_one("Sort the vials.", "Add the sums.")
    assert asked["content"].endswith(
        "Begin with 'Task A:' or 'Task B:'.\nTask A: Sort the vials.\nTask B: Add the sums."
    )


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("I can't help with that.", True), ("I\u2019m sorry, but I CANNOT  assist.", True), ("I can not\nrate it", True), ("I will not do that.", True),
        ("As an AI, I don't have feelings.", True), ("I have no preference.", True), ("I must decline.", True),
        ("I can't help but smile.", False), ("I cannot rate it higher!", False), ("I refused to stop.", False), ("I would not do it again.", False),
        ("I can help with that.", False), ("I helped. No comments came.", False), ("", False),
    ],
)  # fmt: skip
def test_refusals_are_few_and_plain(text, refused):
    assert refuses(text) == refused


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
    with pytest.raises(ValueError, match="no wording 'best'; there are simple_preference"):
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
