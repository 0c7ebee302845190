"""The report as one HTML file, opened from disk in a real browser: counts, a cell, its plot, history, numbers."""

import hashlib
import sys

import pytest

from lab.commands.report import main
from lab.record import gather, read
from lab.views.html import allure, html
from lab.views.shown import shown
from tests.views.browser import CHROMIUM, MISSING, browser
from tests.views.conftest import Results, estimate
from tests.views.test_allure import FIRST, HEADER, SECOND

COMMAND = allure()
LEAF = "[...document.querySelectorAll('*')].find(e => !e.childElementCount && e.textContent.trim() == {!r})"


@pytest.fixture(scope="module")
def report(once):
    """A report of two runs: a folder with report.html, and the results it was made of."""

    def make(folder):
        told = Results(folder / "results", lambda: HEADER)
        for run, value in ((FIRST, 0.6), (SECOND, 0.8)):
            cell = told.cell("PM2", "one", run=run, keep=[("AUROC", estimate(value), 0.55)], key=run, finish=False)
            cell.plot("roc", lambda ax: ax.plot([0, 1], [0, 1]))
            cell.finish("PASS", "AUROC is above 0.55")
        told.cell("PM1", "one", run=SECOND, keep=[("r", estimate(0.0), 0.3)])
        told.cell("PM3", "one", run=SECOND, keep=[("rate", estimate(0.3, 0.2), 0.3)])
        told.cell("X", "one", run=SECOND, finish=False)
        html(COMMAND, told.folder, folder / "report.html")

    if COMMAND is None:
        pytest.skip("Allure 3, or node, is not here; make report installs it where there is npm")
    return once("allure-report", make)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip(MISSING)
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def test_the_report_opens_from_disk_with_the_right_counts_and_asks_no_network_for_anything_it_needs(report, page):
    page.open((report / "report.html").as_uri())
    page.wait("!!" + LEAF.format("Hypotheses"))
    text = page.wait("document.body.innerText.includes('Unknown') && document.body.innerText").split("\n")
    for name, count in {"Total": 4, "Passed": 1, "Failed": 1, "Unknown": 1, "Broken": 1, "Categories": None}.items():
        at = text.index(name) if count else None
        assert count is None or text[at + 1] == str(count), name
    assert "box" in text
    assert "NVIDIA H200" in text
    assert {url.partition(":")[0] for url in page.requested} <= {"file", "data", "blob", "about"}


def test_a_cell_opens_and_its_plot_is_seen(report, page):
    (cell,) = [cell for cell in gather(read(report / "results" / "journal", SECOND)) if cell.experiment == "PM2"]
    told = shown(cell, HEADER, report / "results").result
    page.open(f"{(report / 'report.html').as_uri()}#{hashlib.md5(told['uuid'].encode()).hexdigest()}")
    page.wait("!!" + LEAF.format("roc"))
    text = page.run("document.body.innerText")
    for said in ("PM2[one]: claim of PM2", "Passed", "Critical", "claim: AUROC > 0.55", "R. Searcher", "plan of PM2"):
        assert said in text, said
    seen = "[...document.images].find(i => i.naturalWidth > 400 && i.getClientRects().length)"
    assert page.click(LEAF.format("roc"), f"({seen})?.naturalWidth") == 500
    told = "[...document.querySelectorAll('*')].flatMap(e => e.shadowRoot ?? e.contentDocument?.body ?? []).map(r => r.textContent)"
    assert "[0.78, 0.82]" in " ".join(page.run(told))  # the numbers, in the description


def test_history_and_numbers_over_time_are_there(report, page):
    (cell,) = [cell for cell in gather(read(report / "results" / "journal", SECOND)) if cell.experiment == "PM2"]
    told = shown(cell, HEADER, report / "results").result
    name = hashlib.md5(told["uuid"].encode()).hexdigest()
    page.open(f"{(report / 'report.html').as_uri()}#{name}/history")
    page.wait("document.body.innerText.includes('Retries')")
    lines = page.run("document.body.innerText").split("\n")
    assert lines[lines.index("History") + 1] == "1"
    page.open(f"{(report / 'report.html').as_uri()}#metrics")
    page.wait("!!" + LEAF.format("PM2[one]: AUROC"))
    assert "\t0.8\t0.8\t0.8\t0.8\t+0.2\t" in page.run("document.body.innerText")  # from 0.6


def test_without_node_the_page_takes_its_place_and_it_is_said(tmp_path, monkeypatch, capsys):
    results = Results(tmp_path / "results").premortems().folder
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert main(["html", "--results", str(results), "--output", str(tmp_path / "out" / "report.html")]) == 0
    assert "note: there is no Allure 3 here, so this is the page without it" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["page.html", "page.md"]
