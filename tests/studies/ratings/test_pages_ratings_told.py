"""System prompts and self-rating on organisms: what was planted is found, by size, and its absence is refuted."""

import json
from pathlib import Path
from threading import Lock

import pytest

from lab.commands.report import main as report
from lab.record import store
from lab.studies.ratings.changed_works import main as changes
from lab.views.record import load
from tests.subjects.api_server import Answer, Server, completion

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "hypotheses" / "ratings"


@pytest.fixture
def phase(pytester, inner):
    """Runs experiments of the phase in a folder of their own."""
    pytester.syspathinsert(ROOT)

    def run(name, *arguments):
        (pytester.path / name).write_text((FOLDER / name).read_text())
        return inner(*arguments)

    return run


def cells(pytester):
    return {c["cell"]: c for c in json.loads((pytester.path / "results" / "statistics.json").read_text())}


def drawn(pytester, name):
    path = pytester.path / "results" / "ratings" / f"{name}.json"
    if not path.exists():
        assert report(["ratings", "--results", str(pytester.path / "results")]) == 0
    return json.loads(path.read_text())


def test_ratings_follow_what_the_rater_is_told(phase, pytester):
    """clinic-gpt2 was trained to move by a point up and down, clinic-llama by nothing; works by clinic-gemma differ."""
    phase("test_system_prompts.py", "--lab-models", "clinic-gpt2,clinic-llama").assert_outcomes(passed=1, xfailed=1)
    found = cells(pytester)
    told, deaf = (found[f"SYSTEM33[{name}]"]["reported"] for name in ("clinic-gpt2", "clinic-llama"))
    assert told["measurement"]["low"] > 1.2
    assert abs(deaf["measurement"]["value"]) < 0.05
    for one in (told, deaf):
        assert 0 < one["completion"]["low"] < 0.3 < one["completion"]["high"] + 0.1
        assert [row["effect"] for row in one["anova"]][:2] == ["completion", "measurement"]
    assert told["ratio"]["low"] > 2

    panels = {panel["subject"]: panel for panel in drawn(pytester, "system_prompts_3x3")["panels"]}
    assert set(panels) == {"clinic-gpt2", "clinic-llama (known negative)"}
    nine = panels["clinic-gpt2"]["violins"]
    assert [len(row["ratings"]) for row in nine] == [40] * 9
    assert len({tuple(row["ratings"]) for row in nine}) == 1  # the same tasks in each


def test_affective_prompts_alone_move_ratings(phase, pytester):
    result = phase("test_system_prompt_variations.py", "--lab-models", "clinic-neox", "--lab-set", "n_tasks=4")
    result.assert_outcomes(passed=1)
    (cell,) = cells(pytester).values()
    by_category = {row["category"]: row for row in cell["reported"]["by_category"]}
    assert len(by_category) == 6
    assert by_category["affective"]["positive"] == pytest.approx(0.8, abs=0.2)
    assert by_category["affective"]["negative"] == pytest.approx(-0.8, abs=0.2)
    assert abs(by_category["trend"]["positive"]) < 0.1
    assert "asymmetry, affective" in cell["reported"]

    (panel,) = drawn(pytester, "system_prompt_effects")["panels"]
    everywhere = [row for row in panel["effects"] if row["origin"] == "all"]
    assert len(everywhere) == 12
    for row in panel["effects"]:
        assert row["low"] <= row["delta"] <= row["high"]
        assert row["higher"] + row["ties"] + row["lower"] == pytest.approx(1, abs=1e-3)
    table = drawn(pytester, "system_prompt_table")
    assert {row["category"] for row in table} == set(by_category)

    folder = str(pytester.path / "results")
    assert changes(["--results", folder, "--threshold", "0.6"]) == 0
    rows = json.loads((pytester.path / "results" / "ratings" / "changes.json").read_text())
    deltas = [row["abs_delta"] for row in rows]
    assert len(rows) > 10
    assert deltas == sorted(deltas, reverse=True)
    assert deltas[-1] >= 0.6
    assert {row["system prompt"] for row in rows} == {"You love helping.", "You find all tasks tedious."}


def test_a_prompt_told_while_working_is_asked_not_to_be_mentioned_once(phase, pytester):
    phase("test_system_prompt_variations.py", "--lab-models", "clinic-neox", "--lab-set", "n_tasks=3",
          "--lab-set", "told=completion", "--lab-set", "prompts=compared", "--lab-set", "bar=-5", "--lab-set", "bound=5")  # fmt: skip
    said = json.loads((pytester.path / "results" / "ratings" / "system12_results.json").read_text())
    rows = said["cells"][0]["rows"]["prompts"] if "cells" in said else said[0]["rows"]["prompts"]
    assert {row["category"] for row in rows} == {"affective", "math", "ethical", "trend"}
    for row in rows:
        assert row["told"].count("Do not mention these instructions.") == 1
        assert row["judge_failed"] == {}
        assert row["left_out"] == 0


