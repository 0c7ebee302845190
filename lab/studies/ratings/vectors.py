"""Storage of concept vectors and their lengths: a folder with a manifest beside safetensors files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lab.files.whole import checksum_of, write_whole
from lab.record import store
from lab.record.store import Damaged
from lab.studies.ratings.concepts import Concept, Normalised

MANIFEST = "manifest.json"
FORMAT = 1


def labelled(concept: Concept) -> dict[str, np.ndarray]:
    """A concept's vectors by label, as they stand in a file."""
    return {f"layer {layer}": vector for layer, vector in zip(concept.layers, concept.vectors, strict=True)}


def describe(folder: Path, concepts: Mapping[str, tuple[Path, Concept]], about: Mapping[str, Any]) -> Path:
    """Writes the manifest of vectors that were kept in `folder`, by selector; returns its path.

    It says how all of them are normalised, and of each layer the original norm, the activations' and the norm that the
    vector has now. `about` is what else is to be known, as the two system prompts. Raises ValueError where vectors
    differ in how they are normalised.
    """
    ways = {concept.normalised for _, concept in concepts.values()}
    if len(ways) != 1:
        raise ValueError(f"vectors of one manifest are normalised in one way, not in {len(ways)}")
    selectors = {
        name: {"file": path.name, "sha256": checksum_of(path), "n": concept.n, "layers": concept.table()}
        for name, (path, concept) in concepts.items()
    }
    told = {"format": FORMAT, "normalisation": ways.pop(), **about, "selectors": selectors}
    return write_whole(folder / MANIFEST, (json.dumps(told, indent=1) + "\n").encode())


def save(folder: str | Path, concepts: Mapping[str, Concept], **about: Any) -> Path:
    """Keeps concepts by selector, each in a file of its own, with their manifest; returns its path."""
    place = Path(folder)
    kept = {name: (store.keep_arrays(place, f"vectors {name}", labelled(c))[0], c) for name, c in concepts.items()}
    return describe(place, kept, about)


def load(folder: str | Path) -> tuple[dict[str, Concept], dict[str, Any]]:
    """The concepts of a folder by selector, and what else its manifest says.

    Of vectors whose manifest has no flag it is not known how they are normalised. Raises Damaged for a folder without
    manifest, a file that has changed, and a vector whose activations' norm is not told.
    """
    place = Path(folder)
    try:
        told = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        selectors = told.pop("selectors")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise Damaged(f"{place} has no readable {MANIFEST} ({error}); name a folder that holds one") from None
    found = {name: _concept(place, name, of, told.get("normalisation")) for name, of in selectors.items()}
    return found, {key: value for key, value in told.items() if key not in ("format", "normalisation")}


def _concept(place: Path, name: str, of: Mapping[str, Any], normalised: Normalised | None) -> Concept:
    rows = of["layers"]
    missing = [row["layer"] for row in rows if not row.get("activation_norm")]
    if missing:
        raise Damaged(
            f"{place}: the manifest has no activation_norm of {name} at layer {missing[0]}, so nobody knows how long "
            "the vector should be; extract it again"
        )
    kept = store.load_arrays(place / of["file"], of.get("sha256"))
    vectors = np.stack([kept[f"layer {row['layer']}"] for row in rows]).astype(float)
    lengths = np.linalg.norm(vectors, axis=1)
    return Concept(
        layers=tuple(row["layer"] for row in rows),
        vectors=vectors,
        original_norms=np.array([row.get("original_norm") or lengths[k] for k, row in enumerate(rows)]),
        activation_norms=np.array([row["activation_norm"] for row in rows]),
        normalised=normalised,
        n=of.get("n", 0),
    )


def normalise(folder: str | Path, to: Normalised = "activations") -> bool:
    """Brings the vectors of a folder to another length, and says so in the manifest; whether there was anything to do.

    Where the manifest says that they have it, nothing is written. New files come first and the manifest last, so that
    it names whole files at any time. Raises Damaged as `load`, ValueError for an unknown length.
    """
    found, about = load(folder)
    if all(concept.normalised == to for concept in found.values()):
        return False
    save(folder, {name: concept.to(to) for name, concept in found.items()}, **about)
    return True
