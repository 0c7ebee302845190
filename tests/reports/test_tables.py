"""What a run wrote can be made again from its journal alone."""

import pytest

from lab.estimate import Estimate
from lab.evidence import Cell, Journal, Notebook, gather, read, write_tables
from reports.__main__ import main


@pytest.fixture
def results(tmp_path):
    for run, value in (("20260101-000000-aaaa", 0.6), ("20260102-000000-bbbb", 0.7)):
        cell = Cell("A", "A", "c", "p", "", {}, {}, 42)
        notebook = Notebook(cell, Journal(tmp_path / "journal", run, "main"), tmp_path)
        bool(notebook.measure("x", Estimate(value, value - 0.01, value + 0.01, n=9, method="made")) > 0.5)
        notebook.finish("PASS", "r")
    return tmp_path


def test_the_last_run_is_made_again_to_the_byte(results, capsys):
    write_tables(gather(read(results / "journal", "20260102-000000-bbbb")), results)
    before = (results / "statistics.json").read_bytes()
    (results / "statistics.json").unlink()
    assert main(["--results", str(results)]) == 0
    assert (results / "statistics.json").read_bytes() == before
    assert "| A | x | 0.7 |" in capsys.readouterr().out


def test_an_earlier_run_can_be_named(results, capsys):
    main(["--results", str(results), "--run", "20260101-000000-aaaa"])
    assert "| A | x | 0.6 |" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "said"), [([], "run pytest hypotheses/ first"), (["--run", "x"], "no run x in")])
def test_what_is_not_there_is_one_line(results, tmp_path, capsys, arguments, said):
    where = results if arguments else tmp_path / "nowhere"
    with pytest.raises(SystemExit) as end:
        main(["--results", str(where), *arguments])
    assert end.value.code == 2
    assert said in capsys.readouterr().err
