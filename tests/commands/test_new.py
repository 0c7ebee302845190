"""A new project is written into an empty folder alone; that it runs is shown by tests/test_wheel.py."""

import pytest

from lab.__main__ import main
from lab.commands.new import with_pages
from lab.files.embedded import folder


def test_a_starter_has_one_hypothesis_and_an_ini_file(tmp_path, capsys):
    project = tmp_path / "mine"
    assert main(["new", str(project)]) == 0
    files = sorted(path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file())
    assert files == ["hypotheses/test_word_order.py", "pytest.ini"]
    assert capsys.readouterr().out.splitlines()[-1] == f"run them: pytest {project}"


@pytest.mark.parametrize("study", with_pages())
def test_all_pages_of_a_study_are_copied_and_nothing_else(study, tmp_path):
    assert main(["new", str(tmp_path), "--study", study]) == 0

    def files(place):
        return {
            path.relative_to(place): path.read_bytes()
            for path in place.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    assert files(tmp_path / "hypotheses" / study) == files(folder("hypotheses") / study)
    assert {path.name for path in tmp_path.iterdir()} == {"hypotheses", "pytest.ini"}
    assert [path.name for path in (tmp_path / "hypotheses").iterdir()] == [study]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["full"], "full is not an empty folder; name another one"),
        (["file"], "file is not an empty folder; name another one"),
        (["mine", "--study", "astrology"], "astrology has no pages to copy; studies with pages are activations, "),
        (["file/mine"], "Not a directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_one_line_and_writes_nothing(arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    assert main(["new", *arguments]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("lab new: ")
    assert line in told.err
    assert (told.err.count("\n"), told.out) == (1, "")
    assert sorted(tmp_path.rglob("*")) == before
