"""What a card tells of prompts, formats and data sets, and of the variants of a run that a cell compares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.views.cards import Fields


def fields(knobs: Mapping[str, Any]) -> Fields:
    """What the card of a cell with these knobs tells."""
    compared = variants(knobs)
    names = [one["name"] for one in compared]
    first, second = (names[:1], names[1:2]) if names else ([_text(knobs, "prompt")], [_text(knobs, "dataset")])
    folder = [*first, _text(knobs, "output_format"), *second]
    asked = {"prompt_strategy": knobs["prompt"]} if "prompt" in knobs else {}
    return Fields(summary(knobs), compared, folder, asked)


def _text(knobs: Mapping[str, Any], name: str) -> str:
    return str(knobs.get(name, ""))


def summary(knobs: Mapping[str, Any]) -> dict[str, str]:
    """The configuration in a few words: what the experiment has knobs for."""
    shown = {}
    if "prompt" in knobs:
        shown["Prompt Strategy"] = str(knobs["prompt"]).capitalize()
    if "answer_first" in knobs or "contrarian" in knobs:
        mode = "Answer-First" if knobs.get("answer_first") else "Contrarian" if knobs.get("contrarian") else "Standard"
        shown["Reasoning Mode"] = mode
    if "few_shot" in knobs:
        shown["Few-Shot Examples"] = "Yes" if knobs["few_shot"] else "No (zero-shot)"
    if "output_format" in knobs:
        form = str(knobs["output_format"])
        shown["Output Format"] = form.capitalize() if form in ("plain", "markdown") else form.upper()
    if "dataset" in knobs:
        shown["Dataset"] = str(knobs["dataset"])
    return shown


def variants(knobs: Mapping[str, Any]) -> list[dict[str, str]]:
    """The variants among an experiment's knobs, each with what it takes from the others filled in."""
    base = {"dataset": "dataset", "prompt": "prompt", "samples": "n_samples", "seed": "sample_seed"}
    found = []
    for given in knobs.get("variants") or ():
        name, *settings = str(given).split()
        own = dict(setting.partition("=")[::2] for setting in settings)
        own = {knob: value for knob, value in own.items() if value not in ("", "base", "default")}
        filled = {shown: own.get(knob, own.get(shown, str(knobs.get(knob)))) for shown, knob in base.items()}
        others = {knob: value for knob, value in own.items() if knob not in {*base.values(), "samples", "seed"}}
        found.append({"name": name, **{k: v if v != "None" else "default" for k, v in filled.items()}, **others})
    return found
