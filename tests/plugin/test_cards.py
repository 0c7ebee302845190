"""Each cell's card says what it is from its first moment, how it ended, and how to have it again to the byte."""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from lab.files.typed import schema_of
from lab.record import gather, read
from lab.studies.activations import card_fields
from lab.views import cards
from lab.views.cards import safe_name

SCHEMA = schema_of(cards.Results)
SCHEMA["properties"]["prompt_strategy"] = {"type": ["string", "null"]}  # registered by a study
SUITE = """
import os, pathlib
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

def seen(low=0.6, high=0.7):
    return Estimate((low + high) / 2, low, high, n=100, method="made")

@experiment(id="A", title="Activation Compare", claim="c", phase="p",
            questions=["How far?", "At which layers?"])
def test_a(model, evidence, *, prompt="mcq", dataset="clinic/mmlu", n_samples=3, cue=" Answer:", few_shot=True,
           output_format="json", answer_first=False, contrarian=False, layers=(0, 2), nothing=None, log_samples=True):
    (folder,) = pathlib.Path("results/experiments").glob("*/*_A_*")
    pathlib.Path("while_running.md").write_text((folder / "EXPERIMENT.md").read_text())
    evidence.control("sound", True)
    evidence.answer(1, "So far:", [{"layer": 0, "cosine": 0.98765}, {"layer": 2, "cosine": None}])
    evidence.rows("samples", [{"prompt": "a"}])
    evidence.rows("texts", [{"text": "b"}])
    evidence.report(**{"samples processed": 644}, norms={"0": 221.97721, "1": 26.4})
    evidence.arrays("m", {"a": [1.0]})
    assert evidence.measure("x", seen()) > 0.55

@experiment(id="B", title="Activation Compare", claim="c", phase="p")
def test_b(evidence, *, variants=("one dataset=x", "two prompt=radiology n_samples=5"), prompt="mcq", n_samples=3,
           dataset="y", sample_seed=None):
    raise RuntimeError("no | memory")

@experiment(id="C", claim="c", phase="p")
def test_c(evidence):
    assert evidence.measure("x", seen()) < 0.55
"""


@pytest.fixture
def suite(pytester, inner):
    pytester.makepyfile(test_suite=SUITE)

    def run(*arguments):
        return inner("--lab-models", "clinic-gpt2", *arguments)

    return run


def folders(pytester):
    return {path.name.split("_", 2)[1]: path for path in (pytester.path / "results" / "experiments").glob("*/*")}


def test_a_card_is_there_while_its_cell_runs_and_complete_when_it_has_ended(suite, pytester):
    suite("--lab-set", "A.n_samples=7", "--lab-set", "A.layers=1,3").assert_outcomes(passed=1, errors=1, failed=1)
    running = Path("while_running.md").read_text()
    assert "**Status:** Running" in running
    assert "## Configuration" in running
    assert "## Results" not in running
    folder = folders(pytester)["A"]
    told = (folder / "EXPERIMENT.md").read_text()
    results = json.loads((folder / "results.json").read_text())
    assert told.startswith("# Experiment: Activation Compare\n\n**Status:** Completed  \n**Started:** ")
    assert f"**Started:** {results['metadata']['start_time']}  " in told
    assert f"**Duration:** {int(results['duration_seconds'])} seconds" in told
    for line in (
        "1. How far?\n2. At which layers?",
        "1. So far:\n\n| layer | cosine |\n| --- | --- |\n| 0 | 0.9877 |\n| 2 |  |",
        "**Prompt Strategy:** Mcq",
        "**Reasoning Mode:** Standard",
        "**Few-Shot Examples:** Yes",
        "**Output Format:** JSON",
        "**Dataset:** clinic/mmlu",
        "- **Samples processed:** 644",
        "- **Norms:** {0: 222, 1: 26.4}",
        "- **x:** 0.65 [0.6, 0.7] (n=100), > 0.55: PASS",
    ):
        assert line in told, line
    block = told.partition("```yaml\n")[2].partition("```")[0]
    config = json.loads((folder / "config.json").read_text())
    assert yaml.safe_load(block) == yaml.safe_load((folder / "config.yaml").read_text()) == config
    assert config == results["metadata"]["config"]
    assert (config["experiment"]["knobs"]["n_samples"], config["experiment"]["knobs"]["layers"]) == (7, [1, 3])
    assert {"n_samples", "layers"} <= set(config["experiment"]["changed"]) < set(config["experiment"]["knobs"])
    assert (results["num_samples"], results["samples"]) == (644, [{"prompt": "a"}])
    assert results["raw_outputs"] == [{"name": "texts", "rows": [{"text": "b"}]}]


