"""Preferences on organisms and on a server: what was planted comes out, one order decides nothing, nothing is asked twice."""

import csv
import json
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from lab import data
from lab.commands.report import main
from lab.files.typed import schema_of
from lab.studies.clinic.truth import WORDING_GAIN, truth_of
from lab.studies.preferences import position_bias
from lab.studies.preferences.comparing import Comparing
from lab.studies.preferences.reports import places, ranks, refusing, regularising, wordings
from lab.studies.shared.asking import Asking
from lab.studies.shared.material import Tasks
from lab.subjects import load as load_subject
from lab.views.drawing import _LOOK, render
from lab.views.record import Missing, load
from tests.subjects.api_server import Server, completion

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "hypotheses" / "preferences"


@pytest.fixture
def prefer(pytester, inner):
    """Runs experiments on preferences in a folder of their own; returns the outcome, and the record of the cells."""
    pytester.syspathinsert(ROOT)

    def run(files, models, *knobs, more=()):
        for file in files:
            (pytester.path / file).write_text((FOLDER / file).read_text())
        settings = [argument for knob in knobs for argument in ("--lab-set", knob)]
        result = inner(*files, "-p", "no:cacheprovider", "--lab-models", models, *settings, *more)
        return result, load(pytester.path / "results")

    return run


@pytest.fixture(scope="module")
def tasks():
    rows = data.load("clinic/tasks")
    return Tasks(rows.texts, rows.origins, rows.ids, name=rows.name)


@pytest.fixture(scope="module")
def biased():
    return load_subject("clinic-llama+to-b")


def planted(cell):
    """The planted utilities of a cell's tasks, in the order of their rows."""
    ids = data.load("clinic/tasks").ids
    return truth_of(cell.subject).utilities[[ids.index(row["task_id"]) for row in cell.rows["utilities"]]]


# The core ------------------------------------------------------------------------------------------------


def test_written_choices_follow_the_probabilities(biased, tasks):
    pairs = np.array([[3, 90], [150, 20], [60, 199]])
    ask = Comparing(None, None)
    exact = ask.choose(biased, tasks, pairs)
    said = ask.choose(biased, tasks, pairs, exact=False, samples=150, seed=3)
    assert said.outcomes[:, :, :2].sum() >= 0.98 * said.outcomes.sum()
    spread = np.sqrt(exact.p_first * (1 - exact.p_first) / 150)
    assert (np.abs(said.p_first - exact.p_first) < 4 * spread + 0.01).all()
    drawn = ask.choose(biased, tasks, pairs, samples=150)
    assert (np.abs(drawn.p_first - exact.p_first) < 4 * spread + 0.01).all()


def test_choices_are_asked_before_and_after_in_any_wording_with_a_reason_or_by_doing(biased, tasks):
    some, ask = tasks.take(np.array([0, 50, 100, 150])), Comparing(None, None)
    pairs = ask.design(some, None, seed=0)
    works = Asking(None, None, None).works(biased, some, seed=1, max_new_tokens=24)
    runs = [ask.choose(biased, some, pairs, wording) for wording in WORDING_GAIN]
    after = ask.choose(biased, some, pairs, "prefer_completing", works=works)
    assert (after.asked.when, after.asked.author, after.asked.completion_seed) == ("after", "clinic-llama+to-b", 1)
    assert "comp_clinic-llama+to-b_cseed1" in after.name
    assert np.abs(after.p_first - runs[3].p_first).max() > 1e-3
    reasoned = ask.choose(biased, some, pairs, mode="reasoning", exact=False, max_new_tokens=48)
    assert reasoned.counts.keys() <= {"A", "B", "unclear"}
    assert reasoned.outcomes[:, :, :2].sum() >= 10
    done = ask.choose(biased, some, pairs, mode="doing", exact=False, max_new_tokens=16)
    assert done.asked.wording == "do_one"
    assert done.outcomes.sum() == 12
    for wrong in ({"mode": "reasoning"}, {"temperature": 0.7}, {"form": "xml"}):
        with pytest.raises(ValueError, match="set exact=false"):
            ask.choose(biased, some, pairs, **wrong)
    with pytest.raises(ValueError, match="as many works"):
        ask.choose(biased, tasks, [[0, 1]], works=works)


