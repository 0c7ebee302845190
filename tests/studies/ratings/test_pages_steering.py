"""Steering on organisms: the planted direction moves ratings, a random one does not, and figures are their JSON."""

from pathlib import Path

import numpy as np
import pytest

from lab.data import Tasks
from lab.record import store
from lab.studies.clinic.truth import TRUTHS
from lab.studies.ratings.concept_fixture import Concepts
from lab.studies.ratings.reports import steering
from lab.studies.ratings.vectors import load as load_vectors
from lab.studies.shared import clinic
from lab.studies.shared.asking import Asking
from lab.subjects import load as load_subject
from lab.views.record import Missing, load
from tests.subjects.api_server import Server, completion

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "hypotheses" / "ratings"
SMALL = {
    "concept_vectors": ("n_tasks=8", "randoms=2", "depths=0.5", "max_new_tokens=16"),
    "open_ended_steering": ("n_tasks=12", "randoms=6", "randoms_of_others=1", "n_questions=14", "max_new_tokens=16"),
}


@pytest.fixture
def suite(pytester, inner):
    """Runs one of the experiments in a folder of its own."""
    pytester.syspathinsert(ROOT)

    def run(name, *arguments):
        path = FOLDER / f"test_{name}.py"
        (pytester.path / path.name).write_text(path.read_text())
        given = [part for setting in SMALL[name] for part in ("--lab-set", setting)]
        return inner(*given, *arguments), lambda: load(pytester.path / "results")

    return run


def test_steering_along_the_planted_direction_moves_ratings(suite, pytester):
    outcome, record = suite("concept_vectors", "--lab-models", "clinic-gpt2,clinic-llama")
    outcome.assert_outcomes(passed=1, xfailed=1)
    gpt2, llama = record().cells
    assert {c["name"]: c["outcome"] for c in gpt2.controls}["coefficient 0 changes nothing at all"] == "PASS"
    assert TRUTHS["clinic-gpt2"].system_effect == 1
    assert TRUTHS["clinic-llama"].system_effect == 0

    rows = {(row["author"], row["rater"]): row for row in gpt2.rows["steering"]}
    assert len(rows) == 9
    assert all(row["change, low"] > 0 for row in rows.values()), "in every context"
    assert all(row["n"] == 8 for row in rows.values())
    noise = [row for row in llama.rows["concept vectors"] if row["original_norm"] > 0.1 * row["activation_norm"]]
    assert not noise, "what nothing was planted for is far shorter than what it is scaled to"

    drawing = steering.concept_vector_steering(record())
    for block, cell in zip(drawing.data["blocks"], (gpt2, llama), strict=True):
        assert block["n"] == 8
        for panel in block["panels"]:
            here = panel["author"], panel["rater"]
            kept = [row for row in cell.rows["steered ratings"] if (row["author"], row["rater"]) == here]
            assert panel["ratings"] == [row["ratings"] for row in kept]
            ends = np.subtract(panel["ratings"][-1], panel["ratings"][0]).mean()
            assert panel["change"]["value"] == pytest.approx(ends, abs=1e-4)
    folder = next((pytester.path / "results" / "arrays" / "VECTORS").glob("*gpt2*"))
    found, about = load_vectors(folder)
    assert set(found) == {"first", "last", "mean", "rating"}
    assert found["mean"].layers == (2,), "half of four layers"
    assert about["toward"] == "You love math tasks."
    assert len(about["tasks"]) == found["mean"].n == 8
    diagnosis = steering.steering_normalisation(record())
    assert [row["of activations"] for row in diagnosis] == pytest.approx([0.5] * len(diagnosis))
    assert not any(row["too strong"] for row in diagnosis)
    with pytest.raises(Missing, match="ATTITUDE has not run"):
        steering.open_ended_steering(record())


@pytest.mark.parametrize(
    "sets", [("n_tasks=4", "normalised=unit", "coefficients=-6,0,6", "mode=autoregressive", "selector=rating")]
)
def test_vectors_of_length_1_take_large_coefficients_at_the_last_position(suite, sets):
    given = [part for setting in sets for part in ("--lab-set", f"VECTORS.{setting}")]
    outcome, record = suite("concept_vectors", "--lab-models", "clinic-gpt2", *given)
    outcome.assert_outcomes(passed=1)
    (cell,) = record().cells
    assert cell.reported["perturbation"] == pytest.approx(6 / 31.5, rel=0.1)
    assert [row["norm"] for row in cell.rows["concept vectors"]] == pytest.approx([1] * 4)
    effects = steering.steering_effects(record())
    assert [(row["selector"], row["author"], row["rater"]) for row in effects][4] == ("rating", "none", "none")


