"""The examples in the docstrings run and print what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "lab.estimate",
        "lab.judging.rubrics",
        "lab.subjects.api",
        *(
            f"lab.stats.{name}"
            for name in (
                "shares",
                "means",
                "correlations",
                "auroc",
                "resampling",
                "effects",
                "equivalence",
                "families",
                "icc",
                "independent",
                "seeds",
                "scale_use",
                "consistency",
            )
        ),
        "lab.views.log",
        "lab.views.cards",
        "lab.studies.activations.activation_compare",
        "lab.studies.activations.divergence",
        "lab.stats.health",
        "lab.judging.judges",
        "lab.judging.offline",
        "lab.studies.shared.parsing",
        "lab.studies.preferences.regularisation",
        "lab.studies.activations.similarity",
        "lab.judging.refusals",
    ],
)
def test_examples_print_what_they_say(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
