"""Written ratings can be read again from what was kept, without a model."""

import json
import subprocess
import sys

import pytest

from lab.evidence import Cell, Journal, Notebook
from lab.methods.parsing import parse
from lab.methods.ratings import Asked, from_answers, raw_rows
from lab.prompts import template
from reports.reparse import main

RAWS = ["4", "850", "I will not rate this task."]


@pytest.fixture
def results(tmp_path):
    """A results folder with one run of three answers, of which `change` may falsify the first."""

    def make(change=None):
        scale = template("stated_1_5")
        answers = [[parse(raw, scale)] for raw in RAWS]
        ratings = from_answers(Asked("stated_1_5", "r", "a", 0), scale, ("t1", "t2", "t3"), ("x",) * 3, answers, (0,))
        notebook = Notebook(
            Cell("A[x]", "A", "c", "p", "x", {}, {}, 42), Journal(tmp_path / "journal", "run", "main"), tmp_path
        )
        notebook.raw(
            ratings.name, [row | (change or {}) if i == 0 else row for i, row in enumerate(raw_rows(ratings, answers))]
        )
        notebook.raw("something else", [{"text": "no rating"}])
        notebook.finish("PASS", "r")
        return tmp_path

    return make


def test_what_was_kept_reads_the_same(results, capsys):
    assert main(["--results", str(results())]) == 0
    assert capsys.readouterr().err == "3 answers read again: 1 out_of_scale, 1 rated, 1 refused; 0 come out otherwise\n"


def test_an_answer_that_reads_otherwise_is_told(results, capsys):
    folder = str(results({"value": 5.0}))
    assert main(["--results", folder]) == 1
    assert "1 of 3 come out otherwise" in capsys.readouterr().out
    main(["--results", folder, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["task"], told["value"], told["now"]["value"]) == ("t1", 5.0, 4.0)


def test_a_spoilt_file_is_one_line(results, capsys):
    folder = results()
    path = next(p for p in folder.glob("raw/*/*/stated*"))
    path.write_text(path.read_text() + " ")
    with pytest.raises(SystemExit):
        main(["--results", str(folder)])
    assert "has changed since it was written" in capsys.readouterr().err


def test_nothing_to_read_says_what_would_be_read(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--results", str(tmp_path)])
    assert "run pytest hypotheses/ first" in capsys.readouterr().err


def test_it_needs_no_torch(results):
    code = f"import sys; from reports.reparse import main; main(['--results', {str(results())!r}]); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
