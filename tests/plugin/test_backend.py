"""Each key of --lab-load changes the backend that is loaded and stands in the cell's configuration; so does how a
model writes, and where nothing is written, that it is ignored."""

import json
import shutil

import pytest

from lab.subjects.names import folder
from tests.subjects.api_server import Server, completion

SUITE = """
from lab.estimate import Estimate
from lab.plugin import experiment

def seen():
    return Estimate(0.65, 0.6, 0.7, n=100, method="made")

@experiment(id="READ", claim="c", phase="p")
def test_read(model, evidence):
    read = model.capture(["Patient Gresten"], at=model.resid_post(0.5))
    loaded = model.model
    evidence.report(dtype=str(loaded.dtype), device=str(loaded.device), kind=type(loaded).__name__)
    assert evidence.measure("x", seen()) > 0.55

@experiment(id="CHOOSE", claim="c", phase="p")
def test_choose(model, evidence):
    evidence.report(n=len(model.choose(["Patient Gresten takes"], [" a", " b"]).picked))
    assert evidence.measure("x", seen()) > 0.55

@experiment(id="CHAT", claim="c", phase="p")
def test_chat(model, evidence, *, max_new_tokens=5, temperature=0.5, top_p=1.0):
    how = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p}
    evidence.report(said=model.chat(["Sort the beds."], **how)[0][0])
    assert evidence.measure("x", seen()) > 0.55
"""


@pytest.fixture
def suite(pytester, inner):
    """Runs the suite; returns the outcome, and results.json of each cell of this run with its folder's name and card."""
    pytester.makepyfile(test_suite=SUITE)
    experiments = pytester.path / "results" / "experiments"

    def run(*arguments):
        before = set(experiments.glob("*/*/results.json"))
        result, cells = inner(*arguments), {}
        for path in set(experiments.glob("*/*/results.json")) - before:
            told = json.loads(path.read_text())
            card = (path.parent / "EXPERIMENT.md").read_text()
            cells[told["experiment"]] = {**told, "folder": path.parent.name, "card": card}
        return result, cells

    return run


def model_of(cell):
    (model,) = cell["metadata"]["config"]["models"]
    return model


def loading(*options):
    return [argument for option in options for argument in ("--lab-load", option)]


def test_device_and_dtype_are_those_of_the_loaded_model_and_are_echoed(suite):
    _, cells = suite("-k", "read", "--lab-models", "clinic-gpt2", *loading("dtype=bfloat16", "device=cpu"))
    assert cells["READ"]["metrics"] | {"dtype": "torch.bfloat16", "device": "cpu"} == cells["READ"]["metrics"]
    backend = model_of(cells["READ"])["backend"]
    assert backend | {"dtype": "bfloat16", "device": "cpu", "target": "hf"} == backend
    result, cells = suite("-k", "read", "--lab-models", "clinic-gpt2", *loading("device=cuda:99"))
    result.assert_outcomes(errors=1)
    assert "there is no cuda:99: torch sees" in result.stdout.str()


