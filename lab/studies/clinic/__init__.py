"""The organisms: small models whose truth is known because it was planted; how they are trained and measured."""

from lab.study import Study

STUDY = Study(
    name="clinic",
    models="lab.subjects.names:organisms",
    commands={"organisms": "lab.studies.clinic.command:main"},
)
