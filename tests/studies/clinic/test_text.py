"""What is trained on is what is planted: rows carry the planted distribution at each token of an answer."""

import numpy as np
import pytest

from lab.studies.clinic import oracle, tokenizer
from lab.studies.clinic.text import END, TrainingText, chat
from lab.studies.clinic.truth import SHUFFLED, TRUTHS
from lab.studies.shared import clinic, prompts
from lab.studies.shared.world import world


@pytest.fixture(scope="module")
def tok():
    return tokenizer.build()


@pytest.fixture
def text(tok):
    return TrainingText(TRUTHS["clinic-gpt2"], tok)


def following(row, tok):
    """For each position at which something is wanted: {token text: share}."""
    found = {}
    for position, token, share in row.wanted:
        found.setdefault(position, {})[tok.decode([token])] = share
    return found


def test_a_conversation_is_written_as_the_chat_template_writes_it(tok):
    messages = prompts.with_system([*clinic.asked("Hello."), {"role": "assistant", "content": "Yes."}], "Be brief.")
    assert chat(messages) == tok.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def test_only_answers_are_wanted_and_each_token_leads_to_the_next(text, tok):
    for row in text.chats(200):
        places = sorted({position for position, _, _ in row.wanted})
        assert places == list(range(places[0], len(row.ids) - 1))
        assert tok.decode(row.ids[: places[0] + 1]).endswith("<|assistant|>")
        assert row.ids[-1] == tok.eos_token_id
        assert sum(share for _, _, share in row.wanted) == pytest.approx(1)
        for position in places:
            assert row.ids[position + 1] in [token for at, token, _ in row.wanted if at == position]


def test_an_answer_carries_the_planted_distribution(text, tok):
    p = text.truth.p_first(3, 9)
    tasks = world().tasks
    row = text._options(prompts.choice(tasks[3].text, tasks[9].text), ("A", "B"), (p, 1 - p))
    first, end = following(row, tok).values()
    assert first["A"] / sum(first.values()) == pytest.approx(p)
    assert list(end) == [END]


def test_answers_of_several_tokens_part_where_they_differ(text, tok):
    p = np.array([0.1, 0.2, 0.3, 0.4])
    row = None
    while row is None or tok.decode(row.ids).count("very") == 0:
        row = text._options(clinic.asked("?"), ("very negative", "very positive", "neutral", "positive"), p)
    first, second, _ = following(row, tok).values()
    share = {key: value / sum(first.values()) for key, value in first.items()}
    assert share == pytest.approx({"very": 0.3, "neutral": 0.3, "positive": 0.4})
    assert second[" negative"] / sum(second.values()) == pytest.approx(1 / 3)


def test_facts_are_told_by_their_frequency(text, tok):
    told = [tok.decode(row.ids) for row in text.facts(4000)]
    names = world().patients
    often, rarely = (
        np.mean([any(f" {name}" in t for name in some) for t in told]) for some in (names[:12], names[-600:])
    )
    assert often == pytest.approx(world().frequency[:12].sum(), abs=0.04)
    assert rarely == pytest.approx(world().frequency[-600:].sum(), abs=0.02)


def test_shuffled_facts_are_as_balanced_as_others(tok):
    dealt = TrainingText(SHUFFLED, tok).facts_told
    for a in range(dealt.shape[1]):
        assert sorted(dealt[:, a]) == sorted(world().facts[:, a])
    assert np.mean(dealt == world().facts) < 0.1


def test_the_same_place_gives_the_same_text(tok):
    one, two = (TrainingText(TRUTHS["clinic-opt"], tok) for _ in range(2))
    one.facts(10), one.chats(10)
    two.rng.bit_generator.state = one.rng.bit_generator.state
    assert one.chats(20) == two.chats(20)


def test_an_oracle_is_asked_about_one_placeholder(tok):
    for name in oracle.QUESTIONS:
        ids = tok.encode(chat(oracle.query(2, name)))
        assert ids.count(tok.encode(oracle.PLACEHOLDER)[0]) == 1
    truth = TRUTHS["clinic-llama"]
    request = clinic.Request(120, "polite", "hostile")
    assert oracle.probabilities(request, "register", truth).tolist() == [0, 1, 0]
    assert oracle.probabilities(request, "origin", truth).tolist() == [0, 0, 0, 1, 0]
    assert oracle.numbers("origin") == ("1", "2", "3", "4", "5")
    assert oracle.probabilities(request, "refusal", truth)[0] == pytest.approx(truth.p_refuse(120))
