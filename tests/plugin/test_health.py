"""A badly posed experiment ends before its model is asked."""

SUITE = """
from lab.estimate import Estimate
from lab.stats import health
from lab.plugin import experiment

@experiment(id="H", claim="c", phase="p")
def test_h(evidence, *, n=400, prompts="a,b"):
    evidence.health(
        health.no_duplicates(prompts.split(","), "prompts"),
        health.enough("share", n=n, bar=0.5, expected=0.6),
    )
    print("the GPU is used")
    assert evidence.measure("share", Estimate(0.6, 0.55, 0.65, n=n, method="made", bounds=(0, 1))) > 0.5
"""


def test_a_sound_one_runs(pytester, inner):
    pytester.makepyfile(test_suite=SUITE)
    inner("-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert "health" not in (pytester.path / "results" / "p" / "h_summary.md").read_text()


def test_a_hopeless_one_is_invalid_in_one_line_and_asks_nothing(pytester, inner):
    pytester.makepyfile(test_suite=SUITE)
    result = inner("-p", "no:cacheprovider", "-s", "--lab-set", "n=12")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR: n = 12 decides a share of 0.6 against the bar 0.5 with power*would have 80 %"]
    )
    result.stdout.no_fnmatch_line("*the GPU is used*")
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_doubtful_one_runs_and_says_so(pytester, inner):
    pytester.makepyfile(test_suite=SUITE)
    inner("-p", "no:cacheprovider", "--lab-set", "prompts=a,b,a").assert_outcomes(passed=1)
    said = (pytester.path / "results" / "p" / "h_summary.md").read_text()
    assert "- Note: health: 1 of 3 prompts is a repetition" in said


def test_a_plan_is_not_held_up(pytester, inner):
    pytester.makepyfile(test_suite=SUITE)
    assert inner("-p", "no:cacheprovider", "--lab-plan", "--lab-set", "n=12").ret == 0


def test_a_bar_beyond_the_measure_is_invalid_in_one_line(pytester, inner):
    pytester.makepyfile(test_suite=SUITE.replace("> 0.5\n", "> 55\n"))
    result = inner("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*a bar of 55 is out of range: share lies between 0 and 1; did you mean 0.55?*"])
