"""A project's own study is known to pytest and to `lab`, whether it is installed or named in an ini file."""

import sys

import pytest

from lab.study import BrokenStudy, of_project, register_named

COINS = """
import pytest
from lab.study import Study

STUDY = Study(name="coins", plugins=("coins",), parts={"coins": "coins:heads"})

@pytest.fixture
def tosses(*, n=1000):
    return [toss * toss % 8 == 1 for toss in range(n)]

def heads(record, places):
    path = places.output / "heads.txt"
    path.write_text("".join(f"{cell.cell}: {cell.shown_verdict}\\n" for cell in record.of("COIN")))
    return [path], []
"""
PAGE = """
from lab.plugin import experiment
from lab.stats import intervals

@experiment(id="COIN", claim="Heads come up as often as tails, to 5 points", phase="coins")
def test_the_coin_is_fair(tosses, evidence):
    assert evidence.measure("heads", intervals.wilson(tosses)).within(0.45, 0.55)
"""


@pytest.fixture
def project(pytester):
    pytester.makepyfile(coins=COINS, test_coin=PAGE)
    (pytester.path / "pytest.ini").write_text("[pytest]\nlab_studies = coins:STUDY\n")
    return pytester


def test_three_files_bring_a_fixture_a_page_and_a_part_of_the_report(project):
    project.runpytest_subprocess("-q", "-p", "no:cacheprovider").assert_outcomes(passed=1)
    done = project.run(sys.executable, "-m", "lab", "report", "coins")
    assert done.ret == 0
    assert (project.path / "results" / "heads.txt").read_text() == "COIN: PASS\n"


def test_a_study_that_is_not_there_is_one_line(project):
    (project.path / "pytest.ini").write_text("[pytest]\nlab_studies = coin:STUDY\n")
    run = project.runpytest_subprocess("-q")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["ERROR: lab_studies: *coin:STUDY*No module named 'coin'*"])
    done = project.run(sys.executable, "-m", "lab", "report")
    assert done.ret == 2
    assert len(done.errlines) == 1


def test_a_plugin_of_a_study_that_is_not_there_is_one_line(project):
    (project.path / "coins.py").write_text(COINS.replace('plugins=("coins",)', 'plugins=("coin_fixtures",)'))
    run = project.runpytest_subprocess("-q")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["ERROR: the study coins cannot be loaded: No module named 'coin_fixtures'"])


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", "[pytest]\nlab_studies =\n    a:STUDY\n    b\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nlab_studies = ["a:STUDY", "b"]\n'),
        ("pyproject.toml", '[tool.pytest]\nlab_studies = ["a:STUDY", "b"]\n'),
    ],
)
def test_studies_are_read_where_pytest_reads_them(tmp_path, file, text):
    assert of_project(tmp_path) == []
    (tmp_path / file).write_text(text)
    assert of_project(tmp_path) == ["a:STUDY", "b"]


def test_a_name_that_is_no_study_is_refused(tmp_path):
    with pytest.raises(BrokenStudy, match="not_here"):
        register_named(["lab.study:not_here"], tmp_path)
    with pytest.raises(BrokenStudy, match=r"is no lab\.study\.Study but a function"):
        register_named(["lab.study:named"], tmp_path)
