"""Negative results are told with their numbers, and an abort says where to go."""

import json

import pytest

from lab.commands.report import main
from lab.studies.plan003.negative import negative_results
from lab.studies.plan003.pivot import larger, plan_id
from lab.views.record import load
from tests.views.conftest import estimate


@pytest.fixture
def aborted(results):
    return results.premortems(models=("gpt2", "pythia-70m"), PM1=0.05, PM2=0.5, PM3=0.1)


def test_an_abort_has_the_plans_form_with_the_figures_of_the_run(aborted):
    told = negative_results(load(aborted.folder))
    for line in (
        "We tested three activation-based approaches on 2 models (gpt2, pythia-70m).",
        "- Correlation: 0.05 [0.03, 0.07] (threshold: > 0.3 / 0.1)",
        "- AUC: 0.5 [0.48, 0.52] (threshold: > 0.55)",
        "- Probe accuracy: 0.4 [0.38, 0.42]",
        "- Change Rate: 10 % [8 %, 12 %] (threshold: > 50 % / 20 %)",
        "- Interpretation: Activations are model-specific on these models and texts",
        "## Implications",
        "These findings save other researchers from attempting similar approaches on these models",
    ):
        assert line in told


def test_an_abort_offers_the_four_options_with_exact_commands(aborted):
    told = negative_results(load(aborted.folder))
    for number, title in enumerate(("Scale up", "Different approach", "Different task", "Stop"), 1):
        assert f"{number}. **{title}:**" in told
    assert (
        "`pytest hypotheses/ --lab-models openai-community/gpt2-medium,EleutherAI/pythia-160m --lab-results NEW_FOLDER`"
    ) in told


def test_what_is_undecided_is_never_told_as_refuted(results):
    told = negative_results(load(results.premortems(PM1=0.31, PM2=0.5, PM3=0.1).folder))
    of_first = told.partition("### Cross-Model Transfer")[2].partition("###")[0]
    assert "Result: INCONCLUSIVE" in of_first
    assert "INCONCLUSIVE is no refutation" in of_first
    assert "model-specific" not in of_first


def test_a_single_failure_is_told_without_an_abort(results):
    told = negative_results(load(results.premortems().second_phase(improvement=-0.05).folder))
    assert "### 2A2[one-x-two]: FAIL" in told
    for line in (
        "- improvement: -0.05 [-0.07, -0.03] (bar: > 0.02)",
        "- Tried: a ridge map",
        "- Numbers: map r 0.1",
        "- Likely reason: the map carries too little",
    ):
        assert line in told
    assert "Pivot Options" not in told


def test_what_needs_more_data_saves_nobody_the_attempt_and_has_no_reason_yet(results):
    results.premortems()
    cell = results.cell("2A2", "one", "two", keep=[("improvement", estimate(0.02), 0.02)], finish=False)
    cell.rows("negative result", [{"tried": "a ridge map", "likely_reason": "the map carries too little"}])
    cell.finish("INCONCLUSIVE", "straddles")
    told = negative_results(load(results.folder))
    assert "### 2A2[one-x-two]: INCONCLUSIVE" in told
    assert "- Tried: a ridge map" in told
    assert "ikely reason" not in told
    assert "save other researchers" not in told
    assert "Nothing was refuted" in told


def test_a_run_without_failures_says_so(results):
    told = negative_results(load(results.premortems().folder))
    assert "No claim was refuted, left undecided or invalid: 5 PASS." in told
    assert "5 of 5 were refuted" in told


def test_a_new_plan_names_the_old_one(aborted, tmp_path, capsys):
    new = tmp_path / "next"
    assert main(["pivot", "scale-up", "--results", str(aborted.folder), "--output", str(new)]) == 0
    command = capsys.readouterr().out.strip()
    told = json.loads((new / "plan.json").read_text())
    old = plan_id(aborted.folder, load(aborted.folder))
    assert told["follows"] == {
        "id": old,
        "results": "../results",
        "verdicts": {"PM1": "FAIL", "PM2": "FAIL", "PM3": "FAIL"},
    }
    assert told["id"] != old
    assert told["command"] == command
    assert command.endswith(f"--lab-results {new}")
    type(aborted)(new).premortems()
    main(["progress", "--results", str(new)])
    assert f"Plan {told['id']}, which follows {old} (../results): scale-up." in (new / "progress.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pivot"], "write pivot OPTION --output NEW_FOLDER"),
        (["pivot", "sideways", "--output", "new"], "there is no pivot 'sideways'; choose one of scale-up"),
        (["pivot", "stop", "--output", "."], "holds a plan already"),
        (["figures", "stop"], "unrecognized arguments: stop"),
    ],
)
def test_what_makes_no_sense_is_one_line(aborted, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(aborted.folder)
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--results", str(aborted.folder)])
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_organisms_scale_up_to_real_models():
    assert larger(["clinic-gpt2"]) == ["openai-community/gpt2", "EleutherAI/pythia-70m", "facebook/opt-125m"]
