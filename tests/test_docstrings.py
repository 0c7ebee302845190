"""The examples in the docstrings run and print what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "lab.estimate",
        "lab.prompts.rubrics",
        "lab.subjects.options",
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
        "reports.log",
        "lab.evidence.cards",
        "lab.methods.activation_compare",
        "lab.methods.divergence",
        "lab.methods.health",
        "lab.methods.judging",
        "lab.methods.offline",
        "lab.methods.parsing",
        "lab.methods.regularisation",
        "lab.methods.similarity",
        "lab.prompts.refusals",
    ],
)
def test_examples_print_what_they_say(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
