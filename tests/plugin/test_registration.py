"""What was frozen before the data is what later runs are held against; seeds and runs add up, and none is lost."""

import json
import statistics as numbers

import pytest

HEAD = """
import random
import pytest
from lab.estimate import Bar, Estimate
from lab.plugin import experiment

BAR = 0.55

def seen(value=0.65):
    return Estimate(value, value - 0.05, value + 0.05, n=100, method="made")
"""
SUITE = (
    HEAD
    + """
@pytest.fixture(scope="session")
def words():
    return ["one", "two"]

@experiment(id="A", claim="it is high", phase="p")
@pytest.mark.parametrize("kind", ["x", "y"])
def test_a(evidence, words, kind, *, n=3, bound=0.25):
    evidence.control("sound", seen(0).within(-bound, bound))
    assert evidence.measure("AUROC", seen()) > BAR

@experiment(id="B", claim="c", phase="p")
def test_b(evidence):
    assert evidence.measure("draw", seen(random.random() / 10)) < Bar(passes=0.2, fails=0.5)
"""
)


@pytest.fixture
def run(pytester, inner):
    def go(*arguments, suite=SUITE):
        pytester.makepyfile(test_suite=suite)
        return inner("-p", "no:cacheprovider", *arguments, alone="os.kill" in suite)

    return go


def lock(pytester):
    return json.loads((pytester.path / "preregistration.json").read_text())


def cells(pytester):
    return {cell["cell"]: cell for cell in json.loads((pytester.path / "results" / "statistics.json").read_text())}


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_freezing_runs_nothing_and_writes_claims_bars_and_knobs(run, pytester, workers):
    result = run("--lab-freeze", *workers)
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["registered: 3 cells in preregistration.json; commit it before you run them"])
    frozen = lock(pytester)
    assert list(frozen["cells"]) == ["A[x]", "A[y]", "B"]
    assert frozen["cells"]["A[x]"] | {"data": ""} == {
        "claim": "it is high",
        "bars": ["evidence.measure('AUROC', seen()) > 0.55"],
        "controls": ["evidence.control('sound', seen(0).within(-0.25, 0.25))"],
        "knobs": {"n": 3, "bound": 0.25},
        "data": "",
        "seed": 42,
    }
    assert frozen["cells"]["B"]["bars"][0].endswith("< Bar(passes=0.2, fails=0.5)")
    events = [json.loads(line) for path in (pytester.path / "results/journal").iterdir() for line in path.open()]
    assert not [event for event in events if event["event"] in ("measured", "judged", "control")]


def test_a_later_run_says_how_each_cell_stands_to_the_lock(run, pytester):
    run("--lab-freeze", "-k", "test_a")
    run().assert_outcomes(passed=3)
    status = {name: cell["registration"] for name, cell in cells(pytester).items()}
    assert status == {"A[x]": "as registered", "A[y]": "as registered", "B": "exploratory"}
    moved = run(suite=SUITE.replace("BAR = 0.55", "BAR = 0.5"))
    status = cells(pytester)["A[x]"]["registration"]
    assert status == (
        "changed since: bars evidence.measure('AUROC', seen()) > 0.55 -> evidence.measure('AUROC', seen()) > 0.5"
    )
    moved.stdout.fnmatch_lines([f"A[[]x] {status}", "registration: 2 changed since, 1 exploratory"])
    table = (pytester.path / "results" / "summary_table.md").read_text()
    assert table.splitlines()[0].endswith("| Verdict | Registration |")
    assert status in table


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("n=3", "n=4", 'knobs {"n": 3, "bound": 0.25} -> {"n": 4, "bound": 0.25}'),
        ("it is high", "it is low", "claim it is high -> it is low"),
        ('["one", "two"]', '["one"]', "data "),
        ("-bound, bound", "-bound, 1", "controls "),
    ],
)
def test_whatever_was_moved_is_named(run, pytester, old, new, said):
    run("--lab-freeze")
    run("--alluredir=allure", suite=SUITE.replace(old, new))
    assert cells(pytester)["A[x]"]["registration"].startswith(f"changed since: {said}")
    assert cells(pytester)["B"]["registration"] == "as registered"
    shown = [json.loads(path.read_text()) for path in (pytester.path / "allure").glob("*-result.json")]
    assert sum(f"changed since: {said}" in one["description"] for one in shown) == 2


