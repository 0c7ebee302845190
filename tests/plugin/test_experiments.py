"""Knobs, subjects, controls and the notebook, as an author meets them. Organisms stand in for any model."""

import json
import re
import textwrap

import pytest

from lab.plugin import experiment
from lab.plugin.experiment import experiment_of
from lab.subjects.names import folder
from lab.subjects.names import organisms as names

HEAD = """
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

def seen(low=0.6, high=0.7):
    return Estimate((low + high) / 2, low, high, n=100, method="made")
"""


@pytest.fixture
def suite(pytester, inner):
    def make(body, *arguments):
        pytester.makepyfile(test_suite=HEAD + body)
        return inner(*arguments)

    return make


def statistics(pytester):
    return json.loads((pytester.path / "results" / "statistics.json").read_text())


KNOBS = """
@experiment(id="A", claim="c", phase="p")
def test_a(evidence, *, n=3, depth=0.5, name="x", exact=False, layers=(1, 2)):
    evidence.report(values=[n, depth, name, exact, list(layers)])
    assert evidence.measure("x", seen()) > 0.55

@experiment(id="B", claim="c", phase="p")
def test_b(evidence, *, n=7):
    evidence.report(values=[n])
    assert evidence.measure("x", seen()) > 0.55
"""


def test_knobs_take_the_type_of_their_default(suite, pytester):
    result = suite(KNOBS, "--lab-set", "n=20", "--lab-set", "A.depth=1", "--lab-set", "A.exact=yes",
                   "--lab-set", "layers=4,5,6", "--lab-set", "B.n=9", "--lab-set", "name=y=z")  # fmt: skip
    result.assert_outcomes(passed=2)
    a, b = statistics(pytester)
    assert a["reported"]["values"] == [20, 1.0, "y=z", True, [4, 5, 6]]
    assert b["reported"]["values"] == [9]
    assert b["knobs"] == {"n": 9}


def test_knobs_may_stand_in_the_ini_file(suite, pytester):
    pytester.makeini("[pytest]\nlab_set =\n    n=11\n    A.depth=0.25\n")
    suite(KNOBS, "--lab-set", "B.n=12").assert_outcomes(passed=2)
    a, b = statistics(pytester)
    assert (a["knobs"]["n"], a["knobs"]["depth"], b["knobs"]["n"]) == (11, 0.25, 12)


KNOB_ERRORS = [
    ("m=3", "--lab-set: no knob m; known knobs: A.depth, A.exact, A.layers, A.n, A.name, B.n"),
    ("B.depth=3", "--lab-set: no knob B.depth; known knobs: *"),
    ("n=many", "--lab-set: knob A.n takes a whole number (its default is 3), not 'many'"),
    ("n=2.5", "--lab-set: knob A.n takes a whole number (its default is 3), not '2.5'"),
    ("depth=deep", "--lab-set: knob A.depth takes a number (its default is 0.5), not 'deep'"),
    ("exact=perhaps", "--lab-set: knob A.exact takes true or false, not 'perhaps'"),
    ("n", "--lab-set n: write KNOB=VALUE, or EXPERIMENT.KNOB=VALUE"),
]
MODEL_ERRORS = [
    (
        "no-such-model",
        "*'no-such-model'*check the*Organisms: clinic-gemma, clinic-gpt2, clinic-llama, clinic-neox, clinic-opt",
    ),
    ("./nowhere", "*there is no folder ./nowhere; check the path*"),
    ("a/b/c", "*'a/b/c' is neither a folder nor a hub name*"),
    ("empty", "*the folder empty has no config.json*"),
    ("weightless", "*the folder weightless has no weights (*"),
    (",", "--lab-models names no model*"),
]


