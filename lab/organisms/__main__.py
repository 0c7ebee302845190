"""python -m lab.organisms train [NAME ...] makes organisms; python -m lab.organisms check [NAME ...] measures them."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from lab.organisms import home, names
from lab.organisms.truth import TRUTHS, Truth


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.organisms", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train organisms anew and write weights and truth cards")
    check = commands.add_parser("check", help="measure every planted truth against the weights")
    for command in (train, check):
        command.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TRUTHS)}; default: all")
        command.add_argument("--home", type=Path, default=home(), help="folder of the organisms (default: %(default)s)")
    train.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    train.add_argument("--threads", type=int, help="CPU threads (default: all)")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in TRUTHS]
    if unknown:
        parser.error(f"unknown organism {', '.join(unknown)}; there are {', '.join(TRUTHS)}")
    if given.command == "train" and given.threads:
        import torch

        torch.set_num_threads(given.threads)
    held = True
    for name in given.names or TRUTHS:
        if given.command == "train":
            _train(TRUTHS[name], given.home, given.device)
        elif not (given.home / name).is_dir():
            parser.error(f"there is no {given.home / name}; train it first (organisms there: {', '.join(names())})")
        held &= _check(TRUTHS[name], given.home)
    return 0 if held else 1


def _train(truth: Truth, home: Path, device: str) -> None:
    from lab.organisms import recipe
    from lab.organisms.check import measure
    from lab.subjects import load

    started, unfinished = time.monotonic(), home / f".{truth.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    recipe.train(truth, unfinished, device=device)
    recipe.write_card(truth, unfinished, measure(load(str(unfinished)), truth)[1])
    shutil.rmtree(home / truth.name, ignore_errors=True)
    unfinished.rename(home / truth.name)
    print(f"{truth.name}: trained in {time.monotonic() - started:.0f} s, written to {home / truth.name}")


def _check(truth: Truth, home: Path) -> bool:
    from lab.organisms.check import measure
    from lab.subjects import load

    found, _ = measure(load(str(home / truth.name)), truth)
    print(truth.name)
    for one in found:
        print(f"  {'holds' if one.holds else 'FAILS'}  {one.name}: {one.found:.3f} (planted: {one.wanted})")
    return all(one.holds for one in found)


if __name__ == "__main__":
    sys.exit(main())