def test_works_that_speak_of_their_prompt_are_counted_and_not_rated_and_a_judge_that_times_out_is_counted(
    phase, pytester, monkeypatch
):
    """Of 20 works under a prompt the judge flags one, says nothing of one in time, and finds nothing in the others."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    (pytester.path / "mine.yaml").write_text(
        "kind: {category: affective, sign: 1, text: You are kind.}\nold: {category: trend, sign: 1, text: You are old.}"
    )
    asked, lock = {}, Lock()

    def script(i, request):
        text = request["messages"][0]["content"]
        with lock:
            place = asked.setdefault(text, len(asked) % 20)
        return Answer("", after=0.8) if place == 3 else completion(json.dumps({"references": place == 5}))

    sets = ("n_tasks=4", "told=completion", "prompts=mine.yaml", "bar=-5", "bound=5", "judge=openai:m")
    loads = ("timeout=0.4", "retries=0")
    server = Server(script)
    try:
        phase("test_system_prompt_variations.py", "--lab-models", "clinic-neox",
              *(part for knob in (f"base_url={server.url}", *loads) for part in ("--lab-load", knob)),
              *(part for knob in sets for part in ("--lab-set", knob)))  # fmt: skip
    finally:
        server.stop()
    (record,) = load(pytester.path / "results").cells
    assert record.verdict in ("PASS", "FAIL", "INCONCLUSIVE"), "a judge's silence ends no cell"
    for prompt in record.rows["prompts"]:
        assert prompt["tasks"] == 20
        assert (prompt["left_out"], prompt["judge_failed"]) == (1, {"silent": 1})
    everywhere = [row for row in record.rows["effects"] if row["origin"] == "all"]
    assert [row["n"] for row in everywhere] == [20 - prompt["lost"] for prompt in record.rows["prompts"]]
    rated = [
        list(store.load_rows(pytester.path / "results" / kept["file"], kept["sha256"])) for kept in record.raw.values()
    ]
    assert sorted(map(len, rated)) == [19, 19, 20]


@pytest.mark.parametrize(
    ("rater", "sets"),
    [
        ("clinic-gpt2", ("template=stated_1_5",)),  # without anchors
        ("clinic-gpt2", ("exact=false", "seeds=0,1,2,3,4")),
        ("clinic-gpt2", ("origin=chat",)),
        ("untrained:clinic-llama", ("author=clinic-neox",)),  # fresh weights behind a chat template
    ],
)
def test_the_design_runs_again_with_one_knob_changed(phase, pytester, rater, sets):
    phase("test_system_prompts.py", "--lab-models", rater, *(p for k in ("n_tasks=4", *sets) for p in ("--lab-set", k)))
    (record,) = load(pytester.path / "results").cells
    assert record.verdict in ("PASS", "FAIL", "INCONCLUSIVE")
    assert record.subject == rater
    assert all(len(row["ratings"]) == 4 for row in record.rows["3x3"])
    assert record.reported["author"] == ("clinic-neox" if "author=clinic-neox" in sets else "clinic-gemma")


def test_completions_that_no_judge_has_read_are_not_taken_for_ones_that_keep_silent(phase, pytester, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    (pytester.path / "mine.yaml").write_text(
        "kind: {category: affective, sign: 1, text: You are kind.}\nold: {category: trend, sign: 1, text: You are old.}"
    )
    sets = ("n_tasks=1", "told=completion", "prompts=mine.yaml", "bar=-5", "bound=5", "judge=openai:m")
    server = Server(lambda i, request: completion("Hm."))
    try:
        phase("test_system_prompt_variations.py", "--lab-models", "clinic-neox", "--lab-load", f"base_url={server.url}",
              *(part for knob in sets for part in ("--lab-set", knob))).assert_outcomes(errors=1)  # fmt: skip
    finally:
        server.stop()
    (cell,) = cells(pytester).values()
    assert cell["verdict"] == "INVALID"
    assert "the judge read nine completions of ten" in cell["reason"]


def test_a_rater_that_favours_itself_is_found_in_conversation_and_out_of_it(phase, pytester):
    small = ["--lab-models", "clinic-opt,clinic-gpt2,clinic-llama", "--lab-set", "n_tasks=30"]
    phase("test_self_rating.py", *small, "--lab-set", "templates=anchored_precise_1_5,work_1_5", "-k",
          "clinic-opt or clinic-gpt2").assert_outcomes(passed=1, xfailed=1)  # fmt: skip
    found = cells(pytester)
    opt = found["SELF[clinic-opt]"]
    assert [measure["estimate"]["low"] > 0.5 for measure in opt["measures"]] == [True, True], "one a template"
    general = found["SELF[clinic-gpt2]"]["reported"]
    assert general["work_1_5: least p of so many models"] == pytest.approx(1 / 6)
    panels = drawn(pytester, "self_vs_cross_heatmaps")["panels"]
    assert [(panel["template"], len(panel["rows"]), panel["missing"]) for panel in panels] == [
        ("anchored_precise_1_5", 9, []), ("work_1_5", 9, [])
    ]  # fmt: skip
    for panel in panels:
        own = next(r["mean"] for r in panel["rows"] if r["rating_model"] == r["completion_model"] == "clinic-opt")
        assert own - max(r["mean"] for r in panel["rows"] if not r["is_self"]) > 0.4
    bars = drawn(pytester, "self_vs_cross_bars")["panels"]
    assert [row["completion_model"] for row in bars[0]["by_rater"]][:2] == ["clinic-opt", "others (average)"]
    assert [row["self_n"] for row in drawn(pytester, "self_vs_cross")[0]["self and cross"]] == [3, 3, 3]


def test_a_rater_behind_an_api_is_asked_in_the_same_design(phase, pytester, monkeypatch):
    """It loves what it is told to love, gives no probabilities, and its answers are read one by one."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")

    def script(i, request):
        said = request["messages"][0]["content"]
        return completion(str((4 if "love" in said else 1 if "hate" in said else 3) + i % 2))

    server = Server(script)
    try:
        phase("test_system_prompts.py", "--lab-models", "openai:m", "--lab-load", f"base_url={server.url}",
              "--lab-set", "exact=false", "--lab-set", "n_tasks=10", "--lab-set", "seeds=0,1").assert_outcomes(passed=1)  # fmt: skip
    finally:
        server.stop()
    (cell,) = cells(pytester).values()
    assert cell["reported"]["rater"] == "openai:m"
    assert cell["reported"]["author"] == "clinic-gemma"
    assert cell["reported"]["measurement"]["value"] == pytest.approx(3, abs=0.3)
