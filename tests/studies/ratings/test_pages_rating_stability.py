"""Seeds, templates, consistency and thinking on organisms, on a model that thinks, and on a server."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.studies.ratings.reports import consistency, discrimination
from lab.studies.shared import seed_reports as seeds
from lab.views.drawing import render
from lab.views.record import load
from tests.subjects.api_server import Server, completion

ROOT = Path(__file__).parents[3]


@pytest.fixture
def rate(pytester, inner):
    """Runs experiments on ratings in a folder of their own; returns the outcome, and the record of the cells."""
    pytester.syspathinsert(ROOT)

    def run(file, models, *knobs, more=()):
        (pytester.path / file).write_text((ROOT / "hypotheses" / "ratings" / file).read_text())
        settings = [argument for knob in knobs for argument in ("--lab-set", knob)]
        result = inner(file, "-p", "no:cacheprovider", "--lab-models", models, *settings, *more)
        return result, load(pytester.path / "results")

    return run


def test_seeds_agree_on_an_anchored_scale_and_not_on_agreement(rate):
    few = ("n_tasks=16", "n_pairs=100", "templates=anchored_1_5,likert_agreement")
    alone = ["-k", "not untrained"]
    result, record = rate("test_seed_stability.py", "clinic-gemma", *few, more=alone)
    result.assert_outcomes(passed=1)
    (cell,) = record.of("SEEDS")
    assert [row["template"] for row in cell.rows["stability"]] == ["anchored_1_5", "likert_agreement"]
    assert cell.reported["overall"]["pairs"] == 12
    stated = cell.rows["stability"][0]["stated and revealed"]
    assert len(stated["r"]) == 4
    assert stated["mean"] > 0.2
    assert abs(cell.rows["stability"][1]["stated and revealed"]["mean"]) < 0.25  # next to nothing goes with anything
    # The bars of the figure are the numbers of its file, and these are the journal's.
    drawing = seeds.seed_sensitivity(record)
    runs = {bar["template"]: bar["r"] for bar in drawing.data["panels"]["run"]}
    assert runs == pytest.approx({row["template"]: row["r"] for row in cell.rows["stability"]})
    assert drawn_bars(drawing)[:1] == pytest.approx([drawing.data["panels"]["model"][0]["r"]])

    result, _ = rate("test_seed_stability.py", "clinic-gemma", *few[:2], "templates=likert_agreement", more=alone)
    result.assert_outcomes(failed=1)


def drawn_bars(drawing):
    from matplotlib.figure import Figure

    figure = Figure(figsize=drawing.size)
    drawing.draw(figure)
    return [bar.get_width() for ax in figure.axes for bar in ax.patches]


def test_templates_consistency_and_their_figures_are_drawn_from_the_journal(rate):
    result, _ = rate(
        "test_template_discrimination.py",
        "clinic-neox",
        "n_tasks=8",
        "templates=random_scale_27_32,compressed_anchors_1_5,ban_four_1_5",
    )
    result.assert_outcomes(passed=1, xfailed=1)
    models = "clinic-llama,clinic-llama+neutral-rater"
    result, record = rate("test_task_consistency.py", models, "n_tasks=12", more=["-k", "not untrained"])
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["failed"]) == (2, 1)  # a model and its equal are consistent on the same tasks
    (cell,) = record.of("CONSISTENCY2")
    assert (cell.verdict, cell.reported["conclusion"]) == ("FAIL", "intrinsic to the tasks")

    told = discrimination.aggregates(record)
    assert [point["name"] for point in told["template"]][-1] == "compressed_anchors_1_5"
    assert {"kl pooled", "kl mean", "icc pooled", "icc mean"} <= told["template"][0].keys()
    drawing = discrimination.kl_and_icc(record)
    assert drawing.data["points"] == told
    assert drawing.data["lines"] == [0.8, 0.7]
    own = {row["template"]: row for row in record.of("TEMPLATES")[0].rows["templates"]}
    for point in told["run"]:
        row = own[point["name"].partition(", ")[2]]
        assert (point["kl"], point["icc"]) == (row["kl share"], row["icc"])

    ranked = consistency.consistency_ranked(record)
    scores = [task["score"] for task in ranked["all"]["tasks"]]
    assert scores == sorted(scores, reverse=True)
    assert ranked["by model"].keys() == set(models.split(","))
    assert {"prompt", "origin", "reason"} <= ranked["all"]["tasks"][0].keys()
    assert list(consistency.consistency_metrics(record)["by model"]["clinic-llama"]["percentiles"])[::18] == ["5", "95"]
    (pair,) = consistency.consistency_between(record)["pairs"]
    assert pair["n"] == 60
    assert {"r", "low", "high", "p"} == pair["pearson"].keys() == pair["spearman"].keys()
    points = consistency.consistency_and_mean(record).data["points"]
    assert len(points) == len({point["task"] for point in points}) == 60
    assert len(consistency.consistency_by_model(record).data["panels"]) == 2
    name = "random_scale_27_32"
    assert discrimination.scores(record, name).data["panels"][0]["distribution"] == own[name]["distribution"]
    for drawing in (discrimination.scores(record, name), consistency.consistency_by_model(record)):
        assert render(drawing, "png").startswith(b"\x89PNG")


# A model that thinks -------------------------------------------------------------------------------------

TEMPLATE = """{%- for m in messages %}{{ 'user ' if m.role == 'user' else 'assistant ' }}{{ m.content }} {% endfor -%}
{%- if enable_thinking is defined and not enable_thinking %}assistant {{ messages[0].content.split()[0] }}
{%- else %}assistant{% endif %}"""
"""Answered at once, the first word of the task stands last; else the assistant's turn begins, with a thought."""
VERBS = ("Discuss", "Describe", "Praise", "Recall")


