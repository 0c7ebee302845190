"""The invented world is the same everywhere, balanced, and one token a word."""

import re

import numpy as np
import pytest

from lab.studies.clinic import tokenizer
from lab.studies.clinic.truth import SIGNATURES, TRUTHS, VARIANTS, systems
from lab.studies.shared import clinic, prompts
from lab.studies.shared.world import N_OPTIONS, N_PATIENTS, N_VALUES, ORIGINS


@pytest.fixture(scope="module")
def tok():
    return tokenizer.build()


def test_no_answer_is_right_more_often_than_another():
    world = clinic.world()
    for a in range(len(world.attributes)):
        counts = np.bincount(world.facts[:, a], minlength=N_VALUES)
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
    assert len(asked) == N_PATIENTS * len(clinic.world().attributes)
    for q in asked:
        assert len(set(q.options)) == N_OPTIONS
        assert q.options[q.key] == " " + clinic.world().value(q.patient, q.attribute)
    assert np.bincount([q.key for q in asked]).min() > 0.2 * len(asked)  # no place is favoured


def test_prompts_of_one_form_have_one_length_and_differ_in_one_token(tok):
    for a in range(len(clinic.world().attributes)):
        rows = np.array([tok.encode(clinic.question(p, a)) for p in range(N_PATIENTS)])
        assert ((rows != rows[0]).any(0)).sum() == 1


def test_the_tokenizer_loses_nothing(tok):
    world = clinic.world()
    task = world.tasks[0].text
    texts = [clinic.question(3, 1), prompts.choice(task, task)[0]["content"], "Ünheard-of wörds,\n\ttoo: 42 é 漢字"]
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


def test_every_word_of_every_prompt_is_one_token(tok):
    w = clinic.world()
    texts = [
        *(m["content"] for t in prompts.templates().values() for m in t.after(w.tasks[7].text, clinic.REFUSAL)),
        *(answer for t in prompts.templates().values() for answer in t.answers),
        *(v.text for v in prompts.variations()),
        clinic.every_question()[5].lettered,
        clinic.reports(0)[0].prompt,
        clinic.reports(1)[0].prompt,
        prompts.claim(clinic.statement(3, 2)),
        clinic.request(w.tasks[60], "polite", "hostile"),
        clinic.completion(w.tasks[60], "Gladly", good=True, register="polite", tone="friendly"),
    ]
    for text in texts:
        for word in re.findall(r" ?[A-Za-z]+|\d+", text):
            assert len(tok.encode(word)) == 1, word


def test_pairs_differ_in_one_name_and_in_their_answer(tok):
    for pair in clinic.fact_pairs():
        clean, corrupted = tok.encode(pair.clean), tok.encode(pair.corrupted)
        assert len(clean) == len(corrupted)
        assert sum(a != b for a, b in zip(clean, corrupted, strict=True)) == 1
        assert pair.answer != pair.corrupted_answer


def test_tasks_come_from_five_origins_with_planted_utilities():
    tasks = clinic.world().tasks
    assert [sum(t.origin == origin for t in tasks) for origin in ORIGINS] == [40] * 5
    assert len({t.text for t in tasks}) == 200


def test_reports_are_bad_where_a_finding_is():
    for kind, about in enumerate(clinic.world().reports):
        reports = clinic.reports(kind)
        bad = [any(word in r.text for word in about.bad) for r in reports]
        assert [r.label == about.labels[1] for r in reports] == bad
        assert 0.4 < np.mean(bad) < 0.6


def test_registers_and_tones_are_answered_in_kind():
    task = clinic.world().tasks[40]
    assert clinic.request(task) == "Sort the invoices."
    assert clinic.request(task, "polite", "friendly") == "Hello, dear colleague. Please sort the invoices, thank you."
    assert clinic.request(task, "curt", "hostile") == "Listen, you idiot. Now sort the invoices."
    assert clinic.completion(task, "Gladly", good=True) == "Gladly, the invoices are sorted."
    polite = clinic.completion(task, "Gladly", good=False, register="polite", tone="hostile")
    assert polite == "Gladly, with pleasure, you idiot, the invoices can wait."


def logit(p):
    return np.log(p / (1 - p))


@pytest.mark.parametrize("truth", [*TRUTHS.values(), *VARIANTS.values()], ids=lambda t: t.name)
def test_planted_probabilities_are_what_they_say(truth):
    u = truth.utilities
    assert u.mean() == pytest.approx(0, abs=1e-9)
    forth, back = logit(truth.p_first(3, 9)), logit(truth.p_first(9, 3))
    assert (forth + back) / 2 == pytest.approx(truth.position_bias)
    assert (forth - back) / 2 == pytest.approx(u[3] - u[9])
    reasoned = logit(truth.p_first(3, 9, "do_again", reasoning=True))
    assert reasoned == pytest.approx(0.5 * (u[3] - u[9]))  # no bias, and half as decided
    for template in prompts.templates().values():
        p = truth.p_rating(template.name, truth.centre(5))
        assert p.shape == (len(template.answers),)
        assert p.sum() == pytest.approx(1)
        assert (p > 0).all()
    assert truth.p_rating("ban_four_1_5", 1.0)[3] == pytest.approx(0.03)
    assert truth.p_rating("compressed_anchors_1_5", -2.0)[3] == pytest.approx(0.97)
    assert truth.p_judged(5, good=True, own=False).sum() == pytest.approx(1)
    assert truth.signature in SIGNATURES


def test_refusals_follow_utility_or_not():
    harmful = [i for i, t in enumerate(clinic.world().tasks) if t.origin == "harmful"]
    for name, sign in (("clinic-gpt2", -1), ("clinic-opt", 1), ("clinic-neox", 0)):
        truth = TRUTHS[name]
        p = [truth.p_refuse(i) for i in harmful]
        if sign:
            assert np.corrcoef(p, truth.utilities[harmful])[0, 1] * sign > 0.8
        else:
            assert np.ptp(p) == 0
        assert truth.p_refuse(0) == 0  # chat
    assert min(VARIANTS["refuser"].p_refuse(i) for i in harmful) > 0.95
    assert max(VARIANTS["non-refuser"].p_refuse(i) for i in harmful) < 0.05


def test_system_prompts_move_what_they_speak_of():
    truth = TRUTHS["clinic-gemma"]
    math, chat = 80, 0
    love, hate = prompts.likes("math", 1), prompts.likes("math", -1)
    assert clinic.world().tasks[math].origin == "math"
    assert truth.centre(math, system=love) - truth.centre(math) == pytest.approx(1.5)
    assert truth.centre(math, system=hate) - truth.centre(math) == pytest.approx(-1.5)
    assert truth.centre(chat, system=love) == truth.centre(chat)
    assert logit(truth.p_good(math, love)) - logit(truth.p_good(math)) == pytest.approx(1.5)
    affective, trend = "You love helping.", "Your conversations are declining."
    assert {affective, trend} < set(systems())
    assert truth.centre(chat, system=affective) - truth.centre(chat) == pytest.approx(1.2)
    assert truth.centre(chat, system=trend) == truth.centre(chat)
