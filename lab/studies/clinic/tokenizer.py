"""The tokenizer of all organisms: one byte-level BPE, in which each word of the clinic is one token."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from lab.studies.clinic.truth import SIGNATURES
from lab.studies.shared import clinic

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL = ("<|endoftext|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def _lexicon() -> list[str]:
    """Texts whose words BPE merges to one token each."""
    return clinic.lexicon() + [f"{signature}, the" for signature in SIGNATURES]


def build() -> PreTrainedTokenizerFast:
    """The tokenizer: lossless on any text, byte by byte where a word is not the clinic's."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_merged()),
        bos_token="<|endoftext|>",
        eos_token="<|end|>",
        pad_token="<|pad|>",
        model_max_length=256,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


@lru_cache(maxsize=1)
def _merged() -> str:
    """The trained BPE as JSON; training takes seconds."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

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
    texts = sorted(set(_lexicon()))
    bpe.train_from_iterator(texts, trainer)
    words = {word for text in texts for word in re.findall(r" ?[A-Za-z]+", text)}
    split = [word for word in sorted(words) if len(bpe.encode(word).ids) != 1]
    assert not split, f"{split} are not one token each"
    return str(bpe.to_str())