def only_error(result, pytester):
    """The one line by which a run was refused before anything was done."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.outlines + result.errlines if line.startswith("ERROR: ")]
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert not (pytester.path / "results").exists()
    return pytest.LineMatcher([line.removeprefix("ERROR: ")])


@pytest.mark.parametrize(("given", "said"), KNOB_ERRORS)
def test_a_bad_knob_is_one_line_and_nothing_is_done(suite, pytester, given, said):
    only_error(suite(KNOBS, "--lab-set", given), pytester).fnmatch_lines([said])


@pytest.mark.parametrize(("name", "said"), MODEL_ERRORS)
def test_a_model_that_is_not_there_is_one_line(suite, pytester, name, said):
    (pytester.path / "empty").mkdir()
    (pytester.path / "weightless").mkdir()
    (pytester.path / "weightless" / "config.json").write_bytes((folder("clinic-gpt2") / "config.json").read_bytes())
    only_error(suite(KNOBS, "--lab-models", name), pytester).fnmatch_lines([said])


@pytest.mark.parametrize(("option", "error"), [("--lab-set", KNOB_ERRORS[0]), ("--lab-models", MODEL_ERRORS[0])])
def test_workers_say_it_once_too(suite, pytester, option, error):
    """Knobs are held against what was collected, which workers do; models are looked up before."""
    given, said = error
    only_error(suite(KNOBS, option, given, "-n2"), pytester).fnmatch_lines([said])


def test_an_incomplete_checkpoint_is_one_line_and_the_others_run(suite, pytester):
    """A folder whose weights cannot be read passes the first look; its cell is INVALID, in one line."""
    import shutil

    shutil.copytree(folder("clinic-gpt2"), pytester.path / "torn")
    weights = pytester.path / "torn" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    result = suite(MODEL, "--lab-models", "torn,clinic-opt")
    assert result.parseoutcomes() == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(["ERROR: cannot load torn: *"])
    assert "Traceback" not in result.stdout.str()
    assert {c["subject"]: c["verdict"] for c in statistics(pytester)} == {"torn": "INVALID", "clinic-opt": "PASS"}


MODEL = """
@experiment(id="M", claim="c", phase="p")
def test_m(model, evidence):
    read = model.capture(["Patient Gresten"], at=model.resid_post(0.5))
    evidence.report(shape=read.array.shape, name=model.name)
    assert evidence.measure("x", seen()) > 0.55
"""


def test_how_a_model_had_to_be_run_is_written_down(suite, pytester):
    body = """
    import torch

    @experiment(id="N", claim="c", phase="p")
    def test_n(model, evidence):
        def fail(_module, args):
            if len(args[0]) > 3:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

        handle = model.blocks[0].register_forward_pre_hook(fail)
        model.capture(["Patient Gresten"] * 8, at=model.resid_post(0.5))
        handle.remove()
        assert evidence.measure("x", seen()) > 0.55
    """
    suite(textwrap.dedent(body), "--lab-models", "clinic-gpt2").assert_outcomes(passed=1)
    note = "clinic-gpt2: out of memory with 8 prompts of 2 tokens in a batch; went on with 4"
    assert f"- Note: {note}" in (pytester.path / "results" / "p" / "n_summary.md").read_text()
    (found,) = json.loads((pytester.path / "results" / "p" / "n_results.json").read_text())
    assert note in found["notes"]
    assert "notes" not in statistics(pytester)[0]  # equal runs give equal bytes, on whatever machine


def test_each_model_is_a_test_id(suite, pytester):
    result = suite(MODEL, "-v")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines([f"*test_m[[]{name}[]] PASSED*" for name in names()])
    assert [c["reported"]["shape"] for c in statistics(pytester)] == [[1, 1, 128]] * 5
    result = suite(MODEL, "-v", "--lab-models", f"{folder('clinic-opt')},untrained:clinic-gpt2")
    result.assert_outcomes(passed=2)
    assert statistics(pytester)[1]["reported"]["name"] == "untrained:clinic-gpt2"


def test_models_may_stand_in_the_ini_file(suite, pytester):
    pytester.makeini("[pytest]\nlab_models = clinic-opt, clinic-gpt2\n")
    suite(MODEL).assert_outcomes(passed=2)


def test_ordinary_tests_may_use_the_model(pytester, inner):
    pytester.makepyfile("def test_plain(model): assert model.n_layers == 4")
    inner("--lab-models", "clinic-opt").assert_outcomes(passed=1)


def test_a_project_may_have_a_model_fixture_of_its_own(pytester, inner):
    pytester.makepyfile(
        """
        import pytest
        @pytest.fixture(params=["mine", "too"])
        def model(request): return request.param
        def test_plain(model): assert model in ("mine", "too")
        """
    )
    inner().assert_outcomes(passed=2)


def test_pairs_and_twins_are_cells(suite, pytester):
    result = suite(
        """
