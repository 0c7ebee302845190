"""Is everything here that the plan needs? One line each: OK with what was found, or what to do."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable

NEEDED = ("torch", "transformers", "sklearn", "scipy", "matplotlib")
"""Packages by the name they are imported under."""
OPTIONAL = {"datasets": ("data", "data sets from the hub"), "pingouin": ("stats", "a second opinion on statistics")}
"""Packages that one can do without: the extra that they come with, and what they are for."""
_INSTALL = "pip install -c constraints.txt -e"


def main(arguments: list[str]) -> int:
    """Prints a line for each check. Returns 1 where something needed is missing, so that nothing after it runs."""
    argparse.ArgumentParser(prog="python -m lab check", description=__doc__).parse_args(arguments)
    missing = [name for name in NEEDED if not _imports(name, f"MISSING: {_INSTALL} .")]
    for name, (extra, purpose) in OPTIONAL.items():
        _imports(name, f"not here, and only needed for {purpose}: {_INSTALL} '.[{extra}]'")
    if "torch" not in missing:
        _say("accelerator", _accelerator)
    _say("organisms", _organisms)
    if missing:
        print(f"not ready: {', '.join(missing)}", file=sys.stderr)
    return int(bool(missing))


def _imports(name: str, otherwise: str) -> bool:
    try:
        package = importlib.import_module(name)
    except ImportError as error:
        print(f"{name:12}  {otherwise} ({error})")
        return False
    print(f"{name:12}  OK {package.__version__}")
    return True


def _say(what: str, found: Callable[[], str]) -> None:
    print(f"{what:12}  {found()}")


def _accelerator() -> str:
    import torch

    if not torch.cuda.is_available():
        return "OK, none: models run on the CPU"
    count = torch.cuda.device_count()
    return f"OK {count} x {torch.cuda.get_device_name(0)}"


def _organisms() -> str:
    from lab.subjects.names import organisms

    return f"OK {', '.join(organisms())}"
