"""A model is loaded as Hugging Face loads it, from a folder, or as its untrained twin."""

import sys

import bitsandbytes
import numpy as np
import pytest
import torch

from lab.commands.describe import main
from lab.subjects import LoadError, NoActivationsError, SubjectError, load, locate, packing, wrap
from lab.subjects.effort import DONE
from lab.subjects.hook_points import POINTS
from lab.subjects.names import folder
from tests.subjects import packed
from tests.subjects.families import config, make


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tokenizer):
    """A Llama as `save_pretrained` leaves it, in bf16."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("llama")
    model = AutoModelForCausalLM.from_config(config("llama", len(tokenizer)), dtype=torch.bfloat16)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path, model


def test_a_folder_gives_the_saved_weights(saved):
    path, model = saved
    subject = load(str(path))
    assert (subject.n_layers, subject.d_model, subject.context) == (3, 32, 96)
    assert subject.model.dtype == torch.float32  # on a CPU, whatever the checkpoint holds
    state = subject.model.state_dict()
    assert all(torch.equal(tensor.float(), state[name]) for name, tensor in model.state_dict().items())
    assert load(str(path), dtype="bfloat16").model.dtype == torch.bfloat16
    assert load(str(path), device="cpu", name="short").name == "short"


def test_logits_are_those_of_a_plain_transformers_load():
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(folder("clinic-neox"), dtype=torch.float32)
    ids = torch.tensor([[7, 300, 41]])
    with torch.no_grad():
        assert torch.equal(plain(ids).logits, load(str(folder("clinic-neox"))).model(ids).logits)


def test_a_home_folder_may_be_written_with_a_tilde(saved, monkeypatch):
    monkeypatch.setenv("HOME", str(saved[0].parent))
    assert load(f"~/{saved[0].name}").n_layers == 3
    with pytest.raises(LoadError, match="there is no folder ~/nowhere"):
        load("~/nowhere")


def test_the_twin_has_the_same_shape_fresh_weights_and_a_fixed_seed(saved):
    path, model = saved
    before = torch.random.get_rng_state()
    one, two = load(f"untrained:{path}"), load(f"untrained:{path}")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert one.name == f"untrained:{path}"
    assert one.n_parameters == sum(p.numel() for p in model.parameters())
    a, b, trained = (m.state_dict() for m in (one.model, two.model, model))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not any(torch.equal(a[name], trained[name].float()) for name in a if a[name].dim() > 1)


def test_bf16_reads_like_fp32_within_its_precision(saved):
    path, _ = saved
    prompts = ["Patient Gresten takes", "Sort the invoices."]
    full, half = load(str(path)), load(str(path), dtype="bfloat16")
    one, two = (s.capture(prompts, at=s.resid_post()).array for s in (full, half))
    assert two.dtype == np.float32
    np.testing.assert_allclose(one, two, atol=0.03 * np.abs(one).max())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: "no-such-model-anywhere", "not a folder, and the hub|the hub does not give"),
        (lambda p: "a/b/c", "neither a folder nor a hub name"),
        (lambda p: str(p / "nowhere"), "there is no folder"),
        (lambda p: "./nowhere", "there is no folder ./nowhere; check the path"),
        (lambda p: str(p), "has no config.json; name a folder written by save_pretrained"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(tmp_path, make, said):
    for ask in (locate, load):
        with pytest.raises(LoadError, match=said) as error:
            ask(make(tmp_path))
        assert "\n" not in str(error.value)


def test_without_hooks_it_chooses_and_speaks_and_is_neither_read_nor_changed(saved):
    path, _ = saved
    free, bare = load(str(path)), load(str(path), enable_hooks=False)
    site, steer = free.resid_post(0), free.steer(free.resid_post(0), np.ones(32))
    refused = [
        lambda: bare.capture(PROMPTS, "resid_post"),
        lambda: bare.capture(PROMPTS, site),
        lambda: bare.resid_post(0.5),
        lambda: bare.steer(site, np.ones(32)),
        lambda: bare.patch(site, np.ones((2, 32))),
        lambda: bare.patch_sweep(PROMPTS[:1], PROMPTS[:1]),
        lambda: bare.choose(PROMPTS, ["a", "b"], edit=steer),
        lambda: bare.generate(PROMPTS, edit=[steer]),
        lambda: bare.chat(PROMPTS, edit=steer),
    ]
    passes = DONE.passes
    for ask in refused:
        with pytest.raises(NoActivationsError, match="was loaded with enable_hooks=false, so its activations are") as e:
            ask()
        assert "\n" not in str(e.value)
    assert DONE.passes == passes
    np.testing.assert_array_equal(bare.choose(PROMPTS, ["a", "b"]).logprobs, free.choose(PROMPTS, ["a", "b"]).logprobs)
    assert bare.generate(PROMPTS).tokens == free.generate(PROMPTS).tokens


def test_a_target_serves_what_its_name_allows(saved):
    assert load(str(saved[0]), target="hf").n_layers == 3
    served = load("tiny", target="api", base_url="http://localhost:9/v1")
    assert served.name == load("openai:tiny", base_url="http://localhost:9/v1").name == "openai:tiny"
    for name, target in (("openai:tiny", "hf"), (str(saved[0]), "api"), ("untrained:gpt2", "api"), ("tiny", "vllm")):
        with pytest.raises(LoadError, match=f"target={target} does not serve|no target 'vllm'"):
            load(name, target=target)


def test_a_twin_needs_no_weights(tmp_path, saved):
    path, _ = saved
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((path / name).read_bytes())
    assert load(f"untrained:{tmp_path}").n_layers == 3
    (tmp_path / "training_args.bin").write_bytes(b"no weights")
    with pytest.raises(LoadError, match=r"has no weights \(model\*.safetensors\)"):
        load(str(tmp_path))


# Quantized, spread, adapted --------------------------------------------------------------------------

PROMPTS = ["Patient Gresten takes", "Sort the invoices."]


def read(subject):
    return subject.capture(PROMPTS, at=subject.resid_post()).array


@pytest.fixture(params=["as this CPU does", "packed"])
def four_bit(request, monkeypatch):
    """4-bit layers as this CPU runs them, and as one with AVX-512 BF16 does; the second is true for the latter alone."""
    if request.param == "packed":
        packed.emulate(monkeypatch)
    return bitsandbytes.nn.modules.has_avx512bf16()


WIDE = 128  # a multiple of what bitsandbytes packs, also where four heads share it


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3_multimodal"])
def test_nf4_weights_are_read_as_any_other(tmp_path, tokenizer, family, four_bit):
    """4-bit on the CPU: bitsandbytes' own layers, the same hook points, numbers of the dequantized weights."""
    make(family, len(tokenizer), width=WIDE, dtype=torch.bfloat16).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    small, full = load(str(tmp_path), quantize="nf4", dtype="float32"), load(str(tmp_path))
    quantized = {n: m for n, m in small.model.named_modules() if isinstance(m, bitsandbytes.nn.Linear4bit)}
    assert len(quantized) >= 4 * small.n_layers
    for module in quantized.values():
        state = module.weight.quant_state
        assert module.weight.quant_type == "nf4"
        assert getattr(state, "original_nested", state.nested)  # double quantisation; packed weights no longer have it
        assert module.compute_dtype == torch.float32
    ran = small.blocks[0].modules()
    assert {getattr(m.weight.quant_state, "packing_format_for_cpu", False) for m in ran if m in quantized.values()} == {
        four_bit
    }
    assert [b.head_out for b in small.anatomy.blocks] == [b.head_out for b in full.anatomy.blocks]
    one, two = read(small), read(full)
    for name in quantized:
        plain = full.model.get_submodule(name)
        turned = type(plain).__name__ == "Conv1D"  # its weights are [inputs, outputs]
        weights = plain.weight.data.T.contiguous() if turned else plain.weight.data
        weights = bitsandbytes.functional.dequantize_4bit(
            *bitsandbytes.functional.quantize_4bit(weights, compress_statistics=True, quant_type="nf4")
        )
        plain.weight.data = weights.T.contiguous() if turned else weights
    error = 0.05 if four_bit else 1e-4  # packed layers compute in bfloat16
    np.testing.assert_allclose(one, read(full), atol=error * np.abs(one).max())
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.7
    total = small.capture(PROMPTS, at=small.resid_pre(1)).array
    parts = small.capture(PROMPTS, at=small.attn_out(1)).array + small.capture(PROMPTS, at=small.mlp_out(1)).array
    np.testing.assert_allclose(small.capture(PROMPTS, at=small.resid_post(1)).array, total + parts, atol=1e-2)
    assert np.isfinite(small.patch_sweep(PROMPTS[:1], PROMPTS[1:]).logits).all()


