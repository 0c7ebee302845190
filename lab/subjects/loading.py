"""Where is a model, and can it be loaded? Folders, hub names, and the untrained twin of either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.subjects.errors import LoadError
from lab.subjects.subject import Subject

UNTRAINED = "untrained:"
"""`untrained:NAME` is NAME's twin: same architecture and tokenizer, fresh weights of a fixed seed."""

_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


def locate(name: str) -> str:
    """Checks, without loading it, that `name` can be loaded, and returns the folder or hub name to load it from.

    Raises LoadError with what to do.
    """
    source = name.removeprefix(UNTRAINED)
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise LoadError(f"the folder {source} has no config.json; name a folder written by save_pretrained()")
        if not name.startswith(UNTRAINED) and not any(True for glob in _WEIGHTS for _ in folder.glob(glob)):
            raise LoadError(f"the folder {source} has no weights ({_WEIGHTS[0]}); save the model there first")
        return str(folder)
    if folder.is_absolute() or source.startswith("."):
        raise LoadError(f"there is no folder {source}; check the path")
    _locate_on_hub(source)
    return source


def _locate_on_hub(name: str) -> None:
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        if not isinstance(try_to_load_from_cache(name, "config.json"), str):
            HfApi().model_info(name, timeout=10)  # one request; a download would retry for half a minute
    except HFValidationError:
        raise LoadError(f"{name!r} is neither a folder nor a hub name; check the spelling") from None
    except HfHubHTTPError as error:
        raise LoadError(f"the hub does not give {name!r} ({_first_line(error)}); check the name and HF_TOKEN") from None
    except Exception as error:  # no network shows itself as one of many errors
        raise LoadError(
            f"{name!r} is not a folder, and the hub cannot be asked ({_first_line(error)}); "
            "check the spelling or the network, or download it first"
        ) from None


def load(name_or_path: str, device: str | None = None, dtype: str | None = None, *, name: str | None = None) -> Subject:
    """Loads a causal language model from a folder or the hub and wraps it.

    Parameters
    ----------
    name_or_path
        A folder of `save_pretrained()`, a hub name, or `untrained:` and either of them.
    device
        "cpu", "cuda", "cuda:1"; by default the first GPU where there is one.
    dtype
        "float32", "bfloat16", ...; by default float32 on a CPU and the checkpoint's own on a GPU.
    name
        What to call it; by default what was loaded.

    Raises LoadError, StructureError.
    """
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source = locate(name_or_path)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    numbers: Any = dtype or ("float32" if device == "cpu" else "auto")
    loud = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()  # a second of silence on small models; tqdm is per subject
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        if name_or_path.startswith(UNTRAINED):
            with torch.random.fork_rng():
                torch.manual_seed(0)
                kind = {} if numbers == "auto" else {"dtype": getattr(torch, numbers)}
                model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source), **kind)
        else:
            model = AutoModelForCausalLM.from_pretrained(source, dtype=numbers)
    except Exception as error:  # safetensors, tokenizers and torch each raise their own
        raise LoadError(f"cannot load {name_or_path}: {_first_line(error)}") from error
    finally:
        if loud:
            transformers.utils.logging.enable_progress_bar()
    return Subject(model.to(device), tokenizer, name=name or name_or_path)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