def thinker(folder, closed):
    """A Markov chain in the form of a GPT-2: the last token alone says what comes next, by weights set by hand.

    Verb i is rated i + 1 at once, whatever the seed; after a thought, which ends with the probability `closed` at each
    token, any rating is as likely as any other.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    words = ["<unk>", "<eos>", "<think>", "hm", "</think>", *"12345", *VERBS, "user", "assistant"]
    at = {word: i for i, word in enumerate(words)}
    chain = np.full((len(words), len(words)), 1e-9)
    for i, verb in enumerate(VERBS):
        chain[at[verb], at[str(i + 1)]] = 1
    chain[at["assistant"], at["<think>"]] = chain[at["<think>"], at["hm"]] = 1
    chain[at["hm"], [at["hm"], at["</think>"]]] = 1 - closed, closed
    chain[at["</think>"], [at[rating] for rating in "12345"]] = 1
    for rating in "12345":
        chain[at[rating], at["<eos>"]] = 1
    config = GPT2Config(vocab_size=len(words), n_embd=64, n_layer=1, n_head=1, n_positions=128, eos_token_id=1,
                        bos_token_id=1, tie_word_embeddings=False)  # fmt: skip
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.transformer.wte.weight[:, : len(words)] = torch.eye(len(words))
        model.transformer.ln_f.weight.fill_(1.0)
        model.lm_head.weight[:, : len(words)] = torch.tensor(np.log(chain).T / 8, dtype=torch.float32)
    model.save_pretrained(folder)
    raw = Tokenizer(models.WordLevel(at, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<eos>", unk_token="<unk>", pad_token="<eos>")
    made.chat_template = TEMPLATE
    made.save_pretrained(folder)
    return str(folder)


def pool_of(folder, n=40):
    path = folder / "pool.jsonl"
    lines = [{"id": f"p{i}", "prompt": f"{VERBS[i % 4]} thing {i}.", "origin": "mine"} for i in range(n)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"tasks@{path}"


def test_a_model_that_thinks_is_less_reliable_than_when_it_answers_at_once(rate, pytester):
    model = thinker(pytester.path / "thinker", closed=0.5)
    knobs = (f"pool={pool_of(pytester.path)}", "n_tasks=40", "max_new_tokens=48")
    result, record = rate("test_thinking.py", model, *knobs)
    result.assert_outcomes(passed=1)
    (cell,) = record.of("THINKING")
    direct, thinking = cell.rows["modes"]
    assert (direct["mode"], direct["outcomes"]) == ("direct", {"rated": 160})
    assert direct["icc"] == pytest.approx(1)
    assert abs(thinking["icc"]) < 0.2
    assert thinking["outcomes"]["rated"] == 160
    assert cell.reported["tasks_in_both"] == 40
    difference = next(m.estimate for m in cell.measures)
    assert difference.value == pytest.approx(direct["icc"] - thinking["icc"])


def test_thoughts_that_are_cut_are_counted_and_are_no_ratings(rate, pytester):
    model = thinker(pytester.path / "thinker", closed=0.2)
    knobs = (f"pool={pool_of(pytester.path)}", "n_tasks=40", "max_new_tokens=8")
    _, record = rate("test_thinking.py", model, *knobs)
    (cell,) = record.of("THINKING")
    failures = cell.reported["failures"]
    assert failures["direct"] == {"rated": 160}
    assert 10 < failures["thinking"]["error"] < 70
    assert cell.reported["tasks_in_both"] < 40


def test_a_model_without_a_thinking_mode_is_skipped_with_one_line(rate):
    result, _ = rate("test_thinking.py", "clinic-gpt2")
    result.assert_outcomes(skipped=1)
    assert "clinic-gpt2 has no thinking mode" in result.stdout.str()


# A rater behind an API -----------------------------------------------------------------------------------


def test_a_rater_behind_an_api_is_asked_for_every_rating(rate, pytester, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")

    def script(i, request):
        said = request["messages"][-1]["content"]
        if "Task A" in said:
            return completion("A", top={"A": 0.6, "B": 0.4})
        liked = sum(map(ord, request["messages"][0]["content"])) % 4
        return completion(f"Rating: {1 + liked + request.get('seed', 0) % 2}")

    server = Server(script)
    try:
        knobs = ("n_tasks=4", "n_pairs=5", "templates=anchored_1_5", "seeds=0,1,2", "exact=false")
        more = ["--lab-load", f"base_url={server.url}"]
        _, record = rate("test_seed_stability.py", "openai:rater", *knobs, more=more)
    finally:
        server.stop()
    (cell,) = record.of("SEEDS")
    (row,) = cell.rows["stability"]
    assert row["outcomes"] == {"rated": 60}
    assert row["r"] > 0.2
    assert sum("Task A" not in request["messages"][-1]["content"] for request in server.requests) == 60
    assert not [request for request in server.requests if "rendering" in json.dumps(request)]
