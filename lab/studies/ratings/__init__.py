"""How models rate: stability, discrimination, system prompts, concept vectors, and favour for their own works."""

from lab.study import Study

STUDY = Study(
    name="ratings",
    plugins=(
        "lab.studies.ratings.work_fixture",
        "lab.studies.ratings.system_fixture",
        "lab.studies.ratings.concept_fixture",
        "lab.studies.ratings.attitude_fixture",
    ),
    commands={"vectors": "lab.studies.ratings.vectors_command:main"},
    parts={"ratings": "lab.studies.ratings.reports:part"},
    on_request=("ratings",),
    reports={"changes": "lab.studies.ratings.changed_works:main"},
)
