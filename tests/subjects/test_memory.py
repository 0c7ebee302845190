"""Running out of memory makes batches smaller, not results wrong; what is written to disk never stays in memory."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from lab.subjects import LoadError, OutOfMemory, SubjectError, load
from lab.subjects.names import smaller, ways_out
from lab.subjects.results import Store

RNG = np.random.default_rng(5)
ROWS = [RNG.integers(6, 400, size=n).tolist() for n in (7, 7, 5, 6, 3, 7, 2, 4)]


def cuda_error():
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has ...")


def allocator_error():
    torch.empty(10**15)  # the CPU allocator's own RuntimeError


@pytest.fixture(params=[cuda_error, allocator_error])
def short_of_memory(request, subject):
    """A subject whose first block fails on more than `limit` rows."""
    limit = {"rows": 3}

    def fail(_module, args):
        if len(args[0]) > limit["rows"]:
            request.param()

    handle = subject.blocks[0].register_forward_pre_hook(fail)
    yield subject, limit
    handle.remove()


def test_the_batch_is_halved_until_it_fits(model, tokenizer, short_of_memory):
    subject, limit = short_of_memory
    found = subject.capture(ROWS, at=subject.resid_post(), position="mean").array
    chosen = subject.choose(ROWS, [" Sort the", " the vials"]).logprobs
    assert any("out of memory with 8 prompts of 7 tokens" in note for note in subject.notes)
    assert subject.tokens_per_batch <= 3 * 7
    limit["rows"] = 1000
    np.testing.assert_allclose(subject.capture(ROWS, at=subject.resid_post(), position="mean").array, found, atol=1e-3)
    np.testing.assert_allclose(subject.choose(ROWS, [" Sort the", " the vials"]).logprobs, chosen, atol=1e-3)


def test_sweeps_and_answers_step_down_too(short_of_memory):
    subject, limit = short_of_memory
    limit["rows"] = 1000
    swept = subject.patch_sweep(ROWS, ROWS[::-1]).logits
    written = subject.chat([subject.tokenizer.decode(row) for row in ROWS], n=2, temperature=1.0, max_new_tokens=3)
    limit["rows"] = 4
    np.testing.assert_allclose(subject.patch_sweep(ROWS, ROWS[::-1]).logits, swept, atol=2e-3)
    texts = [subject.tokenizer.decode(row) for row in ROWS]
    assert subject.chat(texts, n=2, temperature=1.0, max_new_tokens=3) == written
    assert len(subject.notes) >= 2


def test_at_one_prompt_it_is_an_error_that_names_what_to_do(short_of_memory):
    subject, limit = short_of_memory
    limit["rows"] = 0
    with pytest.raises(OutOfMemory, match=r"on one prompt of 7 tokens .*bfloat16.*nf4.*smaller model") as error:
        subject.capture(ROWS, at=subject.resid_post())
    assert "\n" not in str(error.value)


def test_another_error_is_no_shortage_of_memory(subject):
    def fail(_module, _args):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    handle = subject.blocks[0].register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="mat1"):
            subject.capture(ROWS, at=subject.resid_post())
    finally:
        handle.remove()
    assert subject.notes == []


@pytest.mark.parametrize("position", ["last", "all"])
def test_a_file_holds_what_memory_would(subject, tmp_path, position):
    path = tmp_path / "deep" / "acts.safetensors"
    subject.tokens_per_batch = 15
    found = subject.capture(ROWS, at=subject.resid_post(), position=position, out=path)
    expected = subject.capture(ROWS, at=subject.resid_post(), position=position).array
    assert isinstance(found.array, np.memmap)
    np.testing.assert_array_equal(found.array, expected)
    np.testing.assert_array_equal(load_file(path)["activations"], expected)
    assert [p.name for p in path.parent.iterdir()] == ["acts.safetensors"]
    with pytest.raises(ValueError, match="read-only"):
        found.array[0] = 0


def test_a_failed_capture_leaves_no_file_and_keeps_the_old_one(subject, tmp_path):
    path = tmp_path / "acts.safetensors"
    before = np.array(subject.capture(ROWS, at=subject.resid_post(0), out=path).array)

    def fail(_module, _args):
        raise RuntimeError("broken")

    handle = subject.blocks[0].register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="broken"):
            subject.capture(ROWS, at=subject.resid_post(), out=path)
    finally:
        handle.remove()
    assert [p.name for p in tmp_path.iterdir()] == ["acts.safetensors"]
    np.testing.assert_array_equal(load_file(path)["activations"], before)


def test_a_file_that_cannot_be_written_is_one_line(subject, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SubjectError, match="cannot write .*; choose another file"):
        subject.capture(ROWS, at=subject.resid_post(0), out=tmp_path / "file" / "acts.safetensors")
    with pytest.raises(SubjectError, match=r"needs 4000000.0 GB, but only .* are free there"):
        Store((10**9, 10**6), tmp_path / "huge").__enter__()


def test_many_prompts_need_no_more_memory_than_a_batch(tmp_path):
    """6,000 prompts of 62 layers, 48 MB on disk: the process grows by a small part of that."""
    code = f"""
