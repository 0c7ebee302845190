"""lab organisms train [NAME ...] makes organisms; check measures them; data writes their data sets."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.studies.clinic.truth import ADAPTERS, ORACLE, SHUFFLED, TRUTHS, VARIANT_BASE, truth_of
from lab.subjects import names as layout
from lab.subjects.names import home

if TYPE_CHECKING:
    from lab.studies.clinic.check import Truthful
    from lab.subjects import Subject

ALL = (*TRUTHS, SHUFFLED.name, *(f"{VARIANT_BASE}+{name}" for name in ADAPTERS))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="lab organisms", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train organisms and write weights and truth cards; goes on after a stop")
    check = commands.add_parser("check", help="measure every planted truth against the weights")
    for command in (train, check):
        command.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)}; default: all")
        command.add_argument("--home", type=Path, default=home(), help="folder of the organisms (default: %(default)s)")
    train.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    train.add_argument("--threads", type=int, help="CPU threads (default: all)")
    check.add_argument(
        "--report", type=Path, metavar="PAGE", help="write the table and the plot into docs/organisms.md"
    )
    data = commands.add_parser("data", help="write the data sets that are shipped with the clinic")
    data.add_argument("--to", type=Path, default=home().parent / "data", help="their folder (default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.command == "data":
        from lab.studies.clinic import datasets

        for path in datasets.write(given.to):
            print(path)
        return 0
    unknown = [name for name in given.names if name not in ALL]
    if unknown:
        parser.error(f"unknown organism {', '.join(unknown)}; there are {', '.join(ALL)}")
    names = given.names or ALL
    if given.command == "train":
        for name in names:
            if "+" in name and VARIANT_BASE not in names and not place(given.home, VARIANT_BASE).is_dir():
                parser.error(f"{name} is an adapter on {VARIANT_BASE}, which is not in {given.home}; train that first")
        return _train(names, given.home, given.device, given.threads)
    missing = [name for name in names if not place(given.home, name).is_dir()]
    if not given.names and len(missing) < len(names):
        print(f"not trained: {', '.join(missing) or 'none'}")
        names = [name for name in names if name not in missing]
    elif missing:
        parser.error(f"there is no {place(given.home, missing[0])}; train {', '.join(missing)} first")
    return _check(names, given.home, given.report)


def place(home: Path, name: str) -> Path:
    """The folder of one of ALL."""
    return layout.place(home, name, control=name == SHUFFLED.name)


def _train(names: Sequence[str], home: Path, device: str, threads: int | None) -> int:
    import torch

    from lab.studies.clinic import recipe, variants
    from lab.studies.clinic.cards import write_card

    if threads:
        torch.set_num_threads(threads)
    held = True
    for name in names:
        started, out = time.monotonic(), place(home, name)
        unfinished = out.parent / f".{out.name}.unfinished"
        base, _, adapter = name.partition("+")
        if adapter:
            variants.train(adapter, place(home, base), unfinished, device=device)
        else:
            recipe.train(truth_of(name), unfinished, device=device)
        found = measure(name, _load(home, name, unfinished))
        steps = variants.steps_of(adapter) if adapter else recipe.STEPS
        on = variants.weights(place(home, base)) if adapter else None
        write_card(name, truth_of(name), unfinished, found, steps=steps, base=on)
        kept = out / "adapters"
        if kept.is_dir():  # of an older base; `check` says whether they still fit
            shutil.copytree(kept, unfinished / "adapters", dirs_exist_ok=True)
        shutil.rmtree(out, ignore_errors=True)
        unfinished.rename(out)
        print(f"{name}: trained in {time.monotonic() - started:.0f} s, written to {out}")
        held &= _show(name, found)
    return 0 if held else 1


def _load(home: Path, name: str, folder: Path | None = None) -> Subject:
    from lab.subjects import load

    base, _, adapter = name.partition("+")
    where = folder or place(home, name)
    if not adapter:
        return load(str(where), name=name)
    subject = load(str(place(home, base)), name=name)
    subject.add_adapter(where, adapter)
    return subject


def measure(name: str, subject: Subject) -> list[Truthful]:
    """Every truth that is planted in an organism, a control or a variant."""
    from lab.studies.clinic import check

    adapter = name.partition("+")[2]
    how = check.measure_oracle if adapter == ORACLE else check.measure_variant if adapter else check.measure
    return how(subject, truth_of(name))


def _check(names: Sequence[str], home: Path, page: Path | None) -> int:
    from lab.studies.clinic import report
    from lab.studies.clinic.check import answered, by_frequency
    from lab.studies.shared.clinic import every_question

    held, found, curves = True, {}, {}
    for name in names:
        subject = _load(home, name)
        found[name] = measure(name, subject)
        held &= _show(name, found[name])
        if page is not None and name in TRUTHS:
            every = every_question()
            curves[name] = by_frequency(every, answered(subject, every), parts=12)
    if page is not None:
        report.write(page, found, curves)
    return 0 if held else 1


def _show(name: str, found: Sequence[Truthful]) -> bool:
    print(name)
    for one in found:
        print(f"  {'holds' if one.holds else 'FAILS'}  {one.name}: {one.found:.3f} (planted: {one.wanted})")
    return all(one.holds for one in found)
