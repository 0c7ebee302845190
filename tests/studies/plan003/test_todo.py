"""A plan's todos wait for one another: none begins before what it depends on is completed."""

from pathlib import Path

import pytest

from lab.__main__ import main
from lab.studies.plan003.steps import PlanError
from lab.studies.plan003.todo import read, write

ROOT = Path(__file__).parents[3]
PLAN = """---
name: AO resampling spread
overview: Add a new experiment that resamples generations, and produces diagnostic plots.
todos:
  - id: add_resampling_script
    content: Create `experiments/resampling/resampling.py` implementing data loading and JSON persistence.
    status: completed
  - id: add_judge_scoring
    content: Implement the judge call + strict JSON parsing.
    status: pending
    run: python -c "import sys; sys.exit(0)"
    dependencies:
      - add_resampling_script
  - id: add_plots
    content: Generate and save the three plots from `results.json`.
    status: pending
    dependencies:
      - add_judge_scoring
---

# Activation Oracle resampling experiment

---
The end.
"""


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.md"
    path.write_text(PLAN)
    return path


def statuses(path):
    return [todo.status for todo in read(path).todos]


def test_a_plan_is_read_and_written_back_with_its_text(plan):
    found = read(plan)
    assert found.name == "AO resampling spread"
    assert found.overview.startswith("Add a new experiment")
    assert [todo.id for todo in found.todos] == ["add_resampling_script", "add_judge_scoring", "add_plots"]
    assert [todo.dependencies for todo in found.todos] == [(), ("add_resampling_script",), ("add_judge_scoring",)]
    write(plan, found)
    assert read(plan) == found
    assert plan.read_text().endswith(PLAN.partition("---\n\n")[2])


def test_nothing_begins_before_what_it_depends_on_is_completed(plan, capfd):
    before = plan.read_bytes()
    for flags in ([], ["--status", "in_progress"], ["--status", "completed"]):
        assert main(["todo", str(plan), "add_plots", *flags]) == 2
        told = capfd.readouterr().err
        assert "add_judge_scoring must be completed first" in told
        assert told.count("\n") == 1
    assert plan.read_bytes() == before
    assert main(["todo", str(plan), "add_judge_scoring"]) == 0
    assert statuses(plan) == ["completed", "completed", "pending"]
    assert main(["todo", str(plan), "add_plots"]) == 2
    assert "it has no command" not in capfd.readouterr().out
    assert main(["todo", str(plan), "add_plots", "--status", "completed"]) == 0
    assert statuses(plan) == ["completed"] * 3


def test_a_command_that_fails_completes_nothing_and_its_exit_code_is_kept(plan):
    plan.write_text(PLAN.replace("sys.exit(0)", "sys.exit(3)"))
    assert main(["todo", str(plan), "add_judge_scoring"]) == 3
    assert statuses(plan) == ["completed", "pending", "pending"]


@pytest.mark.parametrize("flags", [[], ["--status", "pending"], ["--status", "cancelled"]])
def test_what_depends_on_a_todo_that_is_done_again_is_to_be_done_anew(plan, flags):
    for todo in ("add_judge_scoring", "add_plots"):
        assert main(["todo", str(plan), todo, "--status", "completed"]) == 0
    assert main(["todo", str(plan), "add_judge_scoring", *flags]) == 0
    assert statuses(plan) == ["completed", flags[-1] if flags else "completed", "pending"]
    assert main(["todo", str(plan), "add_resampling_script", "--status", "pending"]) == 0
    assert statuses(plan)[0] == "pending"
    assert "completed" not in statuses(plan)


@pytest.mark.parametrize(
    ("run", "said"),
    [("no-such-program --now", "runs no-such-program, which is not here"), ("python 'x", "cannot be read")],
)
def test_a_command_that_cannot_be_run_begins_nothing(plan, run, said, capsys):
    plan.write_text(PLAN.replace('python -c "import sys; sys.exit(0)"', run))
    before = plan.read_bytes()
    assert main(["todo", str(plan), "add_judge_scoring"]) == 2
    assert said in capsys.readouterr().err
    assert plan.read_bytes() == before


def test_a_plan_shows_how_far_it_is(plan, capsys):
    assert main(["todo", str(plan)]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("AO resampling spread: Add a new")
    assert rest[0].split()[:2] == ["completed", "add_resampling_script:"]
    assert "add_plots (after add_judge_scoring)" in rest[2]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("---\nname", "name", "has no front matter"),
        ("overview:", "about:", "needs name, overview and todos"),
        ("id: add_plots", "id: add_judge_scoring", "stands there twice"),
        ("      - add_judge_scoring", "      - nobody", "depends on 'nobody', which is not there"),
        ("status: completed", "status: done", "has the status 'done'; write one of pending"),
        (
            "status: completed",
            "status: completed\n    dependencies: [add_plots]",
            "on which it depends, is not completed",
        ),
        ("status: completed", "status: pending\n    dependencies: [add_plots]", "wait for one another"),
        ("    content: Generate", "    does: Generate", "todo 2 needs an id and a content"),
        ("status: completed", "status: completed\n    owner: me", "has 'owner'; a todo has"),
        ("todos:", "todos: [", "is no YAML"),
    ],
)
def test_a_plan_that_contradicts_itself_is_one_line(plan, old, new, said):
    plan.write_text(PLAN.replace(old, new, 1))
    with pytest.raises(PlanError, match=said) as error:
        read(plan)
    assert "\n" not in str(error.value)


def test_the_shipped_plan_begins_with_what_it_costs():
    shipped = read(ROOT / "hypotheses" / "oracle" / "plan.md")
    first, *later = shipped.todos
    assert first.run.endswith("--lab-plan")
    assert all(todo.dependencies for todo in later)


def test_what_is_not_there_is_one_line(tmp_path, plan, capsys):
    assert main(["todo", str(tmp_path / "none.md")]) == 2
    assert main(["todo", str(plan), "nothing"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "No such file" in first
    assert "there are add_resampling_script, add_judge_scoring, add_plots" in second
