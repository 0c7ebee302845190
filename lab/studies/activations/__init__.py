"""What activations hold, and what changing them does: probes, patching, transfer, steering, divergence."""

from lab.study import Study

STUDY = Study(
    name="activations",
    plugins=("lab.studies.activations.manners", "lab.studies.activations.variants"),
    card="lab.studies.activations.card_fields:fields",
    reports={"compare": "lab.studies.activations.compare_runs:main"},
)
