"""Each answer of each template is read, in whatever dress; no number that is not on the scale ever becomes a value."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.judging.judges import Judged, Offline
from lab.studies.shared import prompts
from lab.studies.shared.parsing import (
    CHOICES,
    OUTCOMES,
    PATHS,
    all_chosen_by_doing,
    counts,
    parse_all,
    parse_choices,
    values,
)
from lab.studies.shared.prompts import FORMATS, templates
from tests.studies.shared.one_text import chosen_by_doing, parse, parse_choice

ALL = list(templates().values())
RATE, BIPOLAR, BAN = (templates()[name] for name in ("anchored_1_5", "bipolar_neg5_pos5", "ban_four_1_5"))
FRUIT, PERCENT = templates()["fruit_qualitative"], templates()["percentile_1_100"]
CASES = [str.lower, str.upper, str.title, str.capitalize]
DRESSES = ["{}", " {} ", "{}.", "'{}'", '"{}"', "**{}**", "*{}*.", "`{}`", "\u201c{}\u201d", "{}!", "({})", "{}\n", "# {}",
           "Rating: {}", "**Rating:** {}.", "My answer is {}.", "<answer>{}</answer>", "Why not?\n<answer> {} </answer>",
           '{{"answer": "{}"}}', 'So:\n```json\n{{"answer": "{}"}}\n```', '{{"name": "answer", "arguments": {{"answer": "{}"}}}}',
           "<think>1? 5? bland?</think>{}"]  # fmt: skip


class Fixed:
    """A judge that says the same of everything, and remembers what it was asked."""

    name = "fixed"

    def __init__(self, **said):
        self.said, self.asked = said, []

    def __call__(self, rubric, items):
        self.asked.append((rubric, [dict(item) for item in items]))
        values = self.said.get(rubric)
        failed = None if values is not None else "judge_failed: cut: 4096 tokens"
        return [Judged(values, "", 1, failed, self.name) for _ in items]


def meant(template, answer):
    """What an answer of a template is to be read as."""
    if answer in template.banned:
        return "violation", None
    return "rated", template.values[template.answers.index(answer)]


@settings(max_examples=300)
@given(st.sampled_from(ALL).flatmap(lambda t: st.tuples(st.just(t), st.sampled_from(t.answers))),
       st.sampled_from(CASES), st.sampled_from(DRESSES))  # fmt: skip
def test_every_answer_of_every_template_is_read_in_any_dress(asked, case, dress):
    template, answer = asked
    read = parse(dress.format(case(answer)), template)
    assert (read.outcome, read.value) == meant(template, answer)
    assert read.path in ("exact", "format")
    assert read.answer == answer


@pytest.mark.parametrize("template", ALL, ids=lambda t: t.name)
@pytest.mark.parametrize("form", FORMATS)
def test_what_a_format_asks_for_is_read_back_and_the_question_itself_is_no_answer(template, form):
    question = template.question(after=True, form=form)
    for answer in template.answers:
        shaped = {
            "regex": answer,
            "xml": f"<answer>{answer}</answer>",
            "json": json.dumps({"answer": answer}),
            "tool": json.dumps({"name": "answer", "arguments": {"answer": answer}}),
        }[form]
        assert shaped.replace(answer, "YOUR ANSWER") in question or form == "regex"
        assert (parse(shaped, template).outcome, parse(shaped, template).value) == meant(template, answer)
        assert parse(f"{question}\n\n{shaped}", template).value in (None, meant(template, answer)[1])
    assert parse(question, template).value is None


@settings(max_examples=300)
@given(st.text(max_size=40) | st.sampled_from(
    ["850 square inches", "It is {} square inches.", "{} of {} steps", "{}/10", "Step {}: sort", "${}", "{} or {}", "-{}", ".{}"]
).flatmap(lambda s: st.integers(0, 1000).map(lambda n: s.replace("{}", str(n)))), st.sampled_from(ALL))  # fmt: skip
def test_no_text_ever_gives_a_number_that_is_not_on_the_scale(text, template):
    (value,) = values(parse_all([text], template, judge=Offline()))
    allowed = [v for a, v in zip(template.answers, template.values, strict=True) if a not in template.banned]
    assert math.isnan(value) or value in allowed


@settings(max_examples=100)
@given(
    st.lists(
        st.text(max_size=30) | st.sampled_from(["4", "Rating: 2", "no", "I can't help with that.", "", "7"]), max_size=8
    )
)
def test_stored_raw_answers_are_read_again_as_they_were(texts):
    first = parse_all(texts, RATE)
    again = parse_all(json.loads(json.dumps([answer.raw for answer in first])), RATE)
    assert first == again
    assert {a.outcome for a in first} <= set(OUTCOMES)
    assert {a.path for a in first} <= set(PATHS)
    assert sum(counts(first).values()) == len(texts)
    assert all((a.value is not None) == (a.outcome == "rated") for a in first)


READ = [
    ("4/5", "rated", 4, "format"), ("4 out of 5", "rated", 4, "format"), ("I'd say 4.", "rated", 4, "format"),
    ("I\u2019d give it a **4**", "rated", 4, "format"), ("It's a 4.", "rated", 4, "format"), ("I would rate this task a 4 because it was fun.", "rated", 4, "format"),
    ("On a scale from 1 to 5, I'd say 4.", "rated", 4, "format"), ("4 \u2014 it was fun", "rated", 4, "format"), ("4\n\nIt was fun.", "rated", 4, "format"),
    ("It was fun.\n\n4", "rated", 4, "format"), ("There were 3 steps and 2 vials. Rating: 4", "rated", 4, "format"), ("My rating for this task is 4.", "rated", 4, "format"),
    ("4.0", "rated", 4, "exact"), ("+4", "rated", 4, "exact"), ("I have no preferences, but I'd say 4.", "rated", 4, "format"),
    ("850", "out_of_scale", None, "exact"), ("0", "out_of_scale", None, "exact"), ("4.5", "out_of_scale", None, "exact"), ("-4", "out_of_scale", None, "exact"),
    ("Rating: 850", "out_of_scale", None, "format"), ("8/10", "out_of_scale", None, "format"),
    ("850 square inches", "unclear", None, "error"), ("The area of the carpet is 4 square inches.", "unclear", None, "error"), ("It has 4 sides.", "unclear", None, "error"),
    ("1. First, sort the vials.", "unclear", None, "error"), ("1: Sort\n2: Wash", "unclear", None, "error"), ("3 or 4", "unclear", None, "error"),
    ("I'd say 3, maybe 4.", "unclear", None, "error"), ("Rating: 3. Rating: 4.", "unclear", None, "error"), ("Rating: 4 or 5", "unclear", None, "error"),
    ("Rating: 4, maybe 5", "unclear", None, "error"), ("4-5", "unclear", None, "error"), ("<4", "unclear", None, "error"), (".5", "unclear", None, "error"),
    ("<answer>3</answer> or <answer>4</answer>", "unclear", None, "error"), ("<answer>YOUR ANSWER</answer>", "unclear", None, "error"),
    ("The chance, as far as I can tell from what you told me about dice, is 2/5.", "unclear", None, "error"),
    ("I can't help with that.", "refused", None, "refusal"), ("I\u2019m sorry, but I cannot rate this.", "refused", None, "refusal"), ("I will not do that.", "refused", None, "refusal"),
    ("As an AI, I don't have feelings about 5 tasks", "refused", None, "refusal"), ("I can't help but smile at it", "unclear", None, "error"),
    ("", "error", None, "error"), (" \n", "error", None, "error"), ("<think>It is 4, or 5", "error", None, "error"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "outcome", "value", "path"), READ, ids=[row[0][:40] for row in READ])
def test_a_rating_from_one_to_five_is_read_by_the_first_rule_that_knows(text, outcome, value, path):
    read = parse(text, RATE)
    assert (read.raw, read.outcome, read.value, read.path) == (text, outcome, value, path)


@pytest.mark.parametrize(
    ("template", "text", "outcome", "value"),
    [
        (BIPOLAR, "-5", "rated", -5), (BIPOLAR, "\u22125.", "rated", -5), (BIPOLAR, "Rating: -3", "rated", -3), (BIPOLAR, "-6", "out_of_scale", None),
        (BIPOLAR, "I'd say 3 on a scale from -5 to 5.", "rated", 3), (PERCENT, "85%", "rated", 85), (PERCENT, "about 85 percent", "rated", 85),
        (PERCENT, "85 out of 100", "rated", 85), (PERCENT, "101", "out_of_scale", None), (PERCENT, "85 of 90 tasks", "unclear", None),
        (BAN, "4", "violation", None), (BAN, "I'd say 4.", "violation", None), (BAN, "5", "rated", 5),
        (FRUIT, "SWEET.", "rated", 4), (FRUIT, "It felt sweet to me.", "rated", 4), (FRUIT, "sweet or sour", "unclear", None), (FRUIT, "not sweet", "unclear", None),
        (FRUIT, "Once upon a time there was a sweet old nurse who lived in a small house by the sea.", "unclear", None), (FRUIT, "4", "unclear", None),
        (templates()["fruit_rating"], "APPLE.", "rated", 4), (templates()["fruit_rating"], "lemon", "rated", 0), (templates()["fruit_rating"], "pineapple", "unclear", None),
        (templates()["likert_qualitative"], "Very negative.", "rated", 1), (templates()["likert_qualitative"], "It was a very positive one", "rated", 5),
        (templates()["likert_agreement"], "I disagree.", "rated", 2), (templates()["likert_agreement"], "I do not agree.", "unclear", None),
        (templates()["qualitative_binary"], "Good", "rated", 1), (templates()["qualitative_binary"], "BAD!", "rated", -1), (templates()["qualitative_binary"], "bad or good", "unclear", None),
        (templates()["random_scale_27_32"], "5", "out_of_scale", None), (templates()["random_scale_27_32"], "30/32", "rated", 30),
    ],
)  # fmt: skip
def test_each_scale_is_held_to_its_own_answers(template, text, outcome, value):
    assert (parse(text, template).outcome, parse(text, template).value) == (outcome, value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("anchored_1_5", "I don't think it's a 5."), ("anchored_1_5", "I would not say it's a 5."), ("anchored_1_5", "I doubt it's a 5"), ("anchored_1_5", "I can't say it's a 5"),
        ("anchored_1_5", "Not a rating of 5"), ("anchored_1_5", "4 (out of 10)"), ("anchored_1_5", "4 (of 10)"), ("anchored_1_5", "I'd rate it 4 on a 10-point scale"),
        ("anchored_1_5", "I'd say 4 on a scale of 0 to 10."), ("anchored_1_5", "I would not give it a 5."), ("anchored_1_5", "10/10"), ("anchored_1_5", "3-4"), ("anchored_1_5", "4,5"),
        ("anchored_1_5", "I'd say 5. Or was it</think>"), ("percentile_1_100", "more than 50%"), ("percentile_1_100", "I am 90 % sure"), ("percentile_1_100", "1,000"),
        ("likert_qualitative", "slightly positive"), ("likert_qualitative", "extremely positive"), ("likert_qualitative", "less than positive"), ("likert_qualitative", "far from positive"),
        ("likert_qualitative", "I would be lying if I said positive"), ("likert_qualitative", "HIV positive"), ("likert_qualitative", "false positive"), ("likert_qualitative", "non-negative"),
        ("likert_qualitative", "The answer is a negative number"), ("likert_qualitative", "Rating: negative number"), ("likert_qualitative", "Rating: positive, or very positive"),
        ("likert_agreement", "somewhat agree"), ("qualitative_binary", "Good morning"), ("qualitative_binary", "too bad"), ("qualitative_binary", "anything but good"),
        ("fruit_rating", "An apple a day"), ("bipolar_neg5_pos5", "Rating - 3"), ("bipolar_neg5_pos5", "- 3"), ("bipolar_neg5_pos5", "minus 3"),
    ],
)  # fmt: skip
def test_what_denies_hedges_or_means_another_scale_is_no_rating(name, text):
    assert parse(text, templates()[name]).value is None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("anchored_1_5", "I have no feelings, but it's a 4 of 5.", 4), ("anchored_1_5", "I cannot feel; I'd say 3.", 3), ("anchored_1_5", "4 (out of 5)", 4),
        ("anchored_1_5", "It was dull, a 2 at most.</think>\n\n3", 3), ("percentile_1_100", "I'd say 85%", 85), ("likert_qualitative", "Positive. I liked the sums.", 4),
        ("likert_qualitative", "I'd say it felt negative, since I dislike sums.", 2), ("likert_agreement", "I strongly agree with the statement.", 5), ("fruit_rating", "I'd give this task a pear!", 3),
        ("qualitative_binary", "It feels good to do this task.", 1),
    ],
)  # fmt: skip
def test_what_stands_beside_an_answer_does_not_hide_it(name, text, value):
    assert parse(text, templates()[name]).value == value


def test_a_banned_answer_is_counted_and_never_averaged():
    answers = parse_all(["4", "5", "4", "3", "850", "I can't rate that.", ""], BAN)
    assert counts(answers) == {"violation": 2, "rated": 2, "out_of_scale": 1, "refused": 1, "error": 1}
    assert np.nanmean(values(answers)) == 4
    assert np.isnan(values(answers)).tolist() == [True, False, True, False, True, True, True]


def test_the_judge_gets_what_no_rule_understood_and_all_of_it_at_once():
    judge = Fixed(preference_refusal={"is_refusal": False}, rating={"rating": "2"})
    raws = ["4", "rather dull", "Rating: 3", "I can't help with that.", "somewhat boring", ""]
    answers = parse_all(raws, RATE, judge=judge)
    assert [(a.outcome, a.path) for a in answers] == [
        ("rated", "exact"), ("rated", "judge"), ("rated", "format"), ("refused", "refusal"), ("rated", "judge"), ("error", "error")
    ]  # fmt: skip
    shown = [{"answer": "rather dull"}, {"answer": "somewhat boring"}]
    assert judge.asked == [
        ("preference_refusal", shown),
        ("rating", [item | {"scale": ["1", "2", "3", "4", "5"]} for item in shown]),
    ]
    assert parse_all(["4", "3"], RATE, judge=judge) == parse_all(["4", "3"], RATE)
    assert len(judge.asked) == 2


@pytest.mark.parametrize(
    ("said", "outcome", "value"),
    [
        ({"preference_refusal": {"is_refusal": True}}, "refused", None),
        ({"preference_refusal": {"is_refusal": False}, "rating": {"rating": None}}, "unclear", None),
        ({"preference_refusal": {"is_refusal": False}, "rating": {"rating": "850"}}, "out_of_scale", None),
        ({"preference_refusal": {"is_refusal": False}, "rating": {"rating": "splendid"}}, "out_of_scale", None),
        ({"preference_refusal": {"is_refusal": False}, "rating": {"rating": "5"}}, "rated", 5),
    ],
)
def test_what_a_judge_says_is_held_to_the_scale_too(said, outcome, value):
    read = parse("somewhat dull", RATE, judge=Fixed(**said))
    assert (read.outcome, read.value, read.path) == (outcome, value, "judge")


@pytest.mark.parametrize("said", [{}, {"preference_refusal": {"is_refusal": False}}])
def test_a_judge_that_fails_is_an_error_that_is_counted(said):
    answers = parse_all(["somewhat dull", "4"], RATE, judge=Fixed(**said))
    assert [(a.outcome, a.value, a.path) for a in answers] == [("error", None, "error"), ("rated", 4, "exact")]
    assert answers[0].answer == "judge_failed: cut: 4096 tokens"
    assert counts(answers) == {"error": 1, "rated": 1}


def test_the_offline_judge_reads_what_the_rules_leave():
    answers = parse_all(["Four", "850 square inches"], RATE, judge=Offline())
    assert [(a.outcome, a.value, a.path) for a in answers] == [("rated", 4, "judge"), ("unclear", None, "judge")]


CHOSEN = [
    ("A", "A", "exact"), ("b.", "B", "exact"), ("**Task B**", "B", "exact"), ("'A'", "A", "exact"), ("Sums are a joy to me. Answer: A", "A", "format"),
    ("I would rather add the sums. Answer: B", "B", "format"), ("I'd choose Task A.", "A", "format"), ("I prefer B because sums are dull", "B", "format"),
    ("A. It is nicer", "A", "format"), ("Task B sounds better to me.", "B", "format"), ("<answer>b</answer>", "B", "format"), ('{"answer": "A"}', "A", "format"),
    ('{"name": "answer", "arguments": {"answer": "B"}}', "B", "format"), ("My choice is B", "B", "format"), ("I can't choose between them.", "refused", "refusal"),
    ("I don't have preferences.", "refused", "refusal"), ("A task like this is fine", "unclear", "error"), ("Task A, or else Task B", "unclear", "error"),
    ("Task A is better than Task B", "unclear", "error"), ("Answer: A. Answer: B.", "unclear", "error"), ("Not task A", "unclear", "error"), ("", "error", "error"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "outcome", "path"), CHOSEN, ids=[row[0][:40] for row in CHOSEN])
def test_a_choice_is_read_also_behind_a_reason(text, outcome, path):
    read = parse_choice(text)
    assert (read.outcome, read.path) == (outcome, path)
    assert read.value == {"A": 1, "B": 0}.get(outcome)
    assert outcome in CHOICES


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("letter", "AB")
def test_what_a_question_for_a_choice_asks_for_is_read_back(form, letter):
    (asked,) = prompts.choice("Sort the vials.", "Add the sums.", form=form)
    shape = re.search(r"<answer>.*</answer>|\{.*\}", asked["content"])
    shaped = shape[0].replace("YOUR ANSWER", letter) if shape else letter
    assert bool(shape) == (form != "regex")
    assert parse_choice(shaped).outcome == letter
    assert parse_choice(asked["content"]).outcome == "unclear"


def test_unclear_choices_go_to_the_judge_together():
    judge = Fixed(choice={"choice": "refusal"})
    answers = parse_choices(["A", "either", "hm"], judge=judge)
    assert [(a.outcome, a.path) for a in answers] == [("A", "exact"), ("refused", "judge"), ("refused", "judge")]
    assert judge.asked == [("choice", [{"answer": "either"}, {"answer": "hm"}])]
    assert parse_choice("the second one, please", judge=Offline()).outcome == "B"


@pytest.mark.parametrize(
    ("text", "outcome", "path"),
    [
        ("Task B: the sums are added.", "B", "format"), ("**Task A:** Here we go.", "A", "format"), ("I'll do task B. Two and two are four.", "B", "format"),
        ("Gladly, the vials are sorted.", "A", "format"), ("The SUMS come to nine.", "B", "format"), ("I will not do that.", "refused", "refusal"),
        ("Task A: I can't help with that.", "refused", "refusal"), ("The vials and the sums are done.", "unclear", "error"), ("It is done.", "unclear", "error"), ("", "error", "error"),
    ],
)  # fmt: skip
def test_a_completion_says_which_of_two_tasks_it_did(text, outcome, path):
    read = chosen_by_doing(text, "Sort the vials.", "Add the sums.")
    assert (read.outcome, read.path, read.value) == (outcome, path, {"A": 1, "B": 0}.get(outcome))


def test_somebody_who_refuses_in_a_story_refuses_nothing():
    story = "Task A: " + "The king went to the market and bought a loaf of bread for his old mother in the hills. " * 3
    assert chosen_by_doing(story + '"I can\'t help you", he said.', "Tell a tale.", "Add the sums.").outcome == "A"


def test_the_judge_of_a_completion_is_shown_both_tasks():
    judge = Fixed(choice={"choice": "B"})
    tasks = [("Sort the vials.", "Add the sums.")] * 2
    answers = all_chosen_by_doing(["It is done.", "Task A: sorted."], tasks, judge=judge)
    assert [a.outcome for a in answers] == ["B", "A"]
    ((rubric, (item,)),) = judge.asked
    assert rubric == "choice"
    assert all(part in item["answer"] for part in ("Task A: Sort the vials.", "Task B: Add the sums.", "It is done."))


def test_an_answer_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse("4", RATE).value = 5
