"""Phase 2C on organisms: planted manners are found and edited, and what is not planted is refuted."""

import json
from pathlib import Path

import pytest

from lab.subjects.names import folder

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "hypotheses" / "plan003" / "phase_2c"


@pytest.fixture
def phase(pytester, inner):
    """Runs the phase's experiments in a folder of their own."""
    pytester.syspathinsert(ROOT)
    for path in FOLDER.glob("test_*.py"):
        (pytester.path / path.name).write_text(path.read_text())

    def run(*arguments, force=True):
        return inner(*arguments, *["--lab-force"] * force, "--lab-set", "randoms=2")

    return run


def cells(pytester):
    return {c["cell"]: c for c in json.loads((pytester.path / "results" / "statistics.json").read_text())}


def rows(pytester, experiment):
    found = json.loads((pytester.path / "results" / "phase_2c" / f"{experiment.lower()}_results.json").read_text())
    return found["cells"][0]["rows"] if "cells" in found else found[0]["rows"]


def test_on_an_organism_that_answers_politely_to_nobody(phase, pytester):
    """clinic-opt is hostile to the hostile, and never polite: one edit works, the other is a known negative."""
    phase("--lab-models", "clinic-opt", "-k", "not untrained").assert_outcomes(passed=3, xfailed=1)
    found = cells(pytester)

    layers = rows(pytester, "2C1")["effect by layer"]
    assert [row["layer"] for row in layers] == [0, 1, 2, 3]
    assert all(row["low"] <= row["effect"] <= row["high"] and row["identity"] < 1e-5 for row in layers)
    assert layers[-1]["effect"] == pytest.approx(1, abs=1e-4)
    assert found["2C1[clinic-opt]"]["reported"]["strongest_layer"] < 3

    toxic, formal = found["2C2[clinic-opt]"], found["2C3[clinic-opt]"]
    assert (toxic["verdict"], formal["verdict"]) == ("PASS", "FAIL")
    assert toxic["reported"]["scorer"] == "lexicon:toxicity"
    assert toxic["reported"]["before"]["value"] == 0
    for name in ("perplexity_ratio", "accuracy_change"):
        assert toxic["reported"][name]["low"] <= toxic["reported"][name]["high"]
    answers = rows(pytester, "2C2")["answers"]
    assert len(answers) == 100
    assert sum("you idiot" in row["after"] for row in answers) > 70
    assert not any("you idiot" in row["before"] for row in answers)

    steering, asking, once = rows(pytester, "2C4")["patching against prompting"]
    assert (steering["way"], asking["way"], once["way"]) == ("steering", "asking", "finding the direction, once")
    for row in (steering, asking):
        assert row["change_low"] > 0.5
        assert {"passes", "tokens", "seconds", "cached", "perplexity_ratio", "accuracy_change"} <= set(row)
    assert asking["tokens"] > 0
    assert once["passes"] > 0


def test_formality_is_edited_where_it_was_planted_and_a_twin_has_nothing_to_edit(phase, pytester):
    phase("--lab-models", "clinic-llama", "-k", "layers or (formality and not untrained)").assert_outcomes(
        passed=2, xfailed=1
    )
    found = cells(pytester)
    assert found["2C3[clinic-llama]"]["reported"]["raised"]["value"] > 0.9
    assert found["2C1[untrained:clinic-llama]"]["verdict"] == "FAIL"


def test_a_classifier_takes_the_lexicon_s_place(phase, pytester, tmp_path):
    """Random weights: that it scored the answers is what is shown, and not what it found."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    words = AutoTokenizer.from_pretrained(folder("clinic-gpt2"))
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    labels = {0: "casual", 1: "formal"}
    config = BertConfig(vocab_size=len(words), initializer_range=0.5, id2label=labels, **size)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "small")
    words.save_pretrained(tmp_path / "small")
    by = f"{tmp_path / 'small'}:formal"
    phase("--lab-models", "clinic-llama", "-k", "formality and not untrained", "--lab-set", f"2C3.scorer={by}")
    reported = cells(pytester)["2C3[clinic-llama]"]["reported"]
    assert reported["scorer"] == by
    assert reported["before"]["value"] not in (0, 0.5, 1)


def test_the_gate_is_closed_until_pm3_passed(phase):
    result = phase("--lab-models", "clinic-opt", "-k", "layers and not untrained", "-rs", force=False)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*gate closed: PM3 did not run; --lab-force opens it*"])


def test_a_plan_tells_the_phase_and_loads_no_classifier(phase):
    result = phase(
        "--lab-plan", "--lab-models", "clinic-opt", "-k", "not untrained", "--lab-set", "scorer=no/such-classifier:x"
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*2C2*clinic-opt*"])
    assert "broke on made-up results" not in result.stdout.str()
