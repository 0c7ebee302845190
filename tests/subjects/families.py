"""Small random-weight models of every family, made from their config classes."""

import torch

TOKENS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 5}
WINDOW = 8


def config(family, vocab_size, width=32):
    """A configuration of three layers (Gemma-3 six, so that one of them has full attention) and four heads.

    With the width 128, every layer through which text passes has multiples of 64 as inputs and outputs.
    """
    import transformers as t

    same = {
        "vocab_size": vocab_size,
        "hidden_size": width,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 96,
        **TOKENS,
    }
    wide = {**same, "intermediate_size": 2 * width}
    grouped = {**wide, "num_key_value_heads": 2}
    gemma = {**grouped, "head_dim": width // 2, "sliding_window": WINDOW, "query_pre_attn_scalar": width // 2}
    short = {"vocab_size": vocab_size, "n_embd": width, "n_layer": 3, "n_head": 4, "n_positions": 96, **TOKENS}
    few = {k: v for k, v in same.items() if k != "max_position_embeddings"}
    makers = {
        "gpt2": lambda: t.GPT2Config(**short),
        "gpt_neox": lambda: t.GPTNeoXConfig(**wide),
        "gpt_neox_sequential": lambda: t.GPTNeoXConfig(**wide, use_parallel_residual=False),
        "opt": lambda: t.OPTConfig(**same, ffn_dim=2 * width, word_embed_proj_dim=width),
        "gptj": lambda: t.GPTJConfig(**short, rotary_dim=4),
        "llama": lambda: t.LlamaConfig(**grouped),
        "mistral": lambda: t.MistralConfig(**grouped, sliding_window=WINDOW),
        "qwen2": lambda: t.Qwen2Config(**grouped),
        "qwen3": lambda: t.Qwen3Config(**grouped, head_dim=width // 2),
        "gemma2": lambda: t.Gemma2Config(**gemma),
        "gemma3": lambda: t.Gemma3TextConfig(**{**gemma, "num_hidden_layers": 6}),
        "gemma3_multimodal": lambda: t.Gemma3Config(
            text_config={**gemma, "num_hidden_layers": 6},
            vision_config={  # as deep as the text tower, so that only running tells which is which
                "hidden_size": 16,
                "intermediate_size": 32,
                "num_hidden_layers": 6,
                "num_attention_heads": 2,
                "image_size": 28,
                "patch_size": 14,
            },
            mm_tokens_per_image=1,
            image_token_index=vocab_size - 1,
            boi_token_index=vocab_size - 2,
            eoi_token_index=vocab_size - 3,
            **{k: v for k, v in TOKENS.items() if k != "bos_token_id"},
        ),
        "phi3": lambda: t.Phi3Config(**grouped),
        "falcon": lambda: t.FalconConfig(**few),
        "falcon_alibi": lambda: t.FalconConfig(**few, alibi=True, parallel_attn=False, multi_query=False),
        "bloom": lambda: t.BloomConfig(vocab_size=vocab_size, hidden_size=width, n_layer=3, n_head=4, **TOKENS),
        "mpt": lambda: t.MptConfig(
            vocab_size=vocab_size, d_model=width, n_layers=3, n_heads=4, max_seq_len=96, expansion_ratio=2, **TOKENS
        ),
        # Not in anybody's list:
        "gpt_neo": lambda: t.GPTNeoConfig(
            vocab_size=vocab_size,
            hidden_size=width,
            num_layers=3,
            num_heads=4,
            max_position_embeddings=96,
            attention_types=[[["global", "local", "global"], 1]],
            window_size=WINDOW,
            **TOKENS,
        ),
        "phi": lambda: t.PhiConfig(**wide),
        "olmo2": lambda: t.Olmo2Config(**grouped),
        "cohere": lambda: t.CohereConfig(**grouped),
        "mixtral": lambda: t.MixtralConfig(**grouped, num_local_experts=2),
    }
    return makers[family]()


FAMILIES = (
    "gpt2 gpt_neox gpt_neox_sequential opt gptj llama mistral qwen2 qwen3 gemma2 gemma3 gemma3_multimodal phi3 "
    "falcon falcon_alibi bloom mpt gpt_neo phi olmo2 cohere mixtral"
).split()
PARALLEL = {"gpt_neox", "gptj", "falcon", "phi", "cohere"}


def make(family, vocab_size, *, width=32, dtype=torch.float32):
    """A model with weights loud enough that its tokens differ: at its own small scale it says the same to all."""
    import transformers as t

    torch.manual_seed(7)
    made = config(family, vocab_size, width)
    multimodal = family.endswith("multimodal")
    model = t.Gemma3ForConditionalGeneration(made) if multimodal else t.AutoModelForCausalLM.from_config(made)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.to(dtype).eval()