@experiment(id="P", claim="c", phase="p", negative={"untrained": "knows nothing"})
def test_pair(model, other_model, evidence):
    twin = other_model.name.startswith("untrained:")
    assert evidence.measure("x", seen(0.1, 0.2) if twin else seen()) > 0.55
"""
    )
    result.assert_outcomes(passed=10, xfailed=10)
    cells = statistics(pytester)
    assert sum(c["negative"] is not None and c["verdict"] == "FAIL" for c in cells) == 10
    assert "clinic-gpt2 x untrained:clinic-opt" in {c["subject"] for c in cells}


def test_a_control_is_a_cell_where_an_experiment_names_it(suite, pytester):
    body = """
@experiment(id="C", claim="c", phase="p", negative={"clinic-shuffled": "it was told other facts"})
def test_c(model, evidence):
    assert evidence.measure("x", seen(0.1, 0.2) if model.name == "clinic-shuffled" else seen()) > 0.55
"""
    suite(body).assert_outcomes(passed=5, xfailed=1)
    assert statistics(pytester)[-1]["subject"] == "clinic-shuffled"
    suite(body, "--lab-models", "clinic-opt").assert_outcomes(passed=1)
    suite(body, "--lab-models", "clinic-shuffled").assert_outcomes(xfailed=1)


def test_a_pair_needs_two_models(suite):
    result = suite(
        """
@experiment(id="P", claim="c", phase="p")
def test_pair(model, other_model, evidence): pass
""",
        "--lab-models", "clinic-opt", "-rs",
    )  # fmt: skip
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*it compares two models; name another one in --lab-models"])


def test_a_negative_control_that_passes_is_a_failure(suite):
    result = suite(
        """
@experiment(id="N", claim="c", phase="p", negative={"clinic-opt": "planted"})
def test_n(model, evidence):
    assert evidence.measure("x", seen()) > 0.55
"""
    )
    assert result.parseoutcomes() == {"passed": 4, "failed": 1}
    result.stdout.fnmatch_lines(["*XPASS(strict)* negative control: planted"])


def test_a_negative_control_with_a_broken_control_is_an_error(suite):
    result = suite(
        """
@experiment(id="N", claim="c", phase="p", negative={"clinic-opt": "planted"})
def test_n(model, evidence):
    evidence.control("sound", False)
    assert evidence.measure("x", seen(0.1, 0.2)) > 0.55
"""
    , "--lab-models", "clinic-opt")  # fmt: skip
    assert result.parseoutcomes() == {"errors": 1}


BODIES = {
    "a control that fails": ("evidence.control('c', seen().within(0, 0.1))\n    assert evidence.measure('x', seen()) > 0.5", "broken control: 'c': 0.65 * is outside (0, 0.1)"),
    "a false control in a failing cell": ("evidence.control('c', False)\n    assert evidence.measure('x', seen()) > 0.9", "broken control: 'c': does not hold"),
    "a false control in an undecided cell": ("evidence.control('c', False)\n    assert evidence.measure('x', seen()) > 0.65", "broken control: 'c': does not hold"),
    "no bar": ("evidence.measure('x', seen())", "nothing was held against a bar; *"),
    "no assert": ("evidence.measure('x', seen()) > 0.9", "a claim came to FAIL or INCONCLUSIVE but was not asserted*"),
    "a plain assertion after a refuted claim": ("claim = evidence.measure('x', seen()) > 0.9\n    assert 1 == 2", "an assertion that is no verdict failed: *"),
    "an undecided estimate that was not measured": ("assert seen() > 0.65", "an estimate was held against a bar, but not measured: *"),
    "a skip after a broken control": ("evidence.control('c', False)\n    pytest.skip('no')", "broken control: 'c': does not hold"),
    "a plain assertion": ("evidence.measure('x', seen())\n    assert 1 == 2", "an assertion that is no verdict failed: *"),
    "an empty prompt list": ("model.capture([], at=model.resid_post())", "the list of prompts is empty; *"),
    "a prompt too long": ("model.choose(['Sort ' * 600], ['A', 'B'])", "prompt 0 has * tokens, but the model's context is 256; *"),
}  # fmt: skip


def test_what_is_unsound_is_invalid_in_one_line(suite, pytester):
    body = "".join(
        f"""
