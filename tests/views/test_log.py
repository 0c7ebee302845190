"""Entries of the research log: dated, linked to their runs, with caveats where they are due, and never lost."""

import re

import pytest

from lab.commands.report import main
from lab.views.log import entries, plot_name
from tests.views.conftest import Results, estimate
from tests.views.test_allure import FIRST, HEADER, SECOND


@pytest.fixture
def told(tmp_path):
    """A results folder with one run of two models, one claim held and one refuted."""
    made = Results(tmp_path / "results", lambda: HEADER)
    for model, value in (("one", 0.6), ("two", 0.3)):
        cell = made.cell("SELF", model, run=FIRST, keep=[("bias", estimate(value), 0.5)], finish=False)
        cell.plot("Self vs. cross", lambda ax: ax.plot([0, 1], [0, 1]))
        cell.configured({"test": "t.py::t"}, "", f"pytest 't.py::t[{model}]'")
        cell.finish("PASS" if value > 0.5 else "FAIL", f"bias {value} is{'' if value > 0.5 else ' not'} above 0.5")
    return made


@pytest.fixture
def log(told, tmp_path):
    def run(*arguments, results=told.folder):
        return main(["log", *arguments, "--results", str(results), "--log", str(tmp_path / "log")])

    return run


def refused(log, capsys, *arguments):
    with pytest.raises(SystemExit):
        log(*arguments)
    return capsys.readouterr().err


def test_an_entry_has_all_its_sections_and_every_number_links_to_its_run(log, told, tmp_path):
    assert log("Self bias found", "--implication", "Use other raters") == 0
    (entry,) = entries(tmp_path / "log")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-self-bias-found", entry.name)
    assert re.findall(r"^#+ (.*)$", entry.text, re.MULTILINE) == [
        f"{entry.date}: Self bias found", "Setup", "Results", "Findings", "Implications", "Caveats", "Runs", "Files",
    ]  # fmt: skip
    link = f"[{FIRST}](#run-{FIRST})"
    results, findings = (
        re.search(rf"### {name}\n(.*?)\n###", entry.text, re.DOTALL)[1] for name in ("Results", "Findings")
    )
    rows = [row for row in results.splitlines() if row.startswith("| SELF")]
    assert len(rows) == 2
    assert all(row.endswith(f"| {link} |") for row in rows)
    assert f"It holds for one: bias 0.6 is above 0.5 ({link})." in findings
    assert f"It is refuted for two: bias 0.3 is not above 0.5 ({link})." in findings
    assert f'<a id="run-{FIRST}"></a>' in entry.text
    assert "- Use other raters" in entry.text
    assert entry.runs == [FIRST]


def test_plots_are_copied_under_the_logs_names_and_every_file_tells_its_command(log, told, tmp_path):
    log("Plots")
    (entry,) = entries(tmp_path / "log")
    copies = sorted((tmp_path / "log" / "assets" / entry.name).iterdir())
    day = f"{entry.date[5:7]}{entry.date[8:]}{entry.date[2:4]}"
    assert [path.name for path in copies] == [f"plot_{day}_self_{model}_self_vs_cross.png" for model in ("one", "two")]
    files = dict(
        re.findall(r"^\| \[([^]]+)\]\([^)]+\) \| `(.+)` \|$", entry.text.partition("### Files")[2], re.MULTILINE)
    )
    assert files[copies[0].name] == "pytest 't.py::t[one]'"
    assert files["self_summary.md"] == "pytest hypotheses"
    assert files[f"{entry.name}.md"].startswith("lab report log Plots")
    for text, folder in ((entry.text, tmp_path / "log" / "entries"), ((tmp_path / "log" / "LOG.md").read_text(), tmp_path / "log")):  # fmt: skip
        linked = re.findall(r"\]\(([^)#]+\.(?:png|md))\)", text)
        missing = [
            path for path in linked if not (folder / path).exists() and "registry" not in path and "self_" not in path
        ]
        assert len(linked) > 4
        assert missing == []


@pytest.mark.parametrize("description", ["", "---", "ÄÖ"])
def test_no_plot_gets_another_name(description):
    from datetime import datetime

    with pytest.raises(ValueError, match="described in letters and digits"):
        plot_name(datetime(2026, 2, 3), description)
    assert plot_name(datetime(2026, 2, 3), "KL / ICC (n=4)") == "plot_020326_kl_icc_n_4.png"