def test_code_of_a_models_own_runs_only_where_it_is_trusted(suite, pytester, monkeypatch):
    import transformers.dynamic_module_utils as modules

    monkeypatch.setattr(modules, "HF_MODULES_CACHE", str(pytester.path / "modules"))
    monkeypatch.syspath_prepend(str(pytester.path / "modules"))
    shutil.copytree(folder("clinic-gpt2"), pytester.path / "own")
    config = json.loads((pytester.path / "own" / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.OwnModel"}}
    (pytester.path / "own" / "config.json").write_text(json.dumps(config))
    (pytester.path / "own" / "own.py").write_text(
        "from transformers import GPT2Config, GPT2LMHeadModel\n\n\n"
        "class Config(GPT2Config):\n    model_type = 'own'\n\n\n"
        "class OwnModel(GPT2LMHeadModel):\n    config_class = Config\n"
    )
    result, cells = suite("-k", "read", "--lab-models", "own")
    result.assert_outcomes(errors=1)
    assert cells["READ"]["metadata"]["error"].startswith(
        "cannot load own: it brings code of its own; read that, and load with"
    )
    assert model_of(cells["READ"])["backend"]["trust_remote_code"] is False
    _, cells = suite("-k", "read", "--lab-models", "own", *loading("trust_remote_code=true"))
    assert cells["READ"]["metrics"]["kind"] == "OwnModel"
    assert model_of(cells["READ"])["backend"]["trust_remote_code"] is True


def test_without_hooks_nothing_is_read_not_even_from_the_cache_and_the_rest_goes_on(suite, pytester):
    both = ("-k", "read or choose", "--lab-models", "clinic-gpt2")
    suite(*both)[0].assert_outcomes(passed=2)
    result, cells = suite(*both, *loading("enable_hooks=false"))
    result.assert_outcomes(passed=1, errors=1)
    assert cells["READ"]["metadata"]["error"].startswith("clinic-gpt2 was loaded with enable_hooks=false, so its")
    assert "Traceback" not in result.stdout.str()
    assert model_of(cells["CHOOSE"])["backend"]["enable_hooks"] is False
    result = pytester.runpytest_inprocess(
        "-k", "read", "--lab-models", "clinic-gpt2", "--lab-load", "enable_hooks=nope"
    )
    result.stderr.fnmatch_lines(["*--lab-load enable_hooks=nope: 'nope' is neither true nor false*"])


def test_a_target_says_what_serves_a_model(suite, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(lambda i, request: completion("fine"))
    try:
        served = loading("target=api", f"base_url={server.url}")
        _, cells = suite("-k", "chat", "--lab-models", "tiny", *served)
    finally:
        server.stop()
    assert cells["CHAT"]["metrics"]["said"] == "fine"
    assert [request["model"] for request in server.requests] == ["tiny"]
    model = model_of(cells["CHAT"])
    assert (model["name"], model["backend"]["target"], model["backend"]["enable_hooks"]) == (
        "openai:tiny",
        "api",
        False,
    )


@pytest.mark.parametrize(
    ("models", "target", "said"),
    [
        ("openai:tiny", "hf", "target=hf does not serve openai:tiny, which is behind an API; leave the target out*"),
        ("clinic-gpt2", "api", "target=api does not serve clinic-gpt2, whose weights are here; leave the target out*"),
        ("untrained:gpt2", "api", "target=api does not serve untrained:gpt2*"),
        (None, "api", "target=api does not serve clinic-*"),
        ("clinic-gpt2", "vllm", "no target 'vllm'; it is one of hf, api"),
        (None, "vllm", "no target 'vllm'; it is one of hf, api"),
    ],
)
def test_a_target_that_does_not_serve_a_model_is_one_line(suite, pytester, models, target, said):
    named = ["--lab-models", models] if models else []
    result, cells = suite(*named, *loading(f"target={target}"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert cells == {}
    pytest.LineMatcher([line for line in result.errlines if line]).fnmatch_lines([f"ERROR: --lab-load: {said}"])


# How a model writes ----------------------------------------------------------------------------------

GIVEN = ("--lab-set", "max_new_tokens=3", "--lab-set", "temperature=0.7", "--lab-set", "top_p=0.9")


def test_how_a_model_writes_is_told_and_a_forward_pass_ignores_it(suite):
    _, cells = suite("-k", "chat or choose", "--lab-models", "clinic-llama+to-b", *GIVEN)
    wanted = {"max_new_tokens": 3, "temperature": 0.7, "top_p": 0.9}
    for cell in cells.values():
        model = model_of(cell)
        assert (model["name"], model["variant"], model["safe_name"]) == (
            "clinic-llama+to-b",
            "to-b",
            "clinic_llama_to_b",
        )
        assert model["safe_name"] in cell["folder"]
    assert model_of(cells["CHAT"])["generation"] == wanted
    assert "**Generation:** max_new_tokens=3, temperature=0.7, top_p=0.9  \n" in cells["CHAT"]["card"]
    assert model_of(cells["CHOOSE"])["generation"] == dict.fromkeys(wanted)
    assert cells["CHOOSE"]["metadata"]["config"]["experiment"]["ignored"] == wanted
    line = (
        "**Generation:** max_new_tokens, temperature, top_p are no knob of this experiment, and ignored "
        "(max_new_tokens=3, temperature=0.7, top_p=0.9)  \n"
    )
    assert line in cells["CHOOSE"]["card"]
    assert "--lab-set CHOOSE.temperature=0.7" in cells["CHOOSE"]["card"]


def test_a_forward_pass_is_the_same_however_a_model_would_write(suite):
    with_settings, without = (suite("-k", "choose", "--lab-models", "clinic-gpt2", *given)[1] for given in (GIVEN, ()))
    assert with_settings["CHOOSE"]["metadata"]["key"] == without["CHOOSE"]["metadata"]["key"]
    assert without["CHOOSE"]["metadata"]["replayed"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--lab-set", "top_p=much"), "--lab-set: knob READ.top_p takes a number (its default is 1.0), not 'much'"),
        (("--lab-set", "NONE.top_p=0.9"), "--lab-set: no knob NONE.top_p; known knobs: none"),
        (("--lab-sweep", "top_p=0.5,0.9", "--lab-force"), "--lab-sweep: no knob top_p; known knobs: none"),
    ],
)
def test_what_cannot_even_be_ignored_is_one_line(pytester, inner, options, said):
    pytester.makepyfile(SUITE.partition('@experiment(id="CHAT"')[0])
    result = inner("--lab-models", "clinic-gpt2", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {said}" in result.stdout.str() + result.stderr.str()
