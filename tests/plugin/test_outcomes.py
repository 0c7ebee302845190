"""Every verdict in pytest's terms, alone and under xdist, on each pytest that is here."""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

SUITE = """
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

def seen(low, high):
    return Estimate((low + high) / 2, low, high, n=100, method="made")

@experiment(id="PASS", claim="it is high", phase="test")
def test_pass(evidence):
    assert evidence.measure("x", seen(0.6, 0.7)) > 0.55

@experiment(id="FAIL", claim="it is high", phase="test")
def test_fail(evidence):
    assert evidence.measure("x", seen(0.3, 0.4)) > 0.55

@experiment(id="UNDECIDED", claim="it is high", phase="test")
def test_undecided(evidence):
    assert evidence.measure("x", seen(0.5, 0.7)) > 0.55

@experiment(id="BROKEN", claim="it is high", phase="test")
def test_broken_control(evidence):
    evidence.control("nothing moves", False)
    assert evidence.measure("x", seen(0.6, 0.7)) > 0.55

@experiment(id="CRASH", claim="it is high", phase="test")
def test_crash(evidence):
    raise RuntimeError("out of memory")

@pytest.mark.xfail(strict=True, raises=AssertionError, reason="negative control: planted")  # as `negative=` sets it
@experiment(id="KNOWN", claim="it is high", phase="test")
def test_known_negative(evidence):
    assert evidence.measure("x", seen(0.3, 0.4)) > 0.55

@experiment(id="GATE", claim="it is high", phase="test")
def test_closed_gate(evidence):
    pytest.skip("no GPU")

def test_ordinary():
    pass
"""
COUNTS = {"passed": 2, "failed": 1, "inconclusive": 1, "errors": 2, "xfailed": 1, "skipped": 1}
VERDICTS = {
    "PASS": "PASS", "FAIL": "FAIL", "UNDECIDED": "INCONCLUSIVE", "BROKEN": "INVALID", "CRASH": "INVALID",
    "KNOWN": "FAIL", "GATE": "SKIPPED",
}  # fmt: skip
# `make test` puts older releases here; the newest is the environment's own.
OTHERS = Path(sys.prefix) / "pytests"


@pytest.fixture
def run(pytester, inner):
    pytester.makepyfile(test_suite=SUITE)
    return inner


@pytest.fixture(params=["alone", "workers", "9.0", "9.1"])
def anywhere(request, run, monkeypatch):
    """Runs the suite by the environment's own pytest, and by older ones with workers, which have all that is alone."""
    workers = () if request.param == "alone" else ("-n2",)
    if "." in request.param:
        if not (OTHERS / request.param / "pytest").is_dir():
            pytest.skip(f"no pytest {request.param} beside the environment; `make test` puts it there")
        monkeypatch.setenv("PYTHONPATH", str(OTHERS / request.param))

    def go(*arguments):
        result = run(*workers, *arguments)
        release = request.param if "." in request.param else pytest.__version__
        result.stdout.fnmatch_lines([f"*pytest-{release}*"])
        return result

    return go


def test_each_verdict_has_its_own_count_status_and_record(anywhere, pytester):
    result = anywhere("--junitxml=junit.xml", "--alluredir=allure", "-rA")
    assert result.parseoutcomes() == COUNTS
    assert result.ret == pytest.ExitCode.TESTS_FAILED

    junit = ElementTree.parse(pytester.path / "junit.xml")
    tags = {case.get("name"): [child.tag for child in case] for case in junit.iter("testcase")}
    assert tags == {
        "test_pass": [], "test_fail": ["failure"], "test_undecided": ["skipped"], "test_broken_control": ["error"],
        "test_crash": ["error"], "test_known_negative": ["skipped"], "test_closed_gate": ["skipped"],
        "test_ordinary": [],
    }  # fmt: skip
    undecided = next(case for case in junit.iter("testcase") if case.get("name") == "test_undecided")
    assert "straddles 0.55" in undecided[0].get("message")

    results = [json.loads(path.read_text()) for path in (pytester.path / "allure").glob("*-result.json")]
    assert {r["fullName"].rpartition("#")[2]: r["status"] for r in results} == {
        "test_pass": "passed", "test_fail": "failed", "test_undecided": "unknown", "test_broken_control": "broken",
        "test_crash": "broken", "test_known_negative": "skipped", "test_closed_gate": "skipped",
        "test_ordinary": "passed",
    }  # fmt: skip

    categories = json.loads((pytester.path / "allure" / "categories.json").read_text())
    assert {"Refuted", "Inconclusive", "Invalid", "Infrastructure"} <= {category["name"] for category in categories}

    found = json.loads((pytester.path / "results" / "statistics.json").read_text())
    assert {cell["experiment"]: cell["verdict"] for cell in found} == VERDICTS

    lines = "\n".join(result.outlines)
    for line in (
        r"id +subject +measure +bar +verdict",
        r"FAIL +x 0.35 \[0.3, 0.4\] +> 0.55 +FAIL",
        r"KNOWN +x 0.35 \[0.3, 0.4\] +> 0.55 +FAIL \(known negative\)",
        r"UNDECIDED +x 0.6 \[0.5, 0.7\] +> 0.55 +INCONCLUSIVE",
        r"INVALID BROKEN: broken control: 'nothing moves': does not hold",
        r"INCONCLUSIVE UNDECIDED: x 0.6 .* straddles 0.55; n of about 400 would settle it",
    ):
        assert re.search(f"^{line}", lines, re.MULTILINE), line


