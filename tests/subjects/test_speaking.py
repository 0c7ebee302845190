"""Choice probabilities are exact, generation is Hugging Face's own, patches act where and when they should."""

import numpy as np
import pytest
import torch

from lab.subjects import PromptError, SubjectError, wrap
from lab.subjects.effort import DONE

PROMPTS = ["Patient Gresten takes", "Question: Which drug does patient Risbrok take?\nAnswer:", "Patient", "Sort the"]


def log_softmax(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double().log_softmax(-1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_choose_is_the_probability_of_the_text(any_model, any_subject, tokenizer, side):
    any_subject.padding_side = side
    options = [" Gresten", " Sort the vials"]
    found = any_subject.choose(PROMPTS, options)
    for i, prompt in enumerate(PROMPTS):
        for j, option in enumerate(options):
            head, tail = tokenizer.encode(prompt), tokenizer.encode(option)
            scores = log_softmax(any_model, head + tail)
            expected = sum(float(scores[len(head) - 1 + t, token]) for t, token in enumerate(tail))
            assert found.logprobs[i, j] == pytest.approx(expected, abs=1e-3)
    np.testing.assert_allclose(found.probabilities.sum(1), 1)
    np.testing.assert_array_equal(found.picked, found.probabilities.argmax(1))
    per_token = any_subject.choose(PROMPTS, options, per_token=True)
    np.testing.assert_allclose(per_token.logprobs, found.logprobs / np.array([1, 3]))


@pytest.mark.parametrize("shared", [True, False])
def test_a_text_that_names_a_longer_option_does_not_name_the_shorter_one_too(subject, monkeypatch, shared):
    """As 1, 10 and 100 where a tokenizer writes digit by digit."""
    monkeypatch.setattr(type(subject._runner), "may_share", lambda *_: shared)
    options = [" Sort", " Sort the", " Sort the vials", " Sort beds", " beds"]
    alone = np.array([subject.choose(PROMPTS, [option, " A"]).logprobs[:, 0] for option in options])
    any_sort, the, vials, beds, other = np.exp(alone)
    expected = np.log([any_sort - the - beds, the - vials, vials, beds, other]).T
    np.testing.assert_allclose(subject.choose(PROMPTS, options).logprobs, expected, atol=1e-3)


def test_each_prompt_may_have_its_own_options(subject):
    both = subject.choose(PROMPTS[:2], [["A", "B"], [" Gresten", " Risbrok"]]).logprobs
    np.testing.assert_allclose(both[1], subject.choose(PROMPTS[1:2], [" Gresten", " Risbrok"]).logprobs[0], atol=1e-4)


@pytest.mark.parametrize("options", [["A"], [["A", "B"]], [["A", "B"], ["A"], ["A", "B"], ["A", "B"]], [], ["A", ""]])
def test_options_that_do_not_fit_are_refused(subject, options):
    with pytest.raises(PromptError, match="option"):
        subject.choose(PROMPTS, options)


def test_greedy_generation_is_hugging_faces(model, subject, tokenizer):
    found = subject.generate(PROMPTS, max_new_tokens=6)
    for prompt, tokens in zip(PROMPTS, found.tokens, strict=True):
        ids = torch.tensor([tokenizer.encode(prompt)])
        own = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=6)
        new = own[0, ids.shape[1] :].tolist()
        assert tokens == (new[: new.index(5)] if 5 in new else new)


def test_a_checkpoints_own_decoding_settings_stay_out(model, subject):
    plain = subject.generate(PROMPTS, max_new_tokens=6).tokens
    kept = model.generation_config.to_dict()
    model.generation_config.repetition_penalty = 0.1
    model.generation_config.min_new_tokens = 6
    try:
        assert subject.generate(PROMPTS, max_new_tokens=6).tokens == plain
        assert model.generation_config.repetition_penalty == 0.1
    finally:
        model.generation_config = type(model.generation_config).from_dict(kept)


def test_samples_of_a_batch_are_those_drawn_alone(subject):
    together = subject.generate(PROMPTS, max_new_tokens=6, temperature=1.0, seeds=[3, 1, 4, 1]).tokens
    alone = [
        subject.generate([p], max_new_tokens=6, temperature=1.0, seeds=[s]).tokens[0]
        for p, s in zip(PROMPTS, [3, 1, 4, 1], strict=True)
    ]
    assert together == alone


def test_sampling_follows_the_probabilities(model, subject, tokenizer):
    """2000 first tokens at temperature 2 against the exact distribution: total variation of the ten likeliest."""
    drawn = subject.generate(PROMPTS[:1] * 2000, max_new_tokens=1, temperature=2.0, seeds=range(2000)).tokens
    exact = (log_softmax(model, tokenizer.encode(PROMPTS[0]))[-1] / 2).softmax(0)
    top = exact.topk(10)
    counts = np.bincount([t[0] if t else 5 for t in drawn], minlength=len(exact)) / 2000
    assert np.abs(counts[top.indices] - top.values.numpy()).max() < 0.05


def nucleus(probabilities, top_p):
    """The fewest of the likeliest tokens that have `top_p` of the probability together, by hand."""
    order = np.argsort(-probabilities)
    return set(order[: int(np.searchsorted(np.cumsum(probabilities[order]), top_p)) + 1].tolist())


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.4])
def test_a_sample_is_the_winner_of_seeded_noise_among_the_nucleus(model, subject, tokenizer, top_p):
    """By hand for each first token; at 1.0 nothing is cut, and the same without naming it."""
    drawn = subject.generate(PROMPTS * 10, max_new_tokens=1, temperature=0.7, top_p=top_p, seeds=range(40)).tokens
    for seed, (prompt, tokens) in enumerate(zip(PROMPTS * 10, drawn, strict=True)):
        scores = log_softmax(model, tokenizer.encode(prompt))[-1] / 0.7
        kept = nucleus(scores.softmax(0).numpy(), top_p)
        noisy = scores.numpy() + np.random.default_rng(seed).gumbel(size=len(scores))
        assert (tokens or [5]) == [max(kept, key=lambda token, noisy=noisy: noisy[token])]
    whole = subject.generate(PROMPTS * 10, max_new_tokens=1, temperature=0.7, seeds=range(40)).tokens
    assert (drawn == whole) == (top_p == 1)