def test_a_comment_or_a_knob_of_equal_value_changes_nothing(run, pytester):
    run("--lab-freeze")
    run("--lab-set", "n=3", suite=SUITE.replace("    assert", "    # why\n    assert").replace("> BAR", ">  0.55"))
    assert {cell["registration"] for cell in cells(pytester).values()} == {"as registered"}


def test_the_lock_grows_and_remembers_what_it_replaced(run, pytester):
    run("--lab-freeze", "-k", "test_a")
    first = lock(pytester)
    run("--lab-freeze", "-k", "test_b")
    assert set(lock(pytester)["cells"]) == {"A[x]", "A[y]", "B"}
    assert [old["hash"] for old in lock(pytester)["replaced"]] == [first["hash"]]


def test_a_lock_changed_by_hand_ends_the_run(run, pytester):
    run("--lab-freeze")
    path = pytester.path / "preregistration.json"
    path.write_text(path.read_text().replace("0.55", "0.5"))
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*does not match its own hash; restore it, or freeze anew with --lab-freeze*"])
    assert run("--lab-freeze").ret == 0
    assert run().ret == 0


# Seeds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_seeds_multiply_the_cells_and_add_up(run, pytester, workers):
    run("--lab-seeds", "42,123,456", *workers).assert_outcomes(passed=9)
    found = cells(pytester)
    assert {found[f"B[seed={seed}]"]["seed"] for seed in (42, 123, 456)} == {42, 123, 456}
    draws = [found[f"B[seed={seed}]"]["measures"][0]["estimate"]["value"] for seed in (42, 123, 456)]
    assert len(set(draws)) == 3
    (row,) = [one for one in json.loads((pytester.path / "results/seeds.json").read_text()) if one["cell"] == "B"]
    assert (row["mean"], row["std"]) == (numbers.fmean(draws), numbers.stdev(draws))
    assert row["verdicts"] == {"PASS": 3}
    table = (pytester.path / "results" / "summary_table.md").read_text()
    assert f"| B over 3 seeds | draw | {row['mean']:.4g} ± {row['std']:.2g} |" in table


def test_seeds_have_the_plans_five_by_default(run):
    run("--lab-seeds", "--", "test_suite.py").assert_outcomes(passed=15)


@pytest.mark.parametrize("text", ["1,x", "-1", "1.5"])
def test_a_seed_that_is_none_is_said(run, text):
    result = run(f"--lab-seeds={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--lab-seeds {text}: *"])


def test_two_runs_give_the_same_bytes(run, pytester):
    tables = []
    for _ in range(2):
        run("--lab-cache=off", "--lab-seeds", "1,2")
        tables.append([(pytester.path / "results" / name).read_bytes() for name in ("statistics.json", "seeds.json")])
    assert tables[0] == tables[1]


# The registry -----------------------------------------------------------------------------------------


def test_every_run_enters_the_registry_and_none_leaves(run, pytester):
    import os
    import signal

    run()
    run("-k", "test_b", "--lab-cache=off")
    killed = SUITE.replace(
        "    evidence.control", f"    import os; os.kill(os.getpid(), {int(signal.SIGKILL)})\n    evidence.control"
    )
    run(suite=killed)
    registry = pytester.path / "results" / "registry.json"
    first = json.loads(registry.read_text())[0]["run"]
    run("--lab-supersedes", first)
    runs = json.loads(registry.read_text())
    assert [len(one["cells"]) for one in runs] == [3, 1, 1, 3]
    assert [one["ended"] for one in runs] == [True, True, False, True]
    assert runs[2]["cells"]["A[x]"]["verdict"] == "INVALID"
    assert [one["supersedes"] for one in runs] == [None, None, None, first]
    assert runs[1]["command"].endswith("-k test_b --lab-cache=off")
    assert os.uname().nodename == runs[0]["machine"]["name"]
    table = (pytester.path / "results" / "registry.md").read_text()
    assert f"| A[x] | {first} | ~~PASS~~ superseded | AUROC 0.65 |" in table
    for file in runs[3]["cells"]["A[x]"]["files"]:
        assert (pytester.path / "results" / file).is_file()
    summary = (pytester.path / "results" / "p" / "a_summary.md").read_text()
    assert f"- Run: {runs[3]['run']}\n- Command: `pytest -p no:cacheprovider --lab-supersedes {first}`\n" in summary
    registry.unlink()
    run("-k", "test_b")
    assert json.loads(registry.read_text())[:4] == runs
