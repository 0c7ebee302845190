"""What Allure shows is made of the journal alone: statuses, categories, histories, attachments, environment."""

import json
import re

import pytest

from lab.commands.report import main
from lab.record import gather, read
from lab.views.allure import CATEGORIES, CONFIGURATION, HISTORY, METRICS, write_allure
from lab.views.allure_results import write
from lab.views.record import Missing
from lab.views.templates import settings
from tests.views.conftest import Results, estimate

FIRST, SECOND = "20260101-000000-aaaa", "20260102-000000-bbbb"
HEADER = {
    "command": "pytest hypotheses", "commit": "0123456789ab", "supersedes": None, "versions": {"torch": "2.13.0"},
    "machine": {"name": "box", "system": "Linux", "cores": 2, "gpus": ["NVIDIA H200"], "python": "3.11.7"},
    "owner": "R. Searcher", "links": [["PM*", "plan of {experiment}", "https://example.org/{phase}/{experiment}"]],
}  # fmt: skip
WIDE = 0.2


@pytest.fixture
def told(tmp_path):
    return Results(tmp_path / "results", lambda: HEADER)


def shown(folder):
    """Results by their names up to the first colon."""
    found = [json.loads(path.read_bytes()) for path in folder.glob("*-result.json")]
    return {one["name"].partition(": ")[0]: one for one in found}


def category(one):
    """As both Allures find it: by status, and a regular expression of the whole message."""
    text = one["statusDetails"]["message"]
    return [
        c["name"]
        for c in settings(CATEGORIES)
        if one["status"] in c["matchedStatuses"] and re.match(c["messageRegex"], text)
    ]


def test_every_verdict_has_its_status_and_belongs_to_one_category_at_most(told, tmp_path):
    claim = ("x", estimate(0.6), 0.5)
    told.cell("PASS", "m", keep=[claim])
    told.cell("FAIL", "m", keep=[("x", estimate(0.4), 0.5)])
    told.cell("WIDE", "m", keep=[("x", estimate(0.5, WIDE), 0.5)])
    told.cell("KNOWN", "m", keep=[("x", estimate(0.4), 0.5)], negative="it knows nothing")
    told.cell("STRANGE", "m", keep=[claim], negative="it knows nothing")
    told.cell("VAGUE", "m", keep=[("x", estimate(0.5, WIDE), 0.5)], negative="it knows nothing")
    broken = told.cell("BROKEN", "m", keep=[claim], finish=False)
    broken.control("nothing moves", False)
    broken.finish("INVALID", "broken control")
    told.cell("REFUSED", "m", finish=False).finish("INVALID", "20 items are too few", shown="ERROR: 20 items")
    told.cell("CRASH", "m", finish=False).finish("INVALID", "out of memory", shown="Traceback")
    told.cell("LOST", "m", keep=[claim], finish=False)
    told.cell("GATE", "m", finish=False).finish("SKIPPED", "PM1 did not pass")
    assert write(told.folder, tmp_path / "allure") == 11
    assert {n.partition("[")[0]: (one["status"], category(one)) for n, one in shown(tmp_path / "allure").items()} == {
        "PASS": ("passed", []),
        "FAIL": ("failed", ["Refuted"]),
        "WIDE": ("unknown", ["Inconclusive"]),
        "KNOWN": ("skipped", []),
        "STRANGE": ("failed", ["Negative control not refuted"]),
        "VAGUE": ("unknown", ["Negative control not refuted"]),
        "BROKEN": ("broken", ["Invalid"]),
        "REFUSED": ("broken", ["Invalid"]),
        "CRASH": ("broken", ["Infrastructure"]),
        "LOST": ("broken", ["Infrastructure"]),
        "GATE": ("skipped", []),
    }
    assert shown(tmp_path / "allure")["CRASH[m]"]["statusDetails"]["trace"] == "Traceback"


def test_a_cell_has_labels_links_steps_and_parameters_that_are_text(told, tmp_path):
    knobs = {"depth": 0.5, "layers": [1, 2], "prompt": "say | what"}
    cell = told.cell("PM2", "one", "two", knobs=knobs, keep=[("AUROC", estimate(0.6), 0.5)], finish=False)
    cell.control("shuffled labels carry no signal", True)
    cell.finish("PASS", "AUROC 0.6 is above 0.5")
    told.cell("2A1", "one", negative="a twin", keep=[("x", estimate(0), 0.5)])
    told.cell("2A2", "one", keep=[("x", estimate(1), 0.5)])
    write(told.folder, tmp_path / "allure")
    found = shown(tmp_path / "allure")
    one = found["PM2[one-x-two]"]
    labels = {label["name"]: label["value"] for label in one["labels"]}
    assert labels.items() >= {
        ("epic", "pre-mortems"), ("feature", "PM2"), ("story", "claim of PM2"), ("severity", "critical"),
        ("owner", "R. Searcher"), ("verdict", "PASS"),
    }  # fmt: skip
    assert one["links"] == [{"type": "link", "name": "plan of PM2", "url": "https://example.org/pre-mortems/PM2"}]
    assert found["2A2[one]"]["links"] == []
    parameters = {p["name"]: p["value"] for p in one["parameters"]}
    assert parameters == {"model": "one", "other_model": "two", "seed": "42", "depth": "0.5", "layers": "[1, 2]",
                          "prompt": "say | what", "run": "20260101-000000-aaaa"}  # fmt: skip
    assert [(step["name"].partition(": ")[0], step["status"]) for step in one["steps"]] == [
        ("control", "passed"), ("claim", "passed"),
    ]  # fmt: skip
    assert [{label["name"]: label["value"] for label in found[n]["labels"]}["severity"] for n in ("2A1[one]", "2A2[one]")] == ["minor", "normal"]  # fmt: skip


