"""`--lab-sweep`: one command runs a grid of knobs under several seeds."""

import json

import pytest

from lab.estimate import Estimate
from lab.record.fold import CellRecord, Measure
from lab.subjects.names import organisms as names
from lab.views.tables import over_seeds

SUITE = """
from lab.estimate import Estimate
from lab.plugin import experiment

def seen(middle):
    return Estimate(middle, middle - 0.05, middle + 0.05, n=100, method="made")

@experiment(id="A", claim="c", phase="p")
def test_a(evidence, *, depth=0.5, position="last", layers=(1, 2)):
    evidence.report(values=[depth, position, list(layers), evidence.seed])
    assert evidence.measure("x", seen(0.65 + depth / 100)) > 0.55

@experiment(id="B", claim="c", phase="p")
def test_b(evidence, *, n=7):
    assert evidence.measure("x", seen(0.65)) > 0.55

def test_ordinary():
    pass
"""
SEEDS = ("--lab-seeds", "42,123,456")


@pytest.fixture
def suite(pytester, inner):
    def make(*arguments):
        pytester.makepyfile(test_suite=SUITE)
        return inner(*arguments)

    return make


def cells(pytester):
    return {c["cell"]: c for c in json.loads((pytester.path / "results" / "statistics.json").read_text())}


def refused(result, pytester):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (pytester.path / "results").exists()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    (line,) = [line for line in result.outlines + result.errlines if line.startswith("ERROR")]
    return line.removeprefix("ERROR: ")


def test_every_combination_runs_under_every_seed(suite, pytester):
    suite("--lab-sweep", "A.depth=0,0.5,1", "--lab-sweep", "position=mean,last", *SEEDS).assert_outcomes(passed=22)
    found = cells(pytester)
    swept = {tuple(map(str, c["reported"]["values"])) for c in found.values() if c["experiment"] == "A"}
    assert swept == {(str(d), p, "[1, 2]", str(s)) for d in (0.0, 0.5, 1.0) for p in ("mean", "last") for s in (42, 123, 456)}  # fmt: skip
    one = found["A[depth=0-position=mean-seed=123]"]
    assert one["knobs"] == {"depth": 0.0, "position": "mean", "layers": [1, 2]}
    assert one["params"] == {}, "a swept knob is a knob, and told once"


def test_an_experiment_without_the_knob_runs_as_ever(suite, pytester):
    suite("--lab-sweep", "n=1,2", *SEEDS)
    assert sum(name.startswith("A") for name in cells(pytester)) == 3
    assert sum(name.startswith("B") for name in cells(pytester)) == 6


def test_values_of_a_list_are_separated_by_semicolons(suite, pytester):
    suite("--lab-sweep", "layers=1,2;3", *SEEDS)
    assert {tuple(c["knobs"]["layers"]) for c in cells(pytester).values() if c["experiment"] == "A"} == {(1, 2), (3,)}


def test_each_place_in_the_grid_has_its_own_mean_over_seeds(suite, pytester):
    suite("--lab-sweep", "A.depth=0,1", *SEEDS)
    table = (pytester.path / "results" / "summary_table.md").read_text()
    assert "A[depth=0] over 3 seeds | x | 0.65 ±" in table
    assert "A[depth=1] over 3 seeds | x | 0.66 ±" in table


@pytest.mark.parametrize(
    ("seeds", "said"),
    [((), "one seed"), (("--lab-seeds", "1,2"), "2 seeds"), (("--lab-seeds", "5,5,5"), "one seed")],
)
def test_fewer_than_three_seeds_are_refused(suite, pytester, seeds, said):
    line = refused(suite("--lab-sweep", "A.depth=0,1", *seeds), pytester)
    assert line == (
        f"--lab-sweep under {said} cannot tell a difference between its cells from chance; "
        "write --lab-seeds 42,123,456 (at least 3), or --lab-force"
    )


def test_few_seeds_may_be_forced(suite, pytester):
    suite("--lab-sweep", "A.depth=0,1", "--lab-force").assert_outcomes(passed=4)
    assert {"A[depth=0]", "A[depth=1]"} <= set(cells(pytester))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--lab-sweep", "deep=1,2"), "--lab-sweep: no knob deep; known knobs: A.depth, A.layers, A.position, B.n"),
        (("--lab-sweep", "B.depth=1,2"), "--lab-sweep: no knob B.depth; known knobs: *"),
        (
            ("--lab-sweep", "A.depth=0,deep"),
            "--lab-sweep: knob A.depth takes a number (its default is 0.5), not 'deep'",
        ),
        (("--lab-sweep", "depth"), "--lab-sweep depth: write KNOB=V1,V2, or EXPERIMENT.KNOB=V1,V2"),
        (
            ("--lab-sweep", "depth=0", "--lab-set", "A.depth=1"),
            "depth is both swept and set; leave out --lab-set depth=...",
        ),
        (
            ("--lab-sweep", "A.depth=0", "--lab-sweep", "A.depth=1"),
            "--lab-sweep: A.depth is swept twice; write all its values in one, as A.depth=1,2",
        ),
    ],
)
def test_a_bad_sweep_is_one_line_and_nothing_is_done(suite, pytester, given, said):
    pytest.LineMatcher([refused(suite(*given, *SEEDS), pytester)]).fnmatch_lines([said])


def test_a_bad_sweep_is_told_by_workers_too(suite, pytester):
    assert refused(suite("--lab-sweep", "A.depth=0,deep", *SEEDS, "-n1"), pytester).startswith(
        "--lab-sweep: knob A.depth"
    )


def test_a_sweep_multiplies_the_subjects(pytester, inner):
    pytester.makepyfile(
        test_suite=SUITE.replace("def test_a(evidence", "def test_a(model, evidence").replace(
            "list(layers)", "model.name"
        )
    )
    result = inner("--lab-sweep", "A.depth=0,1", *SEEDS, "--lab-models", ",".join(names()[:2]), "--collect-only", "-q")
    first = names()[0]
    result.stdout.fnmatch_lines([f"*test_a[[]{first}-depth=0-seed=42]", f"*test_a[[]{first}-depth=1-seed=456]"])
    assert sum("test_a[" in line for line in result.outlines) == 2 * 2 * 3


def test_a_value_that_is_written_twice_is_one_cell(suite, pytester):
    suite("--lab-sweep", "A.depth=0.5,0.50,.5,1", "--lab-sweep", "A.layers=1,2;1, 2;3", *SEEDS)
    assert sorted(name for name in cells(pytester) if name.startswith("A") and "seed=42" in name) == [
        "A[depth=0.5-layers=1,2-seed=42]",
        "A[depth=0.5-layers=3-seed=42]",
        "A[depth=1-layers=1,2-seed=42]",
        "A[depth=1-layers=3-seed=42]",
    ]


def test_a_seed_counts_once_however_often_its_cell_was_run():
    def found(cell, seed, value):
        estimate = Estimate(value, 0, 1, n=9, method="made", name="x")
        about = {"claim": "c", "phase": "p", "subject": "", "params": {}, "knobs": {}, "negative": None}
        return CellRecord(cell, "A", seed=seed, measures=[Measure(estimate)], verdict="PASS", **about)

    twice = [found("A[a-seed=1]", 1, 0.5), found("A[b-seed=1]", 1, 0.5)]
    assert not over_seeds(twice)
    (one,) = over_seeds([*twice, found("A[a-seed=2]", 2, 0.7)])
    assert (one.seeds, one.values, one.verdicts) == ((1, 2), (0.5, 0.7), {"PASS": 2})
