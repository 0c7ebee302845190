"""What an independent review broke: each was a silently wrong number, and is now right or one clear line."""

import contextlib
import errno
import threading

import numpy as np
import pytest
import torch

from lab.subjects import LoadError, OutOfMemory, PromptError, StructureError, SubjectError, results, wrap
from tests.subjects.families import TOKENS, make

RNG = np.random.default_rng(9)
ROWS = [RNG.integers(6, 400, size=n).tolist() for n in (11, 3, 7, 1)]


def alone(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0].double()


def assert_reads_right(subject, plain, rows=ROWS):
    """The last layer's stream and the scores of a two-token option, in one batch, against whole runs one by one."""
    tail = subject.tokenizer.encode(" the vials")
    found = subject.choose(rows, [" the vials", " Sort"]).logprobs
    for ids, row in zip(rows, found, strict=True):
        scores = alone(plain, ids + tail[:-1]).log_softmax(-1)
        expected = sum(float(scores[len(ids) - 1 + t, token]) for t, token in enumerate(tail))
        assert row[0] == pytest.approx(expected, abs=5e-3)
    together = subject.capture(rows, at=subject.resid_post()).array
    one = np.concatenate([subject.capture([row], at=subject.resid_post()).array for row in rows])
    np.testing.assert_allclose(together, one, rtol=1e-3, atol=1e-3 * np.abs(one).max())


def test_a_peft_model_is_read_like_its_base(tokenizer):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(make("gpt2", len(tokenizer)), LoraConfig(r=2, target_modules=["c_attn"]))
    s = wrap(model, tokenizer)
    assert_reads_right(s, model)
    on = s.capture(ROWS, at=s.resid_post()).array
    with s.adapter(None):
        assert s.capture(ROWS, at=s.resid_post()).array.shape == on.shape


def test_a_model_with_positions_of_its_own_is_run_without_ours(tokenizer):
    from transformers import RobertaConfig, RobertaForCausalLM

    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64, is_decoder=True, **TOKENS,
    )  # fmt: skip
    model = RobertaForCausalLM(config).eval()
    s = wrap(model, tokenizer)
    ids = ROWS[1]
    expected = alone(model, ids)[-1].log_softmax(-1)
    tokens = [tokenizer.encode(text)[0] for text in (" Sort", " beds")]
    np.testing.assert_allclose(s.choose([ids], [" Sort", " beds"]).logprobs[0], expected[tokens], atol=1e-3)


def test_where_pads_leak_only_equal_lengths_share_a_batch(tokenizer):
    from transformers import RecurrentGemmaConfig, RecurrentGemmaForCausalLM

    torch.manual_seed(0)
    config = RecurrentGemmaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        lru_width=32, attention_window_size=16, **TOKENS,
    )  # fmt: skip
    model = RecurrentGemmaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4) if parameter.dim() > 1 else parameter.add_(torch.randn_like(parameter) * 0.1)
    s = wrap(model, tokenizer)
    assert "change its numbers" in s.notes[0]
    for side in ("left", "right"):
        s.padding_side = side
        assert_reads_right(s, model)
    longer = ROWS[:3]  # a prompt of one token meets the state that Hugging Face's module kept from the last call
    written = s.generate(longer, max_new_tokens=3).tokens
    assert written == [s.generate([row], max_new_tokens=3).tokens[0] for row in longer]
    with pytest.raises(PromptError, match="use pairs of equal token length"):
        s.patch_sweep([ROWS[0]], [ROWS[1]])
    with pytest.raises(StructureError, match="has no head_out"):  # its recurrent blocks have no heads
        s.head_out(0)


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_rotary_embeddings_that_depend_on_the_length_are_run_whole(tokenizer, kind):
    from transformers import AutoModelForCausalLM, LlamaConfig, Phi3Config

    torch.manual_seed(0)
    shape = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, **TOKENS,
    }  # fmt: skip
    if kind == "longrope":
        rope = {
            "rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [5.0] * 4,
            "original_max_position_embeddings": 10,
        }  # fmt: skip
        config = Phi3Config(
            **shape, max_position_embeddings=96, original_max_position_embeddings=10, rope_parameters=rope
        )
    else:
        rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 10}
        config = LlamaConfig(**shape, max_position_embeddings=96, rope_parameters=rope)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6) if parameter.dim() > 1 else None
    s = wrap(model, tokenizer)
    assert s._runner.changes_beyond == 10
    rows = [RNG.integers(6, 400, size=n).tolist() for n in (14, 9, 10, 3, 12)]
    found = s.patch_sweep(rows, [row[::-1] for row in rows])
    assert found.way == "plain"
    for ids, row in zip(rows, found.clean, strict=True):
        np.testing.assert_allclose(row, alone(model, ids)[-1], atol=1e-2)
    assert_reads_right(s, model, rows)
    assert any("depends on the length" in note for note in s.notes)


