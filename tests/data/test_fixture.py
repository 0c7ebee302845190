"""An experiment gets data by name, and its result is keyed by what the file held."""

import json

import pytest

from lab.record import read

SUITE = """
from lab.estimate import Estimate
from lab.plugin import experiment

@experiment(id="D", claim="c", phase="p")
def test_d(dataset, evidence, *, data={default!r}, others=("clinic/mmlu:ward",), n=2):
    rows = dataset({asked}).sample(n, seed=evidence.seed)
    assert dataset(data) is dataset(data)
    evidence.rows("items", [rows.record()])
    evidence.control("sound", True)
    assert evidence.measure("x", Estimate(0.65, 0.6, 0.7, n=100, method="made")) > 0.55

def test_ordinary(dataset):
    assert len(dataset("clinic/wikitext")) == 900
"""


@pytest.fixture
def run(pytester, inner):
    path = pytester.path / "mine.jsonl"

    def go(*arguments, default="clinic/mmlu", asked="data", choices="wxyz"):
        row = {"question": "Which?", "subject": "s", "choices": list(choices), "answer": 1}
        path.write_text("".join(json.dumps(row | {"question": f"Which {i}?"}) + "\n" for i in range(9)))
        pytester.makepyfile(test_suite=SUITE.format(default=default, asked=asked))
        return inner("-p", "no:cacheprovider", *arguments)

    return go


def replayed(result):
    return "1 of 1 cells are unchanged and were taken from earlier runs" in result.stdout.str()


def recorded(pytester):
    lines = sorted(read(pytester.path / "results" / "journal"), key=lambda line: line.time)
    return [line.event.rows[0] for line in lines if line.kind == "rows"]


def test_a_changed_file_makes_the_cell_run_anew(run, pytester):
    mine = ("--lab-set", "data=mmlu@mine.jsonl")
    run(*mine).assert_outcomes(passed=2)
    assert replayed(run(*mine))
    changed = run(*mine, choices="vxyz")
    changed.assert_outcomes(passed=2)
    assert not replayed(changed)
    assert replayed(run(*mine, choices="vxyz"))
    first, again, other, _ = recorded(pytester)
    assert first == again
    assert first["indices"] == other["indices"]
    assert first["n"] == len(first["indices"]) == 2
    assert first["revision"] != other["revision"]


def test_a_file_in_a_list_of_names_counts_too(run):
    mine = ("--lab-set", "others=clinic/mmlu,mmlu@mine.jsonl")
    run(*mine, asked="others[1]").assert_outcomes(passed=2)
    assert replayed(run(*mine, asked="others[1]"))
    assert not replayed(run(*mine, asked="others[1]", choices="vxyz"))


TASKS = """
from lab.estimate import Estimate
from lab.plugin import experiment

@experiment(id="T", claim="c", phase="p")
def test_t(dataset, evidence, *, tasks="clinic/tasks", others=()):
    drawn = dataset({asked}).stratified(1, seed=evidence.seed)
    evidence.rows("items", [drawn.record()])
    assert evidence.measure("x", Estimate(0.65, 0.6, 0.7, n=100, method="made")) > 0.55
"""


def test_a_changed_file_of_a_pool_makes_the_cell_run_anew(run, pytester, inner):
    run("--collect-only")
    file = pytester.path / "my.jsonl"
    file.write_text('{"id": "mine_1", "prompt": "Sort.", "origin": "mine"}')
    again = ("-p", "no:cacheprovider", "test_tasks.py", "--lab-set", "tasks=clinic/tasks+tasks@my.jsonl")
    pytester.makepyfile(test_tasks=TASKS.format(asked="tasks"))
    inner(*again).assert_outcomes(passed=1)
    assert replayed(inner(*again))
    file.write_text('{"id": "mine_2", "prompt": "Sort.", "origin": "mine"}')
    changed = inner(*again)
    changed.assert_outcomes(passed=1)
    assert not replayed(changed)
    first, _, other = recorded(pytester)
    assert (first["ids"][-1], other["ids"][-1]) == ("mine_1", "mine_2")
    assert (
        first["origins"]
        == other["origins"]
        == dict.fromkeys(["chat", "instruction", "math", "harmful", "stress", "mine"], 1)
    )
    pytester.makepyfile(test_tasks=TASKS.format(asked='"clinic/tasks+tasks@my.jsonl"'))
    refused = inner(*again[:3], "--lab-set", "others=clinic/tasks")
    refused.assert_outcomes(errors=1)
    refused.stdout.fnmatch_lines(["*'tasks@my.jsonl' stands in no knob of this experiment*"])
    inner(*again[:3], "--lab-set", "others=tasks@my.jsonl").assert_outcomes(passed=1)


def test_the_clinics_are_there_without_asking_and_what_is_unchanged_is_repeated(run):
    run().assert_outcomes(passed=2)
    assert replayed(run())


def test_a_file_that_no_knob_names_is_refused(run):
    result = run(asked='"mmlu@mine.jsonl"')
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*'mmlu@mine.jsonl' stands in no knob of this experiment*give the experiment a knob*"])


def test_a_missing_file_is_told_by_its_path(run):
    result = run("--lab-set", "data=mmlu@gone.jsonl")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*gone.jsonl: there is no such file; check the path*"])


READ = """
from lab.estimate import Estimate
from lab.plugin import experiment

@experiment(id="R", claim="c", phase="p")
def test_r(runs, evidence, *, dataset="clinic/mmlu", variants=("base", "mine dataset=clinic/mmlu:ward")):
    asked = runs.variants(variants, dataset=dataset, prompt="mcq", n_samples=None, seed=evidence.seed)
    evidence.rows("items", [{"prompts": [run.prompts[0] for run in asked]}])
    assert evidence.measure("x", Estimate(0.65, 0.6, 0.7, n=100, method="made")) > 0.55
"""


@pytest.mark.parametrize(
    "mine", ["dataset=mmlu@mine.jsonl", "variants=base,mine dataset=mmlu@mine.jsonl few_shot=true"]
)
def test_a_changed_file_that_a_run_reads_makes_the_cell_run_anew(run, pytester, inner, mine):
    run("--collect-only")
    again = ("-p", "no:cacheprovider", "test_read.py", "--lab-set", mine)
    pytester.makepyfile(test_read=READ)
    inner(*again).assert_outcomes(passed=1)
    assert replayed(inner(*again))
    run("--collect-only", choices="vxyz")
    changed = inner(*again)
    changed.assert_outcomes(passed=1)
    assert not replayed(changed)
    first, repeated, other = recorded(pytester)
    assert first == repeated != other


def test_a_file_that_only_the_test_names_is_not_read_by_a_run(run, pytester, inner):
    run("--collect-only")
    pytester.makepyfile(test_read=READ.replace("variants(variants", 'variants(["a dataset=mmlu@mine.jsonl"]'))
    result = inner("-p", "no:cacheprovider", "test_read.py")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'mmlu@mine.jsonl' stands in no knob of this experiment*give the experiment a knob*"])
