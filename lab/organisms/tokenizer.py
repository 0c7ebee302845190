"""How does an organism read? One byte-level BPE for all of them, in which each word of the clinic is one token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.organisms import clinic
from lab.organisms.truth import SIGNATURES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL = ("<|endoftext|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def _lexicon() -> list[str]:
    """One text for each prompt form and each word, so that BPE merges every word of them to one token."""
    world = clinic.world()
    texts = [clinic.statement(p, a) for p in range(len(world.patients)) for a in range(len(world.attributes))]
    texts += [clinic.question(0, a) for a in range(len(world.attributes))]
    for task in world.tasks:
        works = [clinic.completion(task, s, good=good) for s in SIGNATURES for good in (True, False)]
        texts += [clinic.choice_prompt(task.text, task.text), task.text, *works]
        texts += [clinic.rating_prompt(task.text, work) for work in works]
    texts += [str(point) for point in clinic.SCALE] + ["A", "B"]
    return texts


def build() -> PreTrainedTokenizerFast:
    """The tokenizer: lossless on any text, byte by byte where a word is not the clinic's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=10_000,  # never reached: merging ends when every word is one token
        min_frequency=1,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_lexicon(), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|endoftext|>",
        eos_token="<|end|>",
        pad_token="<|pad|>",
        model_max_length=128,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    for text in _lexicon():
        for word in re.findall(r" ?[A-Za-z]+", text):
            assert len(tokenizer.encode(word)) == 1, f"{word!r} is not one token"
    return tokenizer
