"""Runs of an experiment on prompts: data sets, each read under a prompt, made from their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from lab.studies.activations.strategies import Style, strategy
from lab.studies.shared.material import Datasets

if TYPE_CHECKING:
    from lab.record import Notebook

INHERITED = ("", "base", "default")
"""What a variant may write to say that it takes a setting from the experiment."""
_STYLE = tuple(field.name for field in fields(Style))
_OWN = ("dataset", "prompt", "n_samples", "seed", *_STYLE)


@dataclass(frozen=True)
class Run:
    """One data set read under one prompt strategy.

    `prompts` [n]; `items` [n] says which item each is about, so that runs on the same items can be paired.
    """

    name: str
    dataset: str
    prompt: str
    style: Style
    n_samples: int | None
    seed: int
    prompts: tuple[str, ...]
    items: tuple[str, ...]

    def told(self) -> dict[str, Any]:
        """What a report says of the run; all but its prompts."""
        return {
            "name": self.name,
            "dataset": self.dataset,
            "prompt": self.prompt,
            "reasoning mode": self.style.mode,
            **asdict(self.style),
            "answer_cue": self.style.cue,
            "n_samples": self.n_samples,
            "seed": self.seed,
            "samples": len(self.prompts),
            "indices": [int(item.rpartition("#")[2]) for item in self.items],
        }

    def rows(self) -> list[dict[str, str]]:
        """Every prompt with its run, for the log."""
        both = zip(self.items, self.prompts, strict=True)
        return [{"run": self.name, "item": item, "prompt": prompt} for item, prompt in both]

    def batches(self, size: int) -> list[tuple[str, ...]]:
        """The prompts in batches of a size; 0 leaves them together, in as large batches as memory allows."""
        if size < 0:
            raise ValueError(f"batch_size={size}; use 0 for as many as fit, or a number of prompts")
        return [self.prompts[i : i + size] for i in range(0, len(self.prompts), size)] if size else [self.prompts]


@dataclass(frozen=True)
class Runs:
    """Makes runs of names: `runs("clinic/mmlu", "mcq", n_samples=50, seed=42, few_shot=True)`.

    `data` gives the data sets: a file only if a knob names it, by itself or in a variant. `base` are the settings that
    hold where a run is given no others.
    """

    data: Datasets = field(default_factory=lambda: Datasets(None))
    base: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, dataset: str, prompt: str, *, name: str = "", **settings: Any) -> Run:
        """One run. `n_samples` items are drawn with `seed`; None takes all. Other settings are those of a `Style`.

        Raises ValueError for unknown names, DataError for a file that no knob names.
        """
        style = {**self.base, **settings}
        n_samples, seed = style.pop("n_samples"), style.pop("seed")
        asked, styled = strategy(prompt), Style(**style)
        rows = self.data(dataset).sample(n_samples, seed=seed)
        texts = rows.asks if hasattr(rows, "asks") else rows.texts
        choices = rows.choices if hasattr(rows, "choices") else ((),) * len(texts)
        return Run(
            name=name or f"{dataset} under {prompt}",
            dataset=dataset,
            prompt=prompt,
            style=styled,
            n_samples=n_samples,
            seed=seed,
            prompts=tuple(
                asked.prompt({"text": text, "options": shown}, styled)
                for text, shown in zip(texts, choices, strict=True)
            ),
            items=tuple(f"{dataset}#{i}" for i in rows.indices),
        )

    def variants(self, given: Sequence[str | Mapping[str, Any]], **base: Any) -> list[Run]:
        """Runs that each differ from `base` (the arguments of a run) in what they name.

        A variant is a mapping with a name, or a text as "radiology dataset=clinic/radiology prompt=radiology": its
        name, then what it changes. What it leaves out, or calls "base" or "default", is the experiment's. Raises
        ValueError, naming the variant.
        """
        numbers = count()
        made = [self._variant(_fields(one, next(numbers)), base) for one in given]
        names = [run.name for run in made]
        if len(set(names)) < len(names):
            raise ValueError(f"variants need names of their own, and are called {', '.join(names)}")
        return made

    def _variant(self, given: dict[str, Any], base: Mapping[str, Any]) -> Run:
        unknown = sorted(set(given) - {"name", *_OWN})
        if unknown:
            raise ValueError(f"variant {given['name']}: no {unknown[0]!r}; it may set {', '.join(_OWN)}")
        changed = {key: value for key, value in given.items() if key == "name" or value not in INHERITED}
        return self(**{**base, **changed})

    def mixed(self, first: Run, other: Run) -> Run:
        """The first half of one run's items, then as many of another's, under the name of the first."""
        half = len(first.prompts) // 2
        return replace(
            first, prompts=first.prompts[:half] + other.prompts[:half], items=first.items[:half] + other.items[:half]
        )

    def halves(self, run: Run) -> list[Run]:
        """A run's items dealt into two of its kind, which differ by nothing but which items they have."""
        deal = {"one half": slice(0, None, 2), "other half": slice(1, None, 2)}
        return [replace(run, name=name, prompts=run.prompts[i], items=run.items[i]) for name, i in deal.items()]

    def crossed(self, first: Run, second: Run) -> tuple[tuple[Run, Run], tuple[Run, Run]] | None:
        """Both data sets, each under both prompts: [data set][prompt]; None where one of the two is shared.

        The two given stand in it as they are; the other two are named after what they cross.
        """
        if set(first.items) & set(second.items) or (first.prompt, first.style) == (second.prompt, second.style):
            return None
        return (first, self._under(first, second)), (self._under(second, first), second)

    def _under(self, data: Run, prompt: Run) -> Run:
        """One run's items under another's prompt."""
        named = f"{data.name} under the prompt of {prompt.name}"
        style = asdict(prompt.style)
        return self(data.dataset, prompt.prompt, n_samples=data.n_samples, seed=data.seed, name=named, **style)


def _fields(given: str | Mapping[str, Any], number: int) -> dict[str, Any]:
    """A variant's settings, each of its own type."""
    if isinstance(given, Mapping):
        return {"name": f"variant_{number}", **given}
    name, *settings = given.split()
    found: dict[str, Any] = {"name": name}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"variant {name}: {setting!r} is no KEY=VALUE")
        found[key] = _typed(name, key, value)
    return found


def _typed(name: str, key: str, value: str) -> Any:
    if key in ("few_shot", "answer_first", "contrarian") and value not in INHERITED:
        if value.lower() not in ("true", "false"):
            raise ValueError(f"variant {name}: {key} is true or false, not {value!r}")
        return value.lower() == "true"
    if key in ("n_samples", "seed") and value not in INHERITED:
        if not value.isdigit():
            raise ValueError(f"variant {name}: {key} is a whole number, not {value!r}")
        return int(value)
    return value


@pytest.fixture
def runs(
    request: pytest.FixtureRequest,
    evidence: Notebook,
    *,
    n_samples: int = 300,
    sample_seed: int | None = None,
    few_shot: bool = False,
    output_format: str = "plain",
    answer_first: bool = False,
    contrarian: bool = False,
    answer_cue: str = "\n\nAnswer:",
) -> Runs:
    """Makes runs: `runs("clinic/mmlu", "mcq")` is a data set read under a prompt strategy."""
    base: dict[str, Any] = {"n_samples": n_samples, "seed": evidence.seed if sample_seed is None else sample_seed}
    base |= {"few_shot": few_shot, "output_format": output_format, "answer_first": answer_first}
    return Runs(Datasets.of(request.node), base | {"contrarian": contrarian, "answer_cue": answer_cue})
