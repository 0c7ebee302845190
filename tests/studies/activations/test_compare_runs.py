"""Two saved runs are compared without a model, and the numbers are those of the experiment."""

import json
import subprocess
import sys

import numpy as np
import pytest

from lab.estimate import Estimate
from lab.record import Cell, Journal, Notebook, gather
from lab.studies.activations import activation_compare
from lab.studies.activations.compare_runs import compared, main
from lab.views import cards

RNG = np.random.default_rng(0)
LAYERS = (0, 2, 5)


def summary(seed, width=8):
    return activation_compare.summarise(np.random.default_rng(seed).standard_normal((20, 3, width)) + 1, LAYERS)


def saved(results, name, model="m", **means):
    """An experiment's folder as a run leaves it, with the mean vectors of some runs."""
    notebook = Notebook(
        Cell(name, name, "c", "p", "m", {}, {}, 42), Journal(results / "journal", name, "main"), results
    )
    notebook.configured({"models": [{"name": model}]}, f"experiments/2026-01-01/000000_{name}", "pytest x")
    if means:
        kept = {label: array for run, one in means.items() for label, array in one.arrays(run).items()}
        notebook.arrays("mean activations", kept)
    bool(notebook.measure("x", Estimate(0.6, 0.5, 0.7, n=9, method="made")) > 0.1)
    notebook.finish("PASS", "r")
    return cards.write(results, gather(notebook.events)[0])


def test_two_runs_compare_offline_as_in_the_run(tmp_path, capsys):
    one, two = summary(1), summary(2)
    a, b = saved(tmp_path, "a", mcq=one), saved(tmp_path, "b", radiology=two)
    assert main([str(a), str(b), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told == activation_compare.compare(one, two, names=("mcq", "radiology")).table()


def test_a_file_or_a_folder_may_be_named_and_equal_names_are_told_apart(tmp_path, capsys):
    a, b = saved(tmp_path, "a", mcq=summary(1)), saved(tmp_path / "elsewhere", "b", mcq=summary(2))
    (file,) = (tmp_path / "elsewhere" / "arrays").rglob("*.safetensors")
    assert main([str(a), str(file)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Models: m\n\n# mcq (1) / mcq (2)\n\n| layer | cosine | L2 | relative L2 |")
    assert "Most diverging first (1 - cosine): " in out
    assert compared([a, b])[0].table()["cosine"] == compared([a, file])[0].table()["cosine"]


def test_three_runs_are_compared_in_pairs_or_with_the_first(tmp_path):
    a, b = saved(tmp_path, "a", one=summary(1), two=summary(2)), saved(tmp_path, "b", three=summary(3))
    assert [(c.first, c.second) for c in compared([a, b])] == [("one", "two"), ("one", "three"), ("two", "three")]
    assert [(c.first, c.second) for c in compared([a, b], "baseline")] == [("one", "two"), ("one", "three")]


def test_what_cannot_be_compared_is_one_line(tmp_path, capsys):
    a, none, wide = saved(tmp_path, "a", x=summary(1)), saved(tmp_path, "b"), saved(tmp_path, "c", y=summary(2, 9))
    for places, said in (
        ([a], "a comparison needs two runs"),
        ([a, none], "its experiment kept no arrays; run AC1 or AC2"),
        ([a, tmp_path / "nowhere"], "there is no results.json; name an experiment's folder"),
        ([a, wide], "differ in width"),
    ):
        with pytest.raises(SystemExit) as end:
            main([str(place) for place in places])
        assert end.value.code == 2
        assert said in capsys.readouterr().err.splitlines()[-1]
    (file,) = (tmp_path / "arrays" / "a").rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(SystemExit):
        main([str(a), str(wide)])
    assert "has changed since it was written" in capsys.readouterr().err


def test_runs_of_two_models_are_compared_with_a_warning_that_names_them(tmp_path, capsys):
    a, b = saved(tmp_path, "a", "gpt2", x=summary(1)), saved(tmp_path, "b", "pythia-70m", y=summary(2))
    assert main([str(a), str(b)]) == 0
    told = capsys.readouterr()
    (warning,) = told.err.splitlines()
    assert warning.startswith("warning: these are runs of different models")
    assert f"{a}: gpt2; {b}: pythia-70m" in warning
    assert told.out.startswith("Models: gpt2, pythia-70m\n")
    assert main([str(a), str(a)]) == 0
    assert capsys.readouterr().err == ""


def test_no_model_and_no_torch_is_loaded(tmp_path):
    a, b = saved(tmp_path, "a", x=summary(1)), saved(tmp_path, "b", y=summary(2))
    code = f"import sys; from lab.studies.activations.compare_runs import main; main([{str(a)!r}, {str(b)!r}]); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "False"
