"""Who runs what under xdist: each test once, after what it needs, near its model, whatever workers die."""

import json
import os
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter, deque
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdist.remote import Producer

from lab.plugin import devices
from lab.plugin.scheduler import SubjectScheduling, Work
from lab.record import Fold
from lab.record.events import Finished, Keyed, Line, Started


class FakeWorker:
    """A worker as xdist's is: it runs a test only once it knows the next one, or that there is none."""

    def __init__(self, name):
        self.gateway = SimpleNamespace(id=name)
        self.queue, self.shutting_down = deque(), False

    def send_runtest_some(self, indices):
        assert not self.shutting_down
        self.queue.extend(indices)

    def shutdown(self):
        self.shutting_down = True

    def step(self):
        """Passes over hints; the test that runs now, or None."""
        while len(self.queue) > 1 and self.queue[0] < 0:
            self.queue.popleft()
        if self.queue and self.queue[0] >= 0 and (len(self.queue) > 1 or self.shutting_down):
            return self.queue[0]
        return None


class Run:
    """What DSession does with a scheduler, and a clock of its own."""

    def __init__(self, works, workers, restarts=100):
        self.time, self.names, self.restarts, self.ran = 0.0, iter(range(10**6)), restarts, []
        self.loads, self.lost, self.works = Counter(), [], works
        config = SimpleNamespace(getvalue=lambda _: ["popen"] * workers, getoption=lambda _: None)
        self.scheduler = SubjectScheduling(
            config,
            Producer("test", enabled=False),
            arrange=lambda _: works,
            stopping=lambda: False,
            clock=lambda: self.time,
        )
        self.ids = [f"t{i}" for i in range(len(works))]
        self.workers, self.known = [], {}
        for _ in range(workers):
            self.start()

    def start(self):
        worker = FakeWorker(f"gw{next(self.names)}")
        self.scheduler.add_node(worker)
        self.workers.append(worker)
        self.known[worker] = set()
        self.scheduler.add_node_collection(worker, self.ids)
        if self.scheduler.collection_is_completed:
            self.scheduler.schedule()

    def crash(self, worker):
        self.workers.remove(worker)
        worker.shutting_down = True
        lost = self.scheduler.remove_node(worker)
        if lost:
            self.lost.append(int(lost[1:]))
        if self.restarts:
            self.restarts -= 1
            self.start()
        else:
            for node in self.scheduler.nodes:
                node.shutdown()

    def finish(self, worker, item, seconds=1.0):
        assert worker.queue.popleft() == item
        assert self.works[item].needs <= {*self.ran, *self.lost}
        self.ran.append(item)
        if self.works[item].loads and self.works[item].group not in self.known[worker]:
            self.known[worker].add(self.works[item].group)
            self.loads[self.works[item].group] += 1
        self.scheduler.mark_test_complete(worker, item, seconds)


@st.composite
def shapes(draw):
    count = draw(st.integers(1, 25))
    works = []
    for i in range(count):
        needs = draw(st.frozensets(st.integers(0, i - 1), max_size=3)) if i and draw(st.booleans()) else frozenset()
        seconds = draw(st.sampled_from([None, 0.01, 1.0, 50.0]))
        works.append(Work(f"g{draw(st.integers(0, 4))}", draw(st.booleans()), needs, seconds))
    return draw(st.permutations(range(count))), works


@settings(max_examples=300)
@given(shapes(), st.integers(1, 5), st.integers(0, 3), st.data())
def test_each_test_runs_once_after_what_it_needs_whatever_dies(shape, workers, restarts, data):
    _, works = shape
    run = Run(works, workers, restarts)
    for _ in range(1000):
        active = [(worker, item) for worker in run.workers if (item := worker.step()) is not None]
        if not active:
            break
        worker, item = data.draw(st.sampled_from(active))
        run.time += 1
        if data.draw(st.integers(0, 9)) == 0:
            run.crash(worker)
        else:
            run.finish(worker, item)
    assert max(Counter(run.ran + run.lost).values(), default=1) == 1
    if run.workers:
        assert sorted(run.ran + run.lost) == list(range(len(works)))
        assert run.scheduler.tests_finished
        assert all(worker.shutting_down for worker in run.workers)
    else:
        assert {int(name[1:]) for name in run.scheduler.missing} == set(range(len(works))) - {*run.ran, *run.lost}
    assert all(len(run.scheduler.crashes[f"t{item}"]) == 2 for item in run.lost)


