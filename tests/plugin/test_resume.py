"""A run that was killed goes on where it ended, and one that changed nothing does nothing."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

HEAD = """
import os, pathlib, time
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

def ran(what):
    with open(os.environ["RAN"], "a") as file:
        file.write(what + chr(10))

def seen(low=0.6, high=0.7):
    return Estimate((low + high) / 2, low, high, n=100, method="made")

@pytest.fixture(scope="session")
def words():
    return pathlib.Path("words.txt").read_text().split()
"""
SUITE = (
    HEAD
    + """
@experiment(id="A", claim="c", phase="p")
@pytest.mark.parametrize("kind", ["pass", "fail", "open"])
def test_a(evidence, words, kind, *, n=3):
    ran(kind)
    evidence.control("sound", True)
    evidence.report(words=words, draw=__import__("random").random())
    evidence.plot("line", lambda axes: axes.plot([1, 2]))
    low, high = {"pass": (0.6, 0.7), "fail": (0.1, 0.2), "open": (0.5, 0.6)}[kind]
    assert evidence.measure("x", seen(low, high)) > 0.55

@experiment(id="B", claim="c", phase="p")
def test_b(evidence):
    ran("invalid")
    evidence.control("sound", False)
    assert evidence.measure("x", seen()) > 0.55

@experiment(id="N", claim="c", phase="p")
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="negative control: it is known to fail")
def test_n(evidence):
    ran("negative")
    assert evidence.measure("x", seen(0.1, 0.2)) > 0.55
"""
)
TABLES = ("summary_table.md", "statistics.json")


@pytest.fixture
def run(pytester, monkeypatch, inner):
    """Runs the suite; returns its outcomes and which cells' code ran."""
    log = pytester.path / "ran.txt"
    monkeypatch.setenv("RAN", str(log))
    (pytester.path / "words.txt").write_text("one two")
    pytester.makepyfile(test_suite=SUITE)

    def go(*arguments):
        log.write_text("")
        result = inner("-p", "no:cacheprovider", *arguments)
        return result, sorted(log.read_text().split())

    return go


def tables(pytester, results="results"):
    return [(pytester.path / results / name).read_bytes() for name in TABLES]


ALL = ["fail", "invalid", "negative", "open", "pass"]
COUNTS = {"passed": 1, "failed": 1, "inconclusive": 1, "errors": 1, "xfailed": 1}


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_a_second_run_repeats_what_was_found_and_runs_nothing(run, pytester, workers):
    first, ran = run("--alluredir=allure1")
    assert ran == ALL
    assert {k: v for k, v in first.parseoutcomes().items() if k in COUNTS} == COUNTS
    before = tables(pytester)
    second, ran = run("--alluredir=allure2", "--junitxml=junit.xml", *workers)
    assert ran == ["invalid"]  # what was not sound is tried again
    assert {k: v for k, v in second.parseoutcomes().items() if k in COUNTS} == COUNTS
    assert tables(pytester) == before
    assert second.ret == first.ret
    second.stdout.fnmatch_lines(["4 of 5 cells are unchanged and were taken from earlier runs; --lab-cache=off*"])
    assert "is not above 0.55" in second.stdout.str()
    shown = [{(one["name"], one["status"], one["description"], len(one["attachments"]))
              for path in (pytester.path / folder).glob("*-result.json")
              for one in [json.loads(path.read_text())]} for folder in ("allure1", "allure2")]  # fmt: skip
    assert shown[0] == shown[1]
    assert len(shown[0]) == 5


@pytest.mark.parametrize(
    ("change", "runs"),
    [
        (["--lab-set", "n=4"], ["fail", "invalid", "open", "pass"]),
        (["--lab-seeds", "7"], ALL),
        (["--lab-cache=off"], ALL),
        (["--lab-cache=off", "--lab-resume"], ["invalid"]),
        (["--lab-cache=read"], ["invalid"]),
        ("words", ["fail", "invalid", "open", "pass"]),
        ("code", ALL),
        ("plot", ["fail", "invalid", "open", "pass"]),
    ],
    ids=str,
)
def test_what_determines_a_cell_decides_whether_it_runs(run, pytester, change, runs):
    run()
    if change == "words":
        (pytester.path / "words.txt").write_text("one three")
    elif change == "code":
        (pytester.path / "test_suite.py").write_text(SUITE + "\n# changed\n")
    elif change == "plot":
        for path in (pytester.path / "results").rglob("*.png"):
            path.unlink()
    assert run(*(change if isinstance(change, list) else []))[1] == runs


def test_every_line_of_a_real_journal_fits_the_schema(run, pytester):
    from tests.record.test_past import FITS

    run()
    lines = [line for path in (pytester.path / "results" / "journal").glob("*.jsonl") for line in path.open()]
    for line in lines:
        FITS.validate(json.loads(line))
    assert sum('"event": "run"' in line for line in lines) == len(list((pytester.path / "results/journal").iterdir()))


