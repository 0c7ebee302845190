"""A plan is true: a run then does what was planned. And planning leaves no trace."""

import json
import re
from pathlib import Path

import pytest

from tests.subjects.api_server import Server, completion

ROOT = Path(__file__).parents[2]
PARTS = ("plan003/pre_mortems", "preferences/test_position_bias.py", "ratings/test_self_rating.py")
"""Of `hypotheses/`: what is read, chosen, patched, written, and asked of what was written."""
HEAD = """
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

def seen(low=0.6, high=0.7):
    return Estimate((low + high) / 2, low, high, n=100, method="made")
"""


@pytest.fixture
def suite(pytester, inner):
    """Runs pytest on a file of tests; the rows of a plan are texts by cell."""
    pytester.makepyfile(test_suite="")

    def go(body, *arguments):
        (pytester.path / "test_suite.py").write_text(HEAD + body)
        return inner("-p", "no:cacheprovider", "--lab-models=clinic-gpt2", *arguments)

    return go


def rows(result):
    """What a plan says: of each cell its passes, tokens, requests and hits, and its remark. Of each model its remark."""
    lines = result.outlines[next(i for i, line in enumerate(result.outlines) if "plan: nothing" in line) + 1 :]
    tables = "\n".join(lines).split("\n\n")[:-1]
    return [_columns(table.splitlines()) for table in tables]


def _columns(lines):
    """A table's rows by their first column; columns end, or begin, where their heads do."""
    heads = list(re.finditer(r"\S+", lines[0]))
    found = {}
    for line in lines[1:]:
        name = line.partition(" ")[0]
        cells, begin = {}, len(name)
        for head in heads[1:]:
            if head.group() == "from":
                continue
            cells[head.group()] = line[begin : head.end()].strip()
            begin = head.end()
        found[name] = cells | {"said": line[begin:].strip()}
    return found


def number(text):
    return int(re.sub(r"\D", "", text) or 0)


def done(results):
    """What a run did for each of its cells, by the journal."""
    lines = [json.loads(line) for path in results.glob("journal/*.jsonl") for line in path.open()]
    return {line["cell"]: line["effort"] for line in lines if line["event"] in ("finished", "failed")}


