"""Two subjects share an identity where they give the same numbers, and only there."""

import json
import os
import shutil
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import pytest

from lab.subjects import identity as module
from lab.subjects import names
from lab.subjects.identity import identity, source

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(names.folder("clinic-gpt2"), tmp_path / "model"))


def test_subjects_that_differ_in_anything_have_identities_of_their_own(folder, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    calls = [
        ("clinic-gpt2", {}),
        ("clinic-llama", {}),
        ("clinic-llama+to-b", {}),
        ("clinic-llama+to-a", {}),
        ("untrained:clinic-gpt2", {}),
        ("untrained:clinic-llama", {}),
        ("clinic-gpt2", {"dtype": "bfloat16"}),
        ("clinic-gpt2", {"quantize": "nf4"}),
        ("clinic-gpt2", {"device": "cuda:0"}),
        ("clinic-gpt2", {"device_map": "balanced"}),
        ("clinic-llama", {"adapter": str(names.folder("clinic-llama+fair"))}),
        ("nobody/nothing", {}),
        ("nobody/nothing", {"revision": "v1"}),
        ("openai:tiny", {}),
        ("openai:other", {}),
        ("openai:tiny", {"base_url": "http://localhost:1/v1"}),
        ("openai:tiny", {"samples": 5}),
    ]
    found = [identity(name, options) for name, options in calls]
    assert not [pair for pair in combinations(range(len(calls)), 2) if found[pair[0]] == found[pair[1]]]
    json.dumps(found)


def test_the_same_files_are_the_same_subject_wherever_they_are(folder):
    assert identity(str(folder), {}) == identity("clinic-gpt2", {"device": "auto", "revision": None})
    assert identity("clinic-gpt2", {"device": "cuda:1"}) == identity("clinic-gpt2", {"device": "cuda"})
    assert identity("clinic-llama+to-b", {}) == identity(
        "clinic-llama", {"adapter": str(names.folder("clinic-llama+to-b"))}
    )


@pytest.mark.parametrize(
    ("file", "for_twin"),
    [("model.safetensors", False), ("config.json", True), ("tokenizer.json", True), ("chat_template.jinja", True)],
)
def test_a_changed_file_makes_another_subject(folder, file, for_twin):
    own, twin = (identity(f"{prefix}{folder}", {}) for prefix in ("", names.UNTRAINED))
    path = folder / file
    path.write_bytes(path.read_bytes() + b" ")
    assert identity(str(folder), {}) != own
    assert (identity(f"{names.UNTRAINED}{folder}", {}) != twin) == for_twin


def test_what_changes_no_number_changes_no_identity(folder):
    before = identity(str(folder), {})
    (folder / "truth.yaml").write_text("other: words")
    (folder / "README.md").write_text("words")
    os.utime(folder / "model.safetensors")
    assert identity(str(folder), {}) == before


def test_large_weights_count_by_size_and_time(folder, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 1000)
    weights = folder / "model.safetensors"
    before = source(folder)
    assert before["model.safetensors"].startswith(f"{weights.stat().st_size} bytes of ")
    os.utime(weights, ns=(1, 1))
    assert {name for name, told in source(folder).items() if told != before[name]} == {"model.safetensors"}


def test_a_hub_name_is_the_commit_that_is_here(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repo = tmp_path / "models--nobody--nothing"
    for commit, ref in (("a" * 40, "main"), ("b" * 40, "v1")):
        (repo / "snapshots" / commit).mkdir(parents=True)
        (repo / "snapshots" / commit / "config.json").write_text("{}")
        (repo / "refs").mkdir(exist_ok=True)
        (repo / "refs" / ref).write_text(commit)
    told = {
        revision: identity("nobody/nothing", {"revision": revision})["source"] for revision in (None, "v1", "b" * 40)
    }
    assert told == {None: {"commit": "a" * 40}, "v1": {"commit": "b" * 40}, "b" * 40: {"commit": "b" * 40}}


@pytest.mark.parametrize("name", ["nobody/nothing", "/no/such/folder", "not a name"])
def test_what_is_not_here_is_never_taken_for_another(name):
    assert identity(name, {}) != identity(name, {})


def test_a_server_is_not_named_in_clear():
    told = identity("openai:tiny", {"base_url": "http://user:secret@localhost/v1"})
    assert "secret" not in json.dumps(told)
    assert "localhost" not in json.dumps(told)


def test_another_version_of_our_code_or_of_torch_is_another_identity(monkeypatch):
    before = identity("clinic-gpt2", {})
    monkeypatch.setattr(module, "_code", lambda: "mended")
    assert identity("clinic-gpt2", {}) != before
    monkeypatch.undo()
    monkeypatch.setattr(module, "_versions", lambda: {"torch": "9.0"})
    assert identity("clinic-gpt2", {}) != before


def test_auto_is_the_device_that_torch_finds():
    import torch

    assert identity("clinic-gpt2", {})["device"] == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_hidden_gpu_is_none(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert identity("clinic-gpt2", {})["device"] == "cpu"


def test_a_second_call_takes_less_than_a_millisecond():
    times = []
    for _ in range(20):
        start = time.perf_counter()
        identity("clinic-gpt2", {})
        times.append(time.perf_counter() - start)
    assert sorted(times[1:])[5] < 1e-3


def test_other_processes_agree_and_import_no_torch():
    code = (
        "import sys, json; from lab.subjects.identity import identity\n"
        "print(json.dumps(identity('clinic-llama+to-b', {})))\n"
        "identity('nobody/nothing', {})\n"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    assert json.loads(out[0]) == identity("clinic-llama+to-b", {})
    assert out[1] == "[]"