def test_the_logs_mistake_is_made_by_one_order_and_not_by_both(biased, tasks):
    """Harmful tasks named second: an organism that leans to the second-named "prefers what it refuses", and does not."""
    from lab.studies.preferences import refusals, utilities

    harmful = np.array(tasks.origins) == "harmful"
    ask = Comparing(None, None)
    pairs = ask.design(tasks, 400, seed=1)
    pairs = np.where((harmful[pairs[:, 0]] & ~harmful[pairs[:, 1]])[:, None], pairs[:, ::-1], pairs)
    asked = ask.choose(biased, tasks, pairs)
    alone = replace(asked, asked=replace(asked.asked, orders="one"), p_first=asked.p_first * [1, np.nan])
    one, both = utilities.utilities(alone), utilities.utilities(asked)
    naive = utilities.thurstone.fitted(one.choices.counted, np.inf, False, l2_mu=0.1)
    true = truth_of("clinic-llama+to-b").utilities
    r = {
        name: refusals.link(mu, harmful).r for name, mu in (("naive", naive.mu), ("ours", both.fit.mu), ("true", true))
    }
    assert r["naive"].low > 0.2
    assert r["naive"].p < 1e-6
    assert r["ours"].value == pytest.approx(r["true"].value, abs=0.06)
    assert r["ours"].p > 0.05
    # And nothing that was asked in one order can decide.
    assert (one.choices.qualified(r["naive"]) > 0.1).outcome == "INCONCLUSIVE"


# The hypotheses ------------------------------------------------------------------------------------------

SMALL = ("n_tasks=8", "n_pairs=120")
TRAINED = ("-k", "not untrained")


def test_position_content_and_utilities_share_their_questions_and_find_what_is_planted(prefer, pytester, monkeypatch):
    monkeypatch.setitem(_LOOK, "figure.dpi", 40)
    real = {"regularisation_real": regularising.FIGURES["regularisation_real"]}
    monkeypatch.setattr(regularising, "FIGURES", real)  # the synthetic ones have a test of their own
    files = ("test_position_bias.py", "test_content.py", "test_utilities.py")
    result, record = prefer(files, "clinic-gemma", *SMALL, more=TRAINED)
    result.assert_outcomes(passed=2, xfailed=1)
    cells = {cell.experiment: cell for cell in record.cells}
    assert sum(cell.effort.get("passes", 0) > 0 for cell in cells.values()) == 1  # the others found theirs in the cache
    (bias,) = [m.estimate for m in cells["POSITION"].measures if m.estimate.name == "position bias b"]
    assert bias.low - 0.06 < truth_of("clinic-gemma").position_bias < bias.high + 0.06
    assert cells["POSITION"].reported["class_counts"]["order-flipping"] > 10
    assert len(cells["POSITION"].rows["win rates"]) == 10
    found = [row["mu"] for row in cells["UTILITIES"].rows["utilities"]]
    assert np.corrcoef(found, planted(cells["UTILITIES"]))[0, 1] > 0.97
    assert cells["UTILITIES"].reported["design"] == "both orders"

    # Everything that is told of them is made of the journal.
    assert main(["preferences", "--results", str(pytester.path / "results")]) == 0
    folder = pytester.path / "results" / "preferences"
    told = json.loads((folder / "mu_by_origin.json").read_text())
    assert [row["mean"] for row in told["rows"]] == [r["mean"] for r in cells["UTILITIES"].rows["utility by origin"]]
    rows = list(csv.DictReader((folder / "utilities" / "UTILITIES-clinic-gemma_simple_preference.csv").open()))
    assert [float(row["mu"]) for row in rows] == found
    kept = yaml.safe_load((folder / "utilities" / "UTILITIES-clinic-gemma_simple_preference.yaml").read_text())
    assert [row["mu"] for row in kept["utilities"]] == found
    assert kept["experiment"] == "UTILITIES"
    jsonschema.validate(json.loads((folder / "ranked_tasks.json").read_text()), schema_of(ranks.RankedTasks))


def test_an_untrained_twin_has_no_preferences(prefer):
    """Nor a ranking to learn; and its wordings agree on a thousandth, which is no preference."""
    few = ("n_tasks=4", "n_pairs=40", "CIRCLES.n_pairs=all", "rounds=2", "n_new=60")
    files = ("test_content.py", "test_circles.py", "test_wordings.py", "test_active_learning.py")
    result, record = prefer(files, "untrained:clinic-llama", *few)
    result.assert_outcomes(xfailed=4)
    (agreed,), (learnt,) = record.controls("WORDINGS"), record.controls("ACTIVE")
    assert min(row["pearson"] for row in agreed.rows["correlations"]) > 0.7
    assert "content effect" in agreed.reason
    assert learnt.reported["ended"] == "rounds"


