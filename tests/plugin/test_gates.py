"""A cell that needs another experiment waits for it, and is skipped, with the reason, unless it came to PASS."""

import json
import textwrap
from itertools import product

import pytest

from lab.record.fold import overall
from lab.studies.plan003.planning import decide

QUICK = ("-p", "no:cacheprovider")
"""Half of each worker's start is the import of hypothesis."""
SUITE = """
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

@pytest.fixture(scope="session")
def model(request):
    with open("loads.txt", "a") as file:
        file.write(request.param + "\\n")
    return request.param

@pytest.fixture(scope="session")
def other_model(request):
    return request.param

def over(*names):
    return pytest.mark.parametrize("model", names, indirect=True, scope="session")

def passes(value):
    return Estimate(value, value - 0.1, value + 0.1, n=100, method="made")

@over("a", "b", "c", "u")
@experiment(id="2A", claim="c", phase="phase 2", needs=["PM1"])
def test_2a(model, evidence):
    assert evidence.measure("x", passes(1)) > 0.5

@over("a", "b", "c", "n")
@experiment(id="PM1", claim="c", phase="pre-mortem")
def test_pm1(model, evidence, request):
    assert evidence.measure("x", passes({"a": 1, "b": 0, "c": 0.5, "n": 0}[model])) > 0.5

def test_ordinary():
    pass
"""
NEGATIVE = """
def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "test_pm1[n]":
            item.add_marker(pytest.mark.xfail(strict=True, raises=AssertionError, reason="negative control: planted"))
"""
WHY = {
    "2A[b]": "gate closed: PM1[b] came to FAIL; --lab-force opens it",
    "2A[c]": "gate closed: PM1[c] came to INCONCLUSIVE; --lab-force opens it",
    "2A[u]": "gate closed: PM1[b] came to FAIL; --lab-force opens it",
}


@pytest.fixture
def run(pytester, inner):
    def make(*arguments, suite=SUITE):
        pytester.makepyfile(test_suite=suite)
        pytester.makeconftest("import pytest\n" + NEGATIVE)
        return inner(*QUICK, *arguments)

    return make


def cells(pytester):
    found = json.loads((pytester.path / "results" / "statistics.json").read_text())
    return {cell["cell"]: cell for cell in found}


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_a_closed_gate_names_the_cell_that_closed_it(run, pytester, workers):
    result = run("-rs", *workers)
    assert result.parseoutcomes() == {
        "passed": 3, "failed": 1, "inconclusive": 1, "xfailed": 1, "skipped": 3,
    }  # fmt: skip
    found = cells(pytester)
    assert found["2A[a]"]["verdict"] == "PASS"
    assert {name: (found[name]["verdict"], found[name]["reason"]) for name in WHY} == {
        name: ("SKIPPED", reason) for name, reason in WHY.items()
    }
    assert "u" not in (pytester.path / "loads.txt").read_text().split()


def test_needed_cells_run_first_and_the_rest_stays_in_order(run):
    result = run("--collect-only", "-q")
    assert [line.partition("::")[2] for line in result.outlines if "::" in line] == [
        "test_pm1[a]", "test_2a[a]", "test_pm1[b]", "test_2a[b]", "test_pm1[c]", "test_2a[c]",
        "test_2a[u]", "test_pm1[n]", "test_ordinary",
    ]  # fmt: skip


def test_an_earlier_run_opens_a_gate_and_an_interrupted_one_changes_nothing(run, pytester):
    result = run("-k", "2a and a", "-rs")
    result.stdout.fnmatch_lines(["SKIPPED*gate closed: PM1 did not run; --lab-force opens it"])
    run("-k", "pm1")
    run("-k", "2a")
    assert {name: cell["verdict"] for name, cell in cells(pytester).items()} == {
        "2A[a]": "PASS", "2A[b]": "SKIPPED", "2A[c]": "SKIPPED", "2A[u]": "SKIPPED",
    }  # fmt: skip
    journal = max((pytester.path / "results" / "journal").glob("*-main.jsonl"))
    lines = [json.loads(line) for path in journal.parent.glob("*.jsonl") for line in path.read_text().splitlines()]
    begun = next(line for line in lines if line["event"] == "started" and line["cell"] == "PM1[a]")
    later = begun | {"run": "29990101-000000-aaaa", "time": "2999-01-01T00:00:00.000+00:00"}
    (journal.parent / "29990101-000000-aaaa-main.jsonl").write_text(json.dumps(later) + "\n")
    run("-k", "2a and a")
    assert cells(pytester)["2A[a]"]["verdict"] == "PASS"


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "worker"])
def test_force_opens_the_gates_and_says_so(run, pytester, workers):
    result = run("--lab-force", *workers)
    assert result.parseoutcomes() == {"passed": 6, "failed": 1, "inconclusive": 1, "xfailed": 1}
    result.stdout.fnmatch_lines_random(
        ["gate forced open: 2A[[]b], though PM1[[]b] came to FAIL", "gate forced open: 2A[[]c], though*INCONCLUSIVE"]
    )
    found = cells(pytester)
    assert found["2A[b]"]["reported"] == {"gate forced open": "PM1[b] came to FAIL"}
    assert found["2A[a]"]["reported"] == {}
    summary = (pytester.path / "results" / "phase_2" / "2a_summary.md").read_text()
    assert "- Note: gate forced open: PM1[b] came to FAIL" in summary


def test_force_is_an_ini_setting_too(run, pytester):
    pytester.makeini("[pytest]\nlab_force = true\n")
    assert run("-k", "2a and b").parseoutcomes() == {"passed": 1, "deselected": 8}


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "worker"])
def test_a_circle_is_one_line(run, workers):
    suite = SUITE.replace('phase="pre-mortem")', 'phase="pre-mortem", needs=("2A",))')
    result = run(*workers, suite=suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.outlines + result.errlines if line.startswith("ERROR")]
    assert lines == ["ERROR: experiments need each other in a circle: 2A -> PM1 -> 2A; drop one of these `needs`"]