def test_a_history_is_the_same_in_every_run_whatever_the_knobs_and_differs_between_cells(told, tmp_path):
    for run, depth in ((FIRST, 0.5), (SECOND, 0.75)):
        for model in ("one", "two"):
            told.cell("PM2", model, run=run, knobs={"depth": depth}, keep=[("x", estimate(depth), 0.2)], key=run)
        write(told.folder, tmp_path / run, run)
    first, second = (shown(tmp_path / run) for run in (FIRST, SECOND))
    for identity in ("historyId", "testCaseId"):
        assert first["PM2[one]"][identity] == second["PM2[one]"][identity] != first["PM2[two]"][identity]
    assert first["PM2[one]"]["uuid"] != second["PM2[one]"]["uuid"]
    assert all(p["excluded"] for p in first["PM2[one]"]["parameters"])  # a value counts in no history


def test_the_history_holds_earlier_runs_once_and_the_numbers_of_each(told, tmp_path):
    for run, value in ((FIRST, 0.6), (SECOND, 0.7)):
        told.cell("PM2", "one", run=run, keep=[("AUROC", estimate(value), 0.5)], key=run)
    for _ in range(2):
        write(told.folder, tmp_path / "allure")
    (before,) = [json.loads(line) for line in (tmp_path / "allure" / HISTORY).read_text().splitlines()]
    assert before["name"] == FIRST
    assert before["metrics"] == {"PM2[one]: AUROC": 0.6}
    assert [one["status"] for one in before["testResults"].values()] == ["passed"]
    (now,) = json.loads((tmp_path / "allure" / METRICS).read_text())
    assert (now["key"], now["value"], now["group"], now["better"]) == ("PM2[one]: AUROC", 0.7, "pre-mortems", "higher")


def test_allure_2_finds_earlier_runs_their_trend_and_who_made_this_one(told, tmp_path):
    runs = (FIRST, SECOND, "20260103-000000-cccc")
    for run, value in zip(runs, (0.6, 0.4, 0.7), strict=True):
        told.cell("PM2", "one", run=run, keep=[("AUROC", estimate(value), 0.5)], key=run)
        told.cell("PM1", "one", run=run, keep=[("r", estimate(0.6), 0.5)], key=run)
    for _ in range(2):  # a folder of one's own is made anew
        write(told.folder, tmp_path / "allure")
    cells, trend, executor = (
        json.loads((tmp_path / "allure" / name).read_text())
        for name in ("history/history.json", "history/history-trend.json", "executor.json")
    )
    found = shown(tmp_path / "allure")
    assert cells.keys() == {one["historyId"] for one in found.values()}
    assert all(one["fullName"] and one["testCaseId"] == one["historyId"] for one in found.values())
    earlier = cells[found["PM2[one]"]["historyId"]]
    assert [item["status"] for item in earlier["items"]] == ["failed", "passed"]  # the newest first
    assert earlier["statistic"] == {"passed": 1, "failed": 1, "total": 2}
    assert all(item["time"].keys() == {"start", "stop", "duration"} for item in earlier["items"])
    assert [(one["buildOrder"], one["reportName"], one["data"]) for one in trend] == [
        (2, SECOND, {"passed": 1, "failed": 1, "total": 2}),
        (1, FIRST, {"passed": 2, "total": 2}),
    ]
    assert executor == {
        "name": "box", "type": "pytest", "buildName": runs[-1], "buildOrder": 3, "reportName": "Hypotheses"
    }  # fmt: skip


