"""Every way to name tokens names the right ones, whatever the padding, and loses none without a word."""

import numpy as np
import pytest
import torch

from lab.subjects import PromptError, SubjectError

ROWS = [[7, 8, 9, 10, 11], [12, 13], [14, 15, 16]]
TALK = [{"role": "system", "content": "Sort."}, {"role": "user", "content": "Sort the beds."}]


@pytest.fixture(params=["left", "right"])
def padded(request, subject):
    subject.padding_side = request.param
    return subject


def alone(subject, i, layer=1):
    """Every token's stream of one prompt, read without padding: [tokens, d_model]."""
    return subject.capture([ROWS[i]], at=subject.resid_post(layer), position="all").array[0, 0]


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("position", "tokens"),
    [
        ("last", [4, 1, 2]),
        (0, [0, 0, 0]),
        (1, [1, 1, 1]),
        (-2, [3, 0, 1]),
        ([4, 0, -1], [4, 0, 2]),
        (np.array([4, 0, 1]), [4, 0, 1]),
    ],
)
def test_one_token_of_each_prompt(padded, position, tokens):
    found = padded.capture(ROWS, at=padded.resid_post(1), position=position)
    assert found.array.shape == (3, 1, 32)
    np.testing.assert_array_equal(found.positions[:, 0], tokens)
    for i, token in enumerate(tokens):
        close(found.array[i, 0], alone(padded, i)[token])


@pytest.mark.parametrize(
    ("position", "tokens"),
    [
        ("all", [[0, 1, 2, 3, 4], [0, 1], [0, 1, 2]]),
        (slice(-2, None), [[3, 4], [0, 1], [1, 2]]),
        (slice(None, None, 2), [[0, 2, 4], [0], [0, 2]]),
        ([[0, 4], [1, 0], [2, -3]], [[0, 4], [1, 0], [2, 0]]),
        ([[0], [1, 0], 2], [[0], [1, 0], [2]]),
    ],
)
def test_several_tokens_keep_an_axis_and_the_rest_is_nan(padded, position, tokens):
    found = padded.capture(ROWS, at=padded.resid_post(1), position=position)
    most = max(map(len, tokens))
    assert found.array.shape == (3, 1, most, 32)
    for i, these in enumerate(tokens):
        np.testing.assert_array_equal(found.positions[i], these + [-1] * (most - len(these)))
        close(found.array[i, 0, : len(these)], alone(padded, i)[these])
        assert np.isnan(found.array[i, 0, len(these) :]).all()


def test_mean_is_over_real_tokens(padded):
    found = padded.capture(ROWS, at=padded.resid_post(1), position="mean").array
    for i in range(3):
        close(found[i, 0], alone(padded, i).mean(0))


def test_attention_weighs_tokens_by_what_the_last_one_attends_to(padded):
    """Against weights and streams of Hugging Face's own eager attention, prompt by prompt."""
    found = padded.capture(ROWS, at=padded.resid_post([2, 1]), position="attention").array
    for i, ids in enumerate(ROWS):
        for k, layer in enumerate((2, 1)):
            weights = padded.capture([ids], at=padded.attn_pattern(layer)).array[0, 0].mean(0)  # heads, keys
            assert weights.sum() == pytest.approx(1, abs=1e-5)
            close(found[i, k], weights @ alone(padded, i, layer))


def test_the_assistants_turn_begins_after_the_users(subject, tokenizer):
    talks = [TALK, TALK[1:]]
    found = subject.capture(talks, at=subject.resid_post(1), position="assistant")
    for talk, (start,) in zip(talks, found.positions, strict=True):
        whole = tokenizer.apply_chat_template(talk, add_generation_prompt=True, tokenize=True)["input_ids"]
        bare = tokenizer.apply_chat_template(talk, add_generation_prompt=False, tokenize=True)["input_ids"]
        assert start == len(bare) < len(whole)
        assert whole[: len(bare)] == bare
        assert tokenizer.decode([whole[start]]) == "<|assistant|>"
    first = subject.capture([talks[1]], at=subject.resid_post(1), position=int(found.positions[1, 0]))
    close(found.array[1], first.array[0])


def test_a_template_without_a_generation_prompt_fails_fast(subject, tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer, "chat_template", "{% for m in messages %}{{ m['content'] }}{% endfor %}")
    with pytest.raises(PromptError, match="adds no generation prompt"):
        subject.capture([TALK], at=subject.resid_post(1), position="assistant")


