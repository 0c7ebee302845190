"""What models prefer: choices between two tasks, the utilities that fit them, and what else moves a choice."""

from lab.study import Study

STUDY = Study(
    name="preferences",
    plugins=("lab.studies.preferences.comparing",),
    parts={"preferences": "lab.studies.preferences.reports:part"},
    on_request=("preferences",),
    reports={"comparisons": "lab.studies.preferences.comparison_files:main"},
    readers={"wording": "lab.studies.preferences.pair_choices:reparse"},
)
