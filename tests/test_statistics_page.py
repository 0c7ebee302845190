"""What docs/statistics.md says can be called, and its examples run."""

import importlib
import json
import re
from pathlib import Path

LAB = Path(__file__).parents[1] / "lab"
PAGE = (Path(__file__).parents[1] / "docs" / "statistics.md").read_text()


def example(name):
    return re.search(rf"<!-- {name} -->\n```python\n(.*?)```", PAGE, re.DOTALL).group(1)


def named():
    """module.function of every code span of the first table; a bare name belongs to the module before it."""
    table = PAGE.split("## What a verdict speaks of")[0]
    found = []
    for line in filter(lambda line: line.startswith("| ") and "`" in line, table.splitlines()):
        module = ""
        for span in re.findall(r"`([\w.]+)", line.split("|")[2]):
            before, _, name = span.rpartition(".")
            module = before or module
            name = f"consistency_{name.lstrip('_')}" if re.fullmatch(r"_v\d", name) else name
            if module != "estimate":
                found.append((module, name))
    return found


def test_every_function_that_is_named_is_there():
    for module, name in named():
        paths = [*LAB.glob(f"stats/{module}.py"), *LAB.glob(f"studies/*/{module}.py")]
        homes = [
            importlib.import_module(".".join(path.relative_to(LAB.parent).with_suffix("").parts)) for path in paths
        ]
        assert any(hasattr(home, name) for home in homes), f"{module}.{name}"
    assert len(named()) > 40


def test_the_checks_find_what_is_wrong_with_the_example():
    code = example("health")
    lines = [line for line in code.splitlines() if line.startswith("health.")]
    names: dict = {}
    exec(code, names)
    found = [eval(line, names) for line in lines]
    assert len(found) == 3
    assert not found[0].fatal
    assert "with power" in found[1].text
    assert 0.8 < found[2] < 0.9


def test_the_sequential_example_runs_on_an_organism(pytester, inner):
    pytester.makepyfile(test_refuses=example("sequential"))
    result = inner("-p", "no:cacheprovider", "--lab-models=clinic-llama", "--lab-set=most=200")
    result.assert_outcomes(passed=1)
    [cell] = json.loads((pytester.path / "results" / "statistics.json").read_text())
    assert 5 <= cell["reported"]["refusals: observations"] <= 200
    assert cell["population"] == "this model, on new items like these"


def test_the_active_learner_of_the_example_runs_on_an_organism(pytester, inner):
    pytester.makepyfile(test_likes=example("active"))
    result = inner("-p", "no:cacheprovider", "--lab-models=clinic-llama", "--lab-set=rounds=2")
    result.assert_outcomes(passed=1)
    [cell] = json.loads((pytester.path / "results" / "statistics.json").read_text())
    told = cell["reported"]
    assert told["n_iterations"] == 2
    assert told["total_comparisons"] == 2 * told["unique_pairs_queried"]
    assert told["ended"] == "rounds"