@pytest.mark.parametrize(
    ("position", "said"),
    [
        (3, "prompt 1 has 2 tokens and no position 3"),
        (-3, "prompt 1 has 2 tokens and no position -3"),
        (slice(2, None), r"names no token of prompt 1; use a wider slice"),
        ([0, 1], r"one entry for each prompt, but there are 2 for 3 prompts; .* \[\[0, 5\]\] \* n"),
        ([[0], [5], [0]], "prompt 1 has 2 tokens and no position 5"),
        ("middle", "no position 'middle'; there are 'last', 'mean', 'attention', 'all', 'assistant'"),
        ("assistant", "prompt 0 is no conversation"),
    ],
)
def test_a_token_that_is_not_there_is_refused(subject, position, said):
    with pytest.raises(SubjectError, match=said) as error:
        subject.capture(ROWS, at=subject.resid_post(1), position=position)
    assert "\n" not in str(error.value)


def test_what_a_model_computes_on_pads_does_not_reach_a_mean(subject):
    """Some attention gives NaN to rows that may see nothing."""
    rows = [ROWS[0], ROWS[1]]
    expected = subject.capture(rows, at=subject.resid_post(1), position="mean").array

    def spoil(_module, _args, output):
        stream = (output[0] if isinstance(output, tuple) else output).clone()
        stream[1, :3] = float("nan")  # the second prompt is three tokens shorter
        return (stream, *output[1:]) if isinstance(output, tuple) else stream

    handle = subject.blocks[1].register_forward_hook(spoil)
    try:
        found = subject.capture(rows, at=subject.resid_post(1), position="mean").array
    finally:
        handle.remove()
    np.testing.assert_array_equal(found, expected)


def test_heads_are_pooled_too(padded):
    found = padded.capture(ROWS, at=padded.head_out(1), position="mean").array
    for i, ids in enumerate(ROWS):
        every = padded.capture([ids], at=padded.head_out(1), position="all").array[0, 0]
        close(found[i, 0], every.mean(0))
    with pytest.raises(SubjectError, match="not pooled by attention"):
        padded.capture(ROWS, at=padded.head_out(1), position="attention")
    with pytest.raises(SubjectError, match="read at query positions"):
        padded.capture(ROWS, at=padded.attn_pattern(1), position="mean")


def test_cut_prompts_are_counted_and_keep_their_end(padded):
    found = padded.capture(ROWS, at=padded.resid_post(1), max_tokens=2)
    assert found.truncated == 2
    ends = padded.capture([row[-2:] for row in ROWS], at=padded.resid_post(1))
    assert ends.truncated == 0
    close(found.array, ends.array)
    assert (
        padded.capture([list(range(6, 200))], at=padded.resid_post(1), max_tokens=500).truncated == 1
    )  # context is 96
    with pytest.raises(SubjectError, match="2 prompts are cut to 2 tokens, which moves positions"):
        padded.capture(ROWS, at=padded.resid_post(1), position=0, max_tokens=2)
    with pytest.raises(SubjectError, match="max_tokens=0 leaves nothing"):
        padded.capture(ROWS, at=padded.resid_post(1), max_tokens=0)


def test_a_saved_value_is_not_changed_by_a_later_edit_in_place(subject):
    """A hook of somebody else that edits the stream in place, after ours has read it and before it is returned."""
    plain = subject.capture(ROWS, at=subject.resid_post(0)).array

    def spoil(_module, args):
        args[0].zero_()

    handle = subject.blocks[1].register_forward_pre_hook(spoil)
    try:
        both = subject.capture(ROWS, at=subject.resid_post([0, 1])).array
    finally:
        handle.remove()
    np.testing.assert_array_equal(both[:, 0], plain[:, 0])


def test_positions_come_from_the_mask(model, subject):
    """Plain `forward` of a left-padded GPT-2 is wrong, as its positions are blind to the mask; ours is not."""
    ids = torch.tensor([[1, 1, 1, *ROWS[1]]])
    mask = torch.tensor([[0, 0, 0, 1, 1]])
    with torch.no_grad():
        blind = model(input_ids=ids, attention_mask=mask).logits[0, -1]
        right = model(input_ids=torch.tensor([ROWS[1]])).logits[0, -1]
    first = [int(i) for i in right.topk(2).indices]
    together = subject.choose(ROWS, [subject.tokenizer.decode([i]) for i in first]).logprobs[1]
    gap = float(right[first[0]] - right[first[1]])
    assert together[0] - together[1] == pytest.approx(gap, abs=1e-3)
    if model.config.model_type == "gpt2":
        assert (blind - right).abs().max() > 0.1