def test_a_model_that_gives_no_choice_after_its_reason_breaks_the_control(prefer):
    few = ("n_tasks=2", "n_pairs=3", "max_new_tokens=4", "REASONING.samples=1")
    result, record = prefer(("test_reasoning.py",), "untrained:clinic-llama", *few)
    result.assert_outcomes(errors=1)
    (cell,) = record.of("REASONING")
    assert [(one["name"], one["outcome"]) for one in cell.controls] == [("nine reasons of ten end in a choice", "FAIL")]


@pytest.mark.parametrize(
    "name", ["POSITION", "CONTENT", "REASONING", "DRIFT", "UTILITIES", "CIRCLES", "ACTIVE", "WORDINGS", "REFUSALS"]
)
def test_an_id_selects_its_own_experiment(name):
    """What -k matches are the names of files and functions, in any case, and the id that its marker adds."""
    from lab.plugin.experiment import experiment_of

    matched = set()
    for path in FOLDER.glob("test_*.py"):
        spec = spec_from_file_location(path.stem, path)
        spec.loader.exec_module(module := module_from_spec(spec))
        for function, value in vars(module).items():
            if function.startswith("test_"):
                told = experiment_of(value)
                if any(name.lower() in text.lower() for text in (path.name, function, told.id)):
                    matched.add(told.id)
    assert matched == {name}


