"""What names a result is the same on every processor, though numbers differ in their last bits."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from lab.record import read
from tests.plain_simd import environment

ROOT = Path(__file__).parents[1]
RECIPES = """
import json, math
import numpy as np, torch
from lab.files.digest import digest
from lab.studies.clinic import recipe
from lab.studies.clinic.truth import SHUFFLED, TRUTHS

x = np.random.default_rng(0).normal(size=(300, 300))
print(json.dumps({
    "recipes": {truth.name: recipe.fingerprint(truth, recipe.STEPS) for truth in (*TRUTHS.values(), SHUFFLED)},
    "exp": digest([math.exp(value) for value in x.ravel().tolist()]),
    "products": digest(x @ x),
}))
"""
CELL = """
import numpy as np
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

@pytest.fixture
def wanted():
    return {"shares": [0.1, 0.2], "values": np.linspace(0, 1, 7)}

@experiment(id="CELL", claim="it chooses", phase="p")
def test_cell(model, wanted, evidence, *, n=3):
    model.choose(["Sort the vials.", "Which drug?"], ["A", "B"])
    model.capture(["Sort the vials."], at=model.resid_post(0.5))
    assert evidence.measure("x", Estimate(0.6, 0.58, 0.62, n=100, method="made")) > 0.55
"""


def both(command, folder):
    """What each run of `command(name)` prints: "ordinary", in this environment, and "plain", in the other."""
    for name, more in (("ordinary", {}), ("plain", environment())):
        words = [sys.executable, *command(name)]
        run = subprocess.run(words, env=os.environ | more, capture_output=True, text=True, cwd=folder)
        assert run.returncode == 0, run.stdout + run.stderr
        yield run.stdout


def test_an_organisms_recipe_has_one_hash_on_every_processor():
    """Six hashes were others on an AMD EPYC with AVX-512, whose `exp` rounds otherwise."""
    ordinary, plain = map(json.loads, both(lambda name: ["-c", RECIPES], ROOT))
    assert plain.pop("recipes") == ordinary.pop("recipes")
    if platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc":
        assert not plain.items() & ordinary.items(), "the environment changes no bit, so it shows nothing"


def test_cells_and_what_is_cached_have_the_same_keys_on_every_processor(pytester):
    pytester.makepyfile(test_cell=CELL)
    options = ["--lab-models", "clinic-gpt2", "-p", "no:cacheprovider", "--lab-results"]
    list(both(lambda name: ["-m", "pytest", "test_cell.py", *options, name], pytester.path))
    keys, kept = [], []
    for results in (pytester.path / "ordinary", pytester.path / "plain"):
        keys.append([line.event.determined_by for line in read(results / "journal") if line.kind == "keyed"])
        kept.append(sorted(path.name for path in (results / "cache").glob("??/*")))
    assert len(keys[0]) == 1
    assert len(kept[0]) >= 2
    assert keys[0] == keys[1]
    assert kept[0] == kept[1]
