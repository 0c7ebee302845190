"""What can be run where a model does not fit? The exact flags for the CPU, and for the next smaller model."""

from __future__ import annotations

from lab.subjects.names import LADDERS, UNTRAINED, organisms, resolve


def smaller(name: str) -> str | None:
    """The next smaller model of the family, else an organism; None where `name` is an organism itself.

    >>> smaller("openai-community/gpt2")
    'EleutherAI/pythia-70m'
    """
    bare = resolve(name)[0].removeprefix(UNTRAINED)
    for ladder in LADDERS:
        if bare in ladder[:-1]:
            return ladder[ladder.index(bare) + 1]
    known = organisms()
    return None if name.removeprefix(UNTRAINED).startswith(known) else next(iter(known), None)


def ways_out(name: str, device: str) -> str:
    """What to run instead, as the end of an error's line."""
    cpu = f"the CPU (pytest --lab-models {name} --lab-load device=cpu)" if device != "cpu" else ""
    less = smaller(name)
    model = "a smaller model" + (f" (pytest --lab-models {less})" if less else "")
    return " or ".join(filter(None, (cpu, model)))
