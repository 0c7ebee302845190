"""A fast part of `make calibration`: no rule is plainly wrong, and the page names only what is there."""

import ast
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from lab.stats.intervals import student
from tests.calibration.faults import FAULTS
from tests.calibration.power import CURVES, run
from tests.calibration.rules import RULES
from tests.calibration.simulate import CEILING, Rule, simulate

ROOT = Path(__file__).parents[2]
RUNS = 100


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_wrong_verdicts_are_as_rare_as_promised(rule):
    """As many as a rule with the tolerated rate would give once in a thousand times, and no more."""
    runs = max(20, round(RUNS * rule.share))
    count = simulate(rule, runs, seed=1)
    most = binom.ppf(0.999, runs, CEILING)
    assert count.over <= most
    assert count.under <= most


def test_a_rule_that_is_wrong_too_often_is_seen():
    """An interval that forgets that rows come in groups: the machinery of this folder must be able to fail."""
    member = np.repeat(np.arange(20), 5)
    naive = Rule("naive", "20 groups of 5", lambda rng: student(rng.normal(size=20)[member]), 0.0)
    count = simulate(naive, RUNS)
    assert max(count.over, count.under) > binom.ppf(0.999, RUNS, CEILING)
    assert not count.sound


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.id)
def test_a_large_effect_is_found_and_none_is_not(curve):
    """Twelve experiments at either end: at most one of them comes to the wrong verdict, none to the opposite."""
    first, last = run(type(curve)(**{**vars(curve), "sizes": (curve.sizes[0], curve.sizes[-1])}), 12)
    equivalence = curve.id in ("POSITION", "SELF")
    absent, present = (last, first) if equivalence else (first, last)
    assert present["PASS"] >= 11 / 12
    assert absent["PASS"] == 0
    assert present["FAIL"] == 0


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_the_test_that_catches_a_fault_is_there(fault):
    path, _, name = fault.test.partition("::")
    functions = {
        node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)
    }
    assert name in functions


def test_every_rule_stands_on_the_page():
    page = (ROOT / "docs" / "calibration.md").read_text()
    assert [rule.name for rule in RULES if f"| {rule.name} |" not in page] == []
    assert "**no**" not in page


def test_a_coverage_that_is_off_has_its_reason_beside_it():
    page = (ROOT / "docs" / "calibration.md").read_text()
    told = {cells[0]: cells for cells in (line.strip("|\n ").split(" | ") for line in page.splitlines())}
    for rule in RULES:
        coverage = told[rule.name][3].strip()
        if coverage and not 94 <= float(coverage.split(" %")[0]) <= 96.5:
            assert rule.admits, f"{rule.name} covers {coverage}"


def test_names_of_rules_are_unique():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
