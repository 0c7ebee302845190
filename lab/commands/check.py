"""lab check: what a run needs of this machine, a line each: OK with what was found, or what to do."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from functools import partial

NEEDED = {
    **{name: f"pip install {name}" for name in ("torch", "transformers", "scipy", "matplotlib")},
    "sklearn": "pip install scikit-learn",
    "datasets": 'pip install "lab-hypotheses[data]"',
}
"""Packages by the name they are imported under, and how each comes here."""
OPTIONAL = {"pingouin": 'a second opinion on statistics comes with pip install "lab-hypotheses[stats]"'}
"""Packages that nothing waits for."""
OK = "OK"


def main(arguments: list[str]) -> int:
    """Prints a line for each check. Returns 1 where one of them is not OK, so that nothing after it runs."""
    argparse.ArgumentParser(prog="lab check", description=__doc__).parse_args(arguments)
    checks: dict[str, Callable[[], str]] = {
        **{name: partial(_package, name, f"MISSING: {fix}") for name, fix in NEEDED.items()},
        **{name: partial(_package, name, f"{OK} without: {offer}") for name, offer in OPTIONAL.items()},
        "accelerator": _accelerator,
        "organisms": _organisms,
    }
    failed = []
    for name, found in checks.items():
        told = found()
        print(f"{name:12}  {told}")
        if not told.startswith(OK):
            failed.append(name)
    if failed:
        print(f"not ready: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _package(name: str, otherwise: str) -> str:
    try:
        return f"{OK} {importlib.import_module(name).__version__}"
    except ImportError as error:
        return f"{otherwise} ({error})"


def _accelerator() -> str:
    """The first GPU, tried out: a driver that does not fit its torch is found only when something is computed."""
    try:
        import torch
    except ImportError:
        return "UNKNOWN: torch, which would tell, has to be there first"
    if not torch.cuda.is_available():
        return f"{OK}, none: models run on the CPU"
    try:
        torch.ones(1, device="cuda").sum().item()
    except RuntimeError as error:
        said = str(error).strip().partition("\n")[0]
        return f"FAILED: {said}; install a torch built for this driver, or hide the GPU: CUDA_VISIBLE_DEVICES=-1"
    return f"{OK} {torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"


def _organisms() -> str:
    from lab.subjects.names import home, organisms

    found = ", ".join(organisms())
    return f"{OK} {found}" if found else f"MISSING: there is none in {home()}; lab organisms train"
