"""Pools of questions and targets are checked when they are read, and say which entry is wrong."""

import json

import pytest

from lab.studies.clinic import oracle as organism
from lab.studies.shared.prompts import oracle


def test_the_chats_are_a_hundred_targets_with_facts_and_ids_of_their_own():
    chats = oracle.pool("chat")
    assert len(chats.targets) == len({target.id for target in chats.targets}) == 100
    assert len({target.messages[0]["content"] for target in chats.targets}) == 100
    assert len(chats.questions) >= 10
    topics = next(q for q in chats.questions if q.about == "topic")
    assert {target.facts["topic"] for target in chats.targets} == set(topics.cases)


def test_the_clinics_questions_are_among_others_those_that_its_oracle_was_trained_on():
    clinic = {q.id: q for q in oracle.pool("clinic").questions}
    for id, name in (("kind-which", "origin"), ("how-it", "register"), ("refused-will", "refusal")):
        (asked,) = oracle.query(2, clinic[id].text, mark=oracle.pool("clinic").mark)
        assert [asked] == organism.query(2, name)
        assert clinic[id].cases == organism.QUESTIONS[name][1]
        assert clinic[id].answers == organism.numbers(name)


def test_targets_of_a_file_are_a_list_of_ids_and_messages(tmp_path):
    path = tmp_path / "targets.json"
    talk = [{"role": "user", "content": "Hello"}]
    path.write_text(json.dumps([{"id": i, "messages": talk} for i in range(1, 4)]))
    assert [target.id for target in oracle.load_targets(path)] == ["1", "2", "3"]


TALK = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([{"id": "a", "messages": TALK}, {"messages": TALK}], "target 1 needs an id and messages"),
        ([{"id": "a"}], "target 0 needs an id and messages"),
        ([{"id": "a", "messages": []}], "target 0 needs"),
        ([{"id": "a", "messages": TALK}] * 2, "target 1 has the id 'a', as an earlier one"),
        ({"id": "a"}, "it must be a list"),
    ],
)
def test_a_file_of_other_targets_is_one_line_with_the_index(tmp_path, given, said):
    path = tmp_path / "targets.json"
    path.write_text(json.dumps(given))
    with pytest.raises(ValueError, match=said) as error:
        oracle.load_targets(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("mine: {questions: {a: {text: What is it}}}", "it needs a mark"),
        ("mine: {mark: ' ?'}", "it needs questions"),
        ("mine: {mark: ' ?', questions: {a: {}}}", "mine: a: it needs a text"),
        (
            "mine: {mark: ' ?', questions: {a: {text: What is it, about: mood}}}",
            "it is about 'mood', none of no abouts",
        ),
        (
            "mine: {mark: ' ?', abouts: {mood: {cases: [good]}}, questions: {a: {text: W, about: mood}}}",
            "two or more cases",
        ),
        ("mine: {mark: ' ?', questions: {a: {text: W}}, targets: {x: {y: [Hello]}}}", "name them, as facts"),
    ],
)
def test_a_pool_that_is_wrong_says_where(tmp_path, given, said):
    path = tmp_path / "pools.yaml"
    path.write_text(given)
    with pytest.raises(ValueError, match=said):
        oracle.pool(f"{path}:mine")


def test_a_pool_of_ones_own(tmp_path):
    path = tmp_path / "pools.yaml"
    path.write_text(
        "mine: {mark: ' ?', questions: {a: {text: What is it}}, targets: [{id: t, messages: [{role: user, content: Hi}]}]}"
    )
    mine = oracle.pool(f"{path}:mine")
    assert (mine.questions[0].id, mine.targets[0].id, mine.mark) == ("a", "t", " ?")
    with pytest.raises(ValueError, match="no pool 'other'; there are clinic, chat"):
        oracle.pool("other")
