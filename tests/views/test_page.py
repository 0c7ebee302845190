"""The page without Allure: complete, of one piece, and with the same room for what did not hold."""

import re
import shutil

import pytest

from lab.commands.report import main
from lab.views.page import write
from tests.docs.pages import ROOT, blocks
from tests.views.browser import CHROMIUM, MISSING, browser
from tests.views.conftest import Results, estimate
from tests.views.test_allure import FIRST, HEADER, SECOND


@pytest.fixture(scope="session")
def told(once):
    """A results folder of two runs, for all to read."""

    def make(folder):
        made = Results(folder, lambda: HEADER)
        for run, value, knobs in ((FIRST, 0.6, {"n": 1}), (SECOND, 0.8, {"n": 2})):
            for name, value_of in (("HOLDS", value), ("FAILS", 0.2)):
                cell = made.cell(name, "one", run=run, keep=[("r", estimate(value_of), 0.5)], key=run, knobs=knobs, finish=False)  # fmt: skip
                cell.control("it is sound", True)
                cell.plot("curve", lambda ax: ax.plot([0, 1], [0, 1]))
                cell.registration("as registered" if name == "HOLDS" else "changed since: knobs 1 -> 2")
                cell.finish("PASS" if name == "HOLDS" else "FAIL", f"r is {value_of} < 1 & > 0")
        made.cell("VAGUE", "two", run=SECOND, keep=[("r", estimate(0.5, 0.2), 0.5)])
        made.cell("LOST", "two", run=SECOND, finish=False)
        made.cell(
            "HOLDS", "untrained:one", run=SECOND, negative="a twin <b>knows</b> nothing", keep=[("r", estimate(0), 0.5)]
        )

    return once("two-runs", make)


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    """Where no module in ./reports adds a section."""
    monkeypatch.chdir(tmp_path)


def test_what_failed_is_told_in_the_same_form_as_what_held(told, tmp_path):
    page, _ = (path.read_text() for path in write(told, tmp_path))
    cards = dict(re.findall(r'<div class="card" id="([^"]+)">(.*?)\n</div>\n', page, re.DOTALL))
    assert list(cards) == ["HOLDS-one", "FAILS-one", "VAGUE-two", "LOST-two", "HOLDS-untrained-one"]

    def form(text):
        text = re.sub(r"data:image/png;base64,[^\"]+", "data", text)
        return re.findall(r"</?[a-z0-9]+", text)

    assert form(cards["HOLDS-one"]) == form(cards["FAILS-one"])
    assert "Claims that were refuted (1)" in page
    assert page.count("<h2>") == 9


def test_verdicts_the_map_and_the_changes_are_told(told, tmp_path):
    page, markdown = (path.read_text() for path in write(told, tmp_path))
    assert "| HOLDS | ✓ 0.8 | ✗ 0 (control) | |" in markdown
    assert "| FAILS | ✗ 0.2 | | |" in markdown
    assert "| HOLDS[one] | PASS → PASS (run 20260101-000000-aaaa) | r 0.2 [0.172, 0.228] | knobs.n" in markdown
    assert "1 cells stand as they were registered" in markdown
    assert "- FAILS[one]: changed since: knobs 1 -> 2" in markdown
    for said in (
        "box, NVIDIA H200",
        "✓ 1 PASS",
        "✗ 1 FAIL",
        "? 1 INCONCLUSIVE",
        "! 1 INVALID",
        "1 of 1 negative controls",
    ):
        assert said in page, said


def test_several_settings_of_one_subject_are_told_apart_in_the_map(tmp_path):
    made = Results(tmp_path / "results")
    for depth in (0.25, 0.75):
        cell = made.cell("S", "one", f"depth={depth}", knobs={"depth": depth}, keep=[("r", estimate(depth), 0.5)])
        assert cell
    made.cell("S", "one", "seed", seed=7, knobs={"depth": 0.25}, keep=[("r", estimate(0.3), 0.5)])
    markdown = write(made.folder)[1].read_text()
    assert "(depth=0.25, seed=42)" in markdown or "(depth=0.75, seed=42)" in markdown or "one x depth" in markdown