@experiment(id="E{i}", claim="c", phase="p")
def test_e{i}(model, evidence):
    {code}
"""
        for i, (code, _) in enumerate(BODIES.values())
    )
    result = suite(body, "--lab-models", "clinic-opt")
    assert result.parseoutcomes() == {"errors": len(BODIES)}
    assert result.ret == 1
    for i, (_, said) in enumerate(BODIES.values()):
        result.stdout.fnmatch_lines([f"INVALID E{i}[[]clinic-opt[]]: {said}"])
    assert {c["verdict"] for c in statistics(pytester)} == {"INVALID"}
    assert "Traceback" not in result.stdout.str()
    result.stdout.no_fnmatch_line("*PromptError*lab/subjects*")


def test_a_twin_may_be_named_by_hand(suite, pytester):
    result = suite(
        """
@experiment(id="N", claim="c", phase="p", negative={"untrained": "knows nothing"})
def test_n(model, evidence):
    assert evidence.measure("x", seen(0.1, 0.2) if model.name.startswith("untrained:") else seen()) > 0.55
""",
        "--lab-models", "clinic-opt,untrained:clinic-opt",
    )  # fmt: skip
    result.assert_outcomes(passed=1, xfailed=1)


def test_an_undecided_negative_control_is_said_loudly(suite):
    result = suite(
        """
@experiment(id="N", claim="c", phase="p", negative={"clinic-opt": "planted"})
def test_n(model, evidence):
    assert evidence.measure("x", seen(0.5, 0.6)) > 0.55
""",
        "--lab-models", "clinic-opt",
    )  # fmt: skip
    assert result.parseoutcomes() == {"inconclusive": 1}
    result.stdout.fnmatch_lines(
        ["*INCONCLUSIVE (negative control, not refuted)", "NOT REFUTED N[[]clinic-opt[]]: planted"]
    )


def test_only_our_own_marks_make_a_negative_control(suite, pytester):
    result = suite(
        """
@pytest.mark.xfail(False, reason="only on windows")
@experiment(id="W", claim="c", phase="p")
def test_w(evidence):
    assert evidence.measure("x", seen(0.1, 0.2)) > 0.55
"""
    )
    assert result.parseoutcomes() == {"failed": 1}
    assert statistics(pytester)[0]["negative"] is None


def test_a_fault_outside_the_test_is_invalid_and_the_others_run(suite, pytester):
    """A failing assertion in a fixture is no refutation, and a fault in teardown takes a PASS back."""
    result = suite(
        """
@pytest.fixture
def wrong():
    assert 1 == 2

@pytest.fixture
def leaky():
    yield
    raise RuntimeError("not cleaned")

@experiment(id="S", claim="c", phase="p")
def test_s(evidence, wrong): pass

@experiment(id="T", claim="c", phase="p")
def test_t(evidence, leaky):
    assert evidence.measure("x", seen()) > 0.55

@experiment(id="Z", claim="c", phase="p")
def test_z(evidence):
    assert evidence.measure("x", seen()) > 0.55
""",
        "--alluredir=allure",
    )
    assert result.parseoutcomes() == {"passed": 2, "errors": 2}
    assert {c["cell"]: c["verdict"] for c in statistics(pytester)} == {"S": "INVALID", "T": "INVALID", "Z": "PASS"}
    assert "INTERNALERROR" not in result.stdout.str()
    shown = [json.loads(path.read_text()) for path in (pytester.path / "allure").glob("*-result.json")]
    assert all("**Verdict**" in one["description"] for one in shown)


def test_a_knob_that_cannot_be_recorded_is_one_line(suite):
    result = suite(
        """
