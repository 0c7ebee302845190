"""Downloads of models from the Hugging Face hub: all files are fetched, with patience, and then read from the disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

from lab.files.hub import explain, patiently, token
from lab.subjects import operations
from lab.subjects.errors import LoadError

Given = TypeVar("Given")

_TEXTS = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "*.py")
_WEIGHTS = (("model*.safetensors", "adapter_model*.safetensors"), ("pytorch_model*.bin", "adapter_model*.bin"))
"""What a model is stored in: the second only where the first is missing."""


def check(name: str) -> None:
    """Asks the hub whether there is such a model, unless it is in the cache. Raises LoadError."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
    except HFValidationError:
        raise LoadError(f"{name!r} is neither a folder nor a hub name; check the spelling") from None
    _patiently(name, lambda: HfApi().model_info(name, timeout=10, token=token()))


def fetch(name: str, revision: str | None = None, *, weights: bool = True) -> Path:
    """The folder of a model's files, downloaded where they are not in the cache. Raises LoadError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    def get(patterns: tuple[str, ...]) -> Path:
        options: dict[str, Any] = {"revision": revision, "token": token(), "allow_patterns": list(patterns)}
        return Path(_patiently(name, lambda: snapshot_download(name, **options)))

    quiet = not (sys.stderr.isatty() or are_progress_bars_disabled())
    if quiet:
        disable_progress_bars()
    try:
        with operations.of(f"fetching {name}"):
            for patterns in _WEIGHTS if weights else ((),):
                folder = get(_TEXTS + patterns)
                if any(fnmatch(path.name, pattern) for path in folder.iterdir() for pattern in patterns):
                    break
    finally:
        if quiet:
            enable_progress_bars()
    return folder


def _patiently(name: str, ask: Callable[[], Given]) -> Given:
    def failed(error: Exception) -> LoadError:
        instead = "check the spelling or the network, or download it first"
        return LoadError(explain(error, name, "model", absent="is not a folder", instead=instead))

    return patiently(ask, failed)
