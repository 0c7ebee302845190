"""The shipped weights hold what was planted in them, and fit where they should."""

import dataclasses
import json

import numpy as np
import pytest
import torch
import yaml

from lab.studies.clinic import check, recipe, tokenizer, variants
from lab.studies.clinic.command import ALL, main, measure, place
from lab.studies.clinic.truth import SHUFFLED, TRUTHS, VARIANTS, truth_of
from lab.subjects import load
from lab.subjects.names import controls, folder, home
from lab.subjects.names import organisms as names

HERE = [name for name in ALL if place(home(), name).is_dir()]
TRAINED = [name for name in HERE if "+" not in name]


def test_the_five_and_their_control_are_there():
    assert names() == tuple(sorted(TRUTHS))
    assert controls() == (SHUFFLED.name,)
    with pytest.raises(KeyError, match="no organism 'clinic-x'; there are clinic-gemma, clinic-gpt2"):
        folder("clinic-x")


def read_card(name):
    return yaml.safe_load((folder(name) / "truth.yaml").read_text(encoding="utf-8"))


def pytest_generate_tests(metafunc):
    """Without --truths one adapter is measured here, and one base by the page below."""
    if "measured" in metafunc.fixturenames:
        metafunc.parametrize("measured", HERE if metafunc.config.getoption("truths") else ["clinic-llama+to-a"])


def test_every_planted_truth_holds_in_the_weights(measured):
    found = measure(measured, load(measured))
    assert [f"{one.name}: {one.found:.3f}, not {one.wanted}" for one in found if not one.holds] == []
    assert {one.name: pytest.approx(one.found, abs=0.01) for one in found} == {
        truth: row["found"] for truth, row in read_card(measured)["measured"].items()
    }


@pytest.mark.parametrize("name", HERE)
def test_a_card_is_of_the_weights_that_are_there_and_what_was_found_holds(name):
    card = read_card(name)
    assert card["name"] == name
    assert card["recipe"]["weights"] == variants.weights(folder(name))
    assert len(card["measured"]) >= 1
    for truth, row in card["measured"].items():
        bound = [float(part) for part in row["within"].split() if part not in ("above", "below", "to")]
        low, high = {"above": (*bound, np.inf), "below": (-np.inf, *bound)}.get(row["within"].split()[0], bound)
        assert row["holds"], truth
        assert low <= row["found"] <= high, truth


@pytest.mark.parametrize("name", TRAINED)
def test_a_card_tells_what_was_planted_by_this_recipe(name):
    truth = truth_of(name)
    card = read_card(name)
    assert card["recipe"]["hash"] == recipe.fingerprint(truth, recipe.STEPS)
    for field in dataclasses.fields(truth):
        if field.name not in ("name", "architecture", "seed"):
            assert card["planted"][field.name] == getattr(truth, field.name)
    assert list(card["planted"]["utilities"].values()) == pytest.approx(truth.utilities.tolist(), abs=1e-4)


@pytest.mark.parametrize("name", [name for name in HERE if "+" in name])
def test_an_adapter_was_trained_on_the_base_that_is_there(name):
    card = read_card(name)
    steps = variants.steps_of(name.partition("+")[2])
    assert card["recipe"]["base"] == variants.weights(folder(name.partition("+")[0]))
    assert card["recipe"]["steps"] == steps
    assert card["recipe"]["hash"] == recipe.fingerprint(truth_of(name), steps)


@pytest.mark.parametrize("name", TRAINED)
def test_an_organism_is_an_ordinary_small_bf16_folder(name):
    from safetensors import safe_open

    from lab.studies.shared import clinic

    with safe_open(folder(name) / "model.safetensors", "pt") as file:
        tensors = [file.get_tensor(key) for key in file.keys()]  # noqa: SIM118
    assert {tensor.dtype for tensor in tensors} == {torch.bfloat16}
    assert sum(tensor.numel() for tensor in tensors) <= 2_000_000
    truth = truth_of(name)
    assert json.loads((folder(name) / "config.json").read_text())["model_type"] == truth.architecture
    shipped, built = load(name).tokenizer, tokenizer.build()
    assert shipped.get_vocab() == built.get_vocab()
    assert shipped.chat_template == built.chat_template
    assert shipped.encode(clinic.question(7, 2)) == built.encode(clinic.question(7, 2))


def test_all_of_them_take_at_most_40_megabytes():
    assert sum(path.stat().st_size for path in home().rglob("*") if path.is_file()) < 40e6


def test_they_were_seeded_apart():
    assert len({truth.seed for truth in (*TRUTHS.values(), SHUFFLED)}) == 6
    utilities = np.array([truth.utilities for truth in TRUTHS.values()])
    assert np.abs(np.corrcoef(utilities) - np.eye(5)).max() < 0.25


def test_an_untrained_twin_knows_nothing():
    twin = load("untrained:clinic-gpt2")
    truth = dataclasses.replace(TRUTHS["clinic-gpt2"])
    found = {one.name: one for one in check.facts(twin, truth)}
    assert found["accuracy on all facts"].found == pytest.approx(0.25, abs=0.03)
    assert 0.45 < found["AUROC of an error probe"].found < 0.55


def test_a_truth_that_does_not_hold_is_found_out():
    lie = dataclasses.replace(TRUTHS["clinic-opt"], position_bias=0.8, self_favouring=0.0, refusing_disliked=0.0)
    subject = load("clinic-opt")
    found = check.measure_variant(subject, lie)
    assert {one.name for one in found if not one.holds} >= {"position bias, logits", "favour of its own works, points"}


def test_the_command_checks_and_refuses(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["check", "clinic-x"])
    assert "unknown organism clinic-x; there are clinic-gpt2" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["check", "clinic-opt", "--home", str(tmp_path)])
    assert "train clinic-opt first" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "clinic-llama+to-b", "--home", str(tmp_path)])
    assert "is an adapter on clinic-llama, which is not in" in capsys.readouterr().err


def test_the_page_shows_what_was_measured_in_an_organism_and_all_of_it_holds(tmp_path, capsys):
    page, name = tmp_path / "organisms.md", "clinic-opt"
    page.write_text("# Organisms\n\n<!-- truths -->\nold\n<!-- end of truths -->\n\nThe end.\n")
    assert main(["check", name, "--report", str(page)]) == 0
    shown = capsys.readouterr().out
    text = page.read_text()
    assert text.startswith("# Organisms") and text.endswith("\nThe end.\n")  # noqa: PT018
    assert "\nold\n" not in text
    rows = [[part.strip() for part in line.split("|")[1:-1]] for line in text.splitlines() if f"| {name} |" in line]
    assert len(rows) == shown.count("holds") > 10
    assert {truth: (pytest.approx(float(found), abs=0.01), within) for _, truth, found, within, _ in rows} == {
        truth: (row["found"], row["within"]) for truth, row in read_card(name)["measured"].items()
    }
    assert (tmp_path / "images" / "fact_frequency.png").stat().st_size > 10_000


def test_docs_show_every_organism():
    text = (home().parents[1] / "docs" / "organisms.md").read_text(encoding="utf-8")
    for name in HERE:
        for truth in read_card(name)["measured"]:
            assert f"| {name} | {truth} | " in text
    assert "FAILS" not in text


def test_adapters_change_one_truth_each():
    base = TRUTHS["clinic-llama"]
    for name, truth in VARIANTS.items():
        changed = {f.name for f in dataclasses.fields(truth) if getattr(truth, f.name) != getattr(base, f.name)}
        assert changed - {"name"} <= {"position_bias", "self_favouring", "refusing"}
        assert len(changed) == (1 if name in ("fair", "neutral-rater") else 2)