@experiment(id="K", claim="c", phase="p")
def test_k(evidence, *, layers=slice(0, None, 2)): pass
"""
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: a knob of K cannot be recorded: slice(0, None, 2) (slice)*"])


def test_a_standing_knob_does_not_forbid_other_files(suite, pytester):
    pytester.makeini("[pytest]\nlab_set =\n    ELSEWHERE.n=11\n")
    suite(KNOBS).assert_outcomes(passed=2)


def test_results_may_be_named_in_the_ini_file(suite, pytester):
    pytester.makeini("[pytest]\nlab_results = out/here\n")
    suite(KNOBS, "-n1").assert_outcomes(passed=2)
    assert (pytester.path / "out" / "here" / "summary_table.md").is_file()
    assert not (pytester.path / "results").exists()


def test_parameters_of_a_cell_stand_in_the_table(suite):
    result = suite(
        """
@pytest.mark.parametrize("layer", [0, 1])
@experiment(id="L", claim="c", phase="p")
def test_l(evidence, layer):
    assert evidence.measure("x", seen()) > 0.55
"""
    )
    result.stdout.fnmatch_lines(["L * layer=0 * x 0.65 *", "L * layer=1 * x 0.65 *"])


def test_an_undecided_control_is_noted_and_does_no_harm(suite):
    result = suite(
        """
@experiment(id="U", claim="c", phase="p")
def test_u(evidence):
    evidence.control("nearly", seen(0.4, 0.6).within(0.45, 0.55))
    assert evidence.measure("x", seen()) > 0.55
"""
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["undecided control in U: nearly: 0.5 [[]0.4, 0.6[]]*"])


def test_a_refuted_claim_explains_itself(suite):
    result = suite(
        """
@experiment(id="F", claim="c", phase="p")
def test_f(evidence):
    assert evidence.measure("AUROC", seen(0.3, 0.4)) > 0.55
"""
    )
    result.stdout.fnmatch_lines(["E * AUROC 0.35 [[]0.3, 0.4[]] (n=100, made) is not above 0.55"])


def test_plots_and_numbers_reach_the_results_and_allure(suite, pytester):
    result = suite(
        """
@experiment(id="PLOT", claim="a line is drawn", phase="drawing")
def test_plot(model, evidence):
    import numpy as np
    evidence.plot("line", lambda ax: ax.plot([0, 1], [0, 1]))
    evidence.report(share=np.float32(0.5), list=np.arange(3), other=seen())
    assert evidence.measure("x", seen()) > 0.55
""",
        "--alluredir=allure", "--lab-models", "clinic-opt", "--lab-results", "elsewhere",
    )  # fmt: skip
    result.assert_outcomes(passed=1)
    picture = pytester.path / "elsewhere" / "plots" / "PLOT" / "PLOT-clinic-opt" / "line.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not list(picture.parent.glob("*.tmp"))
    assert not (pytester.path / "results").exists()
    (cell,) = json.loads((pytester.path / "elsewhere" / "statistics.json").read_text())
    assert cell["reported"]["share"] == 0.5
    assert cell["reported"]["list"] == [0, 1, 2]
    assert cell["reported"]["other"]["low"] == 0.6

    (shown,) = (json.loads(path.read_text()) for path in (pytester.path / "allure").glob("*-result.json"))
    labels = {label["name"]: label["value"] for label in shown["labels"]}
    assert (labels["epic"], labels["feature"], labels["story"]) == ("drawing", "PLOT", "a line is drawn")
    assert "**Verdict**: PASS" in shown["description"]
    assert "**Bar**: x > 0.55" in shown["description"]
    attached = {a["name"]: (pytester.path / "allure" / a["source"]).read_bytes() for a in shown["attachments"]}
    assert attached["line"] == picture.read_bytes()
    assert json.loads(attached["numbers"])["measures"][0]["estimate"]["low"] == 0.6
    assert {"name": "model", "value": "clinic-opt", "excluded": True} in shown["parameters"]


def test_two_experiments_of_one_id_are_refused(suite, pytester):
    result = suite(
        """
