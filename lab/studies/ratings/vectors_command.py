"""Lengths of kept concept vectors beside the activations that they are added to: shows or normalises them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

COLUMNS = ("selector", "layer", "original norm", "activation norm", "norm", "norm / activation norm")


def main(arguments: list[str]) -> int:
    """Prints a row for each vector, after normalising all of them where that is asked for. Returns 2 on bad input."""
    from lab.record.store import Damaged
    from lab.studies.ratings.concepts import MOST, Normalised
    from lab.studies.ratings.vectors import load, normalise

    parser = argparse.ArgumentParser(prog="lab vectors", description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder with a manifest.json, as results/arrays/VECTORS/...")
    parser.add_argument("--normalise", choices=get_args(Normalised), help="bring all vectors to this length, once")
    asked = parser.parse_args(arguments)
    try:
        if asked.normalise is not None:
            done = normalise(asked.folder, asked.normalise)
            print(f"normalised to {asked.normalise}" if done else f"normalised to {asked.normalise} already")
        found, _ = load(asked.folder)
    except (Damaged, ValueError, OSError) as error:
        print(f"lab vectors: {error}", file=sys.stderr)
        return 2
    print("  ".join(COLUMNS))
    for name, concept in found.items():
        for row in concept.table():
            shown = [f"{row[key]:.4g}" for key in ("original_norm", "activation_norm", "norm", "perturbation")]
            loud = f"  above {MOST:g} at coefficient 1" if row["perturbation"] > MOST else ""
            cells = [name, str(row["layer"]), *shown]
            print("  ".join(cell.ljust(len(title)) for cell, title in zip(cells, COLUMNS, strict=True)).rstrip() + loud)
    ways = {concept.normalised for concept in found.values()}
    print("normalisation: " + ", ".join(way or "not recorded; use --normalise" for way in ways))
    return 0
