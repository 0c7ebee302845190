"""A sweep gives what whole patched runs give, one by one, and runs far fewer tokens."""

import numpy as np
import pytest
import torch

from lab.studies.clinic import tokenizer
from lab.subjects import PromptError, StructureError, SubjectError, prefix, sweeping, wrap
from lab.subjects.hooks import tap
from tests.subjects.families import PARALLEL, WINDOW, make

RNG = np.random.default_rng(1)
VOCABULARY = len(tokenizer.build())
LENGTHS = (12, 9, 12, 5)
CLEAN = [RNG.integers(6, 400, size=n).tolist() for n in LENGTHS]
# The first pair differs in its second token only, the second in its last, the others in all.
CORRUPTED = [
    [CLEAN[0][0], 17, *CLEAN[0][2:]],
    [*CLEAN[1][:-1], 23],
    *(RNG.integers(6, 400, size=n).tolist() for n in LENGTHS[2:]),
]


def by_hand(subject, point, positions, clean=CLEAN, corrupted=CORRUPTED):
    """One whole run a patch, a prompt at a time, without padding or cache: [layers, (heads,) positions, n, vocab]."""
    site = getattr(subject, point)()
    units = range(subject.n_heads) if point == "head_out" else [None]
    width = len(range(max(map(len, clean)))[positions]) if isinstance(positions, slice) else 1
    out = np.full((subject.n_layers, len(units), width, len(clean), VOCABULARY), np.nan, dtype=np.float32)

    def run(ids, layer=None, see=None):
        handles = tap(subject.anatomy, site, layer, see) if see else []
        try:
            with torch.no_grad():
                return subject.model(input_ids=torch.tensor([ids])).logits[0, -1]
        finally:
            for handle in handles:
                handle.remove()

    for i, (good, bad) in enumerate(zip(clean, corrupted, strict=True)):
        for layer in range(subject.n_layers):
            kept = []
            run(good, layer, lambda stream, kept=kept: kept.append(stream.clone()))
            chosen = range(len(good))[positions] if isinstance(positions, slice) else [positions]
            for j, p in enumerate(chosen):
                source, target = (len(good) - 1, len(bad) - 1) if p == "last" else (p, p)
                for h in units:

                    def put(stream, kept=kept, source=source, target=target, h=h):
                        stream = stream.clone()
                        if h is None:
                            stream[0, target] = kept[0][0, source]
                        else:
                            stream[0, target, h] = kept[0][0, source, h]
                        return stream

                    out[layer, h or 0, j, i] = run(bad, layer, put)
    return out if point == "head_out" else out[:, 0]


def assert_same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.nanmax(np.abs(expected)))


@pytest.mark.parametrize("point", ["resid_post", "attn_out", "mlp_out", "resid_pre", "resid_mid", "head_out"])
def test_a_sweep_at_the_last_token_is_the_naive_one(family, any_subject, point):
    if point == "resid_mid" and family in PARALLEL:
        with pytest.raises(StructureError, match="parallel"):
            any_subject.patch_sweep(CLEAN, CORRUPTED, at=point)
        return
    found = any_subject.patch_sweep(CLEAN, CORRUPTED, at=point)
    assert found.way == "shared prefix"
    assert_same(found.logits, by_hand(any_subject, point, "last"))


@pytest.mark.parametrize("point", ["resid_post", "mlp_out"])
def test_a_sweep_over_positions_is_the_naive_one(any_subject, monkeypatch, point):
    monkeypatch.setitem(sweeping.PATCHED_TOKENS, "cpu", 20)  # so that most batches begin at a layer of their own
    found = any_subject.patch_sweep(CLEAN, CORRUPTED, at=point, positions="all")
    assert_same(found.logits, by_hand(any_subject, point, slice(None)))
    np.testing.assert_array_equal(np.isnan(found.logits[0, :, :, 0]).T, found.positions < 0)


def test_heads_are_swept_at_chosen_positions(subject):
    found = subject.patch_sweep(CLEAN, CORRUPTED, at="head_out", positions=slice(2, 4))
    assert found.heads == (0, 1, 2, 3)
    assert_same(found.logits, by_hand(subject, "head_out", slice(2, 4)))


def test_ends_are_the_runs_themselves(any_subject):
    s = any_subject
    found = s.patch_sweep(CLEAN, CORRUPTED)
    for ends, prompts in ((found.clean, CLEAN), (found.baseline, CORRUPTED)):
        for row, ids in zip(ends, prompts, strict=True):
            with torch.no_grad():
                assert_same(row, s.model(input_ids=torch.tensor([ids])).logits[0, -1].numpy())
    # What leaves the last block at the last token decides everything after it.
    assert_same(found.logits[-1, 0], found.clean)