import json, resource, torch
from transformers import GPT2Config, GPT2LMHeadModel
from lab.studies.clinic import tokenizer
from lab.subjects import wrap
model = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=32, n_layer=62, n_head=2, n_positions=16))
subject = wrap(model, tokenizer.build())
subject.tokens_per_batch = 512
prompts = [[i % 290, 7] for i in range(6_000)]
subject.capture(prompts[:1000], at=subject.resid_post(), out={str(tmp_path / "warm")!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = subject.capture(prompts, at=subject.resid_post(), out={str(tmp_path / "acts")!r})
print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, found.array.nbytes]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    grown, written = json.loads(done.stdout.splitlines()[-1])
    assert written == 6_000 * 62 * 32 * 4
    assert grown * 1024 < written / 4


@pytest.fixture
def small_gpu(monkeypatch):
    """torch sees a GPU, and no model fits on it."""
    import transformers

    def move(model, device):
        if device == "cuda":
            cuda_error()
        return model

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(transformers.PreTrainedModel, "to", move)


def test_a_model_too_big_for_the_gpu_is_loaded_on_the_cpu_and_says_so(small_gpu):
    subject = load("clinic-gpt2")
    assert subject.device.type == "cpu"
    assert subject.model.dtype == torch.float32
    assert subject.notes == ["it does not fit into the memory of cuda, so it runs on the CPU"]


def test_a_gpu_that_was_asked_for_is_not_left_but_the_way_out_is_told(small_gpu):
    said = (
        "does not fit into the memory of cuda; try .* or the CPU (pytest --lab-models clinic-opt --lab-load device=cpu)"
    )
    with pytest.raises(LoadError, match=re.escape(said).replace(r"\.\*", ".*")) as error:
        load("clinic-opt", device="cuda")
    assert "\n" not in str(error.value)


def test_one_prompt_too_many_for_the_gpu_names_the_cpu_and_a_smaller_model(short_of_memory):
    subject, limit = short_of_memory
    limit["rows"] = 0
    with pytest.raises(OutOfMemory, match=r"or a smaller model \(pytest --lab-models clinic-gemma\)$"):
        subject.capture(ROWS, at=subject.resid_post())
    assert ways_out("gpt2", "cuda") == (
        "the CPU (pytest --lab-models gpt2 --lab-load device=cpu) or a smaller model "
        "(pytest --lab-models EleutherAI/pythia-70m)"
    )


@pytest.mark.parametrize(
    ("name", "less"),
    [
        ("EleutherAI/pythia-1b", "EleutherAI/pythia-410m"),
        ("pythia-1b", "EleutherAI/pythia-410m"),
        ("untrained:openai-community/gpt2-xl", "openai-community/gpt2-large"),
        ("EleutherAI/pythia-14m", "clinic-gemma"),
        ("somebody/a-model", "clinic-gemma"),
        ("clinic-gpt2", None),
        ("clinic-llama+to-b", None),
    ],
)
def test_the_next_smaller_model_is_known(name, less):
    assert smaller(name) == less


def test_a_batch_has_at_most_as_many_rows_as_was_asked_for():
    """As the plan's --batch_size 8, 4 or 1; what is read stays the same."""
    subject, seen = load("clinic-gpt2", batch_size=2), []
    subject.model.register_forward_pre_hook(lambda _, __, given: seen.append(len(given["input_ids"])), with_kwargs=True)
    found = subject.capture(ROWS, at=subject.resid_post()).array
    assert max(seen) == 2
    assert sum(seen) == len(ROWS)
    subject.batch_size = None
    np.testing.assert_allclose(found, subject.capture(ROWS, at=subject.resid_post()).array, atol=1e-4)
    with pytest.raises(SubjectError, match="use at least 1"):
        subject.batch_size = 0
