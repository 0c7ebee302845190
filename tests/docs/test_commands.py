"""Every command in README and docs is run: here, or where it is named; or it needs what a test has not."""

import re
import shlex
import shutil

import pytest

from tests.docs.pages import PAGES, ROOT, blocks
from tests.named import functions

COMMANDS = sorted(
    {command for page in PAGES for block in blocks(page) if block.language == "console" for command in block.commands}
)
NEEDS = {
    r"git clone|cd |\. \.venv|export ": "surroundings of the reader's own",
    r"(\S*python -m )?pip install|make setup": "an index of packages",
    r"nvidia-smi|CUDA_VISIBLE_DEVICES|make gpu": "GPUs",
    r"docker|podman|sbatch|squeue|scancel|srun": "a container engine or a cluster",
    r"vllm serve": "vLLM and a GPU",
    r"lab data hellaswag": "a network",
    r"make (hypotheses|plan|test|report|docs|bench|lint|truths|kills|calibration)": "minutes; each is one command of those that are run",
}
"""What stands in the way of running a command here."""
LIKE = {
    r"pytest mine .*data=": "tests/data/test_fixture.py::test_a_changed_file_makes_the_cell_run_anew",
    r"pytest mine": "tests/docs/test_tutorial.py::test_the_tutorial_comes_to_what_it_says",
    r"pytest .*-k J1": "tests/plugin/test_judges.py::test_a_model_judges_its_failures_are_noted_and_a_second_run_asks_nothing",
    r"\S*lab check": "tests/studies/plan003/test_run.py::test_everything_needed_is_here_and_what_is_missing_is_named",
    r"lab new": "tests/test_wheel.py::test_a_new_project_runs_and_is_reported",
    r"lab run --help": "tests/studies/plan003/test_run.py::test_every_step_of_the_plan_answers_help_and_names_tests_that_exist",
    r"lab run": "tests/studies/plan003/test_run.py::test_a_step_runs_with_the_plans_flags_and_leaves_a_log",
    r"lab submit": "tests/commands/test_submit.py::test_three_jobs_of_which_one_is_killed_and_one_preempted_say_what_one_machine_says",
    r"lab compare": "tests/commands/test_compare.py::test_verdicts_estimates_and_settings_are_told",
    r"lab vectors": "tests/studies/ratings/test_vectors.py::test_the_command_shows_lengths_and_normalises",
    r"lab data": "tests/data/test_hub.py::test_after_refusals_the_rows_are_there_and_then_need_no_hub",
    r"lab organisms": "tests/studies/clinic/test_organisms.py::test_the_command_checks_and_refuses",
    r"lab report page": "tests/docs/test_tutorial.py::test_the_tutorial_comes_to_what_it_says",
    r"lab report html": "tests/views/test_html.py::test_without_node_the_page_takes_its_place_and_it_is_said",
    r"lab report allure": "tests/views/test_allure.py::test_a_folder_that_holds_something_else_is_left_alone",
    r"lab report log": "tests/views/test_log.py::test_an_entry_has_all_its_sections_and_every_number_links_to_its_run",
    r"lab report compare": "tests/studies/activations/test_compare_runs.py::test_two_runs_compare_offline_as_in_the_run",
    r"lab report pivot": "tests/studies/plan003/test_negative.py::test_a_new_plan_names_the_old_one",
    r"lab report oracle": "tests/studies/oracle/test_pages.py::test_every_picture_comes_from_the_file_alone",
    r"lab report preferences": "tests/studies/preferences/test_pages.py::test_position_content_and_utilities_share_their_questions_and_find_what_is_planted",
    r"lab report ratings": "tests/studies/ratings/test_pages_ratings_told.py::test_ratings_follow_what_the_rater_is_told",
    r"lab report changes": "tests/studies/ratings/test_pages_ratings_told.py::test_affective_prompts_alone_move_ratings",
    r"lab report direction": "tests/studies/plan003/test_directions.py::test_a_direction_has_its_own_tables_beside_those_of_all",
    r"lab report --run": "tests/views/test_tables.py::test_an_earlier_run_can_be_named",
    r"lab report( statistics)?": "tests/views/test_tables.py::test_statistics_go_to_one_file_and_nothing_else_does",
}
"""The test that runs a command's like."""
HERE = re.compile(r"(\S*python -m )?pytest hypotheses")


def reason(command, known):
    return next((told for form, told in known.items() if re.match(form, command)), None)


def collected(command):
    """Its arguments for a collection without workers, with organisms in the place of a hub's or an API's models."""
    words = iter(shlex.split(command.partition("pytest ")[2]))
    for word in words:
        if word == "-n":
            next(words)
        elif word == "--lab-models":
            models = next(words)
            yield from (word, models if "clinic" in models else "clinic-gpt2,clinic-llama")
        elif word == "--lab-load":
            next(words)
        elif word != "--lab-plan":
            yield word


@pytest.mark.parametrize("command", [c for c in COMMANDS if HERE.match(c) and not reason(c, LIKE)])
def test_a_run_of_hypotheses_finds_tests_and_knows_its_knobs(command, pytester, inner, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    pytester.syspathinsert(ROOT)
    for name in ("conftest.py", "pytest.ini"):
        shutil.copy(ROOT / name, pytester.path)
    shutil.copytree(ROOT / "hypotheses", pytester.path / "hypotheses", ignore=shutil.ignore_patterns("__pycache__"))
    result = inner(*collected(command), "--collect-only", "-q", "-p", "no:cacheprovider")
    assert result.ret == 0, result.stdout.str() + result.stderr.str()


def test_every_command_is_accounted_for():
    unknown = [c for c in COMMANDS if not (reason(c, NEEDS) or reason(c, LIKE) or HERE.match(c))]
    assert unknown == []


def test_every_test_that_is_named_is_there():
    for name in set(LIKE.values()):
        file, _, test = name.partition("::")
        assert test in functions(file), name