def test_needs_is_a_list_of_ids():
    from lab.plugin import experiment

    with pytest.raises(TypeError, match=r"needs='PM1': write a list of experiment ids, as needs=\['PM1'\]"):
        experiment(id="A", claim="c", phase="p", needs="PM1")


def test_pairs_are_decided_by_those_that_share_a_model(run, pytester):
    suite = SUITE + textwrap.dedent(
        """
        PAIRS = [("a", "b"), ("a", "c"), ("b", "c")]

        @pytest.mark.parametrize(("model", "other_model"), PAIRS, indirect=True, scope="session")
        @experiment(id="PM9", claim="c", phase="pre-mortem")
        def test_pm9(model, other_model, evidence):
            assert evidence.measure("x", passes(0 if other_model == "b" else 1)) > 0.5

        @over("a", "b", "c")
        @experiment(id="2D", claim="c", phase="phase 2", needs=["PM9"])
        def test_2d(model, evidence):
            assert evidence.measure("x", passes(1)) > 0.5
        """
    )
    run("-k", "pm9 or 2d", suite=suite)
    found = cells(pytester)
    assert [found[f"2D[{name}]"]["verdict"] for name in "abc"] == ["SKIPPED", "SKIPPED", "PASS"]


TABLE = {
    ("FAIL", "FAIL", "FAIL"): "X", ("FAIL", "FAIL", "PASS"): "2C", ("FAIL", "PASS", "FAIL"): "2B",
    ("FAIL", "PASS", "PASS"): "2BC", ("PASS", "FAIL", "FAIL"): "2A", ("PASS", "FAIL", "PASS"): "2AC",
    ("PASS", "PASS", "FAIL"): "2AB", ("PASS", "PASS", "PASS"): "2ABC",
}  # fmt: skip


@pytest.mark.parametrize(("verdicts", "phase"), TABLE.items())
def test_the_plans_decision_table(verdicts, phase):
    decision = decide(dict(zip(("PM1", "PM2", "PM3"), verdicts, strict=True)))
    assert decision.phase == phase
    assert decision.notes == ()
    assert len(decision.following) == max(1, len(phase) - 1)


@pytest.mark.parametrize("verdicts", [*product(["PASS", "FAIL", "INCONCLUSIVE"], repeat=3)])
def test_inconclusive_plans_as_fail_and_is_noted(verdicts):
    decision = decide(dict(zip(("PM1", "PM2", "PM3"), verdicts, strict=True)))
    assert decision.phase == TABLE[tuple(v.replace("INCONCLUSIVE", "FAIL") for v in verdicts)]
    assert len(decision.notes) == verdicts.count("INCONCLUSIVE")


@pytest.mark.parametrize("missing", ["NOT_RUN", "INVALID", None])
def test_no_phase_is_named_without_three_verdicts(missing):
    verdicts = {"PM1": "PASS", "PM2": "INCONCLUSIVE"} | ({} if missing is None else {"PM3": missing})
    decision = decide(verdicts)
    assert decision.phase is None
    assert decision.notes[-1] == f"no phase is named: PM3 is {missing or 'NOT_RUN'}"
    assert len(decision.notes) == 2


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        ([], "NOT_RUN"), (["SKIPPED"], "NOT_RUN"), (["PASS", "PASS"], "PASS"), (["PASS", "FAIL"], "FAIL"),
        (["INCONCLUSIVE", "FAIL"], "FAIL"), (["PASS", "INCONCLUSIVE"], "INCONCLUSIVE"),
        (["PASS", "SKIPPED"], "INCONCLUSIVE"), (["FAIL", "INVALID"], "INVALID"),
    ],
)  # fmt: skip
def test_an_experiment_is_what_its_cells_are(cells, verdict):
    assert overall(cells) == verdict


PRE_MORTEMS = SUITE + "".join(
    f"""
@experiment(id="{name}", claim="c", phase="pre-mortem")
def test_{name.lower()}(evidence):
    assert evidence.measure("x", passes({value})) > 0.5
"""
    for name, value in {"PM2": 1, "PM3": 0.5}.items()
)


def test_the_next_phases_are_said_at_the_end_and_kept(run, pytester):
    result = run("-k", "pm", suite=PRE_MORTEMS)
    result.stdout.fnmatch_lines(
        [
            "*= plan =*",
            "PM1 FAIL, PM2 PASS, PM3 INCONCLUSIVE",
            "next: phase 2B (error prediction)",
            "note: PM3 is INCONCLUSIVE: planned as FAIL, to be discussed in the paper",
        ]
    )
    summary = json.loads((pytester.path / "results" / "summary.json").read_text())
    assert summary == {
        "verdicts": {"PM1": "FAIL", "PM2": "PASS", "PM3": "INCONCLUSIVE"},
        "phase": "2B",
        "following": ["error prediction"],
        "notes": ["PM3 is INCONCLUSIVE: planned as FAIL, to be discussed in the paper"],
    }


def test_a_pre_mortem_that_did_not_run_is_no_fail(run, pytester):
    result = run("-k", "pm2", "-n1", suite=PRE_MORTEMS)
    result.stdout.fnmatch_lines(
        ["PM1 NOT_RUN, PM2 PASS, PM3 NOT_RUN", "note: no phase is named: PM1 is NOT_RUN, PM3 is NOT_RUN"]
    )
    assert json.loads((pytester.path / "results" / "summary.json").read_text())["phase"] is None
