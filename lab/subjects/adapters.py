"""LoRA adapters of a model: attached through peft, switched on and off without a copy of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.subjects import packing
from lab.subjects.errors import LoadError, MissingPackage, SubjectError


def add(model: Any, folder: str | Path, name: str) -> None:
    """Attaches the adapter in `folder` to `model` in place and turns it on. Raises LoadError."""
    try:
        import peft  # noqa: F401
    except ImportError:
        raise MissingPackage('LoRA adapters need the package peft: pip install "lab-hypotheses[adapters]"') from None
    try:
        with packing.kept(model):
            model.load_adapter(str(folder), adapter_name=name)
    except Exception as error:  # peft, safetensors and the hub each raise their own
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LoadError(f"cannot attach the adapter {folder}: {said}") from error
    model.set_adapter(name)
    model.eval()


def known(model: Any) -> list[str]:
    """Names of the adapters attached to a model."""
    return sorted(getattr(model, "peft_config", None) or {})


class Switched:
    """While it lasts, the model runs with one adapter, or with none; then each layer is as it was."""

    def __init__(self, model: Any, name: str | None) -> None:
        if name is not None and name not in known(model):
            raise SubjectError(f"no adapter {name!r}; attached: {', '.join(known(model)) or 'none'}")
        self.name = name
        # peft's own layers, wherever they are: the same in a PeftModel and in a model with `load_adapter`.
        self.layers = [m for m in model.modules() if isinstance(getattr(m, "disable_adapters", None), bool)]

    def __enter__(self) -> None:
        self.before = [(list(layer.active_adapters), layer.disable_adapters) for layer in self.layers]
        for layer in self.layers:
            _set(layer, None if self.name is None else [self.name])

    def __exit__(self, *_: object) -> None:
        for layer, (names, off) in zip(self.layers, self.before, strict=True):
            _set(layer, names)
            if off:
                _set(layer, None)


def _set(layer: Any, names: list[str] | None) -> None:
    if names is not None:
        layer.set_adapter(names)
    layer.enable_adapters(names is not None)