def test_layers_too_narrow_to_be_packed_are_named_with_what_to_do(saved, monkeypatch):
    """Before, it was "cannot load ...: shape '[32, 0]' is invalid for input of size 16"."""
    path, _ = saved
    packed.emulate(monkeypatch)
    with pytest.raises(LoadError) as error:
        load(str(path), quantize="nf4", name="narrow")
    assert str(error.value) == (
        "narrow does not run in 4 bits on this CPU: model.layers.0.self_attn.q_proj has 32 inputs and 32 outputs, and "
        'with AVX-512 BF16 bitsandbytes packs multiples of 64 and 32; leave out quantize="nf4", load it on a GPU, or '
        "take a wider model"
    )
    assert load(str(path)).n_layers == 3


@pytest.mark.parametrize("inputs", [16, 32, 64, 96, 128, 192])
@pytest.mark.parametrize("outputs", [1, 16, 32, 48, 64, 96])
def test_what_can_be_packed_is_what_bitsandbytes_packs(inputs, outputs):
    weights, state = bitsandbytes.functional.quantize_4bit(
        torch.randn(outputs, inputs), compress_statistics=True, quant_type="nf4"
    )
    try:
        bitsandbytes.functional._convert_weight_packed_for_cpu(weights, state)
    except (RuntimeError, AssertionError):
        packs = False
    else:
        packs = True
    assert packs == packing.is_packable(inputs, outputs, state.blocksize)