def test_the_logs_default_goes_for_every_entry_that_says_nothing_else(log, told, tmp_path, capsys):
    log("First", "--default", "completion model=llama-3.1-8b")
    log("Second", "--set", "completion model=gemma-2-27b")
    told.cell("KNOB", "one", run=FIRST, knobs={"author": "qwen3-32b"}, keep=[("x", estimate(1), 0.5)])
    log("Third", "--experiments", "KNOB")
    log("Both")
    first, second, third, both = (next(e for e in entries(tmp_path / "log") if e.title == t) for t in ("First", "Second", "Third", "Both"))  # fmt: skip
    assert "**Completion model**: llama-3.1-8b (the log's default)" in first.text
    assert "**Completion model**: gemma-2-27b (the log's default is llama-3.1-8b)" in second.text
    assert third.effective == {"completion model": "qwen3-32b"}
    assert both.effective == {"completion model": "qwen3-32b (KNOB); llama-3.1-8b (SELF)"}
    assert (
        "completion model: **llama-3.1-8b**, unless an entry says otherwise"
        in (tmp_path / "log" / "LOG.md").read_text()
    )
    assert "no default for 'rater'" in refused(log, capsys, "Fourth", "--set", "rater=x")


@pytest.mark.parametrize(
    ("what", "cell"),
    [
        ("SELF: task sets differ", {"knobs": {"depth": 0.5}, "key": "other data"}),
        ("SELF: templates differ", {"knobs": {"depth": 0.5, "template": "fruit"}}),
        ("SELF: n of bias differs (50 to 200)", {"n": 50}),
    ],
)
def test_where_task_sets_templates_or_n_differ_a_caveat_is_needed(log, told, tmp_path, capsys, what, cell):
    n = cell.pop("n", 200)
    told.cell("SELF", "three", run=FIRST, keep=[("bias", estimate(0.9, n=n), 0.5)], **cell)
    assert f"say with --caveat what this means for the results: {what}" in refused(log, capsys, "Bias")
    assert not (tmp_path / "log").exists()
    assert log("Bias", "--caveat", "It needs a controlled replication") == 0
    (entry,) = entries(tmp_path / "log")
    caveats = entry.text.partition("### Caveats")[2].partition("###")[0]
    assert caveats.split("\n- ")[1:] == [
        "It needs a controlled replication",
        f"Found by comparing the cells: {what}.\n\n",
    ]


def test_a_later_entry_supersedes_an_earlier_one_and_both_stay(log, told, tmp_path, capsys):
    log("Bias found")
    (first,) = entries(tmp_path / "log")
    head = dict(HEADER, supersedes=FIRST)
    later = Results(told.folder, lambda: head)
    later.cell("SELF", "one", run=SECOND, keep=[("bias", estimate(0.1, n=400), 0.5)])
    said = refused(log, capsys, "No bias", "--run", SECOND)  # the run says which one it corrects
    assert f"against {first.name}: SELF: n of bias differs (200 to 400)" in said
    assert log("No bias", "--run", SECOND, "--caveat", "Matched task sets now") == 0
    old, new = sorted(entries(tmp_path / "log"), key=lambda entry: entry.runs)
    assert (old.superseded_by, new.supersedes) == (new.name, old.name)
    assert old.text == first.text
    whole = (tmp_path / "log" / "LOG.md").read_text()
    assert f"> **Superseded** by [{new.name}](entries/{new.name}.md)." in whole
    assert "bias 0.6 is above 0.5" in whole
    assert "has no entry 2020-never to supersede" in refused(
        log, capsys, "Other", "--supersedes", "2020-never", "--caveat", "c"
    )


def test_what_a_person_wrote_into_an_entry_is_never_written_over(log, told, tmp_path, capsys):
    log("Mine")
    (path,) = (tmp_path / "log" / "entries").iterdir()
    path.write_text(path.read_text().replace("(what follows from this is for its author to say)", "Stop here."))
    assert "choose another title" in refused(log, capsys, "Mine")
    log("Another")
    assert "Stop here." in path.read_text()
    assert "Stop here." in (tmp_path / "log" / "LOG.md").read_text()
    path.write_text("no head")
    assert "cannot be read" in refused(log, capsys, "Third")
