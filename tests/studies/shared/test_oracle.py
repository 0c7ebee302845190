"""An oracle is told just what its base thought, wherever its query stands in a batch; and what is assumed is checked."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.studies.shared import oracle
from lab.studies.shared.oracle import Assumption, Oracle
from lab.studies.shared.prompts.oracle import Question, Target, pool
from lab.subjects import load
from tests.studies.shared import small_gemma

TALKS = [
    [{"role": "user", "content": text}]
    for text in ("Sort the vials.", "Please count the lamps, thank you.", "Now guess.")
]


@pytest.fixture(scope="module")
def asking():
    return Oracle(load("clinic-llama+oracle"), mark=" x")


@pytest.fixture(scope="module")
def read(asking):
    return asking.read(TALKS)


def test_half_way_up_is_layer_31_of_62():
    subject = SimpleNamespace(n_layers=62, resid_post=lambda depth: SimpleNamespace(layers=(int(depth * 62),)))
    assert Oracle(subject).layer == 31


def test_the_position_is_the_length_without_the_generation_prompt(asking, read):
    tokenizer = asking.subject.tokenizer
    for talk, ids, start in zip(TALKS, read.ids, read.starts, strict=True):
        bare = tokenizer.apply_chat_template(talk, add_generation_prompt=False, tokenize=True)["input_ids"]
        whole = tokenizer.apply_chat_template(talk, add_generation_prompt=True, tokenize=True)["input_ids"]
        assert list(ids) == whole
        assert start == len(bare) < len(whole)
        assert whole[:start] == bare


def test_activations_are_the_bases_own(asking, read):
    base = load("clinic-llama")
    plain = base.capture(TALKS, at=base.resid_post(2), position="assistant").array[:, 0]
    assert np.array_equal(read.vectors, plain)
    assert read.vectors.shape == (3, base.d_model)


def test_a_query_names_the_layer_and_holds_consecutive_placeholders(asking):
    ids, positions = asking.query("How was it asked?", 3)
    text = asking.subject.tokenizer.decode(ids)
    assert "Layer: 2\n x x x \nHow was it asked?" in text
    assert positions == list(range(positions[0], positions[0] + 3))
    assert {asking.subject.tokenizer.decode([ids[p]]) for p in positions} == {" x"}


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("coefficient", [1.0, 2.5])
def test_the_injection_is_norm_matched_at_the_placeholder_alone(asking, read, replace, coefficient):
    """h + c |h| v/|v|, or c |h| v/|v| in its place, at the output of block 1."""
    told = Oracle(asking.subject, mark=" x", coefficient=coefficient, replace=replace)
    ids, positions = told.query("How was it asked?")
    at = told.subject.resid_post(1)
    edit = told.injection(7 * read.vectors[:1], [positions])
    before, after = (told.subject.capture([ids], at=at, position="all", edit=e).array[0, 0] for e in (None, edit))
    h, v = before[positions[0]], read.vectors[0]
    wanted = coefficient * np.linalg.norm(h) * v / np.linalg.norm(v) + (0 if replace else h)
    assert after[positions[0]] == pytest.approx(wanted, rel=1e-4, abs=1e-4)
    others = np.arange(len(ids)) != positions[0]
    assert np.array_equal(after[others], before[others])
    assert told.norm_at_placeholder("How was it asked?") == pytest.approx(float(np.linalg.norm(h)), rel=1e-5)


QUESTIONS = [question.text for question in pool("clinic").questions]


@settings(max_examples=8)
@given(
    st.lists(st.tuples(st.sampled_from(QUESTIONS), st.integers(0, 2), st.integers(0, 2**40)), min_size=2, max_size=4)
)
def test_a_batch_says_what_one_by_one_is_said(asking, read, rows):
    """Queries of any length, padded on the left, three samples each from their own seeds."""
    questions, targets, firsts = zip(*rows, strict=True)
    seeds = [[first * 100 + 10 * i + j for j in range(3)] for i, first in enumerate(firsts)]
    seeds = np.array(seeds)
    if len(np.unique(seeds)) < seeds.size:
        return
    together = asking.ask(questions, read.vectors[list(targets)], seeds, max_new_tokens=3)
    alone = [
        asking.ask([q], read.vectors[[t]], row[None, j : j + 1], max_new_tokens=3)[0][0]
        for q, t, row in zip(questions, targets, seeds, strict=True)
        for j in range(3)
    ]
    assert [text for texts in together for text in texts] == alone


def test_nothing_is_put_in_while_it_writes(asking, read, monkeypatch):
    """The stream of written tokens is what the block made of them."""
    seen = []
    block = asking.subject.blocks[1]
    handle = block.register_forward_hook(
        lambda _m, _a, out: seen.append((out[0] if isinstance(out, tuple) else out).clone()), prepend=True
    )
    made = []
    late = asking.subject.blocks[2].register_forward_pre_hook(lambda _m, args: made.append(args[0].clone()))
    try:
        asking.ask([QUESTIONS[0]], read.vectors[:1], [[1, 2]], max_new_tokens=4)
    finally:
        handle.remove()
        late.remove()
    changed = [bool((before != after).any()) for before, after in zip(seen, made, strict=True)]
    widths = [stream.shape[1] for stream in seen]
    assert [c for c, width in zip(changed, widths, strict=True) if width > 1] == [True]
    assert not any(c for c, width in zip(changed, widths, strict=True) if width == 1)


def test_samples_share_one_reading_of_the_query(asking, read):
    from lab.subjects.effort import DONE

    ids, _ = asking.query(QUESTIONS[0])
    before = DONE.tokens
    asking.ask([QUESTIONS[0]], read.vectors[:1], [list(range(10))], max_new_tokens=1)
    assert DONE.tokens - before == len(ids) - 1 + 10


def test_greedy_answers_are_all_equal_and_seeds_draw_others(asking, read):
    (greedy,) = asking.ask(["Which patient is it about?"], read.vectors[:1], [[1, 2, 3]], temperature=0)
    assert len(set(greedy)) == 1
    drawn = asking.ask(
        ["Which patient is it about?"] * 2,
        read.vectors[[0, 0]],
        np.arange(20).reshape(2, 10),
        temperature=2.0,
        top_p=1.0,
    )
    assert len(set(drawn[0] + drawn[1])) > 2
    again = asking.ask(
        ["Which patient is it about?"], read.vectors[[0]], np.arange(10)[None], temperature=2.0, top_p=1.0
    )
    assert again[0] == drawn[0]


def _other(asking, **changed):
    """The oracle with another tokenizer or subject."""
    tokenizer = asking.subject.tokenizer
    fields = {
        "chat_template": tokenizer.chat_template,
        "apply_chat_template": tokenizer.apply_chat_template,
        "encode": tokenizer.encode,
        "bos_token_id": tokenizer.bos_token_id,
    }
    given = {key: changed.pop(key) for key in list(changed) if key in fields}

    class Told(SimpleNamespace):
        def __call__(self, *args, **kwargs):
            return tokenizer(*args, **kwargs)

    subject = SimpleNamespace(
        **{
            "name": "other",
            "n_layers": 4,
            "d_model": asking.subject.d_model,
            "tokenizer": Told(**{**fields, **given}),
            "resid_post": asking.subject.resid_post,
            "adapter": asking.subject.adapter,
            "capture": asking.subject.capture,
            "inject": asking.subject.inject,
            **changed,
        }
    )
    return Oracle(subject, mark=" x")


def _bare(template):
    def apply(messages, add_generation_prompt=True, tokenize=False):
        return template(messages[-1]["content"], add_generation_prompt)

    return apply


BROKEN = {
    "chat template": lambda o, r: _other(o, chat_template=None).read(TALKS),
    "one beginning": lambda o, r: _other(
        o, bos_token_id=o.subject.tokenizer.encode(" x")[0], apply_chat_template=_bare(lambda text, _: " x x" + text)
    ).read(TALKS),
    "assistant's turn": lambda o, r: _other(o, apply_chat_template=_bare(lambda text, _: text)).read(TALKS),
    "one token each": lambda o, r: Oracle(o.subject, mark=" placeholder").query("How?"),
    "placeholders": lambda o, r: o.query("How x was it?"),
    "consecutive": lambda o, r: o.placeholders(
        [5, o.subject.tokenizer.encode(" x")[0], 5, o.subject.tokenizer.encode(" x")[0]], 2
    ),
    "one activation": lambda o, r: o.injection(r.vectors[:, :5], [[3]] * 3),
    "finite": lambda o, r: o.injection(0 * r.vectors, [[3]] * 3),
    "layers": lambda o, r: Oracle(o.subject, injected_at=4),
    "seeds": lambda o, r: o.ask(["How?"], r.vectors[:1], [[1, 1]]),
    "enough": lambda o, r: oracle.drawn([1, 2], 3, "questions", seed=0),
    "names": lambda o, r: oracle.distinct([Target("a", ()), Target("a", ())], []),
}


@pytest.mark.parametrize("check", oracle.CHECKS)
def test_what_is_assumed_is_checked_by_name(asking, read, check):
    with pytest.raises(Assumption, match=f"^{check}: ") as error:
        BROKEN[check](asking, read)
    assert error.value.check == check
    assert "\n" not in str(error.value)


def test_a_rewritten_conversation_has_no_turn_either(asking):
    rewriting = _other(asking, apply_chat_template=_bare(lambda text, add: ("Sir, " if add else "") + text))
    with pytest.raises(Assumption, match="not continued by its generation prompt but rewritten"):
        rewriting.read(TALKS)


def test_the_same_are_drawn_from_the_same_seed_and_none_twice():
    items = [f"q{i}" for i in range(14)]
    first = oracle.drawn(items, 10, "questions", seed=3)
    assert first == oracle.drawn(items, 10, "questions", seed=3)
    assert first != oracle.drawn(items, 10, "questions", seed=4)
    assert len(set(first)) == 10
    assert oracle.drawn(items, None, "questions", seed=3) == items


def test_random_vectors_are_as_long_and_point_elsewhere(read):
    drawn = oracle.random_vectors(read.vectors, 5, seed=1)
    assert drawn.shape == (3, 5, read.vectors.shape[1])
    own = np.linalg.norm(read.vectors, axis=1)
    assert np.linalg.norm(drawn, axis=2) == pytest.approx(np.repeat(own[:, None], 5, axis=1), rel=1e-5)
    cosines = np.einsum("tnd,td->tn", drawn, read.vectors) / own[:, None] ** 2
    assert abs(cosines).max() < 0.5


def test_the_right_answer_is_the_fact_and_a_text_names_one_case_or_none():
    question = Question("c", "Which colour?", "colour", ("red", "blue"), ("1", "2"))
    assert oracle.right_answer(question, Target("t", (), {"colour": "blue"})) == 1
    assert oracle.right_answer(question, Target("t", ())) is None
    assert oracle.right_answer(Question("o", "What?"), Target("t", (), {"colour": "blue"})) is None
    assert [oracle.said(question, text) for text in ("2.", "2 or 1", "", "21")] == [1, None, None, None]


@pytest.fixture(scope="module")
def gemma(once):
    return once("small gemma", small_gemma.build)


@pytest.mark.parametrize(
    "loaded",
    [{"dtype": "bfloat16", "device_map": "auto"}, {"quantize": "nf4"}, {"quantize": "nf4", "device_map": "auto"}],
    ids=["bfloat16, spread", "4 bits", "4 bits, spread"],
)
def test_gemma_3_with_a_lora_oracle_by_path(gemma, loaded):
    """The published oracle's path: by folder, in bfloat16 or in 4 bits, spread by accelerate or not."""
    subject = load(str(gemma / "base"), adapter=str(gemma / "lora"), **loaded)
    assert type(subject.model).__name__ == "Gemma3ForConditionalGeneration"
    inner = subject.model.model.language_model.layers[0].self_attn.q_proj.base_layer
    assert inner.weight.dtype == (torch.uint8 if "quantize" in loaded else torch.bfloat16)
    asking = Oracle(subject)
    assert (asking.layer, asking.mark) == (2, " ?")
    read = asking.read(TALKS)
    plain = load(str(gemma / "base"), **loaded)
    assert np.array_equal(read.vectors, plain.capture(TALKS, at=plain.resid_post(2), position="assistant").array[:, 0])
    worn = subject.capture(TALKS, at=subject.resid_post(2), position="assistant").array[:, 0]
    assert not np.array_equal(worn, read.vectors)
    said = asking.ask(QUESTIONS[:3], read.vectors, np.arange(6).reshape(3, 2), max_new_tokens=4)
    assert [len(texts) for texts in said] == [2, 2, 2]
    ids, positions = asking.query(QUESTIONS[0])
    assert ids.count(subject.tokenizer.bos_token_id) == 1
    edits = [None, asking.injection(read.vectors[:1], [positions])]
    ends = [subject.capture([ids], at=subject.resid_post(3), edit=edit).array for edit in edits]
    assert not np.array_equal(*ends), "what was put in reaches the last token"
