"""What two studies need: the clinic as material, prompts, works and ratings, steering. No study's own questions."""

from lab.study import Study

STUDY = Study(
    name="shared",
    plugins=("lab.studies.shared.material", "lab.studies.shared.template_fixture", "lab.studies.shared.asking"),
    readers={"template": "lab.studies.shared.ratings:reread"},
)