def simulate(works, workers, seconds, load):
    """Runs to the end with true durations; returns the run, and how long the whole took."""
    run, busy = Run(works, workers), {}
    while not run.scheduler.tests_finished:
        for worker in run.workers:
            item = worker.step()
            if item is not None and worker not in busy:
                extra = load if works[item].loads and works[item].group not in run.known[worker] else 0
                busy[worker] = run.time + extra + seconds[item], item, extra
        worker, (run.time, item, extra) = min(busy.items(), key=lambda entry: entry[1][0])
        del busy[worker]
        run.scheduler.setup_took(run.ids[item], extra)
        run.finish(worker, item, extra + seconds[item])
    return run, run.time


def cells(*groups, known=True):
    return [Work(name, True, seconds=each if known else None) for name, each, count in groups for _ in range(count)]


def test_trivial_cells_load_each_model_once():
    works = cells(("a", 0.01, 5), ("b", 0.01, 5), ("c", 0.01, 5), known=False)
    run, _ = simulate(works, 2, [0.01] * 15, load=3)
    assert run.loads == {"a": 1, "b": 1, "c": 1}


def test_the_longest_group_comes_first():
    works = cells(("a", 1, 2), ("b", 1, 2), ("c", 10, 2))
    assert [worker.step() for worker in Run(works, 2).workers] == [4, 0]


def test_a_single_model_is_shared_when_its_cells_take_longer_than_a_load():
    works = cells(("a", 10, 8))
    run, took = simulate(works, 4, [10] * 8, load=2)
    assert run.loads["a"] == 4
    assert took <= 32


def test_a_tail_that_is_shorter_than_a_load_is_left_alone():
    run, _ = simulate(cells(("a", 1, 8), ("b", 1, 4)), 2, [1] * 12, load=5)
    assert run.loads == {"a": 1, "b": 1}


def test_an_idle_worker_takes_over_from_the_back():
    works = cells(("a", 10, 9), ("b", 1, 2))
    run, took = simulate(works, 2, [w.seconds for w in works], load=2)
    assert took < 60
    assert run.loads["a"] == 2


def test_a_cell_that_never_ran_counts_as_the_mean():
    works = [Work("a", True, seconds=20), Work("a", True, seconds=40), Work("b", True)]
    run = Run(works, 1)
    assert run.scheduler._cost([2]) == 30


def test_cells_that_take_less_than_last_time_are_not_shared_out():
    run, _ = simulate(cells(("a", 10, 8), ("b", 10, 2)), 2, [0.01] * 10, load=1)
    assert run.loads == {"a": 1, "b": 1}


def test_the_journal_says_how_long_a_cell_took_without_its_fixtures():
    def line(event, second, run="r1"):
        return Line(run, "E[a]", None, f"2026-01-01T00:00:{second:02}+00:00", event)

    cell = Started("E", "c", "p", "", {}, {}, 42, None)
    ran = [line(cell, 0), line(Keyed({}), 20), line(Finished("PASS", "r", 5.0, {}), 25)]
    assert Fold(ran).seconds() == {"E[a]": 5.0}
    again = [line(cell, 30, "r2"), line(Finished("FAIL", "r", 5.0, {}, replayed="r1"), 31, "r2")]
    killed = [line(cell, 40, "r3")]
    assert Fold(ran + again + killed).seconds() == {"E[a]": 5.0}
    assert Fold(ran + again + killed).outcomes()["E[a]"].verdict == "FAIL"


QUICK = ("-p", "no:cacheprovider")
"""Half of each worker's start is the import of hypothesis."""
HEAD = """
import os, signal, time
import pytest
from pathlib import Path
from lab.estimate import Estimate
from lab.plugin import experiment

def note(text):
    with open({log!r}, "a") as file:
        file.write(text + "\\n")

def seen(low=0.6, high=0.7):
    return Estimate((low + high) / 2, low, high, n=100, method="made")

@pytest.fixture(scope="session")
def model(request, worker_id):
    time.sleep(0.2)
    note(f"load {{request.param}} {{worker_id}}")
    return request.param

def over(*names):
    return pytest.mark.parametrize("model", names, indirect=True, scope="session")
"""


