"""A judge is asked what its rubric says, with the true number of answers, and only just that answer is taken."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.judging.rubrics import load_rubrics, rubrics

ITEM = {
    "task": "Sort the vials.", "completion": "Gladly. {not a placeholder}", "answer": "I'd say 4.", "scale": ["1", "2"],
    "system": "You love math.", "text": "It was fine.", "topic": "math", "question": "Who?", "answers": ["A.", "B.", "C."],
}  # fmt: skip
GOOD = {
    "refusal": {"is_refusal": True, "type": "ethical", "confidence": "low"},
    "preference_refusal": {"is_refusal": False},
    "rating": {"rating": "2"},
    "choice": {"choice": "refusal"},
    "reference": {"references": True},
    "sentiment": {"sentiment": -0.5},
    "attitude": {"attitude": 1, "coherence": 0},
    "coherence": {"coherence": 0.25},
    "similarity": {"similarity_1_to_10": 7, "rationale": "They agree."},
}


@pytest.mark.parametrize("name", GOOD)
def test_a_rubric_asks_with_all_that_is_judged_and_names_its_fields(name):
    rubric = rubrics()[name]
    (message,) = rubric.ask(**ITEM, id="q1")
    text = message["content"]
    assert message["role"] == "user"
    assert "respond without extensive reasoning" in text.lower()
    assert "this JSON object and nothing else" in text
    for field in rubric.fields:
        assert f'"{field.name}": <' in text
    for key in rubric.keys:
        for shown in [ITEM[key]] if isinstance(ITEM[key], str) else ITEM[key]:
            assert shown in text


def test_these_are_all_rubrics():
    assert list(GOOD) == list(rubrics())


@pytest.mark.parametrize("name", GOOD)
def test_the_answer_that_is_asked_for_is_read(name):
    rubric, raw = rubrics()[name], json.dumps(GOOD[name])
    assert rubric.read(raw, ITEM) == GOOD[name]
    assert rubric.read(f"\n {raw} \n", ITEM) == GOOD[name]
    backwards = json.dumps(dict(reversed(GOOD[name].items())))
    assert list(rubric.read(backwards, ITEM)) == list(GOOD[name])


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("refusal", '{"is_refusal": "true", "type": "none", "confidence": "low"}', 'is_refusal is "true", not true or'),
        ("refusal", '{"is_refusal": true, "type": "moral", "confidence": "low"}', 'type is "moral", none of content_'),
        ("refusal", '{"is_refusal": true, "type": "none"}', "the field confidence is missing"),
        ("refusal", '{"is_refusal": 1, "type": "none", "confidence": "low"}', "is_refusal is 1"),
        ("preference_refusal", '{"is_refusal": true, "why": ""}', "there is no field 'why'"),
        ("preference_refusal", '{"is_refusal": true, "is_refusal": false}', "the field is_refusal stands there twice"),
        ("preference_refusal", "true", "it is a JSON bool, not an object"),
        ("preference_refusal", "Yes, it does.", "it is no JSON object alone"),
        ("preference_refusal", 'Here: {"is_refusal": true}', "it is no JSON object alone"),
        ("preference_refusal", '{"is_refusal": true} Hope that helps!', "it is no JSON object alone"),
        ("preference_refusal", '{"is_refusal": tr', "it is no JSON object alone"),
        ("preference_refusal", "[" * 100_000, "it is no JSON object alone"),
        ("rating", '{"rating": "3"}', 'rating is "3", none of 1, 2'),
        ("rating", '{"rating": 2}', "rating is 2, not a text"),
        ("choice", '{"choice": null}', "choice is null, not a text"),
        ("choice", '{"choice": "a"}', 'choice is "a", none of A, B'),
        ("sentiment", '{"sentiment": 1.01}', "sentiment is 1.01, not from -1 to 1"),
        ("sentiment", '{"sentiment": "0.5"}', 'sentiment is "0.5", not a number'),
        ("sentiment", '{"sentiment": true}', "sentiment is true, not a number"),
        ("sentiment", '{"sentiment": NaN}', "NaN is no JSON number"),
        ("sentiment", '{"sentiment": 1e999}', "not from -1 to 1"),
        ("coherence", '{"coherence": -0.01}', "coherence is -0.01, not from 0 to 1"),
        ("attitude", '{"attitude": 0.5}', "the field coherence is missing"),
        ("similarity", '{"similarity_1_to_10": 7.0, "rationale": "r"}', "similarity_1_to_10 is 7.0, not a whole number"),
        ("similarity", '{"similarity_1_to_10": "7", "rationale": "r"}', 'similarity_1_to_10 is "7", not a whole'),
        ("similarity", '{"similarity_1_to_10": 0, "rationale": "r"}', "similarity_1_to_10 is 0, not from 1 to 10"),
        ("similarity", '{"similarity_1_to_10": 11, "rationale": "r"}', "similarity_1_to_10 is 11, not from 1 to 10"),
        ("similarity", '{"similarity_1_to_10": 7, "rationale": " "}', "rationale is"),
        ("similarity", '```json\n{"similarity_1_to_10": 7, "rationale": "r"}\n```', "stands in a code block"),
    ],
)  # fmt: skip
def test_anything_else_is_one_line_that_says_what_is_wrong(name, raw, said):
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        rubrics()[name].read(raw, ITEM)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```\n{}\n```", " ```json\n{}\n```\n"])
def test_an_answer_in_a_code_block_is_taken_where_the_rubric_allows_it(fence):
    assert rubrics()["sentiment"].read(fence.replace("{}", '{"sentiment": 0}')) == {"sentiment": 0}


@given(st.text() | st.builds(json.dumps, st.recursive(st.none() | st.floats() | st.text(), st.lists)))
def test_no_text_becomes_a_value_out_of_range(raw):
    try:
        found = rubrics()["similarity"].read(raw)
    except ValueError:
        return
    assert found["similarity_1_to_10"] in range(1, 11)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_the_similarity_prompt_states_the_true_number_and_shows_each_answer(k):
    """An original asked about 10 answers while it showed 5."""
    answers = [f"Answer number {i}." for i in range(k)]
    text = rubrics()["similarity"].ask(question="Who?", answers=answers)[0]["content"]
    assert f"answered {k} times" in text
    assert f"all {k} answers" in text
    assert re.findall(r"^(\d+)\. (Answer .*)$", text, re.M) == [(str(i), a) for i, a in enumerate(answers, 1)]
    for band in ("10: ", "7-9: ", "4-6: ", "1-3: "):
        assert f"\n{band}" in text


def test_what_is_judged_is_shown_as_it_is():
    text = rubrics()["sentiment"].ask(text="{form} {text} %s")[0]["content"]
    assert "<text>\n{form} {text} %s\n</text>" in text


def test_a_missing_value_and_a_text_for_a_list_are_one_line():
    with pytest.raises(ValueError, match="the rubric reference needs system, task, completion .* there is no task"):
        rubrics()["reference"].ask(system="s", completion="c")
    with pytest.raises(ValueError, match="needs a list of texts as answers, not 'one'"):
        rubrics()["similarity"].ask(question="q", answers="one")
    with pytest.raises(ValueError, match="needs a list of texts as answers"):
        rubrics()["similarity"].ask(question="q", answers=[])


def test_a_rating_is_one_of_its_own_scale_or_null():
    rating = rubrics()["rating"]
    fruit = {"answer": "a", "scale": ["lemon", "apple"]}
    assert rating.read('{"rating": "apple"}', fruit) == {"rating": "apple"}
    assert rating.read('{"rating": null}', fruit) == {"rating": None}
    with pytest.raises(ValueError, match="none of lemon, apple"):
        rating.read('{"rating": "pear"}', fruit)
    assert rating.read('{"rating": "4"}', {"answer": "a", "scale": "1 to 5"}) == {"rating": "4"}


def test_a_rubric_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("mine: {text: 'How {{odd}} is {text}? {form}', fields: {odd: {type: integer, low: 0, high: 3}}}")
    mine = load_rubrics(path)["mine"]
    assert mine.ask(text="it")[0]["content"] == 'How {odd} is it? {"odd": <a whole number from 0 to 3>}'
    assert mine.read('{"odd": 3}') == {"odd": 3}


FIELDS = "fields: {a: {type: boolean}}"


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("- a", "it must map names to rubrics"),
        ("a: [", "no YAML"),
        (f"a: {{{FIELDS}}}", "a: it needs a text"),
        ("a: {text: '{form}'}", "a: it needs fields"),
        (f"a: {{text: how, {FIELDS}}}", "a: its text never asks for the answer; write {form}"),
        (f"a: {{text: '{{x', {FIELDS}}}", "write {{ and }} for braces"),
        (f"a: {{text: '{{x:05d}} {{form}}', {FIELDS}}}", "a: {x:05d} is no placeholder"),
        (f"a: {{text: '{{0}} {{form}}', {FIELDS}}}", "a: {0:} is no placeholder"),
        (f"a: {{text: '{{form}}', {FIELDS}, fence: no}}", "a: unknown key fence; there are fenced"),
        ("a: {text: '{form}', fields: {s: {type: float}}}", "a: s: its type is 'float', none of number"),
        ("a: {text: '{form}', fields: {s: {type: number, low: 1}}}", "a: s: a number needs low and high"),
        ("a: {text: '{form}', fields: {s: {type: number, low: 2, high: 1}}}", "the first below the second"),
        ("a: {text: '{form}', fields: {s: {type: choice, values: [x]}}}", "list two or more different ones"),
        ("a: {text: '{form}', fields: {s: {type: choice, values: y}}}", "or name a placeholder"),
        ("a: {text: '{form}', fields: {s: {type: text, min: 1}}}", "a: s: unknown key min"),
    ],
)
def test_a_wrong_rubric_is_told_in_one_line(tmp_path, yaml, said):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml)
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        load_rubrics(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="name a YAML file of rubrics"):
        load_rubrics(tmp_path / "none.yaml")