def test_every_results_file_fits_the_published_schema(suite, pytester):
    suite()
    for folder in folders(pytester).values():
        jsonschema.validate(json.loads((folder / "results.json").read_text()), SCHEMA)


def test_a_failed_cell_says_so_with_its_error_and_its_folder_is_marked(suite, pytester):
    suite()
    found = folders(pytester)
    told = (found["B"] / "EXPERIMENT.md").read_text()
    assert "**Status:** Failed  \n**Error:** no | memory" in told
    assert "Running" not in told
    assert found["B"].name.endswith("_FAILED")
    assert {path.name for path in found["B"].iterdir()} == {
        "EXPERIMENT.md",
        "config.json",
        "config.yaml",
        "results.json",
    }
    assert "**Status:** Completed" in (found["C"] / "EXPERIMENT.md").read_text()  # refuted is no failure
    assert "1. Does it hold that: c?" in (found["C"] / "EXPERIMENT.md").read_text()


def test_variants_give_the_title_and_the_folder_their_names(suite, pytester):
    suite()
    found = folders(pytester)
    told = (found["B"] / "EXPERIMENT.md").read_text()
    assert told.startswith("# Experiment: Activation Compare: one vs two\n")
    assert "- one: dataset=x, prompt=mcq, samples=3, seed=default\n" in told
    assert "- two: dataset=y, prompt=radiology, samples=5, seed=default\n" in told
    assert found["B"].name[6:] == "_B_one_two_FAILED"
    assert found["A"].name[6:] == "_A_clinic_gpt2_mcq_json_clinic-mmlu"


@pytest.mark.parametrize(
    ("option", "mode"),
    [("A.answer_first=true", "Answer-First"), ("A.contrarian=true", "Contrarian")],
)
def test_the_reasoning_mode_follows_its_flags(suite, pytester, option, mode):
    suite("--lab-set", option, "--lab-set", "A.few_shot=no", "--lab-dry-run", "-k", "test_a")
    told = (folders(pytester)["A"] / "EXPERIMENT.md").read_text()
    assert f"**Reasoning Mode:** {mode}  " in told
    assert "**Few-Shot Examples:** No (zero-shot)" in told


def reproduced(folder):
    return shlex.split((folder / "EXPERIMENT.md").read_text().partition("```bash\n")[2].partition("\n```")[0])


def test_the_reproduce_command_gives_the_same_configuration_to_the_byte(suite, pytester, inner):
    suite("--lab-set", "A.n_samples=7", "--lab-set", "A.layers=1,3", "--lab-set", "A.nothing=5", "--lab-set", "A.few_shot=no",
          "--lab-set", "A.dataset=a b/c", "--lab-load", "dtype=float32", "--lab-seeds", "7", "-k", "test_a")  # fmt: skip
    first = folders(pytester)["A"]
    before = (first / "config.yaml").read_bytes()
    program, *arguments = reproduced(first)
    assert program == "pytest"
    for path in first.iterdir():
        path.unlink()
    first.rmdir()
    inner(*arguments, "--lab-cache=off").assert_outcomes(passed=1)
    (second,) = (pytester.path / "results" / "experiments").glob("*/*")
    assert (second / "config.yaml").read_bytes() == before
    assert b"n_samples: 7" in before
    assert b"dtype: float32" in before


def test_a_twin_and_a_pair_are_reproduced_too(pytester, inner):
    pytester.makepyfile(
        test_suite=SUITE.partition("@experiment")[0]
        + """
@experiment(id="A", claim="c", phase="p", negative={"untrained": "knows nothing"})
def test_a(model, other_model, evidence):
    assert evidence.measure("x", seen()) > 0.8
"""
    )
    inner("--lab-models", "clinic-gpt2,clinic-neox", "-k", "untrained").assert_outcomes(xfailed=1)
    (first,) = (pytester.path / "results" / "experiments").glob("*/*")
    inner(*reproduced(first)[1:], "--lab-results", "again").assert_outcomes(xfailed=1)
    (second,) = (pytester.path / "again" / "experiments").glob("*/*")
    assert (first / "config.yaml").read_bytes() == (second / "config.yaml").read_bytes()


