"""Activation oracles: models that answer questions about another model's activations."""

from lab.study import Study

STUDY = Study(
    name="oracle",
    plugins=("lab.studies.oracle.resampling",),
    reports={"oracle": "lab.studies.oracle.figures:main"},
)