def test_what_is_said_shows_the_planted_attitude_and_nonsense_is_left_out(suite, pytester):
    how = ("--lab-models", "clinic-gemma", "--lab-set", "selectors=first,mean")
    outcome, record = suite("open_ended_steering", *how)
    outcome.assert_outcomes(passed=1)
    assert TRUTHS["clinic-gemma"].completion_effect > 0
    (cell,) = record().cells
    assert any("above 0.6" in note for note in cell.notes)
    table = {(row["selector"], row["coefficient"]): row for row in steering.steering_selectors(record())}
    assert set(table) >= {(name, c) for name in ("first", "mean") for c in (-2, -1, 0, 1, 2)}
    mean = {c: table["mean", c]["attitude, coherent"] for c in (-1, 0, 1)}
    assert mean[-1] < mean[0] < mean[1]
    assert table["first", -2]["coherence"] < 0.6 < table["mean", -1]["coherence"]
    assert table["first", -2]["coherent"] < table["first", -2]["n"] == 14 * 4
    first, mean = steering.steering_effects(record())
    assert (first["selector"], first["random directions"]) == ("first", 1)
    assert (mean["selector"], mean["random directions"]) == ("mean", 6)
    assert 0 < mean["beyond random, low"] < mean["change"] < mean["beyond random, high"]
    assert {f"random {i} for mean" for i in range(1, 7)} < {name for name, _ in table}
    drawing = steering.open_ended_steering(record())
    assert drawing.data["panels"][0]["rows"] == cell.rows["attitudes"]
    assert (drawing.data["panels"][0]["n"], drawing.data["panels"][0]["answers"]) == (14, 4)

    kept = cell.raw["mean -1"]
    answers = list(store.load_rows(pytester.path / "results" / kept["file"], kept["sha256"]))
    assert len(answers) == 56
    assert {"attitude", "coherence", "answer", "question", "judge"} <= set(answers[0])
    assert np.mean([row["attitude"] for row in answers]) == pytest.approx(table["mean", -1]["attitude"])


def test_a_direction_is_found_on_the_tasks_that_both_conditions_have():
    """One work is left out of either side: the direction is that of the three tasks in both."""
    model, asking = load_subject("clinic-gpt2"), Asking(None, None, None)
    texts = tuple(task.text for task in clinic.world().tasks[:5])
    tasks = Tasks(texts=texts, origins=("math",) * 5, ids=tuple("abcde"))
    told = {"max_new_tokens": 8, "temperature": 0.0}
    love, hate = (asking.works(model, tasks, seed=0, told=f"You {how} math tasks.", **told) for how in ("love", "hate"))
    left = [np.arange(5) == i for i in (0, 1)]
    found = Concepts(None).of_works(model, tasks, love.without(left[0]), hate.without(left[1]), depths=(0.5,))
    rest = tasks.take(np.arange(2, 5))
    again = (asking.works(model, rest, seed=0, told=f"You {how} math tasks.", **told) for how in ("love", "hate"))
    alone = Concepts(None).of_works(model, rest, *again, depths=(0.5,))
    for name in ("first", "last", "mean"):
        assert found[name].n == 3
        np.testing.assert_allclose(found[name].vectors, alone[name].vectors, atol=1e-4)
    one = love.without(np.arange(5) > 0)
    with pytest.raises(ValueError, match="1 tasks were done under both"):
        Concepts(None).of_works(model, tasks, one, hate)


def test_open_questions_come_by_topic_and_by_default_are_tasks_that_the_direction_does_not_know():
    every = Tasks(texts=tuple("abcdefgh"), origins=("math",) * 8, ids=tuple("abcdefgh"))
    known, others = Concepts.apart(every, 5, seed=1)
    assert (len(known), len(others)) == (5, 3)
    assert not set(known.ids) & set(others.ids)
    assert Concepts.asked("tasks", others).prompts == [[{"role": "user", "content": text}] for text in others.texts]
    asked = Concepts.asked("math", others)
    assert (len(asked.texts), asked.about) == (5, "mathematics")
    with pytest.raises(ValueError, match="no topic 'music'; there are math"):
        Concepts.asked("music", others)
    with pytest.raises(ValueError, match="none is left"):
        Concepts.apart(every, 8, seed=1)


def test_a_model_that_gives_no_ratings_is_invalid_and_its_vectors_are_kept(suite, pytester):
    """Fresh weights behind a chat template: all is read and steered, and nothing is claimed."""
    outcome, record = suite("concept_vectors", "--lab-models", "untrained:clinic-gpt2", "--lab-set", "n_tasks=3")
    outcome.assert_outcomes(errors=1)
    (cell,) = record().cells
    assert cell.verdict == "INVALID"
    assert "a rating is what the model would say, steered or not" in cell.reason
    assert next((pytester.path / "results" / "arrays" / "VECTORS").glob("*/manifest.json")).exists()


@pytest.mark.parametrize("name", SMALL)
def test_a_model_behind_an_api_is_refused_before_it_is_asked(suite, monkeypatch, name):
    server = Server(lambda body, n: completion("3"))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    outcome, record = suite(name, "--lab-models", "openai:some", "--lab-load", f"base_url={server.url}")
    server.stop()
    outcome.assert_outcomes(errors=1)
    assert not server.requests
    assert "activations" in record().cells[0].reason
