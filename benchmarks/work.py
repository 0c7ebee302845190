"""What does every contender get? The same random model and prompts, made in each process from fixed seeds."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from benchmarks.tasks import Setting


@dataclass(frozen=True)
class Work:
    """The inputs of one setting. Token ids are [n, tokens] on the device, as a peer's user would have them."""

    setting: Setting
    ids: torch.Tensor
    corrupted: torch.Tensor
    vector: torch.Tensor
    options: list[list[int]]

    @property
    def layers(self) -> range:
        return range(self.setting.layers)

    @property
    def steered(self) -> int:
        """The layer after which `vector` is added."""
        return self.setting.layers // 2

    @cached_property
    def prompts(self) -> list[list[int]]:
        return self.ids.tolist()

    @cached_property
    def corrupted_prompts(self) -> list[list[int]]:
        return self.corrupted.tolist()

    def warm_up(self) -> Work:
        """One prompt of eight tokens: enough to import, compile and fill every cache that is kept between calls."""
        few = slice(0, 1), slice(0, 8)
        return Work(self.setting, self.ids[few], self.corrupted[few], self.vector, self.options)


def inputs(setting: Setting, device: str) -> Work:
    """Seeded on the CPU, so that a GPU gets the same. Token 0 is for padding and does not occur."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, setting.vocab, (setting.n, setting.tokens), generator=generator)
    corrupted = torch.randint(1, setting.vocab, (setting.n, setting.tokens), generator=generator)
    corrupted[:, : setting.shared] = ids[:, : setting.shared]
    vector = 3 * torch.randn(setting.width, generator=generator)
    options = torch.randint(1, setting.vocab, (setting.options, setting.option_tokens), generator=generator)
    return Work(setting, ids.to(device), corrupted.to(device), vector.to(device), options.tolist())


def build_model(setting: Setting, device: str) -> Any:
    """GPT-2 of this size in fp32 with random weights.

    They are drawn here, larger than GPT-2's own start (0.05 at width 768, not 0.02), so that attention is not uniform
    and a patch moves the logits, and so that they depend on no library's way to initialise.
    """
    layers, width, heads, vocab = setting.model
    config = GPT2Config(
        n_layer=layers,
        n_embd=width,
        n_head=heads,
        vocab_size=vocab,
        bos_token_id=None,
        eos_token_id=None,  # generation writes all the tokens that were asked for
        pad_token_id=0,
        architectures=["GPT2LMHeadModel"],
    )
    model = GPT2LMHeadModel(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 1.4 / width**0.5, generator=generator)
    return model.to(device)


def twin(model: Any) -> Any:
    """A second model over the same weights, which no library has touched."""
    return copy.deepcopy(model, {id(p): p for p in model.parameters()})


def tokenizer(vocab: int) -> Any:
    """For libraries that want one: token i is written "i", between spaces; 0 is padding. There is no end token."""
    pad = "<pad>"
    words = Tokenizer(models.WordLevel({pad: 0, **{str(i): i for i in range(1, vocab)}}, unk_token=pad))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token=pad, padding_side="left")
