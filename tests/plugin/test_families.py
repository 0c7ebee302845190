"""One claim about several subjects is judged together too, beside the cells."""

import json

SUITE = """
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

LOW = {"a": 0.58, "b": 0.6, "c": 0.5505, "d": 0.4}

@experiment(id="F", claim="c", phase="p")
@pytest.mark.parametrize("kind", ["a", "b", "c", "d"])
def test_f(evidence, kind):
    low = LOW[kind]
    assert evidence.measure("AUROC", Estimate(low + 0.1, low, low + 0.2, n=600, method="DeLong")) > 0.55

@experiment(id="N", claim="c", phase="p")
@pytest.mark.parametrize("kind", ["a", "b"])
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="negative control: known")
def test_n(evidence, kind):
    assert evidence.measure("AUROC", Estimate(0.4, 0.3, 0.5, n=600, method="DeLong")) > 0.55

@experiment(id="E", claim="c", phase="p")
@pytest.mark.parametrize("kind", ["a", "b"])
def test_e(evidence, kind):
    assert evidence.measure("bias", Estimate(0.0, -0.1, 0.1, n=600, method="Student")).within(-0.25, 0.25)
"""


def test_a_family_is_judged_with_holm_beside_its_cells(pytester, inner):
    """c passes by itself, by a hair; among four it does not. Negative controls are no members."""
    pytester.makepyfile(test_suite=SUITE)
    result = inner("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*F, 4 cells together (Holm): AUROC > 0.55: 2 INCONCLUSIVE, 2 PASS*"])
    families = json.loads((pytester.path / "results" / "families.json").read_text())
    assert [family["experiment"] for family in families] == ["E", "F"]
    both, four = families
    assert set(both["outcomes"].values()) == {"PASS"}
    assert four["alone"] == {"F[a]": "PASS", "F[b]": "PASS", "F[c]": "PASS", "F[d]": "INCONCLUSIVE"}
    assert four["outcomes"] == four["alone"] | {"F[c]": "INCONCLUSIVE"}
    table = (pytester.path / "results" / "summary_table.md").read_text()
    assert "| F: 4 cells together (Holm) | AUROC |" in table
    assert "2 INCONCLUSIVE, 2 PASS (no longer decided: F[c]) |" in table


def test_one_cell_is_no_family(pytester, inner):
    pytester.makepyfile(test_suite=SUITE)
    inner("-p", "no:cacheprovider", "test_suite.py::test_f[a]")
    assert not (pytester.path / "results" / "families.json").exists()


def test_a_replayed_cell_is_still_a_member(pytester, inner):
    pytester.makepyfile(test_suite=SUITE)
    inner("-p", "no:cacheprovider")
    first = (pytester.path / "results" / "families.json").read_bytes()
    inner("-p", "no:cacheprovider")
    assert (pytester.path / "results" / "families.json").read_bytes() == first


SWEPT = """
from lab.estimate import Estimate
from lab.plugin import experiment

@experiment(id="W", claim="c", phase="p")
def test_w(evidence, *, depth=0.5, n=3):
    low = 0.5505 if depth == 0.25 else 0.5
    assert evidence.measure("AUROC", Estimate(low + 0.1, low, low + 0.2, n=600, method="DeLong")) > 0.55
"""


def test_the_places_of_a_sweep_are_a_family(pytester, inner):
    """One depth of four passes by a hair: whoever looks at four has to be told that four were looked at."""
    pytester.makepyfile(test_suite=SWEPT)
    inner("-p", "no:cacheprovider", "--lab-sweep", "depth=0,0.25,0.5,1", "--lab-force")
    (family,) = json.loads((pytester.path / "results" / "families.json").read_text())
    assert family["alone"]["W[depth=0.25]"] == "PASS"
    assert list(family["outcomes"].values()) == ["INCONCLUSIVE"] * 4


def test_cells_under_several_knobs_are_a_family_only_for_what_was_swept(pytester, inner):
    pytester.makepyfile(test_suite=SWEPT)
    inner("-p", "no:cacheprovider", "--lab-sweep", "depth=0,1", "--lab-sweep", "n=3,4", "--lab-seeds", "1,2,3")
    families = json.loads((pytester.path / "results" / "families.json").read_text())
    assert [len(family["outcomes"]) for family in families] == [4, 4, 4], "one a seed, over the whole grid"
