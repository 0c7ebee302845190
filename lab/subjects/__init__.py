"""Models under study: loading, hook points, capture, patch, steer, sweep, choose, chat, also through an API.

subject = load("openai-community/gpt2")             # a folder, a hub name, an organism, "openai:..."
subject = wrap(hf_model, tokenizer)                 # or a model that you already have
resid = subject.capture(prompts, at=subject.resid_post(0.5), position="last")

What may live here is what loads, asks, reads or changes a model, and `cache/`, which keeps what one gave: no
statistics of results, no judging, no pytest and no experiment. Each name is imported when it is first used, so that
`lab.subjects.names` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.subjects.api import ApiSubject
    from lab.subjects.edits import Edit
    from lab.subjects.errors import (
        LoadError,
        NoActivationsError,
        OutOfMemory,
        PromptError,
        StructureError,
        SubjectError,
    )
    from lab.subjects.hook_points import HookPoint, Outline
    from lab.subjects.loading import load, locate
    from lab.subjects.names import UNTRAINED
    from lab.subjects.results import Activations, Choice, Generation, Sweep
    from lab.subjects.subject import Subject, wrap

_HOMES = {
    "api": ("ApiSubject",),
    "edits": ("Edit",),
    "errors": ("LoadError", "NoActivationsError", "OutOfMemory", "PromptError", "StructureError", "SubjectError"),
    "hook_points": ("HookPoint", "Outline"),
    "loading": ("load", "locate"),
    "names": ("UNTRAINED",),
    "results": ("Activations", "Choice", "Generation", "Sweep"),
    "subject": ("Subject", "wrap"),
}

__all__ = [
    "UNTRAINED",
    "Activations",
    "ApiSubject",
    "Choice",
    "Edit",
    "Generation",
    "HookPoint",
    "LoadError",
    "NoActivationsError",
    "OutOfMemory",
    "Outline",
    "PromptError",
    "StructureError",
    "Subject",
    "SubjectError",
    "Sweep",
    "load",
    "locate",
    "wrap",
]


def __getattr__(name: str) -> Any:
    for home, exported in _HOMES.items():
        if name in exported:
            return getattr(import_module(f"lab.subjects.{home}"), name)
    raise AttributeError(f"module 'lab.subjects' has no attribute {name!r}")