def state(folder):
    return {path: path.is_file() and (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*")}


# The truth --------------------------------------------------------------------------------------------


def test_the_hypotheses_do_what_was_planned(pytester, inner):
    results = pytester.path / "results"
    small = ["n_samples=48", "PM2.n_samples=300", "n_tasks=3", "works_per_task=2", "n_pairs=40", "folds=2"]
    arguments = [
        *(str(ROOT / "hypotheses" / part) for part in PARTS),
        f"--rootdir={ROOT}", f"--lab-results={results}", "-p", "no:cacheprovider",
        "--lab-models=clinic-gpt2,clinic-llama+fair", *(f"--lab-set={knob}" for knob in small),
        "-k", "clinic-gpt2-x-clinic-llama or clinic-gpt2] and not untrained or untrained:clinic-llama+fair]",
    ]  # fmt: skip
    before = inner(*arguments, "--lab-plan")
    assert before.ret == 0
    assert not results.exists()
    cells, models = rows(before)
    inner(*arguments)
    run = done(results)
    assert {cell.partition("[")[0] for cell in run} == {"PM1", "PM2", "PM3", "POSITION", "SELF"}
    assert cells.keys() == run.keys()
    bounded = set()
    for cell, effort in run.items():
        told = cells[cell]
        written = told["passes"].startswith("≤")
        for name in ("passes", "tokens"):
            if written:
                bounded.add(cell)
                assert 0 < effort[name] <= number(told[name]), cell
            else:
                assert effort[name] == number(told[name]), (cell, name)
        known = number(told["cached"])  # what is asked of two texts that come out alike is asked once
        assert effort["hits"] >= known if written else effort["hits"] == known, cell
    assert {cell.partition("[")[0] for cell in bounded} == {"PM3", "SELF"}  # those in which models write
    loaded = [model for model, told in models.items() if "not needed" not in told["said"]]
    assert len(loaded) == sum(effort["loads"] for effort in run.values())

    kept = state(results)
    again, _ = rows(inner(*arguments, "--lab-plan"))
    assert all(told["said"].startswith("unchanged since run ") for told in again.values())
    result = inner(*arguments, "--lab-plan", "--lab-set=alpha=2", "--lab-set=bound=0.3", "--lab-set=POSITION.samples=5")
    changed, models = rows(result)
    assert {cell.partition("[")[0] for cell in changed if "cached" in changed[cell] and changed[cell]["cached"]} == {
        "PM1", "POSITION", "SELF"
    }  # fmt: skip
    assert all(told["said"].endswith("not needed: all is cached") for told in models.values())
    assert "no model to load" in result.stdout.str()
    assert "last ran, it took" in result.stdout.str()
    off, _ = rows(inner(*arguments, "--lab-plan", "--lab-cache=off"))
    assert {cell for cell, told in off.items() if number(told["passes"])} == set(run)
    assert state(results) == kept


CALLS = """
import numpy as np
PROMPTS = ["The patient has a fever.", "The drug works.", "A doctor is at work."] * 40

@experiment(id="A", claim="c", phase="p")
def test_a(model, evidence):
    model.capture(PROMPTS, "attn_out", position="mean")
    model.capture(PROMPTS[:3], model.attn_pattern(0), position="all")
    model.capture(PROMPTS[:3], model.head_out([0, 1], heads=[1]), "last", max_tokens=3)
    model.capture(PROMPTS[:5], model.resid_post(), position="attention")
    steer = model.steer(model.mlp_out(0.5), np.ones(model.d_model))
    model.choose(PROMPTS[:7], [" the good one", " No"], edit=steer)
    model.generate(PROMPTS[:2], max_new_tokens=1, edit=steer)
    model.patch_sweep(PROMPTS[:2], PROMPTS[:2], "head_out", "all", answers=([3], [4]))
    model.patch_sweep(PROMPTS[:1], ["The doctor has a fever."])
    model.tokens_per_batch = 300
    model.capture(PROMPTS, model.resid_post(1.0))
    assert evidence.measure("x", seen()) > 0.55
"""


@pytest.mark.parametrize("model", ["clinic-neox", "clinic-opt", "untrained:clinic-gemma"])
def test_every_way_to_ask_a_subject_is_counted_as_it_is_done(suite, pytester, model):
    planned = rows(suite(CALLS, "--lab-plan", f"--lab-models={model}"))[0][f"A[{model}]"]
    suite(CALLS, f"--lab-models={model}").assert_outcomes(passed=1)
    effort = done(pytester.path / "results")[f"A[{model}]"]
    assert planned["said"] == ""
    assert (number(planned["passes"]), number(planned["tokens"])) == (effort["passes"], effort["tokens"])


def test_a_servers_requests_are_counted_and_none_is_sent(suite, pytester, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test")
    server = Server(lambda i, request: completion("A", top={"A": 0.7, "B": 0.3}))
    body = """
@experiment(id="A", claim="c", phase="p")
def test_a(model, evidence):
    model.chat(["Speak to me.", "Speak up."], n=3, temperature=1.0, max_new_tokens=8)
    model.chat(["Speak to me."], n=3)
    p = model.choose(["A or B?", "B or A?"], ["A", "B"]).probabilities
    assert evidence.measure("x", seen()) > 0.55
"""
    asked = ["--lab-models=openai:any", f"--lab-load=base_url={server.url}"]
    (cells, models) = rows(suite(body, "--lab-plan", *asked))
    assert server.requests == []
    assert models["openai:any"]["said"] == "a server"
    suite(body, *asked).assert_outcomes(passed=1)
    assert number(cells["A[openai:any]"]["requests"]) == len(server.requests) == 9
    assert cells["A[openai:any]"]["tokens"].startswith("~ ")


# What does not go as it should -----------------------------------------------------------------------


def test_a_broken_test_is_told_and_breaks_nothing(suite):
    body = """
@pytest.fixture
def mine():
    raise RuntimeError("no such thing")

@experiment(id="F", claim="c", phase="p")
def test_fixture(model, mine, evidence):
    pass

@experiment(id="B", claim="c", phase="p")
def test_body(model, evidence):
    model.capture(["one", "two"], model.resid_post(0))
    raise ValueError("made-up numbers")

@experiment(id="S", claim="c", phase="p")
@pytest.mark.skip(reason="not today")
def test_skipped(model, evidence):
    pass

@experiment(id="G", claim="c", phase="p")
def test_good(model, evidence):
    assert evidence.measure("x", seen(0.1, 0.2)) > 0.55
    model.capture(["three", "four"], model.resid_post(0))

def test_ordinary():
    raise AssertionError("it was run")
"""
    result = suite(body, "--lab-plan")
    assert result.ret == 0
    cells, _ = rows(result)
    assert cells["F[clinic-gpt2]"]["said"] == "RuntimeError: no such thing"
    assert cells["B[clinic-gpt2]"]["passes"] == "≥ 4"
    assert cells["B[clinic-gpt2]"]["said"] == "made-up results broke it: ValueError: made-up numbers"
    assert cells["S[clinic-gpt2]"]["said"] == "skipped: not today"
    assert cells["G[clinic-gpt2]"]["passes"] == "1"  # what comes after the bar counts too
    result.stdout.fnmatch_lines(["1 test beside them that is no cell"])


GATED = """
@experiment(id="A", claim="c", phase="p")
def test_a(model, evidence, *, low=0.6):
    assert evidence.measure("x", seen(low, low + 0.1)) > 0.55

@experiment(id="B", claim="c", phase="p", needs=["A"])
def test_b(model, evidence):
    assert evidence.measure("x", seen()) > 0.55

@experiment(id="C", claim="c", phase="p", needs=["B"])
def test_c(model, evidence):
    assert evidence.measure("x", seen()) > 0.55
"""


def test_gates_are_told_as_far_as_they_are_known(suite):
    told = {cell[0]: row["said"] for cell, row in rows(suite(GATED, "--lab-plan"))[0].items()}
    assert told == {
        "A": "",
        "B": "if its gate opens: A[clinic-gpt2] has not finished",
        "C": "if its gate opens: B[clinic-gpt2] has not finished",
    }
    suite(GATED, "--lab-set=low=0.1")
    told = {cell[0]: row["said"] for cell, row in rows(suite(GATED, "--lab-plan", "--lab-set=low=0.1"))[0].items()}
    assert told["B"] == "gate closed: A[clinic-gpt2] came to FAIL"
    assert told["C"] == "gate closed: B[clinic-gpt2] came to SKIPPED"
    forced = {
        c[0]: row["said"] for c, row in rows(suite(GATED, "--lab-plan", "--lab-set=low=0.1", "--lab-force"))[0].items()
    }
    assert forced["B"] == forced["C"] == ""


def test_only_the_first_of_an_experiments_cells_pays_for_the_analysis(suite, pytester):
    body = """
@experiment(id="A", claim="c", phase="p")
def test_a(model, evidence):
    model.capture(["one", "two"], model.resid_post(0))
    model.choose(["one"], [" a", " b"])
    with open("analysed", "a") as file:
        file.write(model.name + " ")
    assert evidence.measure("x", seen()) > 0.55
"""
    cells, _ = rows(suite(body, "--lab-plan", "--lab-models=clinic-gpt2,clinic-opt,untrained:clinic-gpt2"))
    assert [row["passes"] for row in cells.values()] == ["5", "5", "5"]
    assert (pytester.path / "analysed").read_text() == "clinic-gpt2 "


def test_cells_of_other_knobs_are_counted_on_their_own(suite):
    body = """
@experiment(id="A", claim="c", phase="p")
def test_a(model, evidence, *, n=2):
    for i in range(n):
        model.capture([f"word {i}"], model.resid_post())
    assert evidence.measure("x", seen()) > 0.55
"""
    cells, _ = rows(suite(body, "--lab-plan", "--lab-models=clinic-gpt2", "--lab-sweep=A.n=2,5", "--lab-force"))
    # The first tries out with 3 passes whether prefixes can be shared; of the second's 5 texts 2 were asked for before.
    assert [row["passes"] for row in cells.values()] == ["5", "3"]


def test_a_folder_in_use_workers_and_allure_do_not_matter(suite, pytester):
    from filelock import FileLock

    (pytester.path / "results").mkdir()
    with FileLock(pytester.path / "results" / ".lock"):
        before = state(pytester.path / "results")
        result = suite(GATED, "--lab-plan", "-n", "1", "--alluredir=allure")
        assert result.ret == 0
        assert list(rows(result)[0]) == ["A[clinic-gpt2]", "B[clinic-gpt2]", "C[clinic-gpt2]"]
        assert state(pytester.path / "results") == before
        assert not (pytester.path / "allure").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--lab-set", "nothing=3"], "no knob nothing"),
        (["--lab-freeze"], "give one of them"),
        (["--lab-models", "no-such-folder/x/y"], "no-such-folder"),
    ],
    ids=["knob", "freeze", "model"],
)
def test_usage_errors_stay_usage_errors(suite, pytester, arguments, says):
    result = suite(GATED, "--lab-plan", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in result.stderr.str() + result.stdout.str()
    assert not (pytester.path / "results").exists()
