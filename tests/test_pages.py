"""A page stays one page: few lines, few knobs of its own, and a bar that stands in it and that no option moves."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES, MOST_KNOBS = 70, 12
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def _is_experiment(node):
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "experiment"
        for each in node.decorator_list
    )


def _span(node):
    return set(range(min(each.lineno for each in [node, *getattr(node, "decorator_list", [])]), node.end_lineno + 1))


def code_lines(text, page):
    """How many lines of a file are code: no docstring, comment, blank line, or other experiment than `page`."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= _span(node)
        if _is_experiment(node) and node.name != page:
            lines -= _span(node)
    return len(lines)


def knobs_in_bars(function):
    """Names of knobs that stand in a bar: on the right of an asserted comparison, in `within(...)` or in `Bar(...)`."""
    bars = []
    for asserted in (node for node in ast.walk(function) if isinstance(node, ast.Assert)):
        for node in ast.walk(asserted):
            if isinstance(node, ast.Compare):
                bars += node.comparators
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "within":
                bars += node.args
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Bar":
            bars += [*node.args, *(keyword.value for keyword in node.keywords)]
    named = {node.id for bar in bars for node in ast.walk(bar) if isinstance(node, ast.Name)}
    return named & {knob.arg for knob in function.args.kwonlyargs}


PAGES = [
    pytest.param(path.read_text(), node, id=f"{path.parent.name}/{path.name}::{node.name}")
    for path in sorted((ROOT / "hypotheses").rglob("test_*.py"))
    for node in ast.parse(path.read_text()).body
    if _is_experiment(node)
]


@pytest.mark.parametrize(("text", "page"), PAGES)
def test_a_page_has_few_lines_of_code(text, page):
    assert code_lines(text, page.name) <= MOST_LINES


@pytest.mark.parametrize(("text", "page"), PAGES)
def test_a_page_has_few_knobs_of_its_own(text, page):
    assert len(page.args.kwonlyargs) <= MOST_KNOBS


@pytest.mark.parametrize(("text", "page"), PAGES)
def test_a_bar_is_no_knob(text, page):
    assert not knobs_in_bars(page)


PAGE = '''"""A page."""

# A comment.


@experiment(id="X", claim="x", phase="x")
def test_x(model, evidence, *, depth=0.5, least=0.3, most=0.4):
    """What it does."""
    value = evidence.measure("x", model(depth))

    assert value > least
    assert worst([value.within(-most, 1), value < Bar(fails=depth)])


def helper():
    return 1


@experiment(id="Y", claim="y", phase="y")
def test_y(model): ...
'''


def test_lines_and_bars_are_found():
    function = next(node for node in ast.parse(PAGE).body if _is_experiment(node))
    assert code_lines(PAGE, "test_x") == 5 + 2
    assert knobs_in_bars(function) == {"least", "most", "depth"}