def test_attention_that_carries_nothing_is_still_the_attention(tokenizer):
    """An ablated first layer: its attention adds zeros, so that only its place and the other layers tell."""
    model = make("gpt2", len(tokenizer))
    with torch.no_grad():
        model.transformer.h[0].attn.c_proj.weight.zero_()
        model.transformer.h[0].attn.c_proj.bias.zero_()
    s = wrap(model, tokenizer)
    assert {(b.attn_out, b.mlp_out) for b in s.anatomy.blocks} == {("attn", "mlp")}
    assert s.resid_mid().layers == (0, 1, 2)


def test_a_block_that_runs_its_mlp_first_is_told_by_what_carries(tokenizer):
    """GPT-J's branches in the other order: names of modules say nothing, what reaches the last token does."""
    model = make("gptj", len(tokenizer))

    class Reversed(torch.nn.Module):
        def __init__(self, block):
            super().__init__()
            self.norm, self.one, self.two = block.ln_1, block.mlp, block.attn

        def forward(self, hidden_states, **more):
            normed = self.norm(hidden_states)
            forward = self.one(normed)
            keys = ("layer_past", "attention_mask", "position_ids", "use_cache", "output_attentions")
            mixed = self.two(hidden_states=normed, **{key: more[key] for key in keys if key in more})[0]
            return mixed + forward + hidden_states, None

    model.transformer.h = torch.nn.ModuleList(Reversed(block) for block in model.transformer.h)
    s = wrap(model, tokenizer)
    assert {(b.attn_out, b.mlp_out) for b in s.anatomy.blocks} == {("two", "one")}


def test_a_branch_too_small_to_matter_names_no_module(tokenizer):
    """Mamba has one branch; with a loud stream any quiet module would seem to be the second."""
    from transformers import AutoModelForCausalLM, MambaConfig

    torch.manual_seed(0)
    config = MambaConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, pad_token_id=1)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(1e9)
        for block in model.backbone.layers:
            block.norm.weight.mul_(1e-9)
    assert {block.attn_out for block in wrap(model, tokenizer).anatomy.blocks} == {None}


def test_fractions_in_a_list_are_fractions(subject):
    assert subject.resid_post([0.0, 0.5, 1.0]).layers == (0, 1, 2)
    assert subject.resid_post(np.float32(0.5)).layers == (1,)
    for wrong in ("12", ["1"], True, None):
        if wrong is not None:
            with pytest.raises(SubjectError, match="no layer"):
                subject.resid_post(wrong)