def test_a_dry_run_writes_configurations_and_cards_and_loads_nothing(suite, pytester):
    result = suite("--lab-dry-run")
    assert result.ret == 0
    result.assert_outcomes(skipped=3)
    assert not Path("while_running.md").exists()
    for folder in folders(pytester).values():
        told = (folder / "EXPERIMENT.md").read_text()
        assert "**Status:** Skipped  \n**Reason:** dry run: its configuration and its card are written" in told
        assert "```yaml" in told
        assert "--lab-dry-run" in told
        assert (folder / "config.yaml").exists()
    assert not (pytester.path / "results" / "cache").exists()


def test_a_planned_run_writes_no_card(suite, pytester):
    suite("--lab-plan", "-k", "test_c")
    assert not (pytester.path / "results").exists()


def test_the_configuration_is_printed_only_where_it_is_asked_for(suite):
    assert "id: C" in suite("-k", "test_c", "-vv").stdout.str()
    assert "id: C" not in suite("-k", "test_c", "-v").stdout.str()


def test_a_killed_cell_is_told_to_have_failed_when_its_card_is_made_from_the_journal(pytester):
    pytester.makepyfile(test_suite=SUITE.replace('raise RuntimeError("no | memory")', "os._exit(9)"))
    subprocess.run([sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "-k", "test_b"], capture_output=True)
    (folder,) = (pytester.path / "results" / "experiments").glob("*/*")
    assert "**Status:** Running" in (folder / "EXPERIMENT.md").read_text()
    assert {"config.json", "config.yaml"} < {path.name for path in folder.iterdir()}
    (made,) = cards.render(pytester.path / "results")
    told = (made / "EXPERIMENT.md").read_text()
    assert "**Status:** Failed  \n**Error:** it never finished: its process ended" in told
    jsonschema.validate(json.loads((made / "results.json").read_text()), SCHEMA)


def test_a_cell_whose_workers_died_has_failed_on_its_card(pytester, inner):
    pytester.makepyfile(test_suite=SUITE.replace('raise RuntimeError("no | memory")', "os._exit(9)"))
    inner("--lab-models", "clinic-gpt2", "-k", "test_b", "-n1")
    told = [path.read_text() for path in (pytester.path / "results" / "experiments").glob("*/*/EXPERIMENT.md")]
    assert len(told) == 2  # it was tried twice
    assert all("**Status:** Failed  \n**Error:** " in text for text in told)


def test_a_card_made_from_the_journal_is_the_one_that_was_written(suite, pytester):
    suite()
    before = {path: {file.name: file.read_bytes() for file in path.iterdir()} for path in folders(pytester).values()}
    assert set(cards.render(pytester.path / "results")) == set(before)
    assert before == {path: {file.name: file.read_bytes() for file in path.iterdir()} for path in before}


def test_two_cells_of_one_second_have_two_folders(pytester, inner):
    pytester.makepyfile(
        test_suite=SUITE.partition("@experiment")[0]
        + """
@experiment(id="A", claim="c", phase="p")
@pytest.mark.parametrize("i", ["one", "ONE!", "ONE?"])
def test_a(evidence, i):
    assert evidence.measure("x", seen()) > 0.55
"""
    )
    inner("-p", "no:randomly").assert_outcomes(passed=3)
    assert len(list((pytester.path / "results" / "experiments").glob("*/*"))) == 3


def test_a_card_takes_less_than_5_ms_a_cell(pytester, inner):
    pytester.makepyfile(test_suite=SUITE)
    inner("--lab-models", "clinic-gpt2", "-k", "test_a")
    (record,) = gather(read(pytester.path / "results" / "journal"))
    taken = []
    for _ in range(20):
        begun = time.process_time()  # what others do on this machine is not counted
        cards.write(pytester.path / "results", record)
        taken.append(time.process_time() - begun)
    assert sorted(taken)[len(taken) // 2] < 0.005


def test_names_of_models_are_safe():
    assert safe_name("openai:gpt-5-nano") == "openai_gpt_5_nano"
    assert safe_name("/somewhere/on/a/disk/my model") == "my_model"


def test_a_variant_is_listed_with_what_it_takes_from_the_others():
    knobs = {"variants": ["one dataset=base prompt=default", "two prompt=mcq output_format=json seed=7"],
             "dataset": "clinic/mmlu", "prompt": "radiology", "n_samples": 30, "sample_seed": None}  # fmt: skip
    assert card_fields.variants(knobs) == [
        {"name": "one", "dataset": "clinic/mmlu", "prompt": "radiology", "samples": "30", "seed": "default"},
        {
            "name": "two",
            "dataset": "clinic/mmlu",
            "prompt": "mcq",
            "samples": "30",
            "seed": "7",
            "output_format": "json",
        },
    ]
