"""Edits act where and when they say: at named tokens, in the prompt, while decoding, in batches and alone."""

import numpy as np
import pytest
import torch

from lab.subjects import SubjectError, wrap
from lab.subjects.hooks import tap
from tests.subjects.families import make

RNG = np.random.default_rng(3)
ROWS = [RNG.integers(6, 400, size=n).tolist() for n in (5, 2, 9, 1)]
VECTOR = RNG.normal(size=32).astype("float32") * 3
NEW = 5


def by_hand(subject, ids, change, new=NEW, layer=1, point="resid_post"):
    """Greedy decoding without a cache: each step runs the whole text anew, under `change(stream, prompt length)`."""
    text = list(ids)
    site = getattr(subject, point)(layer)
    while len(text) < len(ids) + new:
        handles = tap(subject.anatomy, site, layer, lambda stream: change(stream.clone(), len(ids)))
        try:
            with torch.no_grad():
                token = int(subject.model(input_ids=torch.tensor([text])).logits[0, -1].argmax())
        finally:
            for handle in handles:
                handle.remove()
        if token == 5:
            break
        text.append(token)
    return text[len(ids) :]


def every(stream, n):
    return stream + torch.from_numpy(VECTOR)


def prompt_only(stream, n):
    stream[:, :n] += torch.from_numpy(VECTOR)
    return stream


def last_of_each_pass(stream, n):
    stream[:, n - 1 :] += torch.from_numpy(VECTOR)
    return stream


def second_token(stream, n):
    stream[:, min(1, n - 1)] += torch.from_numpy(VECTOR)
    return stream


def only_decoded(stream, n):
    stream[:, n:] += torch.from_numpy(VECTOR)
    return stream


def norm_matched(stream, n):
    unit = torch.from_numpy(VECTOR / np.linalg.norm(VECTOR))
    return stream + 0.5 * stream.norm(dim=-1, keepdim=True) * unit


MODES = {
    "every token": ({}, every),
    "prompt pass only": ({"decoding": False}, prompt_only),
    "last position of every pass": ({"position": "last"}, last_of_each_pass),
    "one token of the prompt": ({"position": [1, 1, 1, 0], "decoding": False}, second_token),
    "norm matched": ({"norm_matched": True, "coefficient": 0.5}, norm_matched),
}


@pytest.mark.parametrize("mode", MODES)
def test_steering_under_the_cache_is_steering_without_it(any_subject, mode):
    s = any_subject
    options, change = MODES[mode]
    edit = s.steer(s.resid_post(1), VECTOR, **options)
    found = s.generate(ROWS, max_new_tokens=NEW, edit=edit).tokens
    plain = s.generate(ROWS, max_new_tokens=NEW).tokens
    assert found != plain
    for ids, tokens in zip(ROWS, found, strict=True):
        assert tokens == by_hand(s, ids, change)


@pytest.mark.parametrize("point", ["resid_pre", "attn_out", "mlp_out"])
def test_other_points_are_steered_too(any_subject, point):
    s = any_subject
    found = s.generate(ROWS[:2], max_new_tokens=NEW, edit=s.steer(getattr(s, point)(1), VECTOR)).tokens
    for ids, tokens in zip(ROWS, found, strict=False):
        assert tokens == by_hand(s, ids, every, point=point)


def test_steering_between_attention_and_mlp_reaches_both(tokenizer):
    s = wrap(make("llama", len(tokenizer)), tokenizer)
    steered = s.capture(ROWS, at=s.resid_mid(1), edit=s.steer(s.resid_mid(1), VECTOR)).array
    np.testing.assert_allclose(steered, s.capture(ROWS, at=s.resid_mid(1)).array + VECTOR, atol=1e-3)
    after = s.capture(ROWS, at=s.resid_post(1), edit=s.steer(s.resid_mid(1), VECTOR)).array
    parts = steered + s.capture(ROWS, at=s.mlp_out(1), edit=s.steer(s.resid_mid(1), VECTOR)).array
    np.testing.assert_allclose(after, parts, atol=1e-3)


def test_one_head_is_changed_and_no_other(subject):
    s = subject
    before = s.capture(ROWS, at=s.head_out(1)).array
    edit = s.patch(s.head_out(1, heads=[2]), np.zeros((4, 1, 8)))
    after = s.capture(ROWS, at=s.head_out(1), edit=edit).array
    np.testing.assert_array_equal(after[:, :, 2], 0)
    np.testing.assert_array_equal(after[:, :, [0, 1, 3]], before[:, :, [0, 1, 3]])
    np.testing.assert_allclose(
        s.capture(ROWS, at=s.attn_out(1), edit=edit).array == s.capture(ROWS, at=s.attn_out(1)).array, False
    )


