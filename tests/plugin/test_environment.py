"""What goes wrong around a run is one line that says what to do; the other cells go on, and nothing is corrupted."""

import json
import os
import subprocess
import sys
import time

import pytest

HEAD = """
import time
from pathlib import Path
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

def seen(low=0.6, high=0.7):
    return Estimate((low + high) / 2, low, high, n=100, method="made")
"""
MODEL = """
@experiment(id="M", claim="c", phase="p")
def test_m(model, evidence):
    evidence.report(answers=model.choose(["one"], [" two", " three"]).picked)
    assert evidence.measure("x", seen()) > 0.55
"""


@pytest.fixture
def suite(pytester, inner):
    def make(body, *arguments, alone=False):
        pytester.makepyfile(test_suite=HEAD + body)
        return inner("--lab-cache=off", *arguments, alone=alone)

    return make


def verdicts(pytester):
    cells = json.loads((pytester.path / "results" / "statistics.json").read_text())
    return {cell["subject"] or cell["cell"]: cell["verdict"] for cell in cells}


def only_error(result):
    """The one line that says what is wrong."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.outlines + result.errlines if line.startswith("ERROR")]
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    return line


# Two runs at once ------------------------------------------------------------------------------------

WAITING = """
@experiment(id="W", claim="c", phase="p")
def test_waiting(evidence):
    if Path("wait").exists():
        Path("waiting").touch()
        time.sleep(60)
    assert evidence.measure("x", seen()) > 0.55

def test_ordinary(): pass
"""


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "xdist"])
def test_two_runs_do_not_share_a_results_folder(suite, pytester, workers):
    pytester.makepyfile(test_suite=HEAD + WAITING)
    (pytester.path / "wait").touch()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *workers]
    first = subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL)
    try:
        holder, begun = pytester.path / "results" / ".running.json", time.monotonic()
        while not (pytester.path / "waiting").exists() and time.monotonic() - begun < 30:
            time.sleep(0.05)
        (pytester.path / "wait").unlink()
        since = json.loads(holder.read_text())["since"]
        line = only_error(suite(WAITING, *workers))
        assert line.startswith(f"ERROR: another run is writing to {pytester.path / 'results'} (process {first.pid} on ")
        assert line.endswith(f", since {since}); wait for it, or name another folder with --lab-results")
        if not workers:  # what writes nothing is not held up
            suite(WAITING, "-k", "ordinary").assert_outcomes(passed=1)
            assert suite(WAITING, "--collect-only").ret == 0
            suite(WAITING, "--lab-results", "other").assert_outcomes(passed=2)
            assert not (pytester.path / "other" / ".running.json").exists()
    finally:
        first.kill()
        first.wait()
    suite(WAITING).assert_outcomes(passed=2)  # the lock went with the process that was killed
    assert not holder.exists()


def test_a_folder_that_cannot_be_written_is_one_line_before_any_work(suite, pytester):
    (pytester.path / "file").touch()
    for workers in ((), ("-n1",)):
        line = only_error(suite(WAITING, "--lab-results", "file/results", *workers))
        place = pytester.path / "file" / "results"
        assert line == f"ERROR: cannot write to {place}: Not a directory; name another folder with --lab-results"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_line_before_any_work(suite, pytester):
    (pytester.path / "results").mkdir(mode=0o555)
    assert "results: Permission denied; name another folder" in only_error(suite(WAITING))


# A full disk -----------------------------------------------------------------------------------------

FULL = """
import resource

@experiment(id="A", claim="c", phase="p")
def test_before(evidence):
    assert evidence.measure("x", seen()) > 0.55

@experiment(id="B", claim="c", phase="p")
def test_torn(evidence, journal_room):
    journal_room(100)  # bytes: within the next line
    assert evidence.measure("x", seen()) > 0.55

@experiment(id="C", claim="c", phase="p")
def test_unable_to_finish(evidence, journal_room):
    assert evidence.measure("x", seen()) > 0.55
    journal_room(100)

@experiment(id="D", claim="c", phase="p")
def test_after(evidence):
    assert evidence.measure("x", seen()) > 0.55

@pytest.fixture
def journal_room():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    def limit(more):
        (journal,) = Path("results/journal").iterdir()
        resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size + more, before[1]))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
"""


def test_a_cell_that_cannot_be_written_is_invalid_and_the_others_stand(suite, pytester):
    result = suite(FULL, alone=True)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    result.assert_outcomes(passed=2, errors=2)
    assert verdicts(pytester) == {"A": "PASS", "B": "INVALID", "C": "INVALID", "D": "PASS"}
    result.stdout.fnmatch_lines(["*INVALID: its verdict cannot be written: *File too large"])


def test_tables_that_cannot_be_written_are_told(suite, pytester):
    pytester.makeconftest(
        """
        import errno
        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")
        def pytest_runtest_teardown():
            import lab.plugin.summary
            lab.plugin.summary.write_tables = full
        """
    )
    result = suite(WAITING, alone=True)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["ERROR: the tables cannot be written: *No space left on device; free the disk*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


# A missing package -----------------------------------------------------------------------------------


def test_a_missing_package_is_one_line_and_the_others_run(suite, pytester):
    pytester.makeconftest("import sys; sys.modules['openai'] = sys.modules['peft'] = None")
    result = suite(MODEL, "--lab-models", "openai:some-model,clinic-llama+to-b,clinic-opt", alone=True)
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines_random(
        [
            'ERROR: *needs the openai package, which is not installed: pip install "lab-hypotheses[[]api]"',
            'ERROR: *need the package peft: pip install "lab-hypotheses[[]adapters]"',
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert verdicts(pytester) == {
        "openai:some-model": "INVALID", "clinic-llama+to-b": "INVALID", "clinic-opt": "PASS",
    }  # fmt: skip