def test_nothing_is_fetched_text_is_escaped_and_the_pictures_of_the_markdown_are_there(told, tmp_path):
    page, markdown = write(told, tmp_path / "out")
    html = page.read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", html)
    assert not re.findall(r"@import|url\(", html)
    assert "a twin &lt;b&gt;knows&lt;/b&gt; nothing" in html
    assert "r is 0.8 &lt; 1 &amp; &gt; 0" in html
    linked = re.findall(r"!\[[^]]*\]\(([^)]+)\)", markdown.read_text())
    assert len(linked) == 2
    assert all((tmp_path / "out" / path).resolve().is_file() for path in linked)


SECTION = """
from lab.views.section import Section

def section(record):
    rows = [{"cell": cell.cell, "n": cell.knobs["n"]} for cell in record.cells if not cell.negative and cell.plots]
    return Section("Mine <here>", rows, "What I want to see.")
"""


def test_a_module_in_reports_adds_a_section_to_the_page_and_to_what_is_printed(told, tmp_path, capsys):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "mine.py").write_text(SECTION)
    page, markdown = (path.read_text() for path in write(told, tmp_path / "out"))
    assert "<h2>Mine &lt;here&gt;</h2>\n<p>What I want to see.</p>" in page
    assert "<tr><td>HOLDS[one]</td><td>2</td></tr>" in page
    expected = (
        "## Mine <here>\n\nWhat I want to see.\n\n| cell | n |\n| --- | --- |\n| FAILS[one] | 2 |\n| HOLDS[one] | 2 |\n"
    )
    assert expected in markdown
    assert main(["tables", "--results", str(told), "--output", str(tmp_path / "out")]) == 0
    assert expected in capsys.readouterr().out


def test_the_section_of_the_documentation_is_made(told, tmp_path):
    (tmp_path / "reports").mkdir()
    (block,) = [block for block in blocks(ROOT / "docs" / "reports.md") if "def section" in block.text]
    (tmp_path / "reports" / "slow.py").write_text(block.text)
    assert "## What took longest\n\n| cell | seconds |\n| --- | --- |\n" in write(told, tmp_path / "out")[1].read_text()


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("def section(record):\n    return record.cell", "AttributeError: 'Record' object has no attribute 'cell'"),
        ("def section(record) return 1", "SyntaxError: expected ':' (mine.py, line 1)"),
        (
            "def section(record):\n    return 1",
            "TypeError: section(record) must give a lab.views.section.Section, not int",
        ),
    ],
)
def test_a_module_that_fails_is_one_line_and_the_page_is_written(code, line, told, tmp_path, capsys):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "mine.py").write_text(code)
    page, _ = write(told, tmp_path / "out")
    assert "Claims that held" in page.read_text()
    assert capsys.readouterr().err == f"reports/mine.py adds no section: {line}\n"


def test_this_suite_says_study_by_study_how_many_claims_held(told, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    markdown = write(told, tmp_path / "out")[1].read_text()
    section = markdown.partition("## Study by study\n\n")[2].partition("\n\n")[0].splitlines()
    assert section[0] == "| study | held | refuted | undecided | invalid | not run | negative controls refuted |"
    assert section[2:] == ["| phase-fa | 0 | 1 | 0 | 0 | 0 | 0 of 0 |", "| phase-ho | 1 | 0 | 0 | 0 | 0 | 1 of 1 |",
                           "| phase-lo | 0 | 0 | 0 | 1 | 0 | 0 of 0 |", "| phase-va | 0 | 0 | 1 | 0 | 0 | 0 of 0 |"]  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_a_browser_shows_the_page_from_disk_with_its_plots(told, tmp_path):
    results = shutil.copytree(told, tmp_path / "results")
    assert main(["page", "--results", str(results)]) == 0
    with browser(tmp_path / "profile") as page:
        page.open((results / "page.html").as_uri())
        assert page.wait("document.readyState == 'complete' && [...document.images].map(i => i.naturalWidth)") == [
            500,
            500,
        ]
        assert page.run("document.querySelectorAll('.heat tr').length") == 5
        page.run("document.querySelector('.heat a').click()")
        assert page.run("location.hash") == "#FAILS-one"
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        assert [url for url in page.requested if not url.startswith(("file:", "data:", "about:"))] == []
