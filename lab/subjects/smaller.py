"""What can be run where a model does not fit? The exact flags for the CPU, and for the next smaller model."""

from __future__ import annotations

from lab.subjects.names import UNTRAINED, organisms

LADDERS = (
    "openai-community/gpt2-xl openai-community/gpt2-large openai-community/gpt2-medium openai-community/gpt2 "
    "EleutherAI/pythia-70m",
    "gpt2-xl gpt2-large gpt2-medium gpt2 EleutherAI/pythia-70m",
    "EleutherAI/pythia-12b EleutherAI/pythia-6.9b EleutherAI/pythia-2.8b EleutherAI/pythia-1.4b EleutherAI/pythia-1b "
    "EleutherAI/pythia-410m EleutherAI/pythia-160m EleutherAI/pythia-70m EleutherAI/pythia-14m",
    "facebook/opt-66b facebook/opt-30b facebook/opt-13b facebook/opt-6.7b facebook/opt-2.7b facebook/opt-1.3b "
    "facebook/opt-350m facebook/opt-125m",
    "google/gemma-3-27b-it google/gemma-3-12b-it google/gemma-3-4b-it google/gemma-3-1b-it google/gemma-3-270m-it",
    "meta-llama/Llama-3.1-70B-Instruct meta-llama/Llama-3.1-8B-Instruct meta-llama/Llama-3.2-3B-Instruct "
    "meta-llama/Llama-3.2-1B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct Qwen/Qwen2.5-32B-Instruct Qwen/Qwen2.5-14B-Instruct Qwen/Qwen2.5-7B-Instruct "
    "Qwen/Qwen2.5-3B-Instruct Qwen/Qwen2.5-1.5B-Instruct Qwen/Qwen2.5-0.5B-Instruct",
)
"""Families on the hub, each from its largest model down."""


def smaller(name: str) -> str | None:
    """The next smaller model of the family, else an organism; None where `name` is an organism itself.

    >>> smaller("openai-community/gpt2")
    'EleutherAI/pythia-70m'
    """
    bare = name.removeprefix(UNTRAINED)
    for ladder in LADDERS:
        _, found, below = f" {ladder} ".partition(f" {bare} ")
        if found and below.strip():
            return below.split()[0]
    known = organisms()
    return None if bare.startswith(known) else next(iter(known), None)


def ways_out(name: str, device: str) -> str:
    """What to run instead, as the end of an error's line."""
    cpu = f"the CPU (pytest --lab-models {name} --lab-load device=cpu)" if device != "cpu" else ""
    less = smaller(name)
    model = "a smaller model" + (f" (pytest --lab-models {less})" if less else "")
    return " or ".join(filter(None, (cpu, model)))
