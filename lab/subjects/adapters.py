"""Which LoRA adapters does a model wear? Attached through peft, switched on and off without a copy of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.subjects.errors import LoadError, SubjectError


def add(model: Any, folder: str | Path, name: str) -> None:
    """Attaches the adapter in `folder` to `model` in place and turns it on. Raises LoadError."""
    try:
        import peft  # noqa: F401
    except ImportError:
        raise LoadError('LoRA adapters need the package peft: pip install "lab-hypotheses[adapters]"') from None
    try:
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
    """While it lasts, the model runs with one adapter, or with none; then as before."""

    def __init__(self, model: Any, name: str | None) -> None:
        if name is not None and name not in known(model):
            raise SubjectError(f"no adapter {name!r}; attached: {', '.join(known(model)) or 'none'}")
        self.model, self.name = model, name

    def __enter__(self) -> None:
        self.before = _active(self.model)
        _use(self.model, self.name)

    def __exit__(self, *_: object) -> None:
        _use(self.model, self.before)


def _active(model: Any) -> str | None:
    """The adapter that is on now; None where there is none or all are off."""
    if not known(model):
        return None
    layers = [module for module in model.modules() if hasattr(module, "disable_adapters")]
    if layers and all(layer.disable_adapters for layer in layers):
        return None
    return str(model.active_adapters()[0])


def _use(model: Any, name: str | None) -> None:
    if not known(model):
        return
    if name is None:
        model.disable_adapters()
    else:
        model.enable_adapters()
        model.set_adapter(name)
