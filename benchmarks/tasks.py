"""What is measured? Tasks and their sizes; driver and workers read the same list (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Setting:
    """A model's size and a task's inputs.

    Prompts are random token ids, `n` of `tokens` each, none padded. A corrupted prompt has the first `shared` of
    its tokens in common with the clean one. A measurement is the median of `repeats` calls. Where a run is long it
    has at most `rounds` rounds, and peers run in their first way only (`every_way`).
    """

    n: int
    tokens: int
    layers: int = 12
    width: int = 768
    heads: int = 12
    vocab: int = 50257
    shared: int = 0
    new_tokens: int = 0
    options: int = 0
    option_tokens: int = 0
    repeats: int = 1
    rounds: int = 99
    every_way: bool = True

    @property
    def model(self) -> tuple[int, int, int, int]:
        """What a model is built from."""
        return (self.layers, self.width, self.heads, self.vocab)

    def quick(self) -> Setting:
        """The same in a tiny model: it shows that all contenders run and agree, not who is fast."""
        tokens = min(self.tokens, 16)
        return replace(
            self,
            n=min(self.n, 4),
            tokens=tokens,
            shared=min(self.shared, tokens // 2),
            layers=4,
            width=32,
            heads=4,
            vocab=500,
            repeats=min(self.repeats, 5),
        )


@dataclass(frozen=True)
class Task:
    """One table: `what` stands above it, `result` says what every contender has to return."""

    what: str
    result: str
    settings: dict[str, Setting]


TASKS = {
    "capture": Task(
        "The residual stream after every block at the last token",
        "float32 numpy [n, layers, d_model] on the CPU",
        {"small": Setting(n=16, tokens=64)},
    ),
    "sweep": Task(
        "Activation patching of the residual stream at the last position, clean into corrupted, layer by layer",
        "float32 numpy [layers, n, vocab] on the CPU: the logits after the last token",
        {
            "small": Setting(n=8, tokens=64),
            "small-shared": Setting(n=8, tokens=64, shared=32, rounds=3, every_way=False),
            "medium": Setting(n=2, tokens=256, layers=24, width=1024, heads=16, rounds=3, every_way=False),
        },
    ),
    "overhead": Task(
        "`capture` in a tiny model: what the library itself costs, in milliseconds above a plain forward",
        "float32 numpy [n, layers, d_model] on the CPU",
        {"tiny": Setting(n=1, tokens=4, width=32, heads=4, vocab=1000, repeats=50)},
    ),
    "generate": Task(
        "Steered greedy generation: a vector added to the residual stream after the middle block at every token",
        "the new token ids [n, new_tokens]",
        {"small": Setting(n=4, tokens=16, new_tokens=32)},
    ),
    "choose": Task(
        "Log-probabilities of answer options after each prompt",
        "nats [n, options]",
        {"small": Setting(n=32, tokens=64, options=4, option_tokens=3)},
    ),
    "memory": Task(
        "Peak memory of `capture` above the loaded model, in a process of its own",
        "float32 numpy [n, layers, d_model] on the CPU",
        {"small": Setting(n=16, tokens=64, rounds=3)},
    ),
}
