"""Models under study: loading, hook points, capture, patch, choose, chat. No statistics and no pytest live here.

subject = load("openai-community/gpt2")             # a folder or a hub name
subject = wrap(hf_model, tokenizer)                 # or a model that you already have
resid = subject.capture(prompts, at=subject.resid_post(0.5), position="last")
"""

from lab.subjects.edits import Edit
from lab.subjects.errors import LoadError, PromptError, StructureError, SubjectError
from lab.subjects.loading import UNTRAINED, load, locate
from lab.subjects.points import Site
from lab.subjects.results import Activations, Choice, Generation, Sweep
from lab.subjects.subject import Subject, wrap

__all__ = [
    "UNTRAINED",
    "Activations",
    "Choice",
    "Edit",
    "Generation",
    "LoadError",
    "PromptError",
    "Site",
    "StructureError",
    "Subject",
    "SubjectError",
    "Sweep",
    "load",
    "locate",
    "wrap",
]
