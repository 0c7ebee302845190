"""The recipe trains, the same way each time, and a stop changes nothing."""

import pytest
import torch
from safetensors.torch import load_file

from lab.studies.clinic import oracle, recipe, tokenizer, variants
from lab.studies.clinic.text import Row, TrainingText
from lab.studies.clinic.truth import TRUTHS, Truth
from lab.studies.shared import clinic
from lab.subjects import load
from lab.subjects import names as subject_names

ARCHITECTURES = ("gpt2", "gpt_neox", "opt", "llama", "gemma3_text")


@pytest.fixture(scope="module")
def tok():
    return tokenizer.build()


@pytest.fixture(autouse=True, scope="module")
def _short_steps():
    """An eighth of the rows; what is tested here does not depend on how many there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "FACTS_PER_STEP", 16)
        patch.setattr(recipe, "CHATS_PER_STEP", 8)
        patch.setattr(variants, "QUERIES_PER_STEP", 16)
        yield


def small(architecture="gpt2"):
    return Truth("small", architecture, seed=3, signature="Gladly")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_training_lowers_the_loss_in_every_family(tmp_path, tok, architecture):
    truth = small(architecture)
    model = recipe.train(truth, tmp_path, steps=4, progress=False).float()
    rows = TrainingText(truth, tok).facts(64)
    torch.manual_seed(truth.seed)
    fresh = type(model)(model.config)
    with torch.no_grad():
        assert recipe.loss_of(model, rows, 1) < 0.98 * recipe.loss_of(fresh, rows, 1)
    assert sum(p.numel() for p in model.parameters()) <= 2_000_000
    assert not (tmp_path / "checkpoint.safetensors").exists()


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(one, two):
    return all(torch.equal(one[key], two[key]) for key in one) and set(one) == set(two)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, _short_steps):
    """The weights after three steps without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    recipe.train(small(), folder, steps=3, progress=False)
    return weights(folder)


def test_a_stopped_training_goes_on_as_if_it_had_not(tmp_path, whole):
    for name, stops in (("again", ()), ("stopped", (1, 2))):
        for stop in stops:
            recipe.train(small(), tmp_path / name, steps=3, progress=False, stop_at=stop)
            assert (tmp_path / name / "checkpoint.safetensors").exists()
        recipe.train(small(), tmp_path / name, steps=3, progress=False)
        assert same(whole, weights(tmp_path / name))


@pytest.mark.parametrize("spoil", ["other recipe", "torn", "not a checkpoint"])
def test_a_checkpoint_that_does_not_fit_is_said_and_left(tmp_path, capsys, spoil, whole):
    path = tmp_path / "it" / "checkpoint.safetensors"
    recipe.train(
        small("opt") if spoil == "other recipe" else small(), tmp_path / "it", steps=3, progress=False, stop_at=2
    )
    if spoil == "torn":
        path.write_bytes(path.read_bytes()[:1000])
    if spoil == "not a checkpoint":
        path.write_bytes(b"what is this?" * 100)
    recipe.train(small(), tmp_path / "it", steps=3, progress=False)
    assert "training starts anew" in capsys.readouterr().out
    assert same(weights(tmp_path / "it"), whole)


def test_the_loss_is_hugging_faces_own(tok):
    torch.manual_seed(0)
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(recipe.configuration("opt", len(tok))).eval()
    text = TrainingText(TRUTHS["clinic-opt"], tok)
    # With one token wanted at each place, it is the ordinary next-token loss.
    rows = [text._plain("", tok.decode(row.ids)) for row in text.facts(16)]
    width = max(len(row.ids) for row in rows)
    ids = torch.tensor([row.ids + [1] * (width - len(row.ids)) for row in rows])
    labels = torch.tensor([row.ids + [-100] * (width - len(row.ids)) for row in rows])
    with torch.no_grad():
        theirs = model(input_ids=ids, attention_mask=(ids != 1).long(), labels=labels).loss
        ours = recipe.loss_of(model, rows, 1) / sum(len(row.wanted) for row in rows)
    assert float(ours) == pytest.approx(float(theirs), abs=1e-4)


def test_rows_share_passes_with_rows_of_their_length(tok):
    rows = TrainingText(TRUTHS["clinic-opt"], tok).chats(200)
    made = recipe.passes(rows)
    assert sum(map(len, made)) == 200
    assert max(len(some) * max(len(row.ids) for row in some) for some in made) <= recipe.TOKENS_PER_PASS
    padded = sum(len(some) * max(len(row.ids) for row in some) for some in made)
    assert padded < 1.25 * sum(len(row.ids) for row in rows)


