"""Truth cards: YAML beside the weights that says what was planted, by which recipe, and what holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lab.studies.clinic import recipe, variants
from lab.studies.clinic.truth import COLLAPSED, SCALE_USE, VARIATION_EFFECT, VIOLATIONS, WORDING_GAIN, Truth
from lab.studies.shared.world import N_PATIENTS, ZIPF_EXPONENT, ZIPF_OFFSET, world

if TYPE_CHECKING:
    from lab.studies.clinic.check import Truthful


def write_card(
    name: str, truth: Truth, out: Path, found: Sequence[Truthful], *, steps: int, base: str | None = None
) -> None:
    """Writes `truth.yaml` beside the weights of an organism, or of an adapter on the base whose fingerprint is `base`.

    The weights have to be there already: the card is of these, and says so by their fingerprint.
    """
    import yaml

    planted = asdict(truth)
    del planted["name"]
    card = {
        "name": name,
        "architecture": planted.pop("architecture"),
        "recipe": {"hash": recipe.fingerprint(truth, steps), "seed": planted.pop("seed"), "steps": steps}
        | ({"base": base} if base else {})
        | {"weights": variants.weights(out)},
        "planted": planted
        | {
            "patients": N_PATIENTS,
            "fact_frequency": f"(rank + {ZIPF_OFFSET:g}) ** -{ZIPF_EXPONENT:g}",
            "wording_gain": WORDING_GAIN,
            "scale_use": {name: dict(zip(("gain", "noise"), use, strict=True)) for name, use in SCALE_USE.items()},
            "collapsed": COLLAPSED,
            "banned_answers": VIOLATIONS,
            "system_prompts": VARIATION_EFFECT,
            "utilities": dict(zip((t.text for t in world().tasks), truth.utilities.round(4).tolist(), strict=True)),
        },
        "measured": {
            one.name: {"found": round(float(one.found), 4), "within": one.wanted, "holds": bool(one.holds)}
            for one in found
        },
    }
    (out / "truth.yaml").write_text(yaml.safe_dump(card, sort_keys=False, allow_unicode=True), encoding="utf-8")
