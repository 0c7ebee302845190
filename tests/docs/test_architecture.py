"""docs/architecture.md says what the code is: the order of the parts, what a study registers, ten steps."""

import re
from dataclasses import fields

from lab.study import Study
from tests.docs.pages import ROOT
from tests.test_house import ORDER

PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_parts_stand_in_the_order_in_which_they_import_each_other():
    shown = re.findall(r"^lab/(\w+)", PAGE, re.M)
    parts = [part for part in shown if part != "study"]
    above = [part for part in reversed(ORDER) if part in parts]
    assert parts == above
    assert {path.parent.name for path in (ROOT / "lab").glob("*/__init__.py")} <= {*parts}


def test_everything_that_a_study_registers_is_told():
    told = {name for line in re.findall(r"^\| (`\w+`.*?) \|", PAGE, re.M) for name in re.findall(r"`(\w+)`", line)}
    assert {field.name for field in fields(Study)} <= told


def test_a_cell_lives_in_ten_steps():
    assert re.findall(r"^(\d+)\. \*\*", PAGE, re.M) == [str(number) for number in range(1, 11)]


def test_there_is_a_place_for_every_part_and_study():
    places = PAGE.partition("## To change X, go to Y")[2]
    assert len(re.findall(r"^\| .* \| .*`", places, re.M)) > 20
    assert all(f"`lab/{part}" in places for part in ORDER if (ROOT / "lab" / part).is_dir())
