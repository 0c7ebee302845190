"""Names of subjects and the options they are loaded with: organisms, folders, hub names, untrained twins, APIs.

Knows no torch, so that a run can be planned without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from lab.files import embedded as shipped
from lab.subjects.errors import LoadError

UNTRAINED = "untrained:"
"""`untrained:NAME` is NAME's twin: same architecture and tokenizer, fresh weights of a fixed seed."""

LADDERS = tuple(
    line.split()
    for line in (
        "openai-community/gpt2-xl openai-community/gpt2-large openai-community/gpt2-medium openai-community/gpt2 "
        "EleutherAI/pythia-70m",
        "EleutherAI/pythia-12b EleutherAI/pythia-6.9b EleutherAI/pythia-2.8b EleutherAI/pythia-1.4b "
        "EleutherAI/pythia-1b EleutherAI/pythia-410m EleutherAI/pythia-160m EleutherAI/pythia-70m "
        "EleutherAI/pythia-14m",
        "facebook/opt-66b facebook/opt-30b facebook/opt-13b facebook/opt-6.7b facebook/opt-2.7b facebook/opt-1.3b "
        "facebook/opt-350m facebook/opt-125m",
        "google/gemma-3-27b-it google/gemma-3-12b-it google/gemma-3-4b-it google/gemma-3-1b-it google/gemma-3-270m-it",
        "meta-llama/Llama-3.1-70B-Instruct meta-llama/Llama-3.1-8B-Instruct meta-llama/Llama-3.2-3B-Instruct "
        "meta-llama/Llama-3.2-1B-Instruct",
        "Qwen/Qwen2.5-72B-Instruct Qwen/Qwen2.5-32B-Instruct Qwen/Qwen2.5-14B-Instruct Qwen/Qwen2.5-7B-Instruct "
        "Qwen/Qwen2.5-3B-Instruct Qwen/Qwen2.5-1.5B-Instruct Qwen/Qwen2.5-0.5B-Instruct",
    )
)
"""Families on the hub, each from its largest model down."""

_FULL = {full.rpartition("/")[2]: full for ladder in LADDERS for full in ladder}
"""Hub names by the short ones in common use, as gpt2, pythia-70m and opt-125m."""

API = "openai:"
"""`openai:NAME` is the model that a server calls NAME; the server need not be OpenAI's."""
TARGETS = ("hf", "api")
"""What can serve a model: Hugging Face's transformers in this process, or a server."""

TARGET_OPTIONS: dict[str, type] = {"target": str}
"""What tells which of them serves a model; by default its name does."""
MODEL_OPTIONS: dict[str, type] = {
    "device": str,
    "dtype": str,
    "quantize": str,
    "adapter": str,
    "device_map": str,
    "revision": str,
    "batch_size": int,
    "trust_remote_code": bool,
    "enable_hooks": bool,
}
"""What `load` takes for a Hugging Face model beside its name."""
SERVER_OPTIONS: dict[str, type] = {
    "base_url": str,
    "concurrency": int,
    "cache": str,
    "timeout": float,
    "retries": int,
    "samples": int,
}
"""What `load` takes for a model behind an API."""


def options_for(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that `load` takes for this subject. An untrained twin has no weights to quantize."""
    if name.startswith(API):
        return {key: value for key, value in options.items() if key in SERVER_OPTIONS}
    plain = ("device", "dtype", "revision", "batch_size", "trust_remote_code", "enable_hooks")
    known = plain if name.startswith(UNTRAINED) else tuple(MODEL_OPTIONS)
    return {key: value for key, value in options.items() if key in known}


def served(name: str, target: str | None) -> str:
    """The name under which this target serves a model; None leaves it to the name. Raises LoadError for a mismatch.

    >>> served("gpt-5-mini", "api"), served("openai:gpt-5-mini", None), served("pythia-70m", "hf")
    ('openai:gpt-5-mini', 'openai:gpt-5-mini', 'pythia-70m')
    """
    if target not in (None, *TARGETS):
        raise LoadError(f"no target {target!r}; it is one of {', '.join(TARGETS)}")
    if target == "hf" and name.startswith(API):
        raise LoadError(f"target=hf does not serve {name}, which is behind an API; leave the target out, or write api")
    if target != "api" or name.startswith(API):
        return name
    if name.startswith(UNTRAINED) or name in (*organisms(), *controls(), *variants()) or Path(name).is_dir():
        raise LoadError(f"target=api does not serve {name}, whose weights are here; leave the target out, or write hf")
    return API + name


def home() -> Path:
    """The folder of all organisms."""
    return shipped.folder("organisms")


def organisms() -> tuple[str, ...]:
    """Names of the base organisms that are there, sorted. A run studies them where nothing else is asked for."""
    return tuple(sorted(path.parent.name for path in home().glob("*/config.json")))


def controls() -> tuple[str, ...]:
    """Organisms that are negative controls: studied where an experiment names them, or when asked for."""
    return tuple(sorted(path.parent.name for path in home().glob("controls/*/config.json")))


def variants() -> tuple[str, ...]:
    """Organisms under a LoRA adapter that changes one of their truths, as BASE+ADAPTER."""
    found = home().glob("*/adapters/*/adapter_config.json")
    return tuple(sorted(f"{path.parents[2].name}+{path.parent.name}" for path in found))


def folder(name: str) -> Path:
    """The Hugging Face folder of an organism, or a variant's adapter. Raises KeyError for an unknown name."""
    known = (*organisms(), *controls(), *variants())
    if name not in known:
        raise KeyError(f"no organism {name!r}; there are {', '.join(known)}")
    return place(home(), name, control=name in controls())


def place(home: Path, name: str, *, control: bool) -> Path:
    """Where in a home the folder of an organism, of a control, or of a variant's adapter is, or will be."""
    base, _, adapter = name.partition("+")
    return home / base / "adapters" / adapter if adapter else home / "controls" / name if control else home / name


class Origin(NamedTuple):
    """Where the weights of a subject come from."""

    source: str
    """The folder of the model, or its name on the hub."""
    adapter: Path | None
    """The folder of the LoRA adapter that makes an organism's variant; an untrained twin has none."""
    untrained: bool
    """Whether only architecture and tokenizer are taken from there."""


def resolve(name: str) -> Origin:
    """The origin of a subject: an organism's folders, a hub name, or the name itself.

    Short names of the families in `LADDERS` become hub names where no folder is called so.

    >>> resolve("untrained:pythia-70m")
    Origin(source='EleutherAI/pythia-70m', adapter=None, untrained=True)
    """
    untrained = name.startswith(UNTRAINED)
    bare = name.removeprefix(UNTRAINED)
    if bare in variants():
        return Origin(str(folder(bare.split("+")[0])), None if untrained else folder(bare), untrained)
    if bare in organisms() or bare in controls():
        return Origin(str(folder(bare)), None, untrained)
    return Origin(bare if Path(bare).is_dir() else _FULL.get(bare, bare), None, untrained)


def smaller(name: str) -> str | None:
    """The next smaller model of the family, else an organism; None where `name` is an organism itself.

    >>> smaller("openai-community/gpt2")
    'EleutherAI/pythia-70m'
    """
    bare = resolve(name).source
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