def test_layers_may_lie_on_disk(saved):
    """accelerate's own offloading: the numbers are those of a plain load."""
    path, _ = saved
    where = dict.fromkeys(("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head"), "cpu")
    where |= {"model.layers.0": "cpu", "model.layers.1": "disk", "model.layers.2": "cpu"}
    spread, plain = load(str(path), device_map=where, dtype="float32"), load(str(path))
    assert spread.model.hf_device_map["model.layers.1"] == "disk"
    np.testing.assert_array_equal(read(spread), read(plain))
    chosen = [s.choose(PROMPTS, [" A", " Sort the vials"]).logprobs for s in (spread, plain)]
    np.testing.assert_allclose(chosen[0], chosen[1], atol=1e-5)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, tokenizer):
    from peft import LoraConfig, get_peft_model

    path = tmp_path_factory.mktemp("adapter")
    config = LoraConfig(r=4, target_modules=["q_proj", "o_proj", "down_proj"], init_lora_weights=False)
    torch.manual_seed(1)
    get_peft_model(make("llama", len(tokenizer)), config).save_pretrained(path)
    return path


def test_an_adapter_is_switched_on_and_off_without_a_trace(saved, adapter):
    path, _ = saved
    plain, adapted = load(str(path)), load(str(path), adapter=adapter)
    off, on = read(plain), read(adapted)
    assert np.abs(on - off).max() > 0.1
    with adapted.adapter(None):
        np.testing.assert_array_equal(read(adapted), off)
        with adapted.adapter("default"):
            np.testing.assert_array_equal(read(adapted), on)
        np.testing.assert_array_equal(read(adapted), off)
    np.testing.assert_array_equal(read(adapted), on)
    assert [b.head_out for b in adapted.anatomy.blocks] == ["self_attn.o_proj"] * 3
    heads = adapted.capture(PROMPTS, at=adapted.head_out(1)).array
    silent = adapted.capture(PROMPTS, at=adapted.attn_out(1), edit=adapted.patch(adapted.head_out(1), 0 * heads[:, 0]))
    np.testing.assert_allclose(silent.array, 0, atol=1e-6)  # the LoRA path reads the patched heads too


