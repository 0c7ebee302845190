"""A run that is dealt out to several jobs comes to what one machine would say, to the byte, gates and all."""

import json
from collections import Counter
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from hypothesis import given
from hypothesis import strategies as st

from lab.plugin import folder
from lab.plugin import shares as job_shares
from lab.plugin.scheduler import LEAST_LOAD, Work, estimates, load_seconds
from lab.plugin.share_file import Shards
from lab.plugin.shares import deal, shares, waves
from lab.record import Fold, read
from lab.record.events import Finished, Line, Started
from tests.plugin.test_scheduler import shapes

QUICK = ("-p", "no:cacheprovider")
TABLES = ("summary_table.md", "statistics.json", "families.json", "summary.json")
SUITE = """
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

@pytest.fixture(scope="session")
def model(request):
    with open("loads.txt", "a") as file:
        file.write(request.param + "\\n")
    return request.param

def over(*names):
    return pytest.mark.parametrize("model", names, indirect=True, scope="session")

def seen(value):
    return Estimate(value, value - 0.1, value + 0.1, n=100, method="made")

@over("a", "b", "c", "u")
@experiment(id="2A1", claim="c", phase="phase 2", needs=["PM1"])
def test_2a1(model, evidence):
    draws = evidence.resume(range(4))
    for i in draws:
        draws[i] = [i, evidence.seed]
        with open("drawn.txt", "a") as file:
            file.write(f"{model}{i}\\n")
    evidence.report(draws=draws.results)
    evidence.plot("line", lambda axes: axes.plot([1, 2]))
    assert evidence.measure("x", seen(1)) > 0.5

@over("a", "b", "c", "n")
@experiment(id="PM1", claim="c", phase="pre-mortem")
def test_pm1(model, evidence, request):
    evidence.control("sound", model != "n")
    assert evidence.measure("x", seen({"a": 1, "b": 0, "c": 0.5, "n": 0}[model])) > 0.5

def test_ordinary():
    with open("ordinary.txt", "a") as file:
        file.write("ran\\n")
"""
COUNTS = {"passed": 3, "failed": 1, "inconclusive": 1, "errors": 1, "skipped": 3}


def bytes_of(results):
    files = [*TABLES, *(path.relative_to(results) for path in sorted(Path(results).rglob("*.png")))]
    return {str(name): (Path(results) / name).read_bytes() for name in files}


@pytest.fixture
def dealt(pytester, inner):
    """Writes a suite and deals its tests out; returns what was dealt, and a function that runs a share or merges."""
    file = pytester.path / "shards.json"

    def make(number, suite=SUITE):
        pytester.makepyfile(test_suite=suite)
        result = inner(*QUICK, "--lab-deal", number, "--lab-shards", file, "--collect-only", "-q")
        assert result.ret == 0
        assert not (pytester.path / "results").exists()
        return Shards.read(file), run

    def run(share=None, *options):
        named = [] if share is None else ["--lab-share", share.name]
        return inner(*QUICK, "--lab-shards", file, *named, *options)

    return make


def test_shares_come_to_what_one_machine_says_to_the_byte(dealt, pytester, inner):
    shards, run = dealt(3)
    counts = Counter()
    for share in shards.shares:
        counts.update(run(share).parseoutcomes())
        assert not (pytester.path / "results" / "statistics.json").exists()  # half a run has no tables
    merged = run()
    alone = inner(*QUICK, "--lab-results", "alone")
    assert {name: counts[name] for name in COUNTS} == COUNTS
    assert {name: alone.parseoutcomes()[name] for name in COUNTS} == COUNTS
    assert merged.ret == alone.ret == 1
    assert bytes_of("results") == bytes_of("alone")
    told = [result.outlines[result.outlines.index(table(result)) :] for result in (merged, alone)]
    assert [line for line in told[0] if "results" not in line][:12] == [
        line for line in told[1] if "alone" not in line
    ][:12]
    assert Path("ordinary.txt").read_text() == "ran\n" * 2
    assert Counter(Path("loads.txt").read_text().split()) == dict.fromkeys("abcn", 2)  # once there, once here
    (record,) = json.loads(Path("results/registry.json").read_text())
    assert (record["run"], record["ended"], len(record["cells"])) == (shards.run, True, 8)


