"""Loading of models: folders, hub names, the untrained twin of either, and API models."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lab.subjects import api, downloading, operations, packing
from lab.subjects.effort import DONE
from lab.subjects.errors import LoadError, MissingPackage, SubjectError, is_out_of_memory
from lab.subjects.names import Origin, resolve, served, ways_out
from lab.subjects.subject import Subject

_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


def locate(name: str, base_url: str | None = None) -> str:
    """Checks, without loading it, that `name` can be loaded, and returns the folder or hub name to load it from.

    Raises LoadError with what to do.
    """
    if api.is_api(name):
        api.check(name, base_url)
        return name
    return located(name).source


def located(name: str) -> Origin:
    """As `locate`, with the adapter of the subject and whether it is untrained."""
    origin = resolve(name)
    source, _, untrained = origin
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise LoadError(f"the folder {source} has no config.json; name a folder written by save_pretrained()")
        if not untrained and not any(True for glob in _WEIGHTS for _ in folder.glob(glob)):
            raise LoadError(f"the folder {source} has no weights ({_WEIGHTS[0]}); save the model there first")
        return origin._replace(source=str(folder))
    if folder.is_absolute() or source.startswith("."):
        raise LoadError(f"there is no folder {source}; check the path")
    downloading.check(source)
    return origin


def load(
    name_or_path: str,
    device: str = "auto",
    dtype: str | None = None,
    *,
    name: str | None = None,
    quantize: str | None = None,
    adapter: str | Path | None = None,
    device_map: str | dict[str, Any] | None = None,
    revision: str | None = None,
    batch_size: int | None = None,
    trust_remote_code: bool = False,
    target: str | None = None,
    enable_hooks: bool = True,
    **server: Any,
) -> Subject:
    """Loads a causal language model from a folder or the hub and wraps it, or connects to an API.

    Parameters
    ----------
    name_or_path
        An organism or a variant of one (as "NAME+VARIANT"), a folder of `save_pretrained()`, a hub name
        or its short form (as "pythia-70m"), `untrained:` and any of them, or `openai:` and the name of a model behind
        an OpenAI-compatible API. The last gives an `ApiSubject`: it can `chat` and `choose`, and anything that needs
        activations is an error.
    device
        "cpu", "cuda", "cuda:1"; "auto" is the first GPU where there is one, and the CPU where the model does not fit
        on it, which the subject's notes say.
    dtype
        "float32", "bfloat16", "float16"; by default float32 on a CPU and the checkpoint's own on a GPU.
        With `quantize` it is what is computed in (by default bfloat16).
    name
        What to call it; by default what was loaded.
    quantize
        "nf4": 4-bit weights with double quantisation, through bitsandbytes. On a CPU with AVX-512 BF16 it computes in
        bfloat16, and needs layers whose inputs are a multiple of 64 and whose outputs are one of 32.
    adapter
        A LoRA adapter (a peft folder or hub name) to attach and turn on.
    device_map
        Spreads the layers over devices through accelerate, as "auto", "balanced" or a dict of modules.
    batch_size
        At most so many rows are run at once; by default as many as `tokens_per_batch` allows.
    revision, trust_remote_code
        As in transformers; remote code is off unless asked for.
    target
        "hf" or "api": what serves the model. By default its name tells; under "api" `openai:` may be left out of it.
    enable_hooks
        Without, whatever reads or changes activations is an error before any pass; it chooses and speaks.
    **server
        For an API: base_url, concurrency, cache, timeout, retries, samples; see `lab.subjects.api.connect`.

    Raises LoadError, StructureError.
    """
    name_or_path = served(name_or_path, target)
    if api.is_api(name_or_path):
        subject: Any = api.connect(name_or_path, name_shown=name, **server)
        return subject  # type: ignore[no-any-return]  # speaks and chooses as a Subject does; the rest it refuses
    if server:
        raise LoadError(f"{', '.join(server)} is for a model behind an API, and {name_or_path} is none; leave it out")
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source, own, untrained = located(name_or_path)
    first = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    _check_device(first)
    if untrained and (quantize or device_map):
        raise LoadError(f"{name_or_path} has no weights to quantize or spread; load it plainly")
    if not Path(source).is_dir():
        source = str(downloading.fetch(source, revision, weights=not untrained))

    def put_on(place: str) -> Subject:
        numbers = _numbers(dtype or ("bfloat16" if quantize else "float32" if place == "cpu" else "auto"))
        options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        if untrained:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                kind = {} if numbers == "auto" else {"dtype": numbers}
                model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source, **options), **kind)
        else:
            where = {"": place} if quantize and device_map is None else device_map
            if quantize:
                options["quantization_config"] = _quantization(quantize, numbers)
            model = AutoModelForCausalLM.from_pretrained(source, dtype=numbers, device_map=where, **options)
            if getattr(model, "is_loaded_in_4bit", False):  # also where the checkpoint is so
                packing.check(model, name or name_or_path)
        if not quantize and device_map is None:
            model = model.to(place)
        return Subject(model, tokenizer, name=name or name_or_path)

    places = [first, "cpu"] if device == "auto" and first != "cpu" and device_map is None else [first]
    loud = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()  # a second of silence on small models; see operations
    try:
        with operations.of(f"loading {name_or_path}"):
            begun = time.monotonic()
            subject = _fitting(places, put_on, name_or_path)
            DONE.loads, DONE.load_seconds = DONE.loads + 1, DONE.load_seconds + time.monotonic() - begun
    finally:
        if loud:
            transformers.utils.logging.enable_progress_bar()
    subject.batch_size, subject.hooked = batch_size, enable_hooks
    if own is not None:
        subject.add_adapter(own, own.name)
    if adapter is not None:
        subject.add_adapter(adapter)
    return subject  # type: ignore[no-any-return]


def _fitting(places: list[str], put_on: Callable[[str], Subject], name: str) -> Subject:
    """The subject in the first of these places that has room for it. Raises LoadError."""
    import torch

    for place in places:
        try:
            subject = put_on(place)
        except SubjectError:
            raise
        except Exception as error:  # safetensors, tokenizers and torch each raise their own
            if not is_out_of_memory(error):
                raise LoadError(f"cannot load {name}: {_why(error)}") from error
        else:
            if place != places[0]:
                subject.notes.append(
                    f"it does not fit into the memory of {places[0]}, so it runs on the {place.upper()}"
                )
            return subject
        gc.collect()  # outside of `except`, where the traceback no longer holds what filled the memory
        torch.cuda.empty_cache()
    raise LoadError(
        f'{name} does not fit into the memory of {" or ".join(places)}; try dtype="bfloat16", quantize="nf4", '
        f'device_map="auto" (in a run --lab-load quantize=nf4) or {ways_out(name, places[-1])}'
    )


def _numbers(dtype: str) -> Any:
    import torch

    found = dtype if dtype == "auto" else getattr(torch, dtype, None)
    if not isinstance(found, str | torch.dtype):
        raise LoadError(f"no dtype {dtype!r}; use float32, bfloat16 or float16")
    return found


def _check_device(device: str) -> None:
    import torch

    try:
        kind = torch.device(device)
    except RuntimeError:
        raise LoadError(f"no device {device!r}; use cpu, cuda, cuda:1 or auto") from None
    if kind.type == "cuda" and (kind.index or 0) >= torch.cuda.device_count():
        raise LoadError(f"there is no {device}: torch sees {torch.cuda.device_count()} GPUs; use cpu or auto")


def _quantization(kind: str, numbers: Any) -> Any:
    if kind != "nf4":
        raise LoadError(f"no quantization {kind!r}; there is nf4 (4-bit, double quantisation)")
    if find_spec("bitsandbytes") is None:
        raise MissingPackage('quantize="nf4" needs the package bitsandbytes: pip install "lab-hypotheses[quantize]"')
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if numbers == "auto" else numbers,
    )


def _why(error: BaseException) -> str:
    """In one line."""
    said = str(error).strip() or type(error).__name__
    if "trust_remote_code=True" in said:  # transformers' own line about it says what is wrong, and not what to do
        return "it brings code of its own; read that, and load with trust_remote_code=True if you trust it"
    return said.splitlines()[0]
