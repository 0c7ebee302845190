"""Where a direction goes after phase 2 is said at the end of the run, and kept beside what the pre-mortems decided."""

import json

import pytest

SUITE = """
from lab.estimate import Estimate
from lab.plugin import experiment

def passes(value):
    return Estimate(value, value - 0.1, value + 0.1, n=100, method="made")
"""
TEST = """
@experiment(id="{id}", claim="c", phase="{phase}")
def test_{id}(evidence):
    assert evidence.measure("x", passes({value})) > 0.5
"""


@pytest.fixture
def ran(pytester, inner):
    """Runs experiments of these values, and returns the output's lines and summary.json."""

    def run(values):
        phases = {id: f"phase-{id[:2].lower()}" if id[0] == "2" else "pre-mortems" for id in values}
        tests = [TEST.format(id=id, phase=phases[id], value=value) for id, value in values.items()]
        (pytester.path / "test_made.py").write_text("".join([SUITE, *tests]))
        result = inner("-p", "no:cacheprovider", "--lab-cache=off")
        return result.stdout, json.loads((pytester.path / "results" / "summary.json").read_text())

    return run


def test_a_transfer_that_works_opens_phase_3a(ran):
    said, summary = ran({"2A1": 1, "2A2": 1})
    said.fnmatch_lines(["*= plan =*", "2A: next: phase 3A"])
    assert summary["after_phase_2"]["A"] == {"phase": "3A", "verdicts": {"2A1": "PASS", "2A2": "PASS"}, "note": ""}


def test_one_that_fails_is_a_negative_result_and_the_others_go_on(ran):
    said, summary = ran({"2A1": 1, "2A2": 0, "2B1": 0, "2C1": 1})
    said.fnmatch_lines(
        [
            "2A: 2A2 is FAIL: a negative result, written down; other directions go on",
            "2B: next: phase 3B",
            "2C: next: phase 3C",
        ]
    )
    assert [summary["after_phase_2"][letter]["phase"] for letter in "ABC"] == [None, "3B", "3C"]


def test_steps_of_one_plan_add_up(ran):
    """The plan runs its steps one by one: what earlier ones decided stays."""
    ran({"PM1": 1, "PM2": 1, "PM3": 1})
    _, summary = ran({"2A1": 1})
    assert summary["after_phase_2"]["A"]["note"] == "2A2 is NOT_RUN: phase 3A waits for it"
    _, summary = ran({"2A2": 1})
    assert summary["phase"] == "2ABC"
    assert summary["after_phase_2"]["A"] == {"phase": "3A", "verdicts": {"2A1": "PASS", "2A2": "PASS"}, "note": ""}


def test_pre_mortems_that_ran_one_by_one_are_decided_together(ran):
    _, summary = ran({"PM1": 1})
    assert (summary["phase"], summary["verdicts"]["PM2"]) == (None, "NOT_RUN")
    ran({"PM2": 0})
    said, summary = ran({"PM3": 1})
    assert summary["phase"] == "2AC"
    assert summary["verdicts"] == {"PM1": "PASS", "PM2": "FAIL", "PM3": "PASS"}
    said.fnmatch_lines(["PM1 PASS, PM2 FAIL, PM3 PASS", "next: phase 2AC (*"])
    _, summary = ran({"PM2": 1})
    assert summary["phase"] == "2ABC", "the newest verdict counts"