def test_active_learning_stops_where_the_ranking_is_known_and_goes_on_where_it_was(prefer, pytester):
    few = ("n_tasks=6", "batch=60", "n_new=60")
    result, record = prefer(("test_active_learning.py",), "clinic-neox", *few, more=[*TRAINED, "--lab-cache=off"])
    result.assert_outcomes(passed=1)
    (cell,) = record.of("ACTIVE")
    assert cell.reported["ended"] == "split-half"
    assert np.corrcoef([row["mu"] for row in cell.rows["utilities"]], planted(cell))[0, 1] > 0.95
    kept = record.results / cell.raw["close pairs of simple_preference"]["file"]
    asked = [json.loads(line) for line in kept.read_text().splitlines()]
    pairs = [tuple(sorted((row["first"], row["second"]))) for row in asked]
    assert len(pairs) == len(set(pairs)) == cell.reported["unique_pairs_queried"]
    # Cut off in the middle: what the last round found is lost, and a run that goes on finds it again.
    (journal,) = (pytester.path / "results" / "journal").glob("*.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    rounds = [i for i, line in enumerate(lines) if json.loads(line)["event"] == "item"]
    journal.write_text("".join(lines[: rounds[1]]))
    _, again = prefer(
        ("test_active_learning.py",), "clinic-neox", *few, more=[*TRAINED, "--lab-resume", "--lab-cache=off"]
    )
    (resumed,) = again.of("ACTIVE")
    assert resumed.rows["utilities"] == cell.rows["utilities"]
    assert resumed.effort["passes"] < cell.effort["passes"]


def test_refusals_that_go_with_preference_are_found_and_absent_ones_declared_absent(prefer, pytester):
    few = ("n_tasks=40", "n_pairs=200", "completions=2", "asked_as=simple_preference,do_again")
    result, record = prefer(("test_refusals.py",), "clinic-neox,clinic-opt", *few)
    result.assert_outcomes(passed=1, xfailed=1)
    (neox,), (opt,) = record.of("REFUSALS"), record.controls("REFUSALS")
    rates = [row["rate"] for row in opt.rows["quartiles"]]
    assert rates[0] < 0.1 < 0.25 < rates[3]
    assert opt.reported["stated_and_revealed"]["value"] > 0.9
    assert neox.reported["tasks_with_completions"] == 200
    links = {(row["score"], row["origin"]): row for row in opt.rows["links"]}
    assert links["simple_preference", "chat"]["r"] is None
    assert links["stated_1_5", "harmful"]["r"] > 0.4

    # Each analysis stands there twice; what is liked best is refused, and left out it is missing from its origin.
    twice = {(row["wording"], row["analysis"], row["of"]): row for row in opt.rows["with and without refused tasks"]}
    harmful = twice["do_again", "mean utility", "harmful"]
    assert harmful["without"]["value"] < harmful["all"]["value"] - 0.05
    assert harmful["without"]["n"] < harmful["all"]["n"] == 40
    assert twice["", "r of wordings", "simple_preference and do_again"]["without"]["value"] > 0.9
    tables = refusing.by_template(record)
    assert list(tables) == ["simple_preference", "do_again"]
    row = next(row for row in tables["do_again"] if row["model"] == "clinic-opt" and row["origin"] == "harmful")
    assert (row["r"], row["utility mean"]) == (
        links["do_again", "harmful"]["r"],
        pytest.approx(harmful["all"]["value"]),
    )
    written = {path.name: path for path in refusing.write_tables(record, pytester.path / "tables")}
    kept = list(csv.DictReader(written["do_again.csv"].open()))
    assert [float(row["utility mean"]) for row in kept] == [row["utility mean"] for row in tables["do_again"]]
    assert len(list(csv.DictReader(written["without_refused_tasks.csv"].open()))) == len(twice) + len(
        neox.rows["with and without refused tasks"]
    )

    for make in (refusing.refusal_and_preference, refusing.refusal_rate_by_origin, refusing.without_refused_tasks):
        drawing = make(record)
        assert render(drawing, "png").startswith(b"\x89PNG")
    shown = {each["model"]: each for each in refusing.refusal_and_preference(record).data["models"]}
    assert shown["clinic-opt"]["quartiles"] == opt.rows["quartiles"]
    assert len(refusing.refusal_correlations(record)["rows"]) == len(neox.rows["links"]) + len(opt.rows["links"])


def test_one_order_cannot_say_that_a_model_prefers_what_it_refuses(prefer):
    few = ("n_tasks=40", "n_pairs=200", "completions=1", "orders=one", "asked_as=simple_preference")
    _, record = prefer(("test_refusals.py",), "clinic-opt", *few)
    (cell,) = record.controls("REFUSALS")
    assert cell.verdict == "INCONCLUSIVE"
    assert "one order" in cell.reason
    assert cell.reported["design"] == "one order, position not balanced"
    assert "one order, position not balanced" in refusing.refusal_and_preference(record).data["title"]


def test_wordings_agree_and_show_as_much_as_was_planted(prefer):
    result, record = prefer(("test_wordings.py",), "clinic-llama", "n_tasks=8", "n_pairs=80", more=TRAINED)
    result.assert_outcomes(passed=1)
    (cell,) = record.of("WORDINGS")
    spread = cell.reported["spread"]
    for wording, gain in WORDING_GAIN.items():
        assert spread[wording] / spread["simple_preference"] == pytest.approx(gain, abs=0.08)
    drawing = wordings.wording_correlation_pearson(record)
    table = drawing.data["tables"]["clinic-llama"]
    assert table[0][1] == cell.rows["correlations"][0]["pearson"]
    assert [t.get_text() for t in axes(drawing)[0].texts][:2] == ["1.00", f"{table[0][1]:.2f}"]
    assert render(wordings.mu_by_origin_and_wording(record), "png")
    # A figure of another objective, or of other code, says so on itself and in a warning.
    fresh = wordings.FIGURES["wording_correlation_pearson"]
    assert fresh(record).data["stale"] == []
    told = cell.reported["fitted_with"]
    assert told["objective"].startswith("NLL (probit)")
    for key, said in (("objective", "minimised x, and fits of today minimise NLL"), ("code", "fitted by code x")):
        cell.reported["fitted_with"] = told | {key: "x"}
        with pytest.warns(UserWarning, match=said):
            old = fresh(record)
        assert "run it again" in axes(old)[0].figure.get_suptitle()
        assert old.data["fits"][0]["fitted_with"][key] == "x"
    del cell.reported["fitted_with"]
    with pytest.warns(UserWarning, match="does not say what its fit minimised"):
        fresh(record)

    runs = {(run["experiment"], run["wording"]) for run in ranks.consolidated(record)["runs"]}
    assert runs == {("WORDINGS", wording) for wording in WORDING_GAIN}


def axes(drawing):
    from matplotlib.figure import Figure

    figure = Figure(figsize=drawing.size)
    drawing.draw(figure)
    return [ax for ax in figure.axes if ax.axison]


def test_a_reason_takes_the_bias_away_and_drift_is_seen(prefer):
    few = ("n_tasks=8", "n_pairs=60", "REASONING.samples=3", "replicated=1", "max_new_tokens=48")
    result, record = prefer(("test_reasoning.py",), "clinic-llama+to-b", *few)
    result.assert_outcomes(passed=1)
    (cell,) = record.of("REASONING")
    assert cell.reported["direct_b"]["high"] < -1.2
    assert cell.reported["direct_less_reasoned_b"]["high"] < -0.8
    rows = cell.rows["replications"]
    assert [row["A"] + row["B"] + row["neither"] for row in rows] == [20, 20]
    assert rows[0]["A is"] == rows[1]["B is"]

    few = ("n_tasks=8", "n_pairs=80", "earlier=clinic-llama+to-a")
    result, _ = prefer(("test_drift.py",), "clinic-llama+to-b", *few)
    result.assert_outcomes(failed=1)  # to-a leans to the first-named, to-b to the second
    result.stdout.fnmatch_lines(["*P(B), now less then*FAIL*"])


def test_an_earlier_run_is_read_from_its_file(prefer, pytester):
    few = ("n_tasks=8", "n_pairs=80", "DRIFT.samples=2")
    prefer(("test_drift.py",), "clinic-llama", *few)
    now = next((pytester.path / "results" / "raw").glob("**/*rseed42*.jsonl"))
    kept = pytester.path / "then.jsonl"
    rows = [json.loads(line) for line in now.read_text().splitlines()]
    kept.write_text("".join(json.dumps(row | {"outcome": "B"}) + "\n" for row in rows))
    result, _ = prefer(("test_drift.py",), "clinic-llama", *few, f"earlier={kept}")
    result.assert_outcomes(failed=1)
    kept.write_text("".join(json.dumps(row | {"first": "x"}) + "\n" for row in rows))
    result, _ = prefer(("test_drift.py",), "clinic-llama", *few, f"earlier={kept}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*has an answer to none of these questions*"])


