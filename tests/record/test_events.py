"""Events of the journal: their lines are read as they were written, and documented as they are declared."""

import json
import re
from pathlib import Path

import pytest

from lab.estimate import Estimate
from lab.files.typed import fields_of, texts_of
from lab.record import gather, read
from lab.record.events import EVENTS, Event, Line, Measured, Unreadable, line_of, table
from tests.record.test_past import cell, experiment, notebook

WHEN = "2026-01-01T00:00:00.000+00:00"
DOCS = Path(__file__).parents[2] / "docs" / "evidence.md"


def concrete(kind=Event):
    subclasses = kind.__subclasses__()
    return {kind} if not subclasses else set().union(*map(concrete, subclasses))


def test_every_event_is_among_those_that_can_be_read():
    assert set(EVENTS.values()) == concrete()


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_every_field_says_what_it_holds(event):
    assert texts_of(event).keys() == fields_of(event).keys()


def test_the_docs_have_the_table_that_the_types_give():
    assert re.search(r"<!-- events -->\n(.*?)<!-- /events -->", DOCS.read_text(), re.DOTALL)[1] == table()


def test_a_line_is_read_as_what_was_written():
    event = Measured(Estimate(0.5, 0.4, 0.6, n=10, method="m", bounds=(0, 1), name="x"))
    line = Line("r", "A[x]", "k", WHEN, event)
    assert line_of(json.loads(json.dumps(line.plain))) == line


NOTED = {"schema": 2, "run": "r", "cell": "A", "key": None, "event": "noted", "time": WHEN, "text": "t"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema": 1}, "is of schema 1, not 2"),
        ({"event": "dreamt"}, "has an event 'dreamt', which is not known"),
        ({"text": 3}, "fits no event: of 'noted', 3 is no str"),
        ({"more": 3}, "fits no event: of 'noted', 'more' is not known"),
        ({"event": "measured", "text": None}, "fits no event: of 'measured', 'text' is not known"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(change, why):
    assert line_of(NOTED).event.text == "t"
    with pytest.raises(Unreadable, match=re.escape(why)):
        line_of(NOTED | change)
    with pytest.raises(Unreadable, match="'noted' lacks 'run'|is of schema None"):
        line_of({name: value for name, value in NOTED.items() if name != "run"})


def test_what_cannot_be_read_of_an_older_journal_is_said_once_with_counts(tmp_path):
    experiment(notebook(tmp_path, "20260102-000000-bbbb"), tmp_path)
    old = [NOTED | {"schema": 1}] * 3 + [NOTED | {"event": "dreamt"}] * 2 + [NOTED]
    path = tmp_path / "journal" / "20260101-000000-aaaa-main.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in old) + '{"schema": 2, "ev')
    with pytest.warns(UserWarning, match="6 lines were left out") as warned:
        (record,) = gather(read(tmp_path / "journal"))
    assert (record.cell, record.verdict) == (cell().id, "FAIL")
    (said,) = [str(one.message) for one in warned]
    assert f"{path}:1 and 2 more lines: each is of schema 1, not 2" in said
    assert f"{path}:4 and 1 more lines: each has an event 'dreamt', which is not known" in said
    assert said.endswith(f"{path}:7 is not whole and 6 lines were left out")


def test_what_older_journals_do_not_tell_has_a_default(tmp_path):
    """As `swept`, and the bar that a claim was held against."""
    experiment(notebook(tmp_path, "20260101-000000-aaaa"), tmp_path)
    (path,) = (tmp_path / "journal").iterdir()
    told = [json.loads(line) for line in path.read_text().splitlines()]
    since = {"started": ("population", "title", "questions", "swept"), "judged": ("against",), "plot": ("sha256",)}
    older = [{k: v for k, v in line.items() if k not in since.get(line["event"], ())} for line in told]
    path.write_text("".join(json.dumps(line) + "\n" for line in older))
    (record,) = gather(read(tmp_path / "journal"))
    assert (record.title, record.swept, record.measures[0].bar) == ("", [], "> 0.7")
    assert "against" not in record.measures[0].claims[0]
