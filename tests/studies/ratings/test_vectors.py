"""Kept concept vectors come back as they were, and are brought to another length once."""

import json

import numpy as np
import pytest

from lab.__main__ import main
from lab.record.store import Damaged
from lab.studies.ratings.concepts import concept
from lab.studies.ratings.vectors import MANIFEST, load, normalise, save


def two(normalised="none"):
    rng = np.random.default_rng(0)
    away = rng.normal(size=(20, 2, 6))
    return {name: concept(away, away + k, [1, 3], normalised=normalised) for k, name in ((1, "first"), (2, "last"))}


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_selector_has_a_file_and_the_manifest_says_which_normalisation(tmp_path):
    save(tmp_path, two("unit"), toward="love", away="hate")
    found, about = load(tmp_path)
    told = json.loads((tmp_path / MANIFEST).read_text())
    assert told["normalisation"] == "unit"
    assert about == {"toward": "love", "away": "hate"}
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    for name, kept in two("unit").items():
        assert found[name].vectors == pytest.approx(kept.vectors, rel=1e-6)
        row = told["selectors"][name]["layers"][1]
        assert (row["layer"], row["original_norm"]) == (3, pytest.approx(kept.original_norms[1]))
        assert row["activation_norm"] == pytest.approx(kept.activation_norms[1])
        assert found[name].normalised == "unit"


@pytest.mark.parametrize("flag", ["unit", None])
def test_vectors_are_normalised_once(tmp_path, flag):
    """One folder says that its vectors are of length 1, another says nothing."""
    manifest = save(tmp_path, two("unit"))
    told = json.loads(manifest.read_text())
    if flag is None:
        del told["normalisation"]
        manifest.write_text(json.dumps(told))
    assert normalise(tmp_path) is True
    found, _ = load(tmp_path)
    assert found["last"].norms == pytest.approx(two()["last"].activation_norms, rel=1e-6)
    assert found["last"].original_norms == pytest.approx(two()["last"].original_norms), "as they were found at first"
    before = content(tmp_path)
    assert normalise(tmp_path) is False
    assert content(tmp_path) == before


def test_a_vector_of_unknown_surroundings_is_refused(tmp_path):
    manifest = save(tmp_path, two())
    told = json.loads(manifest.read_text())
    del told["selectors"]["first"]["layers"][0]["activation_norm"]
    manifest.write_text(json.dumps(told))
    with pytest.raises(Damaged, match="no activation_norm of first at layer 1"):
        normalise(tmp_path)


def test_a_file_that_was_changed_is_refused(tmp_path):
    save(tmp_path, two())
    path = next(tmp_path.glob("*first*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Damaged, match="has changed"):
        load(tmp_path)


def test_the_command_shows_lengths_and_normalises(tmp_path, capsys):
    save(tmp_path, two("unit"))
    assert main(["vectors", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "normalisation: unit" in shown
    assert "above 0.6" not in shown
    assert main(["vectors", str(tmp_path), "--normalise", "activations"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("normalised to activations\n")
    assert "above 0.6 at coefficient 1" in first
    assert main(["vectors", str(tmp_path), "--normalise", "activations"]) == 0
    assert "normalised to activations already" in capsys.readouterr().out
    assert main(["vectors", str(tmp_path / "none")]) == 2
    assert "no readable manifest.json" in capsys.readouterr().err