def table(result):
    return next(line for line in result.outlines if "= hypotheses =" in line)


def test_a_cell_waits_for_what_it_needs_on_another_shard(dealt):
    """Three models share PM1's verdict on `u`, which it was not asked about: its cell comes after all shards."""
    shards, _ = dealt(3)
    (later,) = [share for share in shards.shares if share.wave == 1]
    assert later.tests == ("test_suite.py::test_2a1[u]",)
    first = [share for share in shards.shares if share.wave == 0]
    assert sorted(len(share.models) for share in first) == [1, 1, 2]
    for share in first:  # what a model needs of itself stays with it
        for name in set(share.models) - {"n"}:
            assert share.tests.index(f"test_suite.py::test_pm1[{name}]") < share.tests.index(
                f"test_suite.py::test_2a1[{name}]"
            )


def test_a_share_with_workers_keeps_to_its_part(dealt, pytester):
    shards, run = dealt(2)
    share = max(shards.shares, key=lambda share: len(share.tests))
    result = run(share, "-n", "1")
    assert sum(n for kind, n in result.parseoutcomes().items() if kind in COUNTS) == len(share.tests)
    names = {path.name.partition("-shard")[2] for path in (pytester.path / "results" / "journal").iterdir()}
    assert all(name.startswith(share.name) for name in names)
    assert any(".gw" in name for name in names)
    found = Fold(read(pytester.path / "results" / "journal")).shares(shards.run)
    assert found.keys() == {share.name}


def test_nothing_is_merged_before_all_have_ended_and_a_share_goes_on(dealt, pytester, monkeypatch):
    monkeypatch.setattr(job_shares, "SEEN_AFTER", 0.0)
    shards, run = dealt(2)
    first, *others = shards.shares
    assert run(first, "-k", "pm1", "--lab-cache=off").ret == pytest.ExitCode.USAGE_ERROR  # not all that was dealt out
    for share in others:
        run(share)
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not Path("results/statistics.json").exists()
    result.stderr.fnmatch_lines([f"ERROR: {first.name} of run {shards.run} did not end, so nothing is merged"])
    run(first, "--lab-cache=off")
    drawn = Path("drawn.txt").read_text().split()
    assert drawn == [f"a{i}" for i in range(4)]
    assert run(first, "--lab-cache=off", "--lab-resume").ret == 0
    assert Path("drawn.txt").read_text().split() == drawn
    assert run().ret == 1
    assert len(json.loads(Path("results/statistics.json").read_text())) == 8


def test_tests_that_changed_since_they_were_dealt_out_are_one_line(dealt, pytester):
    shards, run = dealt(1)
    pytester.makepyfile(test_suite=SUITE.replace('over("a", "b", "c", "u")', 'over("a", "b", "c")'))
    result = run(shards.shares[0])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: test_suite.py::test_2a1[[]u] was dealt out and is not there now*submit*anew"])


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), ("{}", "does not hold shards"), ('{"shares": 3}', "does not hold shards")],
)
def test_a_file_that_holds_no_shards_is_one_line(pytester, inner, content, said):
    if content is not None:
        (pytester.path / "shards.json").write_text(content)
    result = inner("--lab-shards", "shards.json", "--lab-share", "0.0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stderr.str()


def test_shares_of_one_run_write_together_and_nobody_else_beside_them(tmp_path):
    mine = {"process": 1, "machine": "here", "since": "now", "run": "r1"}
    one, two = folder._join(tmp_path, mine), folder._join(tmp_path, mine)
    one.close()
    with pytest.raises(Timeout):
        FileLock(tmp_path / folder._LOCK).acquire(blocking=False)
    with pytest.raises(Timeout):
        folder._join(tmp_path, mine | {"run": "r2"})
    two.close()
    with FileLock(tmp_path / folder._LOCK), pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "_PATIENCE", 0.0)
        with pytest.raises(Timeout):
            folder._join(tmp_path, mine)
    folder._join(tmp_path, mine | {"run": "r2"}).close()


