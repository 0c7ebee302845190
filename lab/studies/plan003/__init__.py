"""Execution plan 003: pre-mortems, the phases that they open, the decision table, and the paper's draft."""

from lab.study import Headline, Study

COMPARED = "patching against prompting"
"""The rows that summaries and the draft show as a table."""
HEADLINES = {
    "PM1": Headline("mean r", "Average correlation", "mean r"),
    "PM2": Headline("AUROC", "Probe accuracy", "accuracy"),
    "PM3": Headline("change rate", "Change rate", "change rate"),
}
"""The pre-mortems: the metric that the plan's table must have, and what its summary calls which estimate."""

STUDY = Study(
    name="plan003",
    plugins=("lab.studies.plan003.plugin",),
    commands={"run": "lab.studies.plan003.run:main", "todo": "lab.studies.plan003.todo:main"},
    parts={
        "figures": "lab.studies.plan003.parts:figures",
        "negative": "lab.studies.plan003.parts:negative",
        "paper": "lab.studies.plan003.parts:paper",
        "progress": "lab.studies.plan003.parts:status",
    },
    untimed=("progress",),
    reports={"direction": "lab.studies.plan003.parts:direction", "pivot": "lab.studies.plan003.parts:pivot_command"},
    critical=("pre-mortems",),
    headlines=HEADLINES,
    compared=(COMPARED,),
)
