"""What is done and how it is rated are knobs of every page that takes the fixtures, and a bar is no knob."""

import json
from pathlib import Path

import pytest

from lab.plugin.experiment import knobs_of

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "hypotheses" / "ratings" / "test_task_consistency.py"
FEW = ("-k", "consistently and not untrained", "--lab-models", "clinic-gpt2", "--lab-set", "n_tasks=2")


@pytest.fixture
def suite(pytester):
    (pytester.path / PAGE.name).write_text(PAGE.read_text())
    pytester.syspathinsert(ROOT)
    return pytester


def test_a_page_lists_the_knobs_of_its_fixtures_and_they_are_obeyed(suite, inner):
    inner(*FEW, "--lab-set", "templates=stated_1_5", "--lab-set", "seeds=0,1", "--lab-set", "author=clinic-gemma")
    (cell,) = json.loads((suite.path / "results" / "statistics.json").read_text())
    assert cell["knobs"] == {
        "pool": "clinic/tasks",
        "n_tasks": 2,
        "author": "clinic-gemma",
        "completion_seed": 0,
        "seeds": [0, 1],
        "exact": True,
        "templates": ["stated_1_5"],
        "keep": 0.7,
    }
    assert cell["reported"]["author"] == "clinic-gemma"
    assert (cell["reported"]["seeds"], cell["reported"]["tasks"]) == (2, 10)


def test_a_bar_cannot_be_set(suite, inner):
    run = inner(*FEW, "--lab-set", "bar=0")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*no knob bar; known knobs: *CONSISTENCY.n_tasks*"])


@pytest.mark.parametrize("page", sorted(ROOT.glob("hypotheses/[ra][ac]t*/test_*.py")), ids=lambda page: page.stem)
def test_no_page_has_a_bar_among_its_knobs(page):
    names = {"__name__": page.stem}
    exec(compile(page.read_text(), page, "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        assert not {"bar", "bound", "threshold"} & set(knobs_of(test))
