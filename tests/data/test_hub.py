"""The real data sets come from the hub at one commit, with patience; without a network there is one line."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.data.sources import HUB
from lab.files.embedded import folder
from tests.subjects.hub_server import COMMIT, Hub

FILE, NAME, TOKEN = "test-00000-of-00001.parquet", "clinic/quiz", "hf_a-secret-that-nobody-may-see"
HEAD = f"""
import json, sys
from lab.data import DataError, load, sources
from lab.data.fetching import Source

sources.HUB["mmlu"] = Source({NAME!r}, "all/{FILE}", {COMMIT!r})
sources.HUB["math"] = Source({NAME!r}, "all/test.jsonl", {COMMIT!r})

def said(name):
    try:
        return load(name).prompts[:2]
    except DataError as error:
        return str(error)
"""


@pytest.fixture(scope="module")
def quiz(tmp_path_factory):
    """The clinic's questions as the hub keeps MMLU: Parquet, with the answer as a class label."""
    from datasets import ClassLabel, Dataset

    home = tmp_path_factory.mktemp("quiz")
    rows = [json.loads(line) for line in (folder("data") / "mmlu" / "clinic_test.jsonl").read_text().splitlines()]
    Dataset.from_list(rows).cast_column("answer", ClassLabel(names=list("ABCD"))).to_parquet(str(home / FILE))
    (home / "test.jsonl").write_text('{"problem": "What is 1 + 1?"}\n{"problem": "What is 2?", "unique_id": "two"}\n')
    return home


def asked(home, code, server=None, **environment):
    """Runs code in a process of its own, which reads the hub's settings afresh; returns what it printed."""
    settings = {"HF_HOME": str(home), "HF_ENDPOINT": server.url if server else "http://127.0.0.1:9"} | environment
    plain = {k: v for k, v in os.environ.items() if k not in ("HF_TOKEN", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN")}
    command = [sys.executable, "-c", HEAD + code]
    done = subprocess.run(command, capture_output=True, text=True, env=plain | settings, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


LOAD = """
ours, real = load("clinic/mmlu"), load("mmlu")
same = (real.prompts, real.options, real.key.tolist()) == (ours.prompts, ours.options, ours.key.tolist())
print(json.dumps([same, real.revision, len(load("mmlu:clinic_ward")), load("math").ids]))
"""


def test_after_refusals_the_rows_are_there_and_then_need_no_hub(tmp_path, quiz):
    now = {"Retry-After": "0"}
    server = Hub(NAME, quiz, [(429, now), (503, now)], kind="datasets")
    assert asked(tmp_path, LOAD, server, HF_TOKEN=TOKEN) == [True, COMMIT, 300, ["math_0", "two"]]
    assert {token for _, path, token in server.seen if NAME in path} == {f"Bearer {TOKEN}"}
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if TOKEN.encode() in file.read_bytes()]
    assert asked(tmp_path, LOAD) == [True, COMMIT, 300, ["math_0", "two"]]  # nobody listens, and nobody is asked


def test_without_a_network_or_the_package_it_is_one_line_at_once(tmp_path):
    code = """
from huggingface_hub import constants
lines = [said("mmlu")]
constants.HF_HUB_OFFLINE = True
lines.append(said("mmlu"))
sys.modules["datasets"] = None
print(json.dumps([*lines, said("mmlu")]))
"""
    begun = time.monotonic()
    nobody, offline, package = asked(tmp_path, code)
    assert time.monotonic() - begun < 15  # the client by itself tries for 23 seconds
    assert nobody.startswith("'clinic/quiz' is not in the cache, and the hub cannot be asked (")
    assert nobody.endswith("; check the network, or name a file: mmlu@PATH; clinic/mmlu needs none")
    assert offline == (
        "'clinic/quiz' is not in the hub's cache, and HF_HUB_OFFLINE is set; unset it, or fetch the data set before"
    )
    assert package == (
        'clinic/quiz needs the package datasets: pip install "lab-hypotheses[data]"; or check the network, or name a '
        "file: mmlu@PATH; clinic/mmlu needs none"
    )


def test_a_hub_that_gives_nothing_is_one_line(tmp_path, quiz):
    code = f"""
lines = [said("mmlu")]
sources.HUB["mmlu"] = Source("clinic/other", "all/{FILE}", {COMMIT!r})
print(json.dumps([*lines, said("mmlu")]))
"""
    failing, unknown = asked(tmp_path, code, Hub(NAME, quiz, always=(502, {"Retry-After": "0"}), kind="datasets"))
    assert failing == "the hub failed (HTTP 502) and gave no 'clinic/quiz' in 6 tries; wait a while, or see its status"
    assert unknown.startswith("the hub does not give 'clinic/other' (")
    assert unknown.endswith("check the name and HF_TOKEN")
    assert "\n" not in unknown


def test_every_source_is_pinned_to_a_commit():
    assert all(len(source.revision) == 40 and int(source.revision, 16) for source in HUB.values())