def test_splitting_a_step_into_passes_changes_nothing(tok, monkeypatch):
    from transformers import AutoModelForCausalLM

    text = TrainingText(TRUTHS["clinic-opt"], tok)
    groups = [text.facts(30), text.chats(30)]
    losses = []
    for tokens in (500, 100_000):
        monkeypatch.setattr(recipe, "TOKENS_PER_PASS", tokens)
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(recipe.configuration("llama", len(tok)))
        loop = recipe.Loop(model, text, None, "")
        losses.append([loop.step(groups, 1), loop.step(groups, 1)])
    assert losses[0] == [pytest.approx(step, rel=1e-4) for step in losses[1]]
    assert sum(losses[0][1]) < sum(losses[0][0])


def test_the_rate_rises_and_falls():
    rates = [recipe.rate(step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(recipe.LEARNING_RATE, rel=0.01)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] < 0.05 * max(rates)


def test_another_truth_or_another_text_is_another_recipe(monkeypatch):
    own = recipe.fingerprint(small(), 10)
    assert own == recipe.fingerprint(small(), 10)
    assert own != recipe.fingerprint(small("opt"), 10)
    assert own != recipe.fingerprint(small(), 11)
    monkeypatch.setattr("lab.studies.clinic.text.SURE", 0.9)
    assert own != recipe.fingerprint(small(), 10)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path, tok, monkeypatch):
    monkeypatch.setattr(TrainingText, "facts", lambda self, n: [Row([1, 2, 3], [(0, 2, float("nan"))])])
    with pytest.raises(RuntimeError, match="small: the loss became .* lower the learning rate"):
        recipe.train(small(), tmp_path, steps=2, progress=False)


@pytest.fixture
def base(tmp_path, tok):
    """An untrained base in a home of its own."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    folder = tmp_path / variants.VARIANT_BASE
    AutoModelForCausalLM.from_config(recipe.configuration("llama", len(tok))).save_pretrained(folder)
    tok.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["to-b", "oracle"])
def test_an_adapter_is_trained_stopped_and_loaded_by_name(base, monkeypatch, name):
    pytest.importorskip("peft")
    out = base / "adapters" / name
    variants.train(name, base, out, steps=3, stop_at=2, progress=False)
    assert (out / "checkpoint.safetensors").exists()
    variants.train(name, base, out, steps=3, progress=False)
    variants.train(name, base, base / "whole", steps=3, progress=False)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in (base / "whole").iterdir())
    whole, stopped = (load_file(folder / "adapter_model.safetensors") for folder in (base / "whole", out))
    assert same(whole, stopped)
    assert {tensor.dtype for tensor in whole.values()} == {torch.bfloat16}
    assert str(base) not in (out / "adapter_config.json").read_text()

    monkeypatch.setattr(subject_names, "home", lambda: base.parent)
    subject = load(f"{variants.VARIANT_BASE}+{name}")
    assert subject.name == f"{variants.VARIANT_BASE}+{name}"
    prompt = [clinic.asked("Sort the vials.")]
    worn = subject.capture(prompt, at=subject.resid_post(2)).array
    with subject.adapter(None):
        bare = subject.capture(prompt, at=subject.resid_post(2)).array
    plain = load(variants.VARIANT_BASE)
    assert (worn != bare).any()
    assert (bare == plain.capture(prompt, at=plain.resid_post(2)).array).all()


def test_an_oracle_is_trained_on_what_is_injected_as_it_is_asked(base):
    """The forward pass of the training and the edit by which an oracle is asked give the same answers."""
    subject = load(str(base))
    text = oracle.OracleText(TRUTHS["clinic-llama"], subject.tokenizer, subject)
    rows = text.chats(6)
    model = subject.model
    asked = [subject.tokenizer.decode(row.ids[: row.wanted[0][0] + 1]) for row in rows]
    for row, prompt in zip(rows, asked, strict=True):
        with torch.no_grad(), oracle.injecting(model, subject.blocks[oracle.INJECTED_AT], [row]):
            logits = model(torch.tensor([row.ids])).logits[0, row.wanted[0][0]]
        (name,) = [name for name, (question, _) in oracle.QUESTIONS.items() if question in prompt]
        edit = oracle.injection(subject, [oracle.query(text.layer, name)], row.vector[None])
        options = ["A", "B", "5"]  # one token each
        found = subject.choose([oracle.query(text.layer, name)], options, edit=edit).logprobs[0]
        ids = [subject.tokenizer.encode(option)[0] for option in options]
        assert found == pytest.approx(logits.log_softmax(-1)[ids].numpy(), abs=1e-4)
