"""The experiment's knobs do what they say, on an organism: what they change is in its results, and nothing else is."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from transformers import AutoTokenizer

from lab.record import store
from lab.studies.activations.compare_runs import compared
from lab.subjects.names import folder

ROOT = Path(__file__).parents[3]
HERE = ROOT / "hypotheses" / "activations" / "test_activation_compare.py"
FEW = ("--lab-models", "clinic-gpt2", "--lab-set", "n_samples=24")


@pytest.fixture
def run(pytester, inner):
    """Runs AC1 or AC2 as they are, from a folder of its own; returns folder and results.

    An experiment of so few items may come to any verdict, where a test names none.
    """
    pytester.path.joinpath("test_activation_compare.py").write_text(HERE.read_text())
    pytester.syspathinsert(ROOT)

    def go(which, *sets, results="results", outcomes=("passed", "failed", "inconclusive")):
        options = [part for text in sets for part in ("--lab-set", text)]
        done = inner("test_activation_compare.py", "-k", which, *FEW, *options, "--lab-results", results)
        assert set(outcomes) & set(done.parseoutcomes()), done.stdout.str()
        (found,) = (pytester.path / results / "experiments").glob("*/*")
        return found, json.loads((found / "results.json").read_text())

    return go


ONE, TWO = "stands and one", "variants and not untrained"


def vectors(place, found):
    root = place.parents[2]
    return {name: store.load_arrays(root / kept["file"], kept["sha256"]) for name, kept in found["arrays"].items()}


def test_a_single_run_has_its_norms_its_vectors_and_its_count(run):
    place, found = run(ONE, "AC1.layer_stride=2", "AC1.log_samples=yes", "AC1.batch_size=5")
    told = found["metrics"]
    assert (found["num_samples"], told["samples processed"], told["samples left out"]) == (24, 24, [])
    assert (told["pooling"], told["layer_stride"], told["point"], told["truncated"]) == ("last", 2, "resid_post", 0)
    assert list(told["norm of the mean vector"]) == list(told["mean of norms"]) == list(told["std"]) == ["0", "2"]
    assert told["run"]["answer_cue"] == "\n\nAnswer:"
    assert told["run"]["seed"] == 42
    assert len(found["samples"]) == 24
    encode = AutoTokenizer.from_pretrained(folder("clinic-gpt2")).encode
    assert {encode(row["prompt"])[-1] for row in found["samples"]} == {encode("\n\nAnswer:")[-1]}
    assert len(set(told["run"]["indices"])) == 24
    (kept,) = vectors(place, found).values()
    mean, layers = kept["clinic/mmlu under mcq/mean"], kept["clinic/mmlu under mcq/layers"]
    assert (mean.shape, mean.dtype, layers.tolist()) == ((2, 128), np.float32, [0, 2])
    np.testing.assert_allclose(np.linalg.norm(mean, axis=1), list(told["norm of the mean vector"].values()), rtol=1e-5)
    card = (place / "EXPERIMENT.md").read_text()
    assert card.startswith("# Experiment: Activation Compare\n")
    assert "- **Samples processed:** 24" in card


@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
def test_the_batch_size_changes_nothing(run, pooling):
    norms = []
    for size in (1, 4):
        _, found = run(
            ONE, f"AC1.batch_size={size}", f"AC1.pooling={pooling}", "dataset=clinic/mmlu", results=f"r{size}"
        )
        norms.append(list(found["metrics"]["norm of the mean vector"].values()))
    np.testing.assert_allclose(*norms, rtol=1e-3)


def test_long_prompts_are_cut_and_counted_and_the_point_is_named(run):
    _, found = run(ONE, "max_input_tokens=20", "allow_truncation=yes", "point=norm_out", "layers=1,3", "sample_seed=7")
    told = found["metrics"]
    assert (told["truncated"], told["point"], told["layers"]) == (24, "norm_out(ln_2)", [1, 3])
    assert told["run"]["seed"] == 7
    assert found["samples"] == []  # nothing asked for a log
    assert found["metadata"]["config"]["seed"] == 42


def test_two_runs_answer_all_three_questions_and_compare_offline_to_the_same_numbers(run):
    place, found = run(TWO)
    told = found["metrics"]
    assert [told[name] for name in ("num_runs", "num_layers", "comparison_mode", "pooling", "pair_count")] == [
        2, 4, "pairwise", "last", 1]  # fmt: skip
    assert sorted(found["answers"]) == ["1", "2", "3"]
    (pair,) = told["comparisons"]
    assert pair["mean cosine"] == pytest.approx(np.mean(list(pair["cosine"].values())))
    (offline,) = compared([place])
    assert offline.table() == pair
    card = (place / "EXPERIMENT.md").read_text()
    assert card.startswith("# Experiment: Activation Compare: histopathology vs radiology\n")
    assert "| histopathology / radiology | 0 |" in card
    assert "1. How do residual stream activations differ across runs and datasets?" in card
    assert found["num_samples"] == 48


def test_three_runs_against_the_first_make_two_pairs_without_lists(run):
    variants = "variants=base,json output_format=json,radiology dataset=clinic/radiology prompt=radiology"
    _, found = run(TWO, variants, "comparison_mode=baseline", "store_per_layer=no")
    told = found["metrics"]
    assert [pair["runs"] for pair in told["comparisons"]] == [["base", "json"], ["base", "radiology"]]
    assert told["pair_count"] == 2
    assert all("cosine" not in pair and "mean cosine" in pair for pair in told["comparisons"])
    assert "separation of base and json" in told


def test_the_printed_command_gives_the_same_configuration_to_the_byte(run, inner, pytester):
    sets = ("layers=0,2", "pooling=mean", "batch_size=6", "comparison_mode=baseline", "log_samples=true")
    sets += ("variants=a,b dataset=clinic/radiology prompt=radiology n_samples=12 seed=3",)
    place, _ = run(TWO, *sets, outcomes=["failed"])  # pooled over a prompt, its words move the mean most
    command = (place / "EXPERIMENT.md").read_text().partition("```bash\n")[2].partition("\n```")[0]
    inner(*shlex.split(command)[1:], "--lab-results", "again")
    (again,) = (pytester.path / "again" / "experiments").glob("*/*")
    assert (again / "config.yaml").read_bytes() == (place / "config.yaml").read_bytes()
    config = yaml.safe_load((again / "config.yaml").read_text())
    assert config["experiment"]["knobs"]["variants"][1].endswith("n_samples=12 seed=3")


def test_a_prompt_that_was_cut_makes_the_cell_invalid_unless_it_may_be(run):
    place, _ = run(ONE, "max_input_tokens=20", outcomes=["errors"])
    assert "no prompt was cut (allow_truncation)" in (place / "EXPERIMENT.md").read_text()


def test_a_run_of_two_data_sets_has_no_mean_to_stand_for_it(run):
    _, found = run("stands and two", outcomes=["xfailed"])
    assert found["metrics"]["separation of the halves"]["low"] > 0.25


def test_texts_that_stand_twice_are_told_and_count_once(run):
    _, found = run(ONE, "AC1.dataset=clinic/histopathology", "AC1.n_samples=300")
    told = found["metrics"]["separation of the halves"]
    assert (told["n"], told["doubt"]) == (294, "")
    assert found["num_samples"] == 300


def test_an_undecided_first_pair_does_not_hide_a_refuted_one(run):
    variants = "variants=a seed=1,b seed=2,c seed=3 n_samples=150,d seed=4 n_samples=150"
    _, found = run(TWO, variants, "layers=3", outcomes=["failed"])
    first, last = (found["metrics"][f"separation of {pair}"] for pair in ("a and b", "c and d"))
    assert first["low"] < 0.25 < first["high"]
    assert last["high"] < 0.25


def test_a_layer_that_is_not_there_is_one_line(pytester, inner):
    pytester.path.joinpath("test_activation_compare.py").write_text(HERE.read_text())
    pytester.syspathinsert(ROOT)
    done = inner("test_activation_compare.py", "-k", ONE, *FEW, "--lab-set", "layers=0,9")
    done.stdout.fnmatch_lines(["*no layer [[]9] in clinic-gpt2; it has layers 0 to 3*"])


def test_the_organism_has_as_many_layers_as_these_tests_say():
    assert json.loads((folder("clinic-gpt2") / "config.json").read_text())["n_layer"] == 4
