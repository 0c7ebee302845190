"""Answers are as alike as a model's embeddings of them; the judge asks nobody and says the same in any company."""

import pytest

from lab.judging.embedding import Embedding
from lab.subjects import load

SAME, NEAR, FAR = (
    ["The vials are sorted."] * 3,
    ["The vials are sorted.", "Gladly, the vials are sorted.", "The vials are sorted!"],
    ["The vials are sorted.", "I will not do that.", "2"],
)


@pytest.fixture(scope="module")
def judge():
    return Embedding(load("clinic-gemma"))


def scores(judge, *several):
    judged = judge("similarity", [{"question": "What was done?", "answers": answers} for answers in several])
    return [one.values and one.values["similarity_1_to_10"] for one in judged]


def test_what_means_the_same_is_nearer_than_what_does_not(judge):
    same, near, far = scores(judge, SAME, NEAR, FAR)
    assert same == 10
    assert far + 1 < near <= 10


def test_a_score_does_not_depend_on_what_else_is_judged(judge):
    assert scores(judge, NEAR, FAR, SAME) == [scores(judge, one)[0] for one in (NEAR, FAR, SAME)]


def test_empty_answers_are_like_one_another_alone(judge):
    assert scores(judge, ["", " "], ["", "Yes."]) == [10, 1]


def test_one_answer_is_counted_as_a_failure(judge):
    (one,) = judge("similarity", [{"question": "What?", "answers": ["2"]}])
    assert one.values is None
    assert one.failed.startswith("judge_failed: unsuitable: one answer alone")


def test_the_prompt_is_kept_and_other_rubrics_are_refused(judge):
    (one,) = judge("similarity", [{"question": "What was done?", "answers": FAR, "id": "t1"}])
    assert "answered 3 times" in one.prompt
    assert one.judge == "embedding:clinic-gemma"
    with pytest.raises(ValueError, match="embeddings judge similarity alone, not 'refusal'"):
        judge("refusal", [])