def test_two_captures_to_one_file_do_not_mix(subject, tmp_path):
    path, kept = tmp_path / "acts", []
    first, second = results.Store((3, 2), path), results.Store((3, 2), path)
    with first:
        with second:
            second.put([0, 1, 2], np.ones((3, 2)))
        first.put([0, 1, 2], np.zeros((3, 2)))
    kept = [np.array(first.array), sorted(p.name for p in tmp_path.iterdir())]
    assert (kept[0] == 0).all()
    assert kept[1] == ["acts"]
    threads = [threading.Thread(target=lambda: subject.capture(ROWS, at=subject.resid_post(0), out=path)) for _ in "12"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [p.name for p in tmp_path.iterdir()] == ["acts"]


@pytest.mark.parametrize("call", ["write", "truncate"])
def test_a_full_disk_is_one_line_and_leaves_nothing(subject, tmp_path, monkeypatch, call):
    real = results.os.fdopen

    def fdopen(*arguments):
        file = real(*arguments)

        class Full:
            def __getattr__(self, name):
                return getattr(file, name)

            def truncate(self, size):
                if call == "truncate":
                    raise OSError(errno.ENOSPC, "No space left on device")
                return file.truncate(size)

            def write(self, data):
                if call == "write" and isinstance(data, memoryview):
                    raise OSError(errno.ENOSPC, "No space left on device")
                return file.write(data)

        return Full()

    monkeypatch.setattr(results.os, "fdopen", fdopen)
    with pytest.raises(SubjectError, match=r"No space left on device; nothing of it was kept; choose another file"):
        subject.capture(ROWS, at=subject.resid_post(0), out=tmp_path / "acts")
    assert list(tmp_path.iterdir()) == []


def test_an_edit_at_a_position_that_truncation_moves_is_refused(subject):
    edit = subject.steer(subject.resid_post(0), np.ones(32), position=0)
    with pytest.raises(SubjectError, match="which moves positions"):
        subject.capture(ROWS, at=subject.resid_post(1), max_tokens=4, edit=edit)


def test_several_adapters_come_back_as_they_were(tokenizer, tmp_path):
    from peft import LoraConfig, get_peft_model

    for name in "ab":
        torch.manual_seed(ord(name))
        config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
        get_peft_model(make("llama", len(tokenizer)), config).save_pretrained(tmp_path / name)
    s = wrap(make("llama", len(tokenizer)), tokenizer)
    s.tokens_per_batch, s.padding_side = 100, "right"
    for name in "ab":
        s.add_adapter(tmp_path / name, name)
    assert (s.tokens_per_batch, s.padding_side) == (100, "right")
    s.model.set_adapter(["a", "b"])
    before = s.capture(ROWS, at=s.resid_post()).array
    with s.adapter(None):
        off = s.capture(ROWS, at=s.resid_post()).array
    with s.adapter("a"):
        one = s.capture(ROWS, at=s.resid_post()).array
    np.testing.assert_array_equal(s.capture(ROWS, at=s.resid_post()).array, before)
    assert not np.array_equal(off, before)
    assert not np.array_equal(one, before)
    with pytest.raises(SubjectError, match="no adapter 'c'; attached: a, b"):
        s.adapter("c")


def test_names_given_by_hand_are_checked(tokenizer):
    model = make("llama", len(tokenizer))
    s = wrap(model, tokenizer, names={"attn_out": "self_attn.o_proj", "mlp_out": "mlp.down_proj"})
    assert s.anatomy.blocks[0].attn_out == "self_attn.o_proj"
    np.testing.assert_array_equal(
        s.capture(ROWS, at="attn_out").array, wrap(model, tokenizer).capture(ROWS, at="attn_out").array
    )
    for names, said in (
        ({"attn_out": "self_attn.v_proj", "mlp_out": "mlp"}, "does not write its input plus self_attn.v_proj plus mlp"),
        ({"attn_out": "nothing"}, "block 0 ran no module 'nothing'; its modules are input_layernorm"),
        ({"middle": "mlp"}, "no hook point middle; those nameable are attn_out, mlp_out, head_out"),
    ):
        with pytest.raises(StructureError, match=said):
            wrap(model, tokenizer, names=names)


def test_scaled_branches_are_no_hook_points(tokenizer):
    from transformers import AutoModelForCausalLM, GraniteConfig

    config = GraniteConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, residual_multiplier=0.5, **TOKENS,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    s = wrap(model, tokenizer)
    assert s.capture(ROWS, at="resid_post").array.shape == (4, 2, 32)
    with pytest.raises(StructureError, match="block 0 has no attn_out: no two of its modules add up"):
        s.attn_out()
    with pytest.raises(StructureError, match="does not write its input plus"):
        wrap(model, tokenizer, names={"attn_out": "self_attn", "mlp_out": "mlp"})


def test_blocks_that_return_lists_are_read(tokenizer):
    from transformers import AutoModelForCausalLM, OpenAIGPTConfig

    torch.manual_seed(0)
    config = OpenAIGPTConfig(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=64)
    model = AutoModelForCausalLM.from_config(config).eval()
    assert_reads_right(wrap(model, tokenizer), model)


def test_a_model_in_training_mode_is_refused(subject):
    subject.model.train()
    try:
        with pytest.raises(SubjectError, match=r"in training mode, with dropout; call model.eval\(\) first"):
            subject.capture(ROWS, at="resid_post")
    finally:
        subject.model.eval()


def test_a_retried_batch_counts_nothing_twice(subject, monkeypatch):
    """Memory runs out between the options of a batch that are already scored and those that are not."""
    subject._runner._shares = False
    options = [" Sort the", " the vials"]
    expected = subject.choose(ROWS, options).logprobs
    real, calls = torch.Tensor.log_softmax, []

    def log_softmax(self, *arguments):
        calls.append(1)
        if len(calls) == 6:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return real(self, *arguments)

    monkeypatch.setattr(torch.Tensor, "log_softmax", log_softmax)
    np.testing.assert_allclose(subject.choose(ROWS, options).logprobs, expected, atol=1e-3)
    assert subject.notes


def test_one_prompt_with_many_runs_is_divided(subject, monkeypatch):
    """A head sweep and twenty samples of one prompt, in a memory of eight rows."""
    sweep = subject.patch_sweep([ROWS[0]], [ROWS[0][::-1]], at="head_out").logits
    text = [subject.tokenizer.decode(ROWS[0])]
    written = subject.chat(text, n=20, temperature=1.0, max_new_tokens=2)

    def fail(_module, args):
        if len(args[0]) > 8:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    handle = subject.blocks[0].register_forward_pre_hook(fail)
    try:
        assert subject.chat(text, n=20, temperature=1.0, max_new_tokens=2) == written
        found = subject.patch_sweep([ROWS[0]], [ROWS[0][::-1]], at="head_out").logits
        np.testing.assert_allclose(found, sweep, atol=1e-4 * np.abs(sweep).max())
        handle.remove()
        handle = subject.blocks[0].register_forward_pre_hook(lambda _m, args: fail(_m, [range(9)]))
        with pytest.raises(OutOfMemory, match="on one prompt of"):
            subject.chat(text, n=20, temperature=1.0, max_new_tokens=2)
    finally:
        handle.remove()


def test_options_count_in_the_budget(subject):
    seen = []
    handle = subject.blocks[0].register_forward_pre_hook(lambda _m, args: seen.append(args[0].shape[:2].numel()))
    options = [" Sort the vials", " Sort the beds", " Sort the keys", " Sort the lamps"]
    try:
        subject.choose([[7, 8]] * 100, options)
        whole = max(seen)
        subject.tokens_per_batch, seen[:] = 64, []
        subject.choose([[7, 8]] * 100, options)
    finally:
        handle.remove()
    assert max(seen) <= 64 < whole


def test_an_option_is_read_as_it_is_written_behind_its_prompt(model):
    """SentencePiece puts a mark before the first word of a text: alone, an option would begin another text."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"\u2581": 0, "A": 1, "B": 2, "C": 3, "\u2581A": 4, "\u2581B": 5, "\u2581C": 6}
    made = Tokenizer(models.BPE(vocabulary, [("\u2581", letter) for letter in "ABC"]))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    s = wrap(model, PreTrainedTokenizerFast(tokenizer_object=made))
    assert s.tokenizer("AB")["input_ids"] == [4, 2]
    scores = alone(model, [4])[-1].log_softmax(-1)
    np.testing.assert_allclose(s.choose(["A"], ["B", "C"]).logprobs[0], scores[[2, 3]], atol=1e-3)


def test_an_option_that_melts_into_its_prompt_is_noted(subject):
    subject.choose(["Patient Gres"], ["ten", " takes"])
    assert any("written otherwise together with their prompt" in note for note in subject.notes)


def test_positions_of_uneven_prompts_can_be_put_back(subject):
    site = subject.resid_post(1)
    kept = subject.capture(ROWS, at=site, position="all").array
    after = subject.capture(ROWS, at=site, position="all", edit=subject.patch(site, kept, position="all")).array
    np.testing.assert_array_equal(after, kept)
    spoiled = kept.copy()
    spoiled[0, 0, 0] = np.nan
    with pytest.raises(SubjectError, match="have NaN or infinity"):
        subject.capture(ROWS, at=site, edit=subject.patch(site, spoiled, position="all"))


def test_a_pad_token_without_an_embedding_is_not_used(model, tokenizer):
    class Extended:
        pad_token_id = 10**6

        def __getattr__(self, name):
            return getattr(tokenizer, name)

    s = wrap(model, Extended())
    assert s.capture(ROWS, at="resid_post").array.shape == (4, 3, 32)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda s: s.capture(ROWS, at="middle"), "no hook point 'middle'; there are resid_pre"),
        (lambda s: s.capture([[7, 10**6]], at="resid_post"), "prompt 0 has a token id outside of 0 to"),
        (
            lambda s: s.capture(ROWS, at="resid_pre", position="attention"),
            "is not pooled by attention, which comes after",
        ),
        (lambda s: s.generate(ROWS, max_new_tokens=0), "max_new_tokens=0 writes nothing"),
        (lambda s: s.patch_sweep(ROWS, ROWS, positions="mean"), "position 'mean' is a mean and names no token"),
        (
            lambda s: s.patch_sweep(ROWS, ROWS, answers=([1, 2], [3])),
            "one token id for all pairs, or one for each of the 4",
        ),
        (
            lambda s: s.capture(ROWS, at=type(s.resid_post())("resid_post", (7,))),
            "no layer 7; the hook point is another",
        ),
        (lambda s: s.choose(ROWS, [" the " * 90, "A"]), "an option .*, but the model's context is 96"),
    ],
)
def test_what_cannot_be_asked_is_one_line(subject, ask, said):
    with pytest.raises(SubjectError, match=said) as error:
        ask(subject)
    assert "\n" not in str(error.value)


def test_without_a_tokenizer_token_ids_still_work(model):
    s = wrap(model, None)
    assert s.capture(ROWS, at="resid_post").array.shape == (4, 3, 32)
    with pytest.raises(PromptError, match="wrapped without a tokenizer; pass the prompts as lists of token ids"):
        s.capture(["Sort"], at="resid_post")
    with pytest.raises(PromptError, match="without a tokenizer, which options need"):
        s.choose(ROWS, ["A", "B"])


def test_modules_that_are_not_the_blocks_are_found_out(tokenizer):
    model = make("llama", len(tokenizer))
    with pytest.raises(StructureError, match=r"take and return shapes .*; name the blocks by hand"):
        wrap(model, tokenizer, blocks=torch.nn.ModuleList(layer.mlp.gate_proj for layer in model.model.layers))
    dead = make("llama", len(tokenizer))
    with torch.no_grad():
        dead.lm_head.weight.zero_()
    with pytest.raises(StructureError, match="did not change the logits, so these are not its blocks; name"):
        wrap(dead, tokenizer)


def test_a_layer_that_sees_less_than_the_pass_is_refused(subject):
    """As the upper layers of models do that cut the stream to its last token."""
    cut = subject.blocks[1].register_forward_pre_hook(lambda _m, args: (args[0][:, -1:], *args[1:]))
    try:
        with contextlib.suppress(RuntimeError, ValueError), pytest.raises(StructureError, match="sees 1 of 11 tokens"):
            subject.capture(ROWS[:1], at=subject.resid_pre(1), position=0)
    finally:
        cut.remove()


def test_an_adapter_that_is_none_is_one_line(subject, tmp_path):
    with pytest.raises(LoadError, match="cannot attach the adapter"):
        subject.add_adapter(tmp_path)


def test_the_trial_of_sharing_tries_skipping(subject, monkeypatch):
    """A model whose upper layers cannot run without the lower ones is swept plainly."""
    monkeypatch.setattr(subject._runner, "_shares", None)
    skipping = type(subject._runner).skipping

    @contextlib.contextmanager
    def broken(self, below):
        with skipping(self, below):
            raise KeyError("sliding_attention")
        yield

    monkeypatch.setattr(type(subject._runner), "skipping", broken)
    assert subject.shares_prefix is False
