"""One line below pytest's own output says what a run is doing; nothing of pytest's is lost, and pipes see nothing."""

import re
import sys
from functools import cache

import pytest

from lab.subjects import load, operations
from tests.plugin.terminal import Screen, run

SUITE = """
import time
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment
from lab.subjects import operations

def seen(low, high):
    return Estimate((low + high) / 2, low, high, n=100, method="made")

@pytest.mark.parametrize("layer", [1, 2, 3])
@experiment(id="{id}", claim="it is high", phase="test")
def test_layers(evidence, layer):
    with operations.of("capture", total=40, unit="prompts") as advance:
        for _ in range(20):
            time.sleep(0.015)
            advance(2)
    assert evidence.measure("x", seen(0.6, 0.7) if layer < 3 else seen(0.3, 0.4)) > 0.55

@pytest.mark.parametrize("i", range(20))
def test_ordinary(i):
    print("not to be seen")
"""
DRAWN = re.compile(r"\x1b7\x1b\[1E\x1b\[2K(.*?)\x1b8")
VARIES = re.compile(r"\d+\.\d\ds|\[gw\d\]|\d+/2 workers|0x[0-9a-f]+")


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Runs the suite in a terminal; equal runs are made once."""
    home = tmp_path_factory.mktemp("suite")
    for name in ("ONE", "TWO"):
        (home / f"test_{name.lower()}.py").write_text(SUITE.replace("{id}", name))

    @cache
    def started(options, rows, environment):
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--tb=line",
            "--rootdir=.",
            "--lab-cache=off",
            *options,
        ]
        return run(command, folder=home, rows=rows, columns=90, **dict(environment))

    return lambda *options, rows=12, **environment: started(options, rows, tuple(environment.items()))


@pytest.mark.parametrize("options", [(), ("-v",)], ids=["short", "verbose"])
def test_the_line_tells_cell_operation_and_the_whole(suite, options):
    out, status = suite(*options)
    assert status == 1
    lines = DRAWN.findall(out)
    first = r"0 of 46 done in 00:00 \| ONE\[1\] capture \d+/40 \[00:00<00:0\d, +\d+\.\d\d prompts/s\]"
    later = r"2[3-5] of 46 done in 00:0\d, 2[2-4] PASS, 1 FAIL, 00:0\d left \| TWO\[[123]\] capture \d+/40 "
    assert [line for line in lines if re.fullmatch(first, line)]
    assert [line for line in lines if re.match(later, line)]
    assert max(map(len, lines)) < 90
    assert lines[-1] == ""  # cleared


@pytest.mark.parametrize("options", [(), ("-v",)], ids=["short", "verbose"])
def test_pytests_own_output_is_what_it_would_be(suite, options):
    (with_line, _), (without, _) = suite(*options), suite(*options, "-p", "no:lab-progress")
    assert DRAWN.search(with_line)
    assert not DRAWN.search(without)
    shown, plain = (VARIES.sub("", Screen(12, 90).feed(out).text()) for out in (with_line, without))
    assert plain == shown


@pytest.mark.parametrize("options", [(), ("-v",), ("-n2",)], ids=["short", "verbose", "xdist"])
def test_at_any_moment_the_line_stands_alone_below_the_output(suite, options):
    """The stream is cut at every drawing: above the line pytest's own text, below it nothing."""
    screen, seen = Screen(12, 90), 0
    for part in re.split(r"(?<=\x1b8)", suite(*options)[0]):
        screen.feed(part)
        drawn = DRAWN.search(part)
        if drawn and drawn[1]:
            seen += 1
            assert [line for line in screen.lines[screen.row + 1 :] if line] == [drawn[1]]
            assert not [line for line in screen.lines[: screen.row + 1] if " done in " in line]
    assert seen > 3


def test_under_xdist_the_controller_tells_the_whole(suite):
    out, status = suite("-n2")
    assert status == 1
    lines = [line for line in DRAWN.findall(out) if line]
    told = r"[1-9]\d* of 46 done in 00:0\d(, \d+ PASS)?(, \d FAIL)?, 00:0\d left"
    assert [line for line in lines if re.fullmatch(told, line)]
    assert not [line for line in lines if "|" in line]
    assert Screen(12, 90).feed(out).text().splitlines()[-1].startswith("=====")
    assert "not to be seen" not in out


@pytest.mark.parametrize(
    ("options", "environment"),
    [(("-qq",), {}), (("-s",), {}), ((), {"TERM": "dumb"}), ((), {"CI": "true"})],
    ids=["quiet", "uncaptured", "dumb", "ci"],
)
def test_where_nobody_looks_nothing_is_drawn(suite, options, environment):
    out, _ = suite("test_one.py::test_layers[1]", *options, **environment)
    assert "\x1b7" not in out


def test_a_pipe_sees_not_a_byte(pytester):
    pytester.makepyfile(SUITE)
    outputs = [
        pytester.runpytest_subprocess("-k", "layers and 1", "--lab-cache=off", *more)
        for more in ((), ("-p", "no:lab-progress"))
    ]
    one, two = (VARIES.sub("", result.stdout.str() + result.stderr.str()) for result in outputs)
    assert one == two


def test_long_work_says_how_far_it_is():
    """Every long operation of a subject, as its first block sees it. No prompt fits beside another one."""
    found, subject, prompts = [], load("clinic-gpt2"), ["Patient Gresten takes"] * 6
    subject.tokens_per_batch = 4
    look = subject.blocks[0].register_forward_pre_hook(lambda *_: found.append(told(operations.current())))
    for work, first, last in (
        (lambda: subject.capture(prompts, at=subject.resid_post(0)), "capture 0/6 prompts", "capture 5/6 prompts"),
        (lambda: subject.choose(prompts, [" A", " B"]), "choose 0/6 prompts", "choose 5/6 prompts"),
        (lambda: subject.chat(prompts, max_new_tokens=1), "generate 0/6 prompts", "generate 5/6 prompts"),
        (lambda: subject.patch_sweep(prompts, prompts), "patch sweep 0/24 patches", "patch sweep 20/24 patches"),
    ):
        found.clear()
        work()
        known = list(filter(None, found))
        assert (known[0], known[-1]) == (first, last)
        assert operations.current() is None
    look.remove()


def told(operation):
    return operation and f"{operation.label} {operation.done}/{operation.total} {operation.unit}"
