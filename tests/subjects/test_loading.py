"""A model is loaded as Hugging Face loads it, from a folder, or as its untrained twin."""

import numpy as np
import pytest
import torch

from lab.organisms import folder
from lab.subjects import LoadError, load, locate
from tests.subjects.families import config


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


def test_a_twin_needs_no_weights(tmp_path, saved):
    path, _ = saved
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((path / name).read_bytes())
    assert load(f"untrained:{tmp_path}").n_layers == 3
    (tmp_path / "training_args.bin").write_bytes(b"no weights")
    with pytest.raises(LoadError, match=r"has no weights \(model\*.safetensors\)"):
        load(str(tmp_path))