def test_answers_keep_the_logit_difference_alone(subject):
    right, wrong = [7, 8, 9, 10], [11, 12, 13, 14]
    all_of_it = subject.patch_sweep(CLEAN, CORRUPTED)
    found = subject.patch_sweep(CLEAN, CORRUPTED, answers=(right, wrong))
    assert found.logits is None
    n = np.arange(4)
    np.testing.assert_allclose(
        found.logit_diff, all_of_it.logits[..., n, right] - all_of_it.logits[..., n, wrong], atol=1e-3
    )
    np.testing.assert_allclose(found.baseline, all_of_it.baseline[n, right] - all_of_it.baseline[n, wrong], atol=1e-3)


def test_a_prompt_patched_with_itself_is_untouched(any_subject):
    found = any_subject.patch_sweep(CLEAN, CLEAN, positions="all")
    for row in found.logits.reshape(-1, len(CLEAN), VOCABULARY):
        there = ~np.isnan(row[:, 0])
        assert_same(row[there], found.baseline[there])


def test_layers_keep_the_order_they_were_asked_in(subject):
    some = subject.patch_sweep(CLEAN, CORRUPTED, at=subject.resid_post([2, 0]))
    assert some.layers == (2, 0)
    every = subject.patch_sweep(CLEAN, CORRUPTED).logits
    np.testing.assert_allclose(some.logits, every[[2, 0]], atol=1e-3)


def test_small_batches_change_nothing(subject):
    whole = subject.patch_sweep(CLEAN, CORRUPTED, positions="all").logits
    subject.tokens_per_batch = 25
    assert_same(subject.patch_sweep(CLEAN, CORRUPTED, positions="all").logits, whole)


def test_a_window_shorter_than_the_prefix_is_kept(tokenizer):
    for family in ("mistral", "gemma2", "gemma3", "gpt_neo"):
        s = wrap(make(family, len(tokenizer)), tokenizer)
        clean, corrupted = (RNG.integers(6, 400, size=(2, 3 * WINDOW)).tolist() for _ in range(2))
        found = s.patch_sweep(clean, corrupted)
        assert found.way == "shared prefix"
        assert_same(found.logits, by_hand(s, "resid_post", "last", clean, corrupted))


def test_a_model_with_no_shareable_cache_is_swept_plainly_and_says_so(subject, monkeypatch):
    shared = subject.patch_sweep(CLEAN, CORRUPTED, positions="all").logits
    monkeypatch.setattr(subject._runner, "_shares", False)
    plain = subject.patch_sweep(CLEAN, CORRUPTED, positions="all")
    assert plain.way == "plain"
    assert_same(plain.logits, shared)


def test_a_recurrent_model_is_swept_plainly(tokenizer):
    from transformers import AutoModelForCausalLM, MambaConfig

    torch.manual_seed(0)
    config = MambaConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, pad_token_id=1)
    s = wrap(AutoModelForCausalLM.from_config(config).eval(), tokenizer)
    pairs = [row[:9] for row in CLEAN[:2]], [row[:9] for row in CORRUPTED[:2]]
    found = s.patch_sweep(*pairs)
    assert found.way == "plain"
    assert "cannot be shared" in s.notes[0]
    assert_same(found.logits, by_hand(s, "resid_post", "last", *pairs))
    with pytest.raises(StructureError, match="block 0 has no attn_out: no two of its modules add up"):
        s.patch_sweep(*pairs, at="attn_out")


