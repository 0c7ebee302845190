"""The tutorial, done with the wheel from its first file to its last command, comes to what it says."""

import pytest

from tests.docs.pages import ROOT, blocks, changed, missing

TUTORIAL = blocks(ROOT / "docs" / "tutorial.md")
SHOWN = 0, 1
"""Exit statuses of commands whose output a page shows: a refuted claim ends pytest with 1."""


def test_the_tutorial_comes_to_what_it_says(installed, tmp_path, subtests):
    installed.output("lab new project --study preferences", tmp_path)  # the page that the tutorial runs first
    project, output, done = tmp_path / "project", "", 0
    for block in TUTORIAL:
        kind, _, name = block.mark.partition(": ")
        if kind == "needs a network":
            continue
        if kind == "file":
            (project / name).parent.mkdir(exist_ok=True)
            (project / name).write_text(block.text)
        elif kind == "change":
            file = project / name
            file.write_text(changed(file.read_text(), block.text))
        elif block.language == "console":
            [command] = block.commands
            ran = installed.run(command, project)
            assert ran.returncode in SHOWN, ran.stdout + ran.stderr
            output = ran.stdout
        elif block.language == "text":
            done += 1
            with subtests.test(msg=command):
                assert missing(block.text, output) is None, output
    assert done == len([block for block in TUTORIAL if block.language == "text"]) > 8
    assert (project / "results" / "page.html").is_file()


@pytest.mark.parametrize(
    ("said", "output", "lacks"),
    [
        ("a 70 % [66.2 %, 73.5 %] PASS", "x\na  70.4 %  [66.1 %, 73.6 %]   PASS !", None),
        ("a 70 % PASS", "a 80 % PASS", "a 70 % PASS"),
        ("a\n...\nb", "b\na", "b"),
        ("b -0.773 [-0.78, -0.765]", "b -0.775 [-0.79, -0.76]", None),
        ("a PASS", "a FAIL", "a PASS"),
    ],
)
def test_an_output_is_held_against_what_is_said(said, output, lacks):
    assert missing(said, output) == lacks