@experiment(id="A", claim="c", phase="p")
def test_one(evidence): pass

@experiment(id="A", claim="c", phase="p")
def test_two(evidence): pass
"""
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: two experiments have the id 'A'*"])


def test_evidence_outside_an_experiment_says_what_to_do(suite):
    result = suite("def test_plain(evidence): pass")
    result.stdout.fnmatch_lines(["*is no experiment; decorate it with @experiment*"])


def test_every_flag_has_a_help_line_and_names_its_ini_twin(inner):
    """What holds for a project has a twin; what holds for one run has none."""
    flags, settings = inner("--help").stdout.str().split("[pytest] configuration options", 1)
    shown = {part.split()[0].split("=")[0]: " ".join(part.split()) for part in re.split(r"\n  (?=--lab-)", flags)[1:]}
    twins = {flag for flag, text in shown.items() if f"[ini: {flag[2:].replace('-', '_')}]" in text}
    assert twins == {f"--lab-{name}" for name in "models set load inconclusive results seeds cache force".split()}
    assert shown.keys() - twins == {f"--lab-{name}" for name in "sweep resume freeze plan dry-run supersedes".split()}
    inis = set(re.findall(r"\n  (lab_\w+)", settings))
    assert inis == {flag[2:].replace("-", "_") for flag in twins} | {
        "lab_refuted",
        "lab_owner",
        "lab_links",
        "lab_studies",
    }


def test_how_models_are_loaded_is_one_flag(suite, pytester):
    body = MODEL.replace("evidence.report(", "evidence.report(dtype=str(model.model.dtype), ")
    pytester.makeini("[pytest]\nlab_load =\n    dtype=float16\n")
    arguments = ("--lab-models", "clinic-gpt2,untrained:clinic-gpt2", "--lab-load", "dtype=bfloat16")
    suite(body, *arguments, "--lab-load", "device=cpu").assert_outcomes(passed=2)
    assert [cell["reported"]["dtype"] for cell in statistics(pytester)] == ["torch.bfloat16"] * 2
    assert "- Note: --lab-load dtype=bfloat16" in (pytester.path / "results" / "p" / "m_summary.md").read_text()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("speed=fast", "*--lab-load speed=fast: write KEY=VALUE with one of device, dtype, quantize,*"),
        ("dtype", "*--lab-load dtype: write KEY=VALUE*"),
        ("retries=many", "*--lab-load retries=many: 'many' is no int*"),
    ],
)
def test_a_flag_that_load_does_not_take_is_a_usage_error(suite, asked, said):
    result = suite(MODEL, "--lab-load", asked)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


def test_a_model_behind_an_api_without_a_key_is_refused_before_anything_is_loaded(suite, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    result = suite(MODEL, "--lab-models", "openai:gpt-5-mini")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*openai:gpt-5-mini cannot be asked: OPENAI_API_KEY is not set*"])


def test_a_model_behind_an_api_has_no_activations(suite, pytester):
    """Nothing is sent: no server listens at that address."""
    result = suite(MODEL, "--lab-models", "openai:any", "--lab-load", "base_url=http://localhost:9/v1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*openai:any is behind an API, which gives answers and no activations*"])


@pytest.mark.parametrize("negative", ["untrained", ["untrained"], ("untrained",)])
def test_an_untrained_twin_needs_no_reason(negative):
    declare = experiment(id="A", claim="c", phase="p", negative=negative)
    reasons = {"untrained": "a twin with fresh weights knows nothing of this"}
    assert experiment_of(declare(lambda: None)).negative == reasons


def test_a_reason_of_ones_own_stands():
    reasons = {"untrained": "it has no ranking", "gpt2": "it is small"}
    assert experiment_of(experiment(id="A", claim="c", phase="p", negative=reasons)(lambda: None)).negative == reasons


def test_a_negative_control_by_name_needs_a_reason():
    with pytest.raises(TypeError, match="'gpt2' needs a reason"):
        experiment(id="A", claim="c", phase="p", negative=["untrained", "gpt2"])
