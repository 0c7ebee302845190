"""A classifier by name is read for one label, and batches give what single texts give."""

import json

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2ForSequenceClassification

from lab.plugin.scorers import Scorers
from lab.subjects import classifying
from lab.subjects.errors import LoadError, PromptError
from lab.subjects.names import folder

TEXTS = [
    "Please discuss the gardens, thank you.",
    "Now.",
    "Listen, you idiot. Discuss the gardens and the rivers.",
    "Poems",
]
LABELS = {0: "Formal", 1: "informal", 2: "neither"}


def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder("clinic-gpt2"))


def small(kind="bert", labels=LABELS, **more):
    torch.manual_seed(0)
    words = tokenizer()
    told = {"id2label": labels, "label2id": {name: i for i, name in labels.items()}, "num_labels": len(labels), **more}
    if kind == "gpt2":
        config = GPT2Config(vocab_size=len(words), n_embd=32, n_layer=2, n_head=2, n_positions=64, **told)
        return GPT2ForSequenceClassification(config)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    made = BertForSequenceClassification(
        BertConfig(vocab_size=len(words), max_position_embeddings=64, initializer_range=0.5, **size, **told)
    )
    return made


@pytest.fixture
def saved(tmp_path):
    small().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    return str(tmp_path)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
@pytest.mark.parametrize("batch", [8192, 20, 1])
def test_a_batch_gives_what_single_texts_give_in_their_order(monkeypatch, kind, batch):
    monkeypatch.setattr(classifying, "BATCH", batch)
    score = classifying.Classifier(small(kind), tokenizer(), name="small", label="formal")
    alone = [score([text])[0] for text in TEXTS]
    assert score(TEXTS) == pytest.approx(alone, abs=1e-6)
    assert len(set(np.round(alone, 6))) == len(TEXTS), "texts differ, so that a mix-up would be seen"


def test_the_score_is_the_label_s_probability_of_the_model_itself():
    model, words = small(), tokenizer()
    with torch.no_grad():
        own = model.eval()(**words(TEXTS[0], return_tensors="pt")).logits.softmax(-1)[0].tolist()
    scores = [
        classifying.Classifier(model, words, name="small", label=label)(TEXTS[:1])[0] for label in LABELS.values()
    ]
    assert scores == pytest.approx(own, abs=1e-6)
    assert sum(scores) == pytest.approx(1)


@pytest.mark.parametrize("told", [{"problem_type": "multi_label_classification"}, {"labels": {0: "toxic"}}])
def test_labels_that_do_not_exclude_each_other_have_their_own_sigmoid(told):
    model, words = small(**told), tokenizer()
    label = next(iter(model.config.id2label.values()))
    with torch.no_grad():
        own = float(model.eval()(**words(TEXTS[0], return_tensors="pt")).logits[0, 0].sigmoid())
    assert classifying.Classifier(model, words, name="small", label=label)(TEXTS[:1])[0] == pytest.approx(own, abs=1e-6)


def test_a_model_without_a_pad_reads_texts_one_by_one():
    words = tokenizer()
    scores = classifying.Classifier(small(), words, name="small", label="formal")(TEXTS)
    words = tokenizer()
    words.pad_token = words.eos_token = None
    score = classifying.Classifier(small(), words, name="small", label="formal")
    assert score.tokenizer.pad_token_id is None
    assert score(TEXTS) == pytest.approx(scores, abs=1e-6)


def test_a_classifier_is_loaded_by_name_and_label(saved):
    score = Scorers()("formality", f"{saved}:formal")
    assert score.name == f"{saved}:Formal"
    assert score(TEXTS) == pytest.approx(
        classifying.Classifier(small(), tokenizer(), name="s", label="Formal")(TEXTS), abs=1e-6
    )
    assert Scorers()("informal", saved).label == "informal", "what is scored names the label, where it is one"


def test_a_missing_label_lists_those_there_are(saved):
    with pytest.raises(LoadError) as caught:
        Scorers()("formality", saved)
    assert str(caught.value) == (
        f"{saved} has no label 'formality'; its labels are Formal, informal, neither: write {saved}:Formal, or another of them"
    )


def test_a_missing_classifier_or_a_causal_folder_without_one_is_one_line(tmp_path):
    with pytest.raises(LoadError, match="there is no folder ./nowhere; check the path"):
        classifying.load("./nowhere", "toxic")
    with pytest.raises(LoadError, match="cannot load the classifier"):
        classifying.load(str(tmp_path), "toxic")


def test_a_text_that_is_too_long_is_said_and_not_cut():
    score = classifying.Classifier(small(), tokenizer(), name="small", label="formal")
    with pytest.raises(PromptError, match="text 1 has .* tokens, but small:Formal reads 64; write shorter answers"):
        score(["Now.", "gardens " * 100])
    with pytest.raises(PromptError, match="one string; pass a list"):
        score("Now.")
    assert score(["", "Now."])[0] == 0


def test_the_word_list_is_the_default_and_an_unknown_behaviour_is_one_line():
    assert Scorers()("toxicity").name == "lexicon:toxicity"
    with pytest.raises(
        ValueError,
        match="no word list for 'irony', only for toxicity, formality; add it to .*lexicons.yaml, or name a classifier",
    ):
        Scorers()("irony")


SCORED = """
from lab.estimate import Estimate
from lab.plugin import experiment

@experiment(id="S", claim="c", phase="p")
def test_s(scorers, evidence, *, scorer="lexicon", behaviour="formality"):
    evidence.report(scores=scorers(behaviour, {by})(["Please discuss the gardens."]))
    assert evidence.measure("x", Estimate(0.65, 0.6, 0.7, n=100, method="made")) > 0.55
"""


def test_a_classifier_that_was_replaced_under_its_name_scores_anew(saved, pytester, inner):
    pytester.makepyfile(test_s=SCORED.format(by="scorer"))
    scored = ("-p", "no:cacheprovider", "--lab-set", f"scorer={saved}:formal")

    def scores():
        result = inner(*scored)
        result.assert_outcomes(passed=1)
        (cell,) = json.loads((pytester.path / "results" / "statistics.json").read_text())
        return cell["reported"]["scores"], "1 of 1 cells are unchanged" in result.stdout.str()

    first, replayed = scores()
    assert not replayed
    assert scores() == (first, True)
    other = small()
    with torch.no_grad():
        other.classifier.bias[0] += 3
    other.save_pretrained(saved)
    second, replayed = scores()
    assert not replayed
    assert second[0] > first[0] + 0.01


def test_a_classifier_that_no_knob_names_is_refused(saved, pytester, inner):
    pytester.makepyfile(test_s=SCORED.format(by=repr(f"{saved}:formal")))
    result = inner("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*stands in no knob of this experiment as a folder or as owner/name*"])


def test_names_as_on_the_hub_count_and_other_texts_do_not():
    known = Scorers(
        frozenset({"owner/not-here:formal", "lexicon", "clinic/mmlu:ward", "last", "", "a b/c"})
    ).fingerprint
    assert list(known) == ["owner/not-here"]
    assert known != Scorers(frozenset({"owner/not-here"})).fingerprint, "what is not here yet may be anything"
