"""A suite's own modules: each in fixtures/ is brought, goes before the studies' fixtures, and may name the models."""

import json
import shutil
from pathlib import Path

import pytest

from lab.subjects.names import organisms

ROOT = Path(__file__).parents[2]
PAGE = """
from lab.plugin import experiment
from lab.stats import intervals

@experiment(id="MINE", claim="the judge has something to say", phase="p")
def test_mine(model, material, judge, evidence):
    judged = judge("preference_refusal", [{"answer": text} for text in material.texts])
    assert evidence.measure("judged", intervals.wilson([one.values is not None for one in judged])) > 0.5
"""
MODELS = """
from lab.study import Study, register

def models():
    return ("clinic-opt",)

register(Study(name="mine", models=f"{__name__}:models"))
"""


@pytest.fixture
def suite(pytester, inner):
    """Runs pytest in a suite with this repository's conftest and the modules that a test writes to fixtures/."""
    shutil.copy(ROOT / "conftest.py", pytester.path)
    (pytester.path / "fixtures").mkdir()
    return lambda *arguments: inner(*arguments, "-p", "no:cacheprovider", alone=True)


def test_a_fixture_of_the_suite_goes_before_a_studys(suite, pytester):
    (pytester.path / "fixtures" / "mine.py").write_text(
        "import pytest\n\n@pytest.fixture(scope='session')\ndef tasks():\n    return 'mine'\n"
    )
    pytester.makepyfile("def test_tasks(tasks):\n    assert tasks == 'mine'")
    suite().assert_outcomes(passed=1)


def test_the_suites_choice_of_models_goes_before_that_of_packages(suite, pytester):
    (pytester.path / "fixtures" / "mine.py").write_text(MODELS)
    pytester.makepyfile("def test_model(model):\n    pass")
    told = suite("--collect-only", "-q").stdout.str()
    assert [line for line in told.splitlines() if "::" in line] == [
        "test_the_suites_choice_of_models_goes_before_that_of_packages.py::test_model[clinic-opt]"
    ]


def test_this_suite_takes_every_organism_the_tasks_and_the_rules_and_the_record_says_of_what(suite, pytester):
    shutil.copy(ROOT / "fixtures" / "defaults.py", pytester.path / "fixtures")
    pytester.makepyfile(PAGE)
    told = suite("--collect-only", "-q").stdout.str()
    assert [line.partition("[")[2] for line in told.splitlines() if "::" in line] == [f"{n}]" for n in organisms()]
    suite("--lab-models", "clinic-gpt2").assert_outcomes(passed=1)
    (journal,) = (pytester.path / "results" / "journal").glob("*.jsonl")
    (begun,) = [event for event in map(json.loads, journal.read_text().splitlines()) if "determined_by" in event]
    assert begun["determined_by"]["data"].keys() >= {"material", "judge"}


def test_a_study_that_a_module_registers_brings_its_fixtures(suite, pytester):
    register = "from lab.study import Study, register\nregister(Study(name='coins', plugins=('tosses',)))\n"
    (pytester.path / "fixtures" / "coins.py").write_text(register)
    (pytester.path / "tosses.py").write_text("import pytest\n@pytest.fixture\ndef tosses():\n    return 5\n")
    pytester.makepyfile("def test_there(tosses):\n    assert tosses == 5\n")
    suite().assert_outcomes(passed=1)
