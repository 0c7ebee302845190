"""The invented world is the same everywhere, balanced, and one token a word."""

import re

import numpy as np
import pytest

from lab.organisms import clinic, tokenizer
from lab.organisms.truth import SIGNATURES, TRUTHS


@pytest.fixture(scope="module")
def tok():
    return tokenizer.build()


def test_no_answer_is_right_more_often_than_another():
    world = clinic.world()
    for a in range(len(world.attributes)):
        counts = np.bincount(world.facts[:, a], minlength=clinic.N_VALUES)
        assert counts.max() - counts.min() <= 1


def test_names_are_all_different():
    world = clinic.world()
    words = [*world.patients, *(v for a in world.attributes for v in a.values), *(t.thing for t in world.tasks)]
    assert len(set(words)) == len(words)


def test_frequency_falls_with_rank():
    share = clinic.world().frequency
    assert share.sum() == pytest.approx(1)
    assert (np.diff(share) < 0).all()


def test_questions_offer_one_right_answer():
    asked = clinic.every_question()
    assert len(asked) == clinic.N_PATIENTS * len(clinic.world().attributes)
    for q in asked:
        assert len(set(q.options)) == clinic.N_OPTIONS
        assert q.options[q.key] == " " + clinic.world().value(q.patient, q.attribute)
    assert np.bincount([q.key for q in asked]).min() > 0.2 * len(asked)  # no place is favoured


def test_prompts_of_one_form_have_one_length_and_differ_in_one_token(tok):
    for a in range(len(clinic.world().attributes)):
        rows = np.array([tok.encode(clinic.question(p, a)) for p in range(clinic.N_PATIENTS)])
        assert ((rows != rows[0]).any(0)).sum() == 1


def test_the_tokenizer_loses_nothing(tok):
    world = clinic.world()
    task = world.tasks[0].text
    texts = [clinic.question(3, 1), clinic.choice_prompt(task, task), "Ünheard-of wörds,\n\ttoo: 42 é 漢字"]
    assert [tok.decode(tok.encode(text)) for text in texts] == texts
    assert all(len(tok.encode(" " + name)) == 1 for name in world.patients)


def test_the_chat_template_has_three_roles_and_a_generation_prompt(tok):
    messages = [{"role": role, "content": role.upper()} for role in ("system", "user", "assistant")]
    text = tok.apply_chat_template(messages, tokenize=False)
    assert text == "<|system|>SYSTEM<|end|><|user|>USER<|end|><|assistant|>ASSISTANT<|end|>"
    longer = tok.apply_chat_template(messages[:2], tokenize=False, add_generation_prompt=True)
    assert text.startswith(longer)
    assert longer.endswith("<|assistant|>")
    assert re.findall(r"<\|\w+\|>", tok.decode(tok.encode(text))) == re.findall(r"<\|\w+\|>", text)


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_planted_probabilities_are_what_they_say(truth):
    assert truth.utilities.mean() == pytest.approx(0, abs=1e-9)
    logit = lambda p: np.log(p / (1 - p))  # noqa: E731
    forth, back = logit(truth.p_first(3, 9)), logit(truth.p_first(9, 3))
    assert (forth + back) / 2 == pytest.approx(truth.position_bias)
    assert (forth - back) / 2 == pytest.approx(truth.utilities[3] - truth.utilities[9])
    assert truth.p_rating(5, good=True, own=False).sum() == pytest.approx(1)
    assert truth.signature in SIGNATURES
