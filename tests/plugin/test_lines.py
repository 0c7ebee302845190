"""What a user types and reads: texts of knobs, ids as keywords, one line where one is due, and why cells were skipped."""

import json

import pytest

from lab.plugin.experiment import knob_text, parse_knob

SUITE = """
from lab.estimate import Estimate
from lab.studies.preferences import position_bias
from lab.plugin import experiment

@experiment(id="2X7", claim="c", phase="p")
def test_named_otherwise(evidence, *, n_items=5, cue="x"):
    evidence.report(n_items=n_items, cue=cue)
    assert evidence.measure("x", Estimate(1, 0.9, 1.1, n=9, method="made")) > 0.5

@experiment(id="BAD", claim="c", phase="p")
def test_bad(evidence):
    position_bias.bias([[2, 2]], seed=0)

@experiment(id="OWN", claim="c", phase="p")
def test_own(evidence):
    raise ValueError("of this very test")

@experiment(id="AFTER", claim="c", phase="p", needs=["NEVER"])
def test_after(evidence):
    pass
"""


@pytest.fixture
def suite(pytester, inner):
    pytester.makepyfile(test_made=SUITE)
    return lambda *arguments: inner("-p", "no:cacheprovider", *arguments)


def test_an_experiment_is_found_by_its_id(suite):
    suite("-k", "2X7").assert_outcomes(passed=1, deselected=3)


def test_a_number_of_things_may_be_all_and_a_text_may_be_quoted(suite, pytester):
    cue = json.dumps("\n\nAnswer:")
    suite("-k", "2X7", "--lab-set=n_items=all", f"--lab-set=cue={cue}").assert_outcomes(passed=1, deselected=3)
    (told,) = json.loads((pytester.path / "results" / "statistics.json").read_text())
    assert told["reported"] == {"cue": "\n\nAnswer:", "n_items": None}


@pytest.mark.parametrize(
    ("default", "value"),
    [(5, None), (5, 7), ("a", " b"), ("a", '"'), ("a", "two\nlines"), (True, False), ((1, 2), (3, 4))],
)
def test_what_an_option_says_is_read_back(default, value):
    assert parse_knob("n_knob", default, knob_text(value).strip()) == value


def test_a_quote_that_is_no_json_is_one_line(suite):
    result = suite("-k", "2X7", '--lab-set=cue="open')
    result.stderr.fnmatch_lines(['*knob 2X7.cue begins with a quote and is no JSON text: "open; write "a text"*'])
    assert result.ret == 4


def test_what_our_own_code_refuses_is_one_line_and_a_tests_own_fault_is_shown(suite):
    said = suite("-k", "BAD").stdout.str()
    assert "ERROR: p_first needs shape [pairs, 2] with at least two pairs, not (1, 2)" in said
    assert "position_bias.bias(" not in said
    assert "raise ValueError" in suite("-k", "OWN").stdout.str()


def test_it_is_said_why_cells_were_skipped(suite):
    suite("-k", "AFTER").stdout.fnmatch_lines(["SKIPPED 1 cell: gate closed: NEVER did not run; --lab-force opens it"])
