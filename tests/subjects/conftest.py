"""Small random-weight models of four families, made from their config classes, with the organisms' tokenizer."""

import pytest
import torch

from lab.organisms import tokenizer as organism_tokenizer
from lab.subjects import wrap

FAMILIES = ("gpt2", "gpt_neox", "opt", "llama")


@pytest.fixture(scope="session")
def tokenizer():
    return organism_tokenizer.build()


def config_of(family, vocab_size):
    from transformers import GPT2Config, GPTNeoXConfig, LlamaConfig, OPTConfig

    tokens = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 5}
    same = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 96}
    if family == "gpt2":
        return GPT2Config(vocab_size=vocab_size, n_embd=32, n_layer=3, n_head=4, n_positions=96, **tokens)
    if family == "gpt_neox":
        return GPTNeoXConfig(vocab_size=vocab_size, intermediate_size=64, **same, **tokens)
    if family == "opt":
        return OPTConfig(vocab_size=vocab_size, ffn_dim=64, word_embed_proj_dim=32, **same, **tokens)
    return LlamaConfig(vocab_size=vocab_size, intermediate_size=64, num_key_value_heads=2, **same, **tokens)


@pytest.fixture(scope="session", params=FAMILIES)
def model(request, tokenizer):
    from transformers import AutoModelForCausalLM

    torch.manual_seed(7)
    made = AutoModelForCausalLM.from_config(config_of(request.param, len(tokenizer))).eval()
    with torch.no_grad():  # at its own small scale a random model says nearly the same to everything
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return made


@pytest.fixture
def subject(model, tokenizer):
    return wrap(model, tokenizer)