def test_a_journal_is_read_in_the_line_that_the_docs_give(run, pytester, monkeypatch):
    run()
    text = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text()
    names = {}
    monkeypatch.chdir(pytester.path)
    exec(re.search(r"<!-- journal -->\n```python\n(.*?)```", text, re.DOTALL).group(1), names)
    events = names["events"]
    assert set(events[events.event == "finished"].verdict) == {"PASS", "FAIL", "INCONCLUSIVE"}
    assert len(events[events.event == "failed"]) == 1


# Kills ------------------------------------------------------------------------------------------------

LOOPS = (
    HEAD
    + """
@experiment(id="L", claim="c", phase="p")
@pytest.mark.parametrize("kind", range(4))
def test_l(evidence, kind):
    draws = evidence.resume(range(6))
    for i in draws:
        draws[i] = [i * kind, __import__("random").Random(f"{evidence.seed} {i}").random()]
        time.sleep(0.002)
    texts = evidence.resume("abc", name="texts")
    for letter in texts:
        texts[letter] = letter * kind
    evidence.report(draws=draws.results, texts=texts.results)
    evidence.plot("line", lambda axes: axes.plot([x for x, _ in draws.results]))
    evidence.control("sound", True)
    mean = sum(y for _, y in draws.results) / 6
    assert evidence.measure("x", Estimate(mean, mean - 0.2, mean + 0.2, n=6, method="made")) > 0.1 * kind

@experiment(id="M", claim="c", phase="p")
def test_m(evidence):
    assert evidence.measure("x", seen()) > 0.55
"""
)
KILLER = '''
"""Ends a process by SIGKILL at its nth event: before it is written, in the middle of its line, or after."""
import os, random, signal
from lab.record.journal import Journal

plan = os.environ.get("KILL")
if plan and (os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0"):
    at, when = plan.split()
    left = [int(at)]
    whole = Journal.write

    def write(self, cell, event, **fields):
        left[0] -= 1
        if left[0] == 0:
            open("kills.txt", "a").write("x")
        if left[0] == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        line = whole(self, cell, event, **fields)
        if left[0] == 0:
            if when == "torn":
                size = self.path.stat().st_size
                os.truncate(self.path, size - random.randrange(2, 40))
            os.kill(os.getpid(), signal.SIGKILL)
        return line

    Journal.write = write
'''


def start(folder, kill="", *arguments):
    """Begins one attempt, to be killed at an event where `kill` says so."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.Popen(
        [*command, "--lab-resume", *arguments],
        cwd=folder,
        env=os.environ | {"KILL": kill, "RAN": os.devnull},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finish(process):
    output = process.communicate()[0].decode()
    assert process.returncode == 0, output
    return output


def done(folder):
    """How often each item of each cell got its result, over all journals."""
    counts = {}
    for path in (folder / "results" / "journal").glob("*.jsonl"):
        for line in path.read_text().splitlines():
            with suppress(ValueError):
                event = json.loads(line)
                if event["event"] == "item":
                    at = event["cell"], event["work"], event["item"]
                    counts[at] = counts.get(at, 0) + 1
    return counts


def plots(folder):
    return {path.relative_to(folder): path.read_bytes() for path in (folder / "results").rglob("*.png")}


@pytest.fixture
def make(pytester):
    """A folder with the suite that is to be killed."""

    def new(name):
        folder = pytester.mkdir(name)
        (folder / "test_suite.py").write_text(LOOPS)
        (folder / "conftest.py").write_text(KILLER)
        (folder / "pytest.ini").write_text("[pytest]\n")
        return folder

    return new


def kill_once(folder, rng, workers):
    """One attempt that is killed: at an event, or at a moment. Whether it was before its end."""
    kind = rng.choice(["torn", "before", "after", "time"])
    before = (folder / "kills.txt").stat().st_size if (folder / "kills.txt").exists() else 0
    if kind == "time":
        process = start(folder, "", *workers)
        time.sleep(rng.uniform(0.4, 2.0))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return process.returncode == -signal.SIGKILL
    start(folder, f"{rng.randrange(1, 70)} {kind}", *workers).communicate()
    return (folder / "kills.txt").exists() and (folder / "kills.txt").stat().st_size > before


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_killed_and_resumed_equals_uninterrupted(make, workers, request):
    """Once each; `make kills` does it 50 times."""
    whole, rng = make("whole"), random.Random(f"{workers}")
    finish(start(whole))
    assert set(done(whole).values()) == {1}
    assert len(done(whole)) == 4 * 9
    left = request.config.getoption("--kills")
    for number in count():
        folder = make(f"killed{number}")
        for _ in range(min(4, left)):
            left -= kill_once(folder, rng, workers)
        resumed_with = rng.choice([[], ["-n", "3"]]) if workers else []  # also another number than before
        output = finish(start(folder, "", *resumed_with))
        for name in TABLES:
            assert (folder / "results" / name).read_bytes() == (whole / "results" / name).read_bytes(), output
        assert done(folder) == done(whole), output
        assert plots(folder) == plots(whole)
        if left <= 0:
            return
