"""A fast part of `make calibration`: no rule is plainly wrong, and the page names only what is there."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from lab.stats.intervals import clopper_pearson, student
from tests.calibration.faults import FAULTS
from tests.calibration.jobs import files, parts, together
from tests.calibration.planted import as_wanted
from tests.calibration.power import CURVES, run
from tests.calibration.rules import RULES
from tests.calibration.simulate import CEILING, Count, Rule, simulate
from tests.named import functions

ROOT = Path(__file__).parents[2]
RUNS = 40
"""Experiments a rule; of slow ones a few, and the campaign has the rest."""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_wrong_verdicts_are_as_rare_as_promised(rule):
    """As many as a rule with the tolerated rate would give once in a thousand times, and no more."""
    runs = max(5, round(RUNS * rule.share))
    count = simulate(rule, runs, seed=1)
    most = binom.ppf(0.999, runs, CEILING)
    assert count.over <= most
    assert count.under <= most


def test_a_rule_that_is_wrong_too_often_is_seen():
    """An interval that forgets that rows come in groups: the machinery of this folder must be able to fail."""
    member = np.repeat(np.arange(20), 5)
    naive = Rule("naive", "20 groups of 5", lambda rng: student(rng.normal(size=20)[member]), 0.0)
    count = simulate(naive, 100)
    assert max(count.over, count.under) > binom.ppf(0.999, 100, CEILING)
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
    assert name in functions(path)


@pytest.fixture(scope="module")
def figures():
    return json.loads((ROOT / "docs" / "calibration.json").read_text())


def test_every_rule_stands_on_the_page_and_is_sound(figures):
    page = (ROOT / "docs" / "calibration.md").read_text()
    assert [rule.name for rule in RULES if f"| {rule.name} |" not in page] == []
    counts = [Count(**told) for told in figures["rules"]]
    assert [count.rule for count in counts] == [rule.name for rule in RULES]
    assert [count.rule for count in counts if not count.sound] == []


def test_a_rule_that_is_off_its_level_has_its_reason_beside_it(figures):
    """Coverage outside 94 to 96.5 %, or a side that is surely wrong in over 3.5 % where 2.5 % are due."""
    for rule, count in zip(RULES, (Count(**told) for told in figures["rules"]), strict=True):
        if count.coverage is None:
            continue
        worst = clopper_pearson(max(count.over, count.under), count.runs, level=0.9).low
        if not 0.94 <= count.coverage.value <= 0.965 or worst > 0.035:
            assert rule.admits, f"{rule.name} covers {count.coverage.shown}, over {count.over}, under {count.under}"


def test_what_was_planted_is_found(figures):
    """With a power that is surely above 0.9."""
    for row in figures["planted"]:
        assert clopper_pearson(*as_wanted(row), level=0.9).low > 0.9, row


def test_the_parts_of_a_rule_are_the_rule_and_what_it_runs_is_its_key():
    slow = next(rule for rule in RULES if rule.share < 0.2)
    ends = parts(slow, 2000)
    assert len(ends) == 8
    assert [number for start, stop in ends for number in range(start, stop)] == list(range(2000))
    quick = next(rule for rule in RULES if rule.name == "Student")
    halves = [simulate(quick, 50, start=start).as_json() for start in (0, 50)]
    assert together(halves) == simulate(quick, 100)
    reached = {path.relative_to(ROOT).as_posix() for path in files(ROOT, quick.draw.__module__)}
    assert {"lab/stats/means.py", "lab/estimate.py", "tests/calibration/simulate.py"} <= reached
    assert not [name for name in reached if name.startswith("lab/studies/")]


def test_names_of_rules_are_unique():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
