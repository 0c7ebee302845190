"""With --alluredir, Allure shows what the journal knows: killed workers, replayed cells, and what a test attached."""

import json
import re

import pytest

HEAD = """
import os
import signal
from pathlib import Path

import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

def seen(low=0.6, high=0.7):
    return Estimate((low + high) / 2, low, high, n=100, method="made")
"""
KILLED = (
    HEAD
    + """
@pytest.mark.parametrize("place", ["a", "b", "c", "d"])
@experiment(id="E", claim="it is high", phase="pre-mortems")
def test_e(place, evidence):
    evidence.control("it is sound", True)
    estimate = evidence.measure("x", seen())
    if place == "b" and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if place == "c":
        os.kill(os.getpid(), signal.SIGKILL)
    assert estimate > 0.55

def test_ordinary():
    pass
"""
)
SAID = (
    HEAD
    + """
import allure

@experiment(id="S", claim="it is high", phase="p")
def test_s(evidence):
    print("seen on the way")
    allure.attach("mine", name="my notes", attachment_type=allure.attachment_type.TEXT)
    allure.dynamic.link("https://example.org/mine", name="mine")
    with allure.step("my own step"):
        assert evidence.measure("x", seen()) > 0.55

@pytest.mark.slow
@experiment(id="B", claim="it is sound", phase="p")
def test_b(evidence):
    raise RuntimeError("no memory is left")
"""
)
INI = """
[pytest]
markers = slow
lab_owner = R. Searcher
lab_links =
    E*: plan of {experiment} https://example.org/{phase}#{experiment}
    S: https://example.org/s
"""


@pytest.fixture
def suite(pytester, inner):
    def make(body, *arguments):
        pytester.makefile(".ini", pytest=INI)
        pytester.makepyfile(test_suite=body)
        result = inner("-p", "no:cacheprovider", *arguments)
        return result, shown(pytester.path / "allure")

    return make


def shown(folder):
    """All results by cell, or by name; the tries of one cell oldest first."""
    found = {}
    for one in sorted(
        (json.loads(path.read_bytes()) for path in folder.glob("*-result.json")), key=lambda o: o["start"]
    ):
        found.setdefault(one["name"].partition(": ")[0], []).append(one)
    return found


def test_a_killed_workers_cells_are_all_there_and_so_is_every_try(suite, pytester):
    result, found = suite(KILLED, "-n2", "--alluredir=allure")
    assert result.parseoutcomes() == {"passed": 4, "errors": 1}
    assert {name: [one["status"] for one in tries] for name, tries in found.items()} == {
        "E[a]": ["passed"], "E[b]": ["broken", "passed"], "E[c]": ["broken", "broken"], "E[d]": ["passed"],
        "test_ordinary": ["passed"],
    }  # fmt: skip
    for tries in found.values():
        assert len({one["historyId"] for one in tries}) == 1
    assert re.fullmatch(
        r"Infrastructure: its worker gw\d ended \(signal 9\); run again, its worker gw\d ended \(signal 9\)",
        found["E[c]"][-1]["statusDetails"]["message"],
    )
    for name in ("E[a]", "E[b]", "E[d]"):
        one = found[name][-1]
        names = {attachment["name"] for attachment in one["attachments"]}
        assert {"numbers", "numbers as a table", "configuration", "reproduce"} <= names
        assert all((pytester.path / "allure" / a["source"]).is_file() for a in one["attachments"])
        assert [(step["name"], step["status"]) for step in one["steps"]] == [
            ("control: it is sound: holds", "passed"),
            ("claim: x > 0.55: x 0.65 [0.6, 0.7] (n=100, made) is above 0.55", "passed"),
        ]
        told = {label["name"]: label["value"] for label in one["labels"]}
        assert (told["owner"], told["severity"]) == ("R. Searcher", "critical")
        assert one["links"] == [{"type": "link", "name": "plan of E", "url": "https://example.org/pre-mortems#E"}]
    assert len({one["historyId"] for tries in found.values() for one in tries}) == 5


def test_a_replayed_cell_is_shown_as_it_was_and_says_where_it_is_from(suite, pytester):
    pytester.path.joinpath("died").touch()
    body = KILLED.replace('if place == "c":', "if False:")
    _, first = suite(body, "--alluredir=allure")
    (old,) = {p["value"] for tries in first.values() for one in tries for p in one.get("parameters", ()) if p["name"] == "run"}  # fmt: skip
    _, second = suite(body, "--alluredir=allure", "--clean-alluredir")
    for place in "abcd":
        (one,), (two,) = first[f"E[{place}]"], second[f"E[{place}]"]
        for part in ("historyId", "testCaseId", "status", "description"):
            assert one[part] == two[part]
        assert [step["name"] for step in one["steps"]] == [step["name"] for step in two["steps"]]
        told = {p["name"]: p["value"] for p in two["parameters"]}
        assert told["taken from"] == old != told["run"]
        assert {"name": "tag", "value": "taken from an earlier run"} in two["labels"]
    history = [json.loads(line) for line in (pytester.path / "allure" / "history.jsonl").read_text().splitlines()]
    assert [point["name"] for point in history] == [old]


def test_what_a_test_attached_linked_printed_and_is_marked_with_stays(suite, pytester):
    _, found = suite(SAID, "--alluredir=allure")
    (one,), (crashed,) = found["S"], found["B"]
    attached = {a["name"]: (pytester.path / "allure" / a["source"]).read_text() for a in one["attachments"]}
    assert attached["my notes"] == "mine"
    assert attached["stdout"] == "seen on the way\n"
    assert "numbers" in attached
    assert {link["url"] for link in one["links"]} == {"https://example.org/s", "https://example.org/mine"}
    assert [step["name"].partition(":")[0] for step in one["steps"]] == ["claim", "my own step"]
    assert {"name": "tag", "value": "slow"} in crashed["labels"]
    assert crashed["statusDetails"]["message"] == "Infrastructure: no memory is left"
    assert "RuntimeError: no memory is left" in crashed["statusDetails"]["trace"]


def test_a_link_without_an_address_is_one_line(pytester, inner):
    pytester.makefile(".ini", pytest="[pytest]\nlab_links =\n    PM*: the plan\n")
    result = inner("--co")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: lab_links = 'PM[*]: the plan': write EXPERIMENTS: NAME URL, as *"])