# Who gets what ------------------------------------------------------------------------------------------


def ends(works, shard_of, loads):
    """When each shard ends, and how often each group is loaded."""
    costs, at, loaded = estimates(works), Counter(), Counter()
    for shard, group in set(zip(shard_of, (work.group for work in works), strict=True)):
        own = [i for i, work in enumerate(works) if (shard_of[i], work.group) == (shard, group)]
        pays = any(work.loads for work in works if work.group == group)
        at[shard] += sum(costs[i] for i in own) + (load_seconds(group, loads) if pays else 0.0)
        loaded[group] += pays
    return at, loaded


@given(shapes(), st.integers(1, 5), st.dictionaries(st.sampled_from(["g0", "g1", "g2"]), st.floats(0, 30)))
def test_each_test_is_dealt_once_after_what_it_needs_and_nobody_is_worse_off(shape, shards, loads):
    _, works = shape
    shard_of = deal(works, shards, loads)
    assert set(shard_of) <= set(range(shards))
    wave_of = waves(works, shard_of)
    for index, work in enumerate(works):
        for needed in work.needs:
            same = shard_of[needed] == shard_of[index]
            assert wave_of[needed] <= wave_of[index] if same else wave_of[needed] < wave_of[index]
    names = [f"t{i}" for i in range(len(works))]
    made = shares(names, works, ["m"] * len(works), shards, loads)
    assert sorted(name for share in made for name in share.tests) == sorted(names)
    assert all(list(share.tests) == sorted(share.tests, key=names.index) for share in made)
    at, _ = ends(works, shard_of, loads)
    alone, _ = ends(works, [0] * len(works), loads)
    assert max(at.values()) <= alone[0] + 1e-6


def cells(*groups):
    return [Work(name, True, seconds=each) for name, each, count in groups for _ in range(count)]


def test_models_stay_together_where_they_take_as_long():
    works = cells(("a", 10, 4), ("b", 10, 4), ("c", 10, 4))
    at, loaded = ends(works, deal(works, 3, {"a": 5, "b": 5, "c": 5}), {"a": 5, "b": 5, "c": 5})
    assert loaded == {"a": 1, "b": 1, "c": 1}
    assert set(at.values()) == {45}


def test_a_long_model_is_loaded_twice_where_that_ends_sooner_and_not_where_loading_takes_longer():
    works = cells(("a", 10, 12), ("b", 10, 1))
    cheap, dear = {"a": 5, "b": 5}, {"a": 300, "b": 5}
    at, loaded = ends(works, deal(works, 2, cheap), cheap)
    assert loaded == {"a": 2, "b": 1}
    assert max(at.values()) - min(at.values()) <= 10 + LEAST_LOAD
    assert ends(works, deal(works, 2, dear), dear)[1] == {"a": 1, "b": 1}


def test_twelve_models_of_different_length_fill_four_shards_evenly():
    works = cells(*((f"m{i}", 3 + i, 5) for i in range(12)))
    loads = {f"m{i}": 2.0 for i in range(12)}
    at, loaded = ends(works, deal(works, 4, loads), loads)
    assert sum(loaded.values()) <= 12 + 3
    assert max(at.values()) <= 1.1 * (sum(w.seconds for w in works) + 24) / 4


def test_the_journal_says_how_long_a_model_took_to_load():
    def line(event, second, run="r1", cell="E[a]"):
        return Line(run, cell, None, f"2026-01-01T00:00:{second:02}+00:00", event)

    head = Started("E", "c", "p", "a", {"model": "a"}, {}, 42, None)
    ran = [line(head, 0), line(Finished("PASS", "r", 9.0, {"load_seconds": 4.0}), 9)]
    other = [line(head, 10, cell="F[a]"), line(Finished("PASS", "r", 9.0, {}), 19, cell="F[a]")]
    again = [line(head, 30, "r2"), line(Finished("PASS", "r", 9.0, {}, replayed="r1"), 31, "r2")]
    assert Fold(ran + other + again).loads() == {"a": 4.0}