@pytest.fixture
def suite(pytester):
    """Runs a suite under xdist; returns the result and what its tests noted."""
    log = pytester.path / "log.txt"

    def make(body, *arguments):
        log.unlink(missing_ok=True)
        pytester.makepyfile(test_suite=HEAD.format(log=str(log)) + body)
        result = pytester.runpytest_subprocess(*QUICK, *arguments)
        return result, log.read_text().splitlines() if log.exists() else []

    return make


def statistics(pytester):
    found = json.loads((pytester.path / "results" / "statistics.json").read_text())
    return {cell["cell"]: (cell["verdict"], cell["reason"]) for cell in found}


TRIVIAL = """
@over("a", "b", "c")
@pytest.mark.parametrize("part", range(5))
@experiment(id="E", claim="c", phase="p")
def test_e(model, part, evidence):
    assert evidence.measure("x", seen()) > 0.5

def test_ordinary():
    pass
"""


def test_each_model_is_loaded_once_and_both_workers_are_used(suite, pytester):
    result, noted = suite(TRIVIAL, "-n2", "--alluredir=allure")
    result.assert_outcomes(passed=16)
    assert sorted(line.split()[1] for line in noted) == ["a", "b", "c"]
    assert {line.split()[2] for line in noted} == {"gw0", "gw1"}
    assert len(list((pytester.path / "allure").glob("*-result.json"))) == 16
    assert not list((pytester.path / "results").rglob("*.plan.json"))


def test_other_modes_stay_xdists_own(suite):
    result, _ = suite(TRIVIAL, "-n1", "--dist=worksteal", "-v")
    result.assert_outcomes(passed=16)
    result.stdout.fnmatch_lines(["*via WorkStealingScheduling*"])


CRASH = """
@over("a", "b", "c")
@experiment(id="E", claim="c", phase="p")
def test_e(model, evidence):
    note(f"run {{model}}".format(model=model))
    if model == "b" and (TWICE or not Path("died").exists()):
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    assert evidence.measure("x", seen()) > 0.5

def test_ordinary():
    pass
"""


def test_a_cell_that_took_its_worker_down_is_run_again(suite, pytester):
    result, noted = suite(CRASH.replace("TWICE", "False"), "-n2", "--max-worker-restart=0")
    result.assert_outcomes(passed=4)
    assert Counter(line for line in noted if line.startswith("run")) == {"run a": 1, "run b": 2, "run c": 1}
    assert {verdict for verdict, _ in statistics(pytester).values()} == {"PASS"}
    result.stdout.fnmatch_lines(["run again: test_suite.py::test_e[[]b]; its worker gw? ended (signal 9)"])


