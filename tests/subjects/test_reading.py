"""What is read is what the model computed, whatever the batch, the padding, or who else has hooks."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.subjects import PromptError, StructureError, SubjectError, wrap

PROMPTS = [
    "Patient Gresten takes",
    "Question: Which drug does patient Risbrok take?\nAnswer:",
    "Patient",
    "Sort the invoices. Sort the vials. Sort the beds.",
]


def plain_logits(model, tokenizer, text):
    with torch.no_grad():
        return model(torch.tensor([tokenizer.encode(text)])).logits[0]


def hook_counts(subject):
    """How many hooks each block has; Hugging Face leaves some of its own."""
    return [len(block._forward_hooks) for block in subject.blocks]


def test_wrapping_and_reading_change_no_bit(model, tokenizer):
    before = [plain_logits(model, tokenizer, text) for text in PROMPTS]
    subject = wrap(model, tokenizer)
    hooks = hook_counts(subject)
    subject.capture(PROMPTS, at=subject.resid_post())
    subject.choose(PROMPTS, ["A", "B"])
    subject.generate(PROMPTS, max_new_tokens=2, edit=subject.patch(subject.resid_post(1), np.zeros((4, 32))))
    after = [plain_logits(model, tokenizer, text) for text in PROMPTS]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert hook_counts(subject) == hooks


def test_logits_under_hooks_are_the_models_own(model, subject, tokenizer):
    seen = []
    site = subject.resid_post()
    with subject._runner.tapped([(site, k, lambda _stream, k=k: seen.append(k)) for k in site.layers]):
        hooked = plain_logits(model, tokenizer, PROMPTS[1])
    assert seen == [0, 1, 2]
    assert torch.equal(hooked, plain_logits(model, tokenizer, PROMPTS[1]))


def test_resid_post_is_the_blocks_output_before_the_final_norm(model, subject, tokenizer):
    captured = subject.capture(PROMPTS, at=subject.resid_post()).array
    for i, text in enumerate(PROMPTS):
        with torch.no_grad():
            states = model(torch.tensor([tokenizer.encode(text)]), output_hidden_states=True).hidden_states
        for layer in range(
            subject.n_layers - 1
        ):  # hidden_states[-1] is after the final norm and therefore no reference
            np.testing.assert_allclose(captured[i, layer], states[layer + 1][0, -1], rtol=1e-4, atol=1e-4)
        assert np.abs(captured[i, -1] - states[-1][0, -1].numpy()).max() > 1e-2


def test_final_norm_and_head_of_the_last_layer_give_the_logits(model, subject, tokenizer):
    last = torch.from_numpy(subject.capture(PROMPTS, at=subject.resid_post(1.0)).array[:, 0])
    inner = model.model.decoder if hasattr(model, "model") and hasattr(model.model, "decoder") else model.base_model
    norm = next(getattr(inner, name) for name in ("ln_f", "final_layer_norm", "norm") if hasattr(inner, name))
    with torch.no_grad():
        logits = model.get_output_embeddings()(norm(last))
    for row, text in zip(logits, PROMPTS, strict=True):
        torch.testing.assert_close(row, plain_logits(model, tokenizer, text)[-1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("position", ["last", "mean"])
@pytest.mark.parametrize("side", ["left", "right"])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(st.integers(6, 400), min_size=1, max_size=12), min_size=1, max_size=9))
def test_a_batch_reads_what_its_prompts_read_alone(subject, side, position, rows):
    subject.padding_side = side
    together = subject.capture(rows, at=subject.resid_post(), position=position).array
    alone = np.concatenate([subject.capture([row], at=subject.resid_post(), position=position).array for row in rows])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)
    chosen, single = (subject.choose(rows, [" Gresten", " Sort the vials"]).logprobs for _ in range(2))
    alone_chosen = np.concatenate([subject.choose([row], [" Gresten", " Sort the vials"]).logprobs for row in rows])
    np.testing.assert_allclose(chosen, alone_chosen, rtol=1e-4, atol=1e-4)
    assert (chosen == single).all()


def test_mean_ignores_pads(model, subject, tokenizer):
    subject.padding_side = "right"
    mean = subject.capture(PROMPTS, at=subject.resid_post(0), position="mean").array[2, 0]
    alone = subject.capture([PROMPTS[2]], at=subject.resid_post(0), position="last").array[0, 0]
    np.testing.assert_allclose(mean, alone, rtol=1e-4, atol=1e-4)  # a prompt of one token: its mean is its last


def test_no_layer_after_the_last_wanted_runs_and_no_head(model, subject):
    ran = []
    watched = [subject.blocks[2], model.get_output_embeddings()]
    handles = [module.register_forward_hook(lambda module, args, out: ran.append(module)) for module in watched]
    try:
        subject.capture(PROMPTS, at=subject.resid_post(1))
        assert ran == []
        subject.capture(PROMPTS, at=subject.resid_post(2))
        assert ran == [subject.blocks[2]]
    finally:
        for handle in handles:
            handle.remove()


def test_hooks_of_others_stay(subject):
    calls = []
    handle = subject.blocks[0].register_forward_hook(lambda *args: calls.append(1))
    try:
        subject.capture(PROMPTS[:1], at=subject.resid_post(0))
        subject.capture(PROMPTS[:1], at=subject.resid_post(0))
        assert len(calls) == 2
    finally:
        handle.remove()


def test_hooks_go_when_the_model_fails(subject):
    def broken(*args):
        raise RuntimeError("broken")

    before = hook_counts(subject)
    handle = subject.blocks[1].register_forward_hook(broken)
    try:
        with pytest.raises(RuntimeError, match="broken"):
            subject.capture(PROMPTS, at=subject.resid_post(2))
    finally:
        handle.remove()
    assert hook_counts(subject) == before


def test_layers_keep_the_order_they_were_asked_in(subject):
    both = subject.capture(PROMPTS, at=subject.resid_post([2, 0]))
    assert both.layers == (2, 0)
    np.testing.assert_array_equal(both.array[:, 1], subject.capture(PROMPTS, at=subject.resid_post(0)).array[:, 0])


@pytest.mark.parametrize(
    ("where", "layers"),
    [
        (None, (0, 1, 2)),
        (0.5, (1,)),
        (0.0, (0,)),
        (1.0, (2,)),
        (-1, (2,)),
        ([0, 2], (0, 2)),
        (slice(0, None, 2), (0, 2)),
    ],
)
def test_depth_is_named_in_five_ways(subject, where, layers):
    assert subject.resid_post(where).layers == layers


@pytest.mark.parametrize("where", [3, -4, [0, 7], 1.5, slice(5, 9)])
def test_a_layer_that_is_not_there_is_refused(subject, where):
    with pytest.raises(SubjectError, match="layer|depth"):
        subject.resid_post(where)


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ([], "the list of prompts is empty"),
        ([""], "prompt 0 is empty"),
        (["Sort", []], "prompt 1 is empty"),
        ("Sort", "one string; pass a list"),
        ([{"role": "user", "content": "Sort"}], "one conversation; pass a list"),
        (["Sort " * 97], "but the model's context is 96; shorten"),
    ],
)
def test_bad_prompts_are_one_line(subject, prompts, said):
    for ask in (
        lambda: subject.capture(prompts, at=subject.resid_post()),
        lambda: subject.choose(prompts, ["A", "B"]),
        lambda: subject.generate(prompts),
    ):
        with pytest.raises(PromptError, match=said) as error:
            ask()
        assert "\n" not in str(error.value)


def test_an_unknown_position_is_refused(subject):
    with pytest.raises(SubjectError, match="no position 'first'; there are 'last', 'mean'"):
        subject.capture(PROMPTS, at=subject.resid_post(), position="first")


def test_a_model_without_a_list_of_blocks_says_what_was_found(tokenizer):
    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.config = type("Config", (), {"num_hidden_layers": 4, "hidden_size": 8, "vocab_size": 9})()
            self.parts = torch.nn.ModuleList([torch.nn.Linear(8, 8)])

    with pytest.raises(StructureError, match=r"expected one module list of 4 blocks.*parts \(1\).*blocks="):
        wrap(Odd(), tokenizer)


def test_blocks_that_are_none_are_found_out(model, tokenizer):
    subject = wrap(model, tokenizer)
    wrong = torch.nn.ModuleList([subject.blocks[0], subject.blocks[2], subject.blocks[1]])
    with pytest.raises(StructureError, match="ran in the order"):
        wrap(model, tokenizer, blocks=wrong)