def test_plots_numbers_and_configuration_are_attached_and_a_plot_of_another_run_is_not(told, tmp_path):
    for run, slope in ((FIRST, 1), (SECOND, 2)):
        cell = told.cell("PM2", "one", run=run, keep=[("AUROC", estimate(0.6), 0.5)], key=run, finish=False)
        cell.plot("line", lambda ax, slope=slope: ax.plot([0, slope]))
        cell.configured({"test": "a.py::test_b[one]", "experiment": {"id": "PM2"}}, "", "pytest 'a.py::test_b[one]'")
        cell.finish("PASS", "above")
        write(told.folder, tmp_path / run, run)
    write(told.folder, tmp_path / "again", FIRST)
    one = shown(tmp_path / SECOND)["PM2[one]"]
    attached = {a["name"]: (tmp_path / SECOND / a["source"]).read_bytes() for a in one["attachments"]}
    assert attached["line"] == (told.folder / "plots/PM2/PM2-one/line.png").read_bytes()
    assert b'AUROC,0.6,"[0.58, 0.62]",> 0.5,PASS' in attached["numbers as a table"]
    assert json.loads(attached["numbers"])["experiment"] == "PM2"
    assert b"id: PM2" in attached["configuration"]
    assert attached["reproduce"] == b"pytest 'a.py::test_b[one]'\n"
    assert one["fullName"] == "a#test_b"
    assert "line" in {a["name"] for a in shown(tmp_path / FIRST)["PM2[one]"]["attachments"]}
    old = shown(tmp_path / "again")["PM2[one]"]
    assert "line" not in {a["name"] for a in old["attachments"]}
    assert "**Plot line** is not shown: another run has drawn over it" in old["description"]


def test_a_start_that_was_cut_off_is_shown_as_an_earlier_try(told, tmp_path):
    told.cell("PM2", "one", keep=[("x", estimate(0.6), 0.5)], finish=False)
    told.cell("PM2", "one", keep=[("x", estimate(0.6), 0.5)])
    write(told.folder, tmp_path / "allure")
    found = [json.loads(path.read_bytes()) for path in (tmp_path / "allure").glob("*-result.json")]
    first, second = sorted(found, key=lambda one: one["start"])
    assert (first["status"], second["status"]) == ("broken", "passed")
    assert first["historyId"] == second["historyId"]


def test_what_others_put_beside_a_result_stays_when_it_is_written_again(told, tmp_path):
    told.cell("PM2", "one", keep=[("x", estimate(0.6), 0.5)])
    cells, folder = gather(read(told.folder / "journal")), tmp_path / "allure"
    write_allure(folder, told.folder, cells)
    (path,) = folder.glob("*-result.json")
    (folder / "other-result.json").write_text(json.dumps({"name": "an ordinary test"}))
    mine = json.loads(path.read_text())
    mine["attachments"].append({"name": "stdout", "source": "x-attachment.txt", "type": "text/plain"})
    mine["labels"].append({"name": "tag", "value": "slow"})
    path.write_text(json.dumps(mine))
    for _ in range(2):
        write_allure(folder, told.folder, cells)
        assert json.loads(path.read_text()) == mine
    assert (folder / "other-result.json").exists()


def test_the_environment_names_machine_gpu_versions_commit_models_and_runs(told, tmp_path):
    told.premortems()
    assert main(["allure", "--results", str(told.folder), "--output", str(tmp_path / "allure")]) == 0
    lines = dict(
        line.split("=", 1) for line in (tmp_path / "allure" / "environment.properties").read_text().splitlines()
    )
    assert lines == {
        "runs": "20260101-000000-aaaa", "machine": "box", "system": "Linux", "cores": "2", "GPU": "NVIDIA H200",
        "python": "3.11.7", "torch": "2.13.0", "commit": "0123456789ab", "command": "pytest hypotheses",
        "models": "one, two, untrained:one, untrained:two",
    }  # fmt: skip
    rules = json.loads((tmp_path / "allure" / CONFIGURATION).read_text())["categories"]["rules"]
    assert rules == json.loads((tmp_path / "allure" / CATEGORIES).read_text()) == settings(CATEGORIES)


def test_a_configuration_in_reports_goes_first_and_one_that_is_no_json_is_one_line(told, tmp_path, monkeypatch, capsys):
    told.premortems()
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "reports" / "templates" / CONFIGURATION
    own.parent.mkdir(parents=True)
    own.write_text('{"name": "Mine"}')
    write(told.folder, tmp_path / "allure")
    made = json.loads((tmp_path / "allure" / CONFIGURATION).read_text())
    assert (made["name"], "plugins" in made, len(made["categories"]["rules"])) == ("Mine", False, 5)
    assert json.loads((tmp_path / "allure" / "executor.json").read_text())["reportName"] == "Mine"
    own.write_text("{name: Mine}")
    with pytest.raises(SystemExit):
        main(["allure", "--results", str(told.folder)])
    assert f"error: reports/templates/{CONFIGURATION} is no JSON: " in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_that_holds_something_else_is_left_alone(told, tmp_path, capsys):
    told.premortems()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.docx").touch()
    with pytest.raises(Missing, match=r"thesis\.docx, which Allure has not written"):
        write(told.folder, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.docx").exists()
    with pytest.raises(SystemExit):
        main(["allure", "--results", str(tmp_path)])
    assert "there is no journal in" in capsys.readouterr().err
