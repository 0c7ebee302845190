"""A fixture's keyword-only defaults are knobs of every experiment that uses it."""

import json

import pytest

SUITE = """
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

@pytest.fixture
def throws(*, n=10, loaded=False):
    return n * (2 if loaded else 1)

@pytest.fixture
def thrown_twice(throws):
    yield throws + throws

@experiment(id="DICE", claim="throws add up", phase="games")
def test_dice(thrown_twice, evidence, *, bias=0.0):
    value = thrown_twice + bias
    assert evidence.measure("sum", Estimate(value, value - 1, value + 1, 10, "count")) > 5

@experiment(id="COINS", claim="coins add up", phase="games")
def test_coins(throws, evidence, *, n=20):
    assert evidence.measure("sum", Estimate(throws, throws - 1, throws + 1, n, "count")) > 5

def test_plain(throws):
    assert throws == 10
"""


@pytest.fixture
def suite(pytester):
    pytester.makepyfile(SUITE)
    return pytester


def cells(pytester):
    return {cell["cell"]: cell for cell in json.loads((pytester.path / "results/statistics.json").read_text())}


def test_a_fixtures_knobs_are_recorded_and_may_be_repeated_by_the_page(suite, inner):
    inner("-q").assert_outcomes(passed=3)
    found = cells(suite)
    assert found["DICE"]["knobs"] == {"bias": 0.0, "loaded": False, "n": 10}
    assert found["COINS"]["knobs"] == {"loaded": False, "n": 20}
    assert found["DICE"]["measures"][0]["estimate"]["value"] == 20
    assert found["COINS"]["measures"][0]["estimate"]["value"] == 20


def test_they_are_set_and_swept_like_any_other(suite, inner):
    inner("-q", "--lab-set", "DICE.n=4", "--lab-sweep", "loaded=false,true", "--lab-force").assert_outcomes(passed=5)
    values = {name: cell["measures"][0]["estimate"]["value"] for name, cell in cells(suite).items()}
    assert values["DICE[loaded=false]"] == 8
    assert values["DICE[loaded=true]"] == 16


def test_an_unknown_one_is_named_with_those_that_there_are(suite, inner):
    run = inner("-q", "--lab-set", "DICE.thrown=4")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*known knobs: COINS.loaded, COINS.n, DICE.bias, DICE.loaded, DICE.n*"])


def test_a_fixture_that_outlives_a_cell_has_none(pytester, inner):
    pytester.makepyfile(SUITE.replace("@pytest.fixture\ndef throws", "@pytest.fixture(scope='session')\ndef throws"))
    run = inner("-q")
    assert run.ret == pytest.ExitCode.USAGE_ERROR or run.ret == pytest.ExitCode.INTERRUPTED
    assert "give it the scope of a function" in run.stdout.str() + run.stderr.str()


def test_what_a_result_keeps_is_recorded(pytester, inner):
    pytester.makepyfile("""
        from lab.estimate import Estimate
        from lab.plugin import experiment
        from lab.record.kept import Kept

        class Result:
            def kept(self):
                drawn = {"a line": lambda ax: ax.plot([0, 1]), "wide": (lambda ax: ax.plot([1, 0]), (8.0, 3.0))}
                return Kept(rows={"rows": [{"a": 1}]}, summary={"total": 3}, plots=drawn)

        @experiment(id="KEEP", claim="a result is kept", phase="games")
        def test_keep(evidence):
            evidence.keep(Result())
            assert evidence.measure("sum", Estimate(9, 8, 10, 10, "count")) > 5
    """)
    inner("-q").assert_outcomes(passed=1)
    (cell,) = cells(pytester).values()
    assert cell["reported"] == {"total": 3}
    assert sorted(cell["plots"]) == ["a line", "wide"]
    assert [len(each) for each in (cell["plots"]["a line"], cell["plots"]["wide"])] != [0, 0]