def test_a_nucleus_of_a_batch_is_that_of_its_prompts_alone(subject):
    how = {"max_new_tokens": 6, "temperature": 1.5, "top_p": 0.5}
    together = subject.generate(PROMPTS, seeds=[3, 1, 4, 1], **how).tokens
    alone = [subject.generate([p], seeds=[s], **how).tokens[0] for p, s in zip(PROMPTS, [3, 1, 4, 1], strict=True)]
    assert together == alone
    samples = subject.chat(PROMPTS, n=3, seed=2, **how)
    assert samples != subject.chat(PROMPTS, n=3, seed=2, **{**how, "top_p": 1.0})
    assert samples[:1] == subject.chat(PROMPTS[:1], n=3, seed=2, **how)
    tiny = {**how, "top_p": 1e-6}  # the likeliest token alone, which is greedy
    assert subject.generate(PROMPTS, **tiny).tokens == subject.generate(PROMPTS, max_new_tokens=6).tokens


@pytest.mark.parametrize("how", [{"temperature": 1.0, "n": 2}, {"temperature": 0.7, "top_p": 0.9}, {"n": 2}])
def test_several_seeds_at_once_say_what_each_says_alone(subject, how):
    begun = DONE.passes
    alone = [subject.chat(PROMPTS, seed=seed, max_new_tokens=5, **how) for seed in (3, 5, 3)]
    between = DONE.passes
    assert subject.chats(PROMPTS, [3, 5, 3], max_new_tokens=5, **how) == alone
    assert DONE.passes - between < between - begun  # every prompt is read once
    assert (alone[0] == alone[1]) == ("temperature" not in how)


@pytest.mark.parametrize("top_p", [0, -0.1, 1.1])
def test_a_share_that_is_none_is_refused(subject, top_p):
    for ask in (subject.generate, subject.chat):
        with pytest.raises(SubjectError, match="is no share to draw from"):
            ask(PROMPTS, temperature=1.0, top_p=top_p)


def test_chat_answers_every_conversation_n_times(subject):
    conversations = [[{"role": "user", "content": "Sort the beds."}], [{"role": "user", "content": "Pack the keys."}]]
    answers = subject.chat(conversations, n=3, temperature=1.0, seed=1, max_new_tokens=5)
    assert [len(each) for each in answers] == [3, 3]
    assert answers == subject.chat(conversations, n=3, temperature=1.0, seed=1, max_new_tokens=5)
    assert answers != subject.chat(conversations, n=3, temperature=1.0, seed=2, max_new_tokens=5)
    assert [len(set(each)) for each in subject.chat(conversations, n=2, max_new_tokens=5)] == [1, 1]