def test_layers_and_prompts_have_values_of_their_own(subject):
    s = subject
    site = s.resid_post([0, 2])
    values = RNG.normal(size=(4, 2, 32)).astype("float32")
    np.testing.assert_array_equal(s.capture(ROWS, at=site, edit=s.patch(site, values)).array, values)
    vectors = np.stack([VECTOR, -VECTOR])
    moved = s.capture(ROWS, at=s.resid_post(0), edit=s.steer(site, vectors)).array
    np.testing.assert_allclose(moved[:, 0], s.capture(ROWS, at=s.resid_post(0)).array[:, 0] + VECTOR, atol=1e-4)


def test_what_was_captured_at_several_positions_can_be_put_back(subject):
    s = subject
    rows = [ROWS[0], ROWS[2][:5]]
    site = s.resid_post(1)
    kept = s.capture(rows, at=site, position=slice(1, 4)).array
    edit = s.patch(site, kept[::-1], position=slice(1, 4))
    np.testing.assert_array_equal(s.capture(rows, at=site, position=slice(1, 4), edit=edit).array, kept[::-1])


@pytest.mark.parametrize("shares", [True, False])
def test_options_are_read_under_an_edit(subject, shares):
    """Two-token options, so that one token is read from the cache: steering every token against doing so by hand."""
    s = subject
    s._runner._shares = shares and s._runner.shares_prefix
    options = [" Sort the", " the vials"]
    for decoding in (True, False):
        edit = s.steer(s.resid_post(1), VECTOR, decoding=decoding)
        found = s.choose(ROWS, options, edit=edit).logprobs
        for i, ids in enumerate(ROWS):
            for j, option in enumerate(options):
                tail = s.tokenizer.encode(option)
                change = every if decoding else prompt_only
                handles = tap(
                    s.anatomy, s.resid_post(1), 1, lambda x, ids=ids, change=change: change(x.clone(), len(ids))
                )
                with torch.no_grad():
                    scores = s.model(input_ids=torch.tensor([ids + tail])).logits[0].log_softmax(-1)
                for handle in handles:
                    handle.remove()
                expected = sum(float(scores[len(ids) - 1 + t, token]) for t, token in enumerate(tail))
                assert found[i, j] == pytest.approx(expected, abs=2e-3)


def test_several_edits_act_together(subject):
    s = subject
    one, two = s.steer(s.resid_post(0), VECTOR), s.steer(s.resid_post(2), VECTOR)
    both = s.capture(ROWS, at=s.resid_post(2), edit=[one, two]).array
    np.testing.assert_allclose(both, s.capture(ROWS, at=s.resid_post(2), edit=one).array + VECTOR, atol=1e-3)


def test_samples_of_one_prompt_are_those_drawn_alone(any_subject):
    """One prompt pass for four samples, steered and not, gives what four prompts with the same seeds give."""
    s = any_subject
    from lab.subjects.speaking import sample_seeds

    talks = [s.tokenizer.decode(row) for row in ROWS[:3]]
    seeds = sample_seeds(1, 3, 4).ravel()
    for edit in (None, s.steer(s.resid_post(1), VECTOR)):
        answers = s.chat(talks, n=4, temperature=1.0, seed=1, max_new_tokens=NEW, edit=edit)
        alone = [
            s.generate([talks[k // 4]], max_new_tokens=NEW, temperature=1.0, seeds=[seed], edit=edit).texts[0]
            for k, seed in enumerate(seeds)
        ]
        assert [text for each in answers for text in each] == alone


def test_samples_share_one_prompt_pass(subject):
    seen = []
    assert subject.shares_prefix
    handle = subject.blocks[0].register_forward_hook(
        lambda _m, _a, out: seen.append((out[0] if isinstance(out, tuple) else out).shape[:2].numel())
    )
    try:
        subject.chat([subject.tokenizer.decode(ROWS[2])], n=10, temperature=1.0, max_new_tokens=1)
    finally:
        handle.remove()
    n = len(subject.tokenizer.encode(subject.tokenizer.decode(ROWS[2])))
    assert seen == [n - 1, 10]


def test_an_edit_for_other_prompts_is_refused(subject):
    s = subject
    with pytest.raises(SubjectError, match=r"values for 3 prompts, but 4 need \(4, 32\)"):
        s.capture(ROWS, at=s.resid_post(1), edit=s.patch(s.resid_post(1), np.zeros((3, 32))))