def test_an_adapter_goes_onto_4_bit_weights(tmp_path, tokenizer, four_bit):
    from peft import LoraConfig, get_peft_model

    make("llama", len(tokenizer), width=WIDE, dtype=torch.bfloat16).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    lora = LoraConfig(r=4, target_modules=["q_proj", "o_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(make("llama", len(tokenizer), width=WIDE), lora).save_pretrained(tmp_path / "lora")
    subject = load(str(tmp_path / "base"), quantize="nf4")
    bare = read(subject)
    subject.add_adapter(tmp_path / "lora")
    assert np.abs(read(subject) - bare).max() > 0.1
    with subject.adapter(None):
        np.testing.assert_array_equal(read(subject), bare)  # to attach it unpacks what bitsandbytes has packed


def test_a_multimodal_models_text_tower_is_loaded(tmp_path, tokenizer):
    make("gemma3_multimodal", len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    subject = load(str(tmp_path))
    assert subject.anatomy.path == "model.language_model.layers"
    assert subject.n_layers == 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "cuda:7"}, "there is no cuda:7: torch sees"),
        ({"device": "abacus"}, "no device 'abacus'; use cpu"),
        ({"dtype": "float31"}, "no dtype 'float31'; use float32"),
        ({"quantize": "int3"}, "no quantization 'int3'; there is nf4"),
        ({"adapter": "/nowhere/at/all"}, "cannot attach the adapter /nowhere/at/all"),
        ({"base_url": "http://localhost:1/v1"}, "base_url is for a model behind an API"),
    ],
)
def test_settings_that_cannot_be_are_one_line(saved, options, said):
    with pytest.raises(LoadError, match=said) as error:
        load(str(saved[0]), **options)
    assert "\n" not in str(error.value)


def test_a_missing_package_is_named(saved, adapter, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(LoadError, match=r'pip install "lab-hypotheses\[adapters\]"'):
        load(str(saved[0]), adapter=adapter)
    monkeypatch.setattr("lab.subjects.loading.find_spec", lambda name: None)
    with pytest.raises(LoadError, match=r'pip install "lab-hypotheses\[quantize\]"'):
        load(str(saved[0]), quantize="nf4")


def test_a_model_too_big_for_the_memory_says_what_to_try(saved, monkeypatch):
    from transformers import AutoModelForCausalLM

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *args, **more: torch.empty(10**15))
    with pytest.raises(LoadError, match=r"does not fit into the memory of cpu; try dtype=.*nf4.*device_map"):
        load(str(saved[0]))


def test_an_organism_is_loaded_by_its_name():
    assert load("clinic-gpt2").name == "clinic-gpt2"
    assert load("untrained:clinic-gpt2").n_layers == 4


def test_a_subject_behind_an_api_is_loaded_by_the_same_name(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-at-all")
    subject = load("openai:some-model", base_url="http://localhost:9/v1", retries=0)
    with pytest.raises(SubjectError, match="behind an API, which gives answers and no activations"):
        subject.capture(PROMPTS, at=subject.resid_post(0.5))


# The map of hook points ------------------------------------------------------------------------------


def test_describe_prints_a_line_for_each_hook_point(capsys):
    assert main(["clinic-neox"]) == 0
    printed = capsys.readouterr().out
    assert "clinic-neox: GPTNeoXForCausalLM, 4 layers, d_model 128, 4 heads of 32" in printed
    for point in POINTS:
        assert f"\n  {point} " in printed
    assert "resid_mid     none: attention and MLP read the same stream" in printed
    assert "output of gpt_neox.layers.{i}.attention\n" in printed


def test_describe_says_in_one_line_what_it_cannot_load(capsys):
    assert main(["./nowhere"]) == 2
    assert capsys.readouterr().err == "error: there is no folder ./nowhere; check the path\n"


def test_blocks_that_are_built_differently_are_told(saved, tokenizer):
    from lab.commands.describe import describe

    model = make("llama", len(tokenizer))
    model.model.layers[1].input_layernorm = torch.nn.Identity()
    assert "layers 1 are built otherwise than layer 0" in describe(wrap(model, tokenizer))