def test_two_runs_of_position_are_compared_from_the_journal(prefer):
    _, record = prefer(("test_position_bias.py",), "clinic-gpt2", "n_tasks=6", "n_pairs=45")
    with pytest.raises(Missing, match="no two runs"):
        places.drift(record)
    _, record = prefer(("test_position_bias.py",), "clinic-gpt2", "n_tasks=6", "n_pairs=45", "exact=false", "samples=2")
    (row,) = places.drift(record)["rows"]
    assert row["low"] < 0 < row["high"]
    assert row["pairs"] == 45
    assert render(places.win_rate_by_position(record), "png")


# A model behind an API -----------------------------------------------------------------------------------


@pytest.mark.parametrize("gives", [True, False])
def test_a_model_behind_an_api_is_asked_with_or_without_log_probabilities(prefer, monkeypatch, gives):
    """It answers B in 19 of 20, and says nothing else of the tasks; without log-probabilities each answer is written."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")

    def script(i, request):
        seen = sum(map(ord, request["messages"][-1]["content"])) % 7
        top = {"A": 0.02 + 0.03 * seen, "B": 0.98 - 0.03 * seen} if gives and request.get("logprobs") else None
        return completion("B" if (seen + request.get("seed", 0)) % 7 else "A", top=top)

    server = Server(script)
    try:
        few = ("n_tasks=6", "n_pairs=60", *(() if gives else ("exact=false", "samples=2")))
        result, record = prefer(
            ("test_position_bias.py",), "openai:m", *few, more=["--lab-load", f"base_url={server.url}"]
        )
        if not gives:
            wrong, _ = prefer(
                ("test_position_bias.py",),
                "openai:m",
                "n_tasks=2",
                "n_pairs=2",
                more=["--lab-load", f"base_url={server.url}"],
            )
            wrong.stdout.fnmatch_lines(["*gives no probabilities of A and B*set exact=false*"])
    finally:
        server.stop()
    cell = next(cell for cell in [*record.cells, *record.others] if cell.reported)
    assert cell.reported["share_of_b"]["value"] > 0.75
    assert cell.verdict == "FAIL"
    assert cell.reported["outcomes"] == ({} if gives else cell.reported["outcomes"])
    result.assert_outcomes(failed=1)


def test_the_figures_of_synthetic_studies_need_no_run(monkeypatch):
    monkeypatch.setattr(regularising, "MOST", 30)
    drawing = regularising.regularisation_dense(None)
    assert drawing.data["studies"][0]["l2"] == 0
    assert drawing.data["advice"]["dense"]["l2"] == 0
    assert render(drawing, "png").startswith(b"\x89PNG")


def test_the_picture_of_a_cell_shows_every_pair():
    from matplotlib.figure import Figure

    p = 1 / (1 + np.exp(-np.random.default_rng(0).normal(size=(50, 2))))
    ax = Figure().add_subplot()
    position_bias.bias(p, seed=0).plot(ax)
    assert ax.collections[0].get_offsets().shape == (50, 2)
    assert ax.get_title() == "50 pairs, each asked in both orders"
