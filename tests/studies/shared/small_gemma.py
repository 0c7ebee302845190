"""A small Gemma 3 with the parts of the large one, random weights, and a LoRA adapter for it: an oracle that knows nothing."""

from lab.studies.shared.prompts.oracle import pool

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>"
    "{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n{{ message['content'] }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
"""Turns as Gemma 3 marks them."""


def build(folder):
    """Writes `folder`/base, in bfloat16 and with a vision tower, and `folder`/lora."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, Gemma3Config

    words = tokenizer()
    text = {  # in multiples of 64, which bitsandbytes can pack on every CPU
        "vocab_size": len(words), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64, "sliding_window": 256,
        "max_position_embeddings": 1024,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1,
        "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    image = {"mm_tokens_per_image": 4, "image_token_index": 5, "boi_token_index": 6, "eoi_token_index": 7}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(
            Gemma3Config(text_config=text, vision_config=vision, **image), dtype=torch.bfloat16
        )
        model.save_pretrained(folder / "base")
        words.save_pretrained(folder / "base")
        lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
        model.add_adapter(lora, adapter_name="oracle")
        model.save_pretrained(folder / "lora")


def tokenizer():
    """Byte-level BPE of the chats that oracles are asked about; the published oracles' placeholder is one token of it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<image>", "<soi>", "<eoi>", "<start_of_turn>", "<end_of_turn>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    chats = pool("chat")
    texts = [target.messages[0]["content"] for target in chats.targets] + [chats.mark] * 1000
    bpe.train_from_iterator(texts, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")
    made.chat_template = TEMPLATE
    return made
