"""A template of one's own goes by its name in a knob, and what its file holds is part of what determines the result."""

import pytest

SUITE = """
from lab.estimate import Estimate
from lab.plugin import experiment

@experiment(id="F", claim="c", phase="p")
def test_f(templates, evidence, *, template="stated_1_5", wordings=("do_again",)):
    asked = templates({asked})
    pair = templates.choice("Sort.", "Add.", wordings[0])
    evidence.rows("items", [{{"label": asked.label, "asked": asked.question(after=True), "pair": pair[0]["content"]}}])
    assert evidence.measure("x", Estimate(0.65, 0.6, 0.7, n=100, method="made")) > 0.55

def test_ordinary(templates):
    assert templates("anchored_1_5").values == (1, 2, 3, 4, 5)
"""


@pytest.fixture
def run(pytester, inner):

    def go(*arguments, text="Did {would} it?", wording="Which one?", asked="template"):
        (pytester.path / "my.yaml").write_text(f"mine: {{text: '{text}', range: [1, 3], tags: {{by: me}}}}\n")
        (pytester.path / "pairs.yaml").write_text(f"mine: '{wording}'\n")
        pytester.makepyfile(test_suite=SUITE.format(asked=asked))
        return inner("-p", "no:cacheprovider", *arguments)

    return go


def replayed(result):
    return "1 of 1 cells are unchanged and were taken from earlier runs" in result.stdout.str()


def test_a_changed_template_or_wording_makes_the_cell_run_anew(run):
    mine = ("--lab-set", "template=my.yaml:mine", "--lab-set", "wordings=pairs.yaml:mine")
    run(*mine).assert_outcomes(passed=2)
    assert replayed(run(*mine))
    for changed in ({"text": "How {would} it?"}, {"wording": "Which?"}):
        result = run(*mine, **changed)
        result.assert_outcomes(passed=2)
        assert not replayed(result)


def test_the_embedded_ones_need_no_knob_and_a_file_does(run):
    run().assert_outcomes(passed=2)
    assert replayed(run())
    result = run(asked='"my.yaml:mine"')
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*'my.yaml:mine' stands in no knob of this experiment*give the experiment a knob*"])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("gone.yaml:mine", "How?", "*gone.yaml: there is no such file; check the path*"),
        ("my.yaml:yours", "How?", "*no template 'my.yaml:yours'; there are mine*"),
        ("my.yaml:mine", "How {nice}?", "*my.yaml: mine: unknown placeholder {'nice'}; there are*"),
    ],
)
def test_what_is_wrong_with_it_is_one_line(run, name, text, said):
    result = run("--lab-set", f"template={name}", text=text)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([said])
