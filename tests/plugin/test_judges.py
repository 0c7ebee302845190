"""Judges by name in a cell: rules unless a knob names another, which is then part of what the result is kept under."""

import json

import pytest

from tests.forecast.test_plan import done, number, rows
from tests.subjects.api_server import Server, completion

SUITE = """
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

TEXTS = [{"id": f"t{i}", "text": f"Text {i} is nice."} for i in range(5)]

@experiment(id="J", claim="c", phase="p")
def test_judged(judges, evidence, *, judge="offline", also=""):
    judged = judges(also or judge)("sentiment", TEXTS)
    evidence.report(
        judge=judged[0].judge,
        values=[None if each.values is None else each.values["sentiment"] for each in judged],
        failed=[each.failed or "" for each in judged],
    )
    assert evidence.measure("x", Estimate(0.65, 0.6, 0.7, n=100, method="made")) > 0.55

@experiment(id="M", claim="c", phase="p")
def test_model(model, evidence):
    assert evidence.measure("x", Estimate(0.65, 0.6, 0.7, n=100, method="made")) > 0.55
"""


@pytest.fixture
def suite(pytester, inner, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    pytester.makepyfile(test_suite=SUITE)

    def go(*arguments, only="J"):
        return inner("-p", "no:cacheprovider", "--lab-models=clinic-gpt2", "-k", only, *arguments)

    return go


@pytest.fixture
def server():
    def script(i, request):
        text = request["messages"][0]["content"].split("<text>")[1]
        return completion("Nice!" if "Text 3" in text else '{"sentiment": 0.25}')

    started = Server(script)
    yield started
    started.stop()


def cell(pytester):
    (found,) = [
        c for c in json.loads((pytester.path / "results/statistics.json").read_text()) if c["experiment"] == "J"
    ]
    return found


def notes(pytester):
    return (pytester.path / "results" / "p" / "j_summary.md").read_text()


def human(pytester, value=0.5, ids=range(5)):
    lines = [{"rubric": "sentiment", "id": f"t{i}", "values": {"sentiment": value}} for i in ids]
    (pytester.path / "ann.jsonl").write_text("\n".join(map(json.dumps, lines)))


def test_without_a_name_the_rules_judge(suite, pytester):
    suite().assert_outcomes(passed=1)
    assert cell(pytester)["reported"] == {"judge": "offline", "values": [0.5] * 5, "failed": [""] * 5}


def test_a_model_judges_its_failures_are_noted_and_a_second_run_asks_nothing(suite, pytester, server):
    asked = ["--lab-set=judge=openai:tiny", f"--lab-load=base_url={server.url}"]
    suite(*asked).assert_outcomes(passed=1)
    found = cell(pytester)
    assert found["reported"]["judge"] == "openai:tiny"
    assert found["reported"]["values"] == [0.25, 0.25, 0.25, None, 0.25]
    assert found["reported"]["failed"][3].startswith("judge_failed: unreadable: ")
    assert "- Note: judge: openai:tiny failed to judge 1 of 5 items (1 unreadable)" in notes(pytester)
    sent = len(server.requests)
    assert sent == 5 + 3
    suite(*asked).assert_outcomes(passed=1)
    (pytester.path / "test_suite.py").write_text(SUITE + "\n# another version of the same\n")
    suite(*asked).assert_outcomes(passed=1)
    assert len(server.requests) == sent, "neither a cell that is repeated nor one that is computed anew asks again"
    assert cell(pytester)["reported"]["values"] == [0.25, 0.25, 0.25, None, 0.25]


def test_a_plan_counts_a_judge_s_calls_and_sends_none(suite, server):
    asked = ["--lab-set=judge=openai:tiny", f"--lab-load=base_url={server.url}"]
    cells, models = rows(suite(*asked, "--lab-plan"))
    assert number(cells["J"]["requests"]) == 5
    assert models["openai:tiny"]["said"] == "a server"
    assert server.requests == []


def test_people_judge_by_a_file_whose_content_counts(suite, pytester):
    human(pytester)
    asked = "--lab-set=judge=human:ann.jsonl"
    suite(asked).assert_outcomes(passed=1)
    assert cell(pytester)["reported"]["values"] == [0.5] * 5
    human(pytester, 0.75, ids=range(4))
    suite(asked).assert_outcomes(passed=1)
    found = cell(pytester)
    assert found["reported"]["values"] == [0.75] * 4 + [None]
    assert found["reported"]["failed"][4] == "judge_failed: missing: nobody has judged sentiment of t4"
    assert "- Note: judge: human:ann.jsonl failed to judge 1 of 5 items (1 missing)" in notes(pytester)


def test_a_judge_that_no_knob_names_is_not_given(suite, pytester):
    text = SUITE.replace("judges(also or judge)", 'judges("openai:" + "tiny")')
    (pytester.path / "test_suite.py").write_text(text)
    result = suite("--lab-load=base_url=http://localhost:9/v1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the judge 'openai:tiny' stands in no knob of this experiment, so its results*"])


def test_a_name_that_is_no_judge_is_one_line(suite):
    result = suite("--lab-set=judge=gpt-5")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*'gpt-5' is no judge; write offline, openai:NAME, model:NAME, embedding:NAME or human:FILE.jsonl*"]
    )


def test_a_missing_key_ends_the_run_before_anything_is_loaded(suite, pytester):
    result = suite("--lab-set=judge=openai:gpt-5-nano", only="J or M")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the judge openai:gpt-5-nano: *OPENAI_API_KEY is not set; set it*"])
    assert not done(pytester.path / "results")
    suite("--lab-set=judge=openai:gpt-5-nano", only="M").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "*human:ann.jsonl cannot be read (No such file or directory); name a file of judgements*"),
        ("{", '*ann.jsonl, line 1: write {"rubric": ..., "id": ..., "values": {...}}'),
        ('{"rubric": "sentiment", "id": "t0"}', "*ann.jsonl, line 1: write {*"),
        ('{"rubric": "sentiment", "id": "t0", "values": 3}', "*ann.jsonl, line 1: write {*"),
        ('{"rubric": "sentiment", "id": "t0", "values": {"sentiment": 3}}', "*t0: sentiment is 3, not from -1 to 1"),
        ('{"rubric": "wit", "id": "t0", "values": {}}', "*t0: there is no rubric 'wit'*"),
        (
            '{"rubric": "coherence", "id": 1, "values": {"coherence": 1}}\n' * 2,
            "*line 2: coherence of 1 is judged twice*",
        ),
    ],
)
def test_a_wrong_file_of_judgements_ends_the_run_in_one_line(suite, pytester, content, said):
    if content is not None:
        (pytester.path / "ann.jsonl").write_text(content)
    result = suite("--lab-set=judge=human:ann.jsonl")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: the judge human:ann.jsonl: {said}"])


def test_a_local_model_may_judge(suite, pytester):
    suite("--lab-set=judge=model:clinic-opt").assert_outcomes(passed=1)
    assert cell(pytester)["reported"]["values"] == [None] * 5, "an organism cannot write JSON"
    assert "clinic-opt failed to judge 5 of 5 items" in notes(pytester)