def test_a_prompt_must_leave_room_for_its_continuation(subject):
    with pytest.raises(PromptError, match="and 90 are wanted as its continuation"):
        subject.generate(PROMPTS, max_new_tokens=90)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_ones_own_activation_changes_nothing(subject, layer):
    site = subject.resid_post(layer)
    own = subject.capture(PROMPTS, at=site).array[:, 0]
    plain = subject.generate(PROMPTS, max_new_tokens=6).tokens
    assert subject.generate(PROMPTS, max_new_tokens=6, edit=subject.patch(site, own)).tokens == plain


def test_ones_own_activation_changes_nothing_in_bf16(model, tokenizer):
    """Reading and generating pad alike; on different sides bf16 rounds differently and changed 1 % of the texts."""
    import copy

    half = wrap(copy.deepcopy(model).bfloat16(), tokenizer)
    rng = np.random.default_rng(0)
    prompts = [rng.integers(6, 400, size=n).tolist() for n in rng.integers(1, 30, size=200)]
    site = half.resid_post(0.4)
    own = half.capture(prompts, at=site).array[:, 0]
    plain = half.generate(prompts, max_new_tokens=3).tokens
    assert half.generate(prompts, max_new_tokens=3, edit=half.patch(site, own)).tokens == plain


def test_a_patch_reaches_the_last_token_of_the_prompt_pass_and_nothing_else(model, subject, tokenizer):
    """Against a hook written by hand on single prompts, with no cache: the patched column is the prompt's last."""
    site, clean = subject.resid_post(1), np.random.default_rng(0).normal(size=(4, 32)).astype("float32") * 5
    found = subject.generate(PROMPTS, max_new_tokens=4, edit=subject.patch(site, clean)).tokens
    for prompt, value, tokens in zip(PROMPTS, clean, found, strict=True):
        ids = tokenizer.encode(prompt)
        column = len(ids) - 1

        def put(module, args, output, value=value, column=column):
            stream = (output[0] if isinstance(output, tuple) else output).clone()
            stream[0, column] = torch.from_numpy(value)
            return (stream, *output[1:]) if isinstance(output, tuple) else stream

        handle = subject.blocks[1].register_forward_hook(put)
        try:
            by_hand = []
            while len(by_hand) < 4:
                token = int(log_softmax(model, ids + by_hand)[-1].argmax())
                if token == 5:
                    break
                by_hand.append(token)
        finally:
            handle.remove()
        assert tokens == by_hand


def test_the_clean_activation_at_the_last_layer_gives_the_clean_token(subject):
    site = subject.resid_post(1.0)
    clean = subject.capture(PROMPTS[::-1], at=site).array[:, 0]
    patched = subject.generate(PROMPTS, max_new_tokens=1, edit=subject.patch(site, clean)).tokens
    assert patched == subject.generate(PROMPTS[::-1], max_new_tokens=1).tokens


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            lambda s: s.patch(s.resid_post(), np.zeros((4, 32))),
            r"shape \(4, 32\), but resid_post at 3 layer.* \(n, 3, 32\)",
        ),
        (lambda s: s.patch(s.resid_post(0), np.zeros((4, 31))), r"shape \(4, 31\), but .* needs \(n, 32\)"),
        (lambda s: s.patch(s.resid_post(0), np.full((4, 32), np.nan)), "have NaN or infinity"),
        (lambda s: s.patch(s.attn_pattern(0), np.zeros((4, 32))), "attn_pattern can be read but not changed"),
        (lambda s: s.patch(s.resid_post(0), np.zeros((4, 32)), position="mean"), "names no tokens to change"),
        (lambda s: s.steer(s.resid_post(0), np.zeros((4, 32))), r"shape \(4, 32\), but .* needs \(32\) or \(1, 32\)"),
        (lambda s: s.steer(s.resid_post(0), np.zeros(32), norm_matched=True), "length 0 has no direction"),
        (lambda s: s.generate(PROMPTS, edit=s.patch(s.resid_post(0), np.zeros((3, 32)))), r"but 4 need \(4, 32\)"),
        (
            lambda s: s.generate(PROMPTS, edit=s.patch(s.resid_post(0), np.zeros((4, 1, 2, 32)))),
            "2 positions, but it acts at 1",
        ),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(subject, ask, said):
    with pytest.raises(SubjectError, match=said) as error:
        ask(subject)
    assert "\n" not in str(error.value)
