"""A cell that asks until its verdict is decided stops early, and goes on where it was interrupted."""

import json

SUITE = """
import os, random
from lab.plugin import experiment

@experiment(id="R", claim="It mostly answers yes", phase="p")
def test_r(evidence, *, truth=0.8, most=600, bar=0.5):
    def ask(batch):
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{batch} ")
        if str(batch) == os.environ.get("CRASH_AT"):
            raise RuntimeError("the line went dead")
        draw = random.Random(1000 + batch)
        return [draw.random() < truth for _ in range(10)]

    assert evidence.until_decided(ask, bar, name="yes", most=most) > bar
"""


def test_it_stops_when_decided_and_says_what_was_saved(pytester, monkeypatch, inner):
    asked = pytester.path / "asked.txt"
    monkeypatch.setenv("ASKED", str(asked))
    pytester.makepyfile(test_suite=SUITE)
    result = inner("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    batches = len(asked.read_text().split())
    assert 1 <= batches < 15
    [cell] = json.loads((pytester.path / "results" / "statistics.json").read_text())
    assert cell["reported"] == {
        "yes: observations": 10 * batches,
        "yes: saved": round(1 - 10 * batches / 600, 4),
    }
    assert "confidence sequence" in cell["measures"][0]["estimate"]["method"]


def test_what_cannot_be_decided_ends_inconclusive(pytester, monkeypatch, inner):
    monkeypatch.setenv("ASKED", str(pytester.path / "asked.txt"))
    pytester.makepyfile(test_suite=SUITE)
    result = inner("-p", "no:cacheprovider", "--lab-set", "truth=0.5", "--lab-set", "most=200")
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*"])
    assert len((pytester.path / "asked.txt").read_text().split()) == 20


def test_interrupted_and_resumed_equals_uninterrupted(pytester, monkeypatch, inner):
    """The answers that were paid for are not asked again, and the result is the same."""
    asked = pytester.path / "asked.txt"
    monkeypatch.setenv("ASKED", str(asked))
    pytester.makepyfile(test_suite=SUITE)
    slow = ("--lab-set", "truth=0.58", "-p", "no:cacheprovider")
    inner(*slow, "--lab-results=whole")
    whole = asked.read_text().split()
    assert len(whole) > 4
    asked.write_text("")
    monkeypatch.setenv("CRASH_AT", "3")
    inner(*slow).assert_outcomes(errors=1)
    monkeypatch.delenv("CRASH_AT")
    inner(*slow)
    assert asked.read_text().split() == ["0", "1", "2", "3", *whole[3:]]
    one, two = ((pytester.path / name / "statistics.json").read_bytes() for name in ("whole", "results"))
    assert one == two


def test_a_plan_counts_the_most_it_may_take(pytester, monkeypatch, inner):
    asked = pytester.path / "asked.txt"
    monkeypatch.setenv("ASKED", str(asked))
    pytester.makepyfile(test_suite=SUITE)
    inner("-p", "no:cacheprovider", "--lab-plan")
    assert len(asked.read_text().split()) == 60


def test_an_answer_out_of_range_is_invalid(pytester, inner):
    pytester.makepyfile(
        """
        from lab.plugin import experiment

        @experiment(id="R", claim="c", phase="p")
        def test_r(evidence):
            assert evidence.until_decided(lambda i: 7.0, 0.5) > 0.5
        """
    )
    inner("-p", "no:cacheprovider").stdout.fnmatch_lines(["*an observation of 7 lies outside the bounds*"])