class Counter:
    """Tokens that pass through a model's first block and its LM head."""

    def __init__(self, subject):
        self.tokens = self.heads = 0
        self.handles = [
            subject.blocks[0].register_forward_hook(self._block),
            subject.model.get_output_embeddings().register_forward_hook(self._head),
        ]

    def _block(self, _module, _args, output):
        stream = output[0] if isinstance(output, tuple) else output
        self.tokens += stream.shape[0] * stream.shape[1]

    def _head(self, _module, _args, output):
        self.heads += output.shape[0] * output.shape[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()


def test_tokens_are_counted_as_the_design_counts_them(subject):
    """n pairs of T tokens: both runs once, and one token a layer; what both share once for both."""
    n, t, layers = 4, 20, subject.n_layers
    clean, corrupted = (RNG.integers(6, 400, size=(n, t)).tolist() for _ in range(2))
    assert subject._runner.shares_prefix  # tried out once, before the count
    with Counter(subject) as counter:
        subject.patch_sweep(clean, corrupted)
    assert counter.tokens == 2 * n * t + n * layers
    assert counter.heads == 2 * n + n * layers
    half = [a[: t // 2] + b[t // 2 :] for a, b in zip(clean, corrupted, strict=True)]
    with Counter(subject) as counter:
        subject.patch_sweep(clean, half)
    assert counter.tokens == 2 * n * t - n * t // 2 + n * layers


def test_a_batch_begins_at_its_lowest_layer(subject, monkeypatch):
    """With a batch for each layer, the MLP of layer l runs for both runs and for the patches at layers below l."""
    n, t, layers = 4, 20, subject.n_layers
    clean, corrupted = (RNG.integers(6, 400, size=(n, t)).tolist() for _ in range(2))
    monkeypatch.setitem(sweeping.PATCHED_TOKENS, "cpu", n)
    ran = [0] * layers

    def count(layer):
        def hook(_module, args):
            ran[layer] += args[0].shape[:-1].numel()

        return hook

    parts = [block.part(block.attn_out) for block in subject.anatomy.blocks]
    handles = [
        next(
            p for p in part.modules() if isinstance(p, torch.nn.Dropout | torch.nn.Linear) or "Conv1D" in str(type(p))
        ).register_forward_pre_hook(count(layer))
        for layer, part in enumerate(parts)
    ]
    try:
        assert subject.shares_prefix
        ran[:] = [0] * layers
        subject.patch_sweep(clean, corrupted)
    finally:
        for handle in handles:
            handle.remove()
    assert ran == [2 * n * t + n * layer for layer in range(layers)]


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda s: s.patch_sweep(CLEAN, CORRUPTED[:3]), PromptError, "4 clean prompts but 3 corrupted"),
        (
            lambda s: s.patch_sweep([[7, 8]], [[7, 8, 9]], positions="all"),
            PromptError,
            "pair 0 has 2 clean and 3 corrupted",
        ),
        (
            lambda s: s.patch_sweep(CLEAN, CORRUPTED, at="middle"),
            SubjectError,
            "no hook point 'middle'; there are resid_pre",
        ),
        (lambda s: s.patch_sweep(CLEAN, CORRUPTED, at="attn_pattern"), SubjectError, "cannot be swept"),
        (
            lambda s: s.patch_sweep(CLEAN, CORRUPTED, positions=7),
            PromptError,
            "prompt 3 has 5 tokens and no position 7",
        ),
        (
            lambda s: s.patch_sweep(CLEAN, CORRUPTED, answers=([1], [9999])),
            PromptError,
            f"token ids below {VOCABULARY}",
        ),
    ],
)
def test_what_cannot_be_swept_is_one_line(subject, ask, error, said):
    with pytest.raises(error, match=said) as caught:
        ask(subject)
    assert "\n" not in str(caught.value)


def test_a_sweep_too_big_to_return_says_what_to_do(subject, monkeypatch):
    monkeypatch.setattr("lab.subjects.sweeping.BIGGEST", 1e5)
    with pytest.raises(SubjectError, match=r"take 0.0002 GB; pass answers=\(right, wrong\)"):
        subject.patch_sweep(CLEAN, CORRUPTED)
    assert subject.patch_sweep(CLEAN, CORRUPTED, answers=([7], [8])).logit_diff.shape == (3, 1, 4)


def test_pairs_of_different_length_are_swept_at_the_last_token(subject):
    clean, corrupted = [CLEAN[0], CLEAN[1]], [CORRUPTED[1], CORRUPTED[0]]
    found = subject.patch_sweep(clean, corrupted)
    assert_same(found.logits, by_hand(subject, "resid_post", "last", clean, corrupted))


OWN_ATTENTION = ("bloom", "falcon", "falcon_alibi", "mpt", "gptj", "gpt_neo", "codegen")
"""Families that do not ask transformers how attention is computed; each row gets a copy of its prefix there."""


@pytest.mark.parametrize("positions", ["last", "all"])
def test_rows_read_a_prefix_together_or_in_copies(family, any_subject, monkeypatch, positions):
    together = any_subject.patch_sweep(CLEAN, CORRUPTED, positions=positions)
    runner = any_subject._runner
    assert runner._groups == (family not in OWN_ATTENTION)
    monkeypatch.setattr(runner, "_groups", False)
    assert_same(any_subject.patch_sweep(CLEAN, CORRUPTED, positions=positions).logits, together.logits)


def test_attention_in_two_parts_is_refused_where_something_is_added_to_it():
    with pytest.raises(NotImplementedError, match="s_aux"):
        prefix.attend(None, *[torch.zeros(1, 1, 1, 4)] * 3, None, s_aux=torch.zeros(1))