POLICIES = [("ok", 0, ()), ("exit6", 6, ()), ("fail", 1, ()), ("exit6", 6, ("-n1",))]


@pytest.mark.parametrize(("policy", "code", "workers"), POLICIES)
def test_the_policy_decides_what_inconclusive_means(run, policy, code, workers):
    result = run(f"--lab-inconclusive={policy}", "-k", "undecided or ordinary", *workers)
    assert result.ret == code
    assert ("failed" if policy == "fail" else "inconclusive") in result.parseoutcomes()


def test_the_policy_is_an_ini_setting_too(run, pytester):
    pytester.makeini("[pytest]\nlab_inconclusive = exit6\n")
    assert run("-k", "undecided").ret == 6
    assert run("-k", "undecided", "--lab-inconclusive=ok").ret == 0
    pytester.makeini("[pytest]\nlab_inconclusive = maybe\n")
    result = run("-k", "undecided")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: lab_inconclusive = 'maybe': choose one of ok, exit6, fail"])


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_what_is_known_to_be_refuted_fails_without_failing_the_run(run, pytester, workers):
    pytester.makeini("[pytest]\nlab_refuted =\n  FAIL: it was made low\n  PASS: it was thought low\n")
    result = run("-k", "test_fail or test_pass or ordinary", *workers)
    assert result.ret == 0
    assert result.parseoutcomes().items() >= {"passed": 2, "failed": 1}.items()
    result.stdout.fnmatch_lines(
        [
            "REFUTED AS KNOWN FAIL: it was made low",
            "PASS is PASS, and lab_refuted lists it (it was thought low); take it from there",
        ]
    )
    assert run("-k", "test_fail or undecided", "--lab-inconclusive=exit6", *workers).ret == 6
    assert run("-k", "test_fail", "-x", *workers).ret in (1, 2)  # it cut the run short, which xdist calls an interrupt


@pytest.mark.parametrize("other", ["crash", "broken"])
def test_what_is_known_to_be_refuted_hides_no_other_failure(run, pytester, other):
    pytester.makeini("[pytest]\nlab_refuted = FAIL: it was made low\n CRASH: it cannot\n")
    assert run("-k", f"test_fail or {other}").ret == 1


def test_a_known_refutation_says_why(run, pytester):
    pytester.makeini("[pytest]\nlab_refuted = FAIL\n")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: lab_refuted = 'FAIL': write the cell and why, as DEPTH1?gpt2?: it errs at random"]
    )


def test_exit_6_never_hides_a_failure(run):
    assert run("--lab-inconclusive=exit6").ret == 1


def test_equal_runs_leave_equal_bytes(run, pytester):
    files = [pytester.path / "results" / name for name in ("statistics.json", "summary_table.md")]
    run()
    first = [path.read_bytes() for path in files]
    for more in ((), ("--lab-cache=off",), ("-n2", "--lab-cache=off")):
        run(*more)
        assert [path.read_bytes() for path in files] == first


def test_tests_that_are_no_experiments_leave_no_trace(pytester, inner):
    pytester.makepyfile("def test_plain(): pass")
    result = inner()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*= hypotheses =*")
    assert not (pytester.path / "results").exists()
