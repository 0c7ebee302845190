"""lab report compare A B: how mean activations differ between saved runs, layer by layer; no model is loaded.

Verdicts and estimates of two runs are compared by `lab compare`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from lab.record import store
from lab.studies.activations import activation_compare
from lab.views.cards import RESULTS
from lab.views.text import markdown_table

Means = dict[int, np.ndarray]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="lab report compare", description=__doc__)
    parser.add_argument(
        "saved", nargs="+", type=Path, help="experiment folders (with results.json), or .safetensors files of runs"
    )
    parser.add_argument("--mode", choices=("pairwise", "baseline"), default="pairwise", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    given = parser.parse_args(arguments)
    try:
        found = compared(given.saved, given.mode)
        models = {str(place): ", ".join(models_of(place)) or "not told" for place in given.saved}
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if len(known := {told for told in models.values() if told != "not told"}) > 1:
        told = "; ".join(f"{place}: {model}" for place, model in models.items())
        print(
            f"warning: these are runs of different models ({told}), whose activation spaces have no axes in common: a "
            "cosine between them says nothing; PM1 and 2A1 compare models",
            file=sys.stderr,
        )
    if given.json:
        print(json.dumps([one.table() for one in found], indent=1))
    else:
        if known:
            print(f"Models: {', '.join(sorted(known))}\n")
        print("\n\n".join(map(_shown, found)))
    return 0


def compared(saved: list[Path], mode: activation_compare.Mode = "pairwise") -> list[activation_compare.Comparison]:
    """The comparisons of all runs in these places, as the experiment itself makes them.

    Runs of one name in different places are called after their place. Raises ValueError, OSError.
    """
    places = [(place, runs(place)) for place in saved]
    names = [name for _, found in places for name in found]
    means: dict[str, Means] = {}
    for number, (_, found) in enumerate(places, 1):
        for name, vectors in found.items():
            means[name if names.count(name) == 1 else f"{name} ({number})"] = vectors
    pairs = activation_compare.pairs(list(means), mode)
    return [activation_compare.compare(means[a], means[b], names=(a, b)) for a, b in pairs]


def runs(place: Path) -> dict[str, Means]:
    """Mean vectors by run and layer, of an experiment's folder or of a file. Raises ValueError, OSError."""
    if place.is_file() and place.suffix == ".safetensors":
        return activation_compare.saved(store.load_arrays(place))
    if not (place / RESULTS).is_file():
        raise ValueError(f"{place}: there is no {RESULTS}; name an experiment's folder, or a .safetensors file")
    told = json.loads((place / RESULTS).read_bytes())["arrays"]
    if not told:
        raise ValueError(f"{place}: its experiment kept no arrays; run AC1 or AC2")
    root = place.resolve().parents[2]  # results/experiments/DATE/TIME_...
    found: dict[str, Means] = {}
    for kept in told.values():
        found |= activation_compare.saved(store.load_arrays(root / kept["file"], kept["sha256"]))
    return found


def models_of(place: Path) -> list[str]:
    """The models of an experiment's folder; of a file of arrays none is known. Raises ValueError, OSError."""
    if place.is_file():
        return []
    config = json.loads((place / RESULTS).read_bytes())["metadata"]["config"]
    return [model["name"] for model in config.get("models", [])]


def _shown(one: activation_compare.Comparison) -> str:
    """A Markdown table of one pair, and its layers from the most diverging one down."""
    numbers = ("cosine", "l2", "relative l2")
    rows = [[str(row["layer"]), *(f"{row[name]:.6g}" for name in numbers)] for row in one.rows()]
    order = [str(one.layers[i]) for i in np.argsort(one.cosine, kind="stable")]
    lines = [f"# {one.first} / {one.second}", "", *markdown_table(["layer", "cosine", "L2", "relative L2"], rows)]
    return "\n".join([*lines, "", f"Most diverging first (1 - cosine): {', '.join(order)}"])
