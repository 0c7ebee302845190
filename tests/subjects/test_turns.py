"""Where an answer stands in a chat: positions counted by hand, whatever the padding."""

import numpy as np
import pytest

from lab.subjects import SubjectError, wrap
from lab.subjects.prompts import answered
from tests.subjects.families import make

WORDS = "<pad> system user assistant : ; be kind sort beds file keys yes done now no".split()
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }} ; {% endfor %}"
    "{% if add_generation_prompt %}assistant : {% endif %}"
)
TALKS = [
    # system : be kind ; user : sort beds ; assistant : yes done now
    [{"role": "system", "content": "be kind"}, {"role": "user", "content": "sort beds"}],
    # user : file ; assistant : no
    [{"role": "user", "content": "file"}],
]
ANSWERS = ["yes done now", "no"]


@pytest.fixture(scope="module")
def toy():
    """A chat whose tokens are its words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>")
    tokenizer.chat_template = TEMPLATE
    return wrap(make("gpt2", len(WORDS)), tokenizer, name="toy")


def test_positions_are_those_counted_by_hand(toy):
    turns = answered(toy.tokenizer, TALKS, ANSWERS)
    assert turns.tokens == [[12, 13, 14], [6]]
    assert [[WORDS[row[i]] for i in own] for row, own in zip(turns.rows, turns.tokens, strict=True)] == [
        ["yes", "done", "now"],
        ["no"],
    ]
    assert answered(toy.tokenizer, TALKS, ["", "no"]).empty == [True, False]


def test_a_model_without_a_chat_template_is_asked_in_plain_text(toy, monkeypatch):
    monkeypatch.setattr(toy.tokenizer, "chat_template", None)
    turns = answered(toy.tokenizer, TALKS, ANSWERS)
    assert [[WORDS[i] for i in row] for row in turns.rows] == ["be kind sort beds yes done now".split(), ["file", "no"]]


@pytest.mark.parametrize("side", ["left", "right"])
def test_first_last_and_mean_are_the_answers_own_whatever_the_padding(toy, side):
    toy.padding_side = side
    turns, site = answered(toy.tokenizer, TALKS, ANSWERS), toy.resid_post([0, 1])
    ends = toy.capture(turns.rows, at=site, position=[[own[0], own[-1]] for own in turns.tokens]).array
    mean = toy.capture(turns.rows, at=site, position=turns.tokens, pooled=True).array
    for i, own in enumerate(turns.tokens):
        alone = toy.capture([turns.rows[i]], at=site, position="all").array[0]
        np.testing.assert_allclose(ends[i], alone[:, [own[0], own[-1]]], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(mean[i], alone[:, own].mean(1), rtol=1e-4, atol=1e-4)
    assert mean.shape == (2, 2, toy.d_model)


def test_patterns_are_not_pooled(toy):
    with pytest.raises(SubjectError, match="not pooled"):
        toy.capture([[1, 2, 3]], at=toy.attn_pattern(0), position=[[0, 1]], pooled=True)
