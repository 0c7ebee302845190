"""Written ratings and choices can be read again from what was kept, without a model."""

import json
import subprocess
import sys

import pytest

from lab.record import Cell, Journal, Notebook
from lab.studies.preferences import pair_choices
from lab.studies.shared.prompts import template
from lab.studies.shared.ratings import Asked, from_answers, raw_rows
from lab.views.reparse import main
from tests.studies.shared.one_text import chosen_by_doing, parse, parse_choice

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


def test_written_choices_are_read_again_whatever_the_mode(tmp_path, capsys):
    """A letter, a reason before it, and the task that was done; of probabilities there is nothing to read."""
    said = {
        "direct": ["B", "A"],
        "reasoning": ["The vials are quick. Answer: A", "I refuse to choose."],
        "doing": ["The vials are sorted.", "Adding up the sums now."],
    }
    texts = ("Sort the vials.", "Add the sums.")
    notebook = Notebook(
        Cell("P[x]", "P", "c", "p", "x", {}, {}, 42), Journal(tmp_path / "journal", "run", "main"), tmp_path
    )
    for mode, raws in said.items():
        named = (texts, texts[::-1])
        read = [
            [chosen_by_doing(raw, *both) if mode == "doing" else parse_choice(raw)]
            for raw, both in zip(raws, named, strict=True)
        ]
        told = pair_choices.from_answers(
            pair_choices.Asked("w", "m", mode=mode), ("t1", "t2"), ("x", "x"), [[0, 1]], read
        )
        rows = list(pair_choices.raw_rows(told, read, texts))
        notebook.raw(
            told.name, [row | {"outcome": "B"} if mode == "doing" and i == 0 else row for i, row in enumerate(rows)]
        )
    exact = pair_choices.from_probabilities(
        pair_choices.Asked("v", "m"), ("t1", "t2"), ("x", "x"), [[0, 1]], [[-1.0, -1], [-1, -1]]
    )
    notebook.raw(exact.name, list(pair_choices.raw_rows(exact)))
    notebook.finish("PASS", "r")
    assert main(["--results", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "w_m_regex_doing_rseed0: 1 of 2 come out otherwise" in out
    assert "6 answers read again: 4 A, 1 B, 1 refused; 1 come out otherwise" in err
    main(["--results", str(tmp_path), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["first"], told["outcome"], told["now"]["outcome"]) == ("t1", "B", "A")


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
    assert "run pytest here first" in capsys.readouterr().err


def test_it_needs_no_torch(results):
    code = f"import sys; from lab.views.reparse import main; main(['--results', {str(results())!r}]); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