@pytest.mark.parametrize("workers", [("-n2",), ("-n3", "--max-worker-restart=0")], ids=["replaced", "taken over"])
def test_a_cell_that_takes_two_workers_down_is_invalid_and_the_others_go_on(suite, pytester, workers):
    result, noted = suite(CRASH.replace("TWICE", "True"), "--junitxml=junit.xml", "--alluredir=allure", *workers)
    assert result.parseoutcomes() == {"passed": 3, "errors": 1}
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert Counter(line for line in noted if line.startswith("run")) == {"run a": 1, "run b": 2, "run c": 1}
    found = statistics(pytester)
    why = r"its worker gw\d ended \(signal 9\); run again, its worker gw\d ended \(signal 9\)"
    assert [found[f"E[{name}]"][0] for name in "abc"] == ["PASS", "INVALID", "PASS"]
    assert re.fullmatch(why, found["E[b]"][1])
    assert re.search(f"INVALID: {why}", result.stdout.str())
    junit = {case.get("name"): list(case) for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase")}
    assert {name: [child.tag for child in case] for name, case in junit.items()} == {
        "test_e[a]": [], "test_e[b]": ["error"], "test_e[c]": [], "test_ordinary": [],
    }  # fmt: skip
    assert re.search(why, junit["test_e[b]"][0].text)
    shown = [json.loads(path.read_text()) for path in (pytester.path / "allure").glob("*-result.json")]
    first, lost = sorted((one for one in shown if one["status"] == "broken"), key=lambda one: one["start"])
    assert len(shown) == 5
    assert first["name"] == lost["name"] == "E[b]: c"
    assert first["statusDetails"]["message"] == "Infrastructure: it never finished: its process ended"
    assert re.fullmatch(f"Infrastructure: {why}", lost["statusDetails"]["message"])


def test_what_no_worker_was_left_to_run_is_named(suite, pytester):
    body = CRASH.replace("TWICE", "True").replace('model == "b"', "True")
    result, _ = suite(body, "-n2", "--max-worker-restart=0", "-k", "test_e")
    assert result.parseoutcomes() == {"errors": 3}
    found = statistics(pytester)
    assert {verdict for verdict, _ in found.values()} == {"INVALID"}
    assert found["E[c]"][1] == "no worker was left to run it"
    assert len(found) == 3


TEARDOWN = """
@pytest.fixture(scope="session", autouse=True)
def world():
    yield
    raise RuntimeError("the world would not close")

def test_ordinary():
    note("ran")
"""


@pytest.mark.parametrize("more", ["", "\ndef test_other(): pass\ndef test_third(): pass\n"])
def test_a_session_fixture_that_breaks_last_is_reported_once_a_worker(suite, more):
    result, _ = suite(TEARDOWN + more, "-n1")
    assert result.parseoutcomes() == {"passed": 3 if more else 1, "errors": 1}
    result.stdout.fnmatch_lines(["*RuntimeError: the world would not close"])


def test_x_stops_the_run(suite):
    body = TRIVIAL.replace("> 0.5", "> (0.5 if part != 1 else 0.9)")
    result, _ = suite(body, "-n2", "-x")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert result.parseoutcomes()["failed"] <= 2
    assert sum(result.parseoutcomes().values()) < 12


SHARES = """
@pytest.mark.parametrize("k", range(6))
def test_environment(k, worker_id):
    time.sleep(0.1)
    note(f"{worker_id} {os.environ['OMP_NUM_THREADS']} {os.environ['CUDA_VISIBLE_DEVICES']}.")
"""


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """An nvidia-smi that finds two."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: made (UUID: GPU-1)'\necho 'GPU 1: made (UUID: GPU-2)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name in (devices.VISIBLE, *devices.THREADS):
        monkeypatch.delenv(name, raising=False)


def test_each_worker_has_its_part_of_the_machine(suite, two_gpus):
    result, noted = suite(SHARES, "-n3")
    threads = max(1, len(os.sched_getaffinity(0)) // 3)
    assert set(noted) == {f"gw0 {threads} 0.", f"gw1 {threads} 1.", f"gw2 {threads} ."}
    result.stdout.fnmatch_lines(["3 workers share 2 GPUs, one each: gw2 run without"])


def deal(count, **given):
    """What each of `count` workers on this machine finds in its environment."""
    specs = [SimpleNamespace(popen=True, id=f"gw{i}", env=dict(given)) for i in range(count)]
    plugins = SimpleNamespace(get_plugin=lambda _: None)
    devices.pytest_xdist_setupnodes(SimpleNamespace(pluginmanager=plugins), specs)
    return [spec.env for spec in specs]


def test_gpus_are_dealt_out_and_what_the_user_set_stays(two_gpus, monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 9)
    assert [(e["CUDA_VISIBLE_DEVICES"], e["MKL_NUM_THREADS"]) for e in deal(1)] == [("0,1", "9")]
    assert [e["OMP_NUM_THREADS"] for e in deal(4)] == ["2"] * 4
    assert deal(1, CUDA_VISIBLE_DEVICES="1")[0]["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "OMP_NUM_THREADS" not in deal(1)[0]
    for chosen, dealt in {"5,6,7": ["5,7", "6"], "-1": [None, None], "": [None, None]}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        assert [env.get("CUDA_VISIBLE_DEVICES") for env in deal(2)] == dealt
