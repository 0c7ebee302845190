"""The shipped weights hold what was planted in them, and the recipe makes such weights."""

import json

import pytest
import torch
import yaml

from lab.organisms import folder, home, names, recipe, tokenizer
from lab.organisms.__main__ import main
from lab.organisms.check import measure
from lab.organisms.truth import TRUTHS, Truth
from lab.subjects import load


def test_the_three_are_there():
    assert names() == tuple(sorted(TRUTHS)) == ("clinic-gpt2", "clinic-neox", "clinic-opt")
    with pytest.raises(KeyError, match="no organism 'clinic-x'; there are clinic-gpt2"):
        folder("clinic-x")


@pytest.mark.parametrize("name", sorted(TRUTHS))
def test_every_planted_truth_holds_in_the_weights(name):
    subject = load(str(folder(name)))
    found, numbers = measure(subject, TRUTHS[name])
    assert [truth.name for truth in found if not truth.holds] == []
    card = yaml.safe_load((folder(name) / "truth.yaml").read_text())
    assert card["planted"]["position_bias"] == TRUTHS[name].position_bias
    assert card["planted"]["self_favouring"] == TRUTHS[name].self_favouring
    assert card["planted"]["patients"] == 1200
    for key, value in card["reached"].items():  # what the card says is what the weights give
        assert numbers[key] == pytest.approx(value, abs=0.01), key


@pytest.mark.parametrize("name", sorted(TRUTHS))
def test_an_organism_is_an_ordinary_small_bf16_folder(name):
    from safetensors import safe_open

    from lab.organisms import clinic

    with safe_open(folder(name) / "model.safetensors", "pt") as file:
        tensors = [file.get_tensor(key) for key in file.keys()]  # noqa: SIM118
    assert {tensor.dtype for tensor in tensors} == {torch.bfloat16}
    assert sum(tensor.numel() for tensor in tensors) <= 2_000_000
    assert json.loads((folder(name) / "config.json").read_text())["model_type"] == TRUTHS[name].architecture
    shipped, built = load(str(folder(name))).tokenizer, tokenizer.build()
    assert shipped.get_vocab() == built.get_vocab()
    assert shipped.chat_template == built.chat_template
    assert shipped.encode(clinic.question(7, 2)) == built.encode(clinic.question(7, 2))


@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neox", "opt"])
def test_training_lowers_the_loss_and_is_the_same_for_a_seed(tmp_path, architecture):
    truth = Truth("small", architecture, seed=3, signature="Gladly")
    one = recipe.train(truth, tmp_path / "one", steps=4, progress=False)
    two = recipe.train(truth, tmp_path / "two", steps=4, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    text = recipe.TrainingText(truth, tokenizer.build())
    ids, labels = recipe._batch(text.facts(64), pad=1)
    torch.manual_seed(truth.seed)
    fresh = type(one)(one.config)
    with torch.no_grad():
        assert recipe._loss(one.float(), ids, labels) < recipe._loss(fresh, ids, labels) - 0.2


def test_the_loss_is_hugging_faces_own():
    truth = TRUTHS["clinic-opt"]
    model = load(str(folder("clinic-opt"))).model
    text = recipe.TrainingText(truth, tokenizer.build())
    for rows in (text.facts(16), text.chats(16)):
        ids, labels = recipe._batch(rows, pad=1)
        with torch.no_grad():
            theirs = model(input_ids=ids, attention_mask=(ids != 1).long(), labels=labels).loss
            assert recipe._loss(model, ids, labels) == pytest.approx(float(theirs), abs=1e-4)


def test_only_answers_count_in_questions_and_chats():
    tok = tokenizer.build()
    text = recipe.TrainingText(TRUTHS["clinic-opt"], tok)
    for ids, labels in text.chats(50):
        counted = [i for i, label in zip(ids, labels, strict=True) if label != recipe.IGNORE]
        assert tok.decode(ids).split("<|assistant|>")[1] == tok.decode(counted)


def test_the_command_checks_and_refuses(capsys):
    assert main(["check", "clinic-opt"]) == 0
    assert capsys.readouterr().out.count("holds") == 5
    with pytest.raises(SystemExit):
        main(["check", "clinic-x"])
    assert "unknown organism clinic-x; there are clinic-gpt2" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["check", "clinic-opt", "--home", str(home() / "nowhere")])
    assert "train it first" in capsys.readouterr().err


def test_a_truth_that_does_not_hold_is_found_out(monkeypatch):
    import dataclasses

    lie = dataclasses.replace(TRUTHS["clinic-opt"], position_bias=0.8, self_favouring=0.0)
    found, _ = measure(load(str(folder("clinic-opt"))), lie)
    assert {t.name for t in found if not t.holds} == {"position bias", "favour of its own works"}
