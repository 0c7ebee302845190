"""The organisms: small models whose truth is known because it was planted; how they are trained and measured."""

from lab.study import Study

STUDY = Study(
    name="clinic",
    models="lab.subjects.names:organisms",
    data={
        "clinic/hellaswag": "hellaswag/clinic_val.jsonl",
        "clinic/truthfulqa": "truthfulqa/mc_task.json",
        "clinic/mmlu": "mmlu/clinic_test.jsonl",
        "clinic/wikitext": "wikitext/clinic.test.raw",
        "clinic/histopathology": "histopathology.tsv",
        "clinic/radiology": "radiology.json",
        "clinic/tasks": "tasks.jsonl",
    },
    commands={"organisms": "lab.studies.clinic.command:main"},
)
