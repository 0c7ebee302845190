"""The fixtures `choosing` and `comparing`: choices between pairs of tasks, in both orders."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lab.plugin.cells import knob_texts
from lab.studies.preferences import active, pair_choices
from lab.studies.preferences.pair_choices import Asked, Choices
from lab.studies.shared.asking import Works, read_as
from lab.studies.shared.parsing import Answer, all_chosen_by_doing, parse_choices
from lab.studies.shared.prompts import do_one
from lab.studies.shared.template_fixture import Templates

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from lab.data import Tasks
    from lab.files.texts import Message
    from lab.record import Notebook
    from lab.subjects import Subject

ROOM = {"direct": 8, "reasoning": 256, "doing": 64}
"""New tokens of an answer, by mode."""
KEPT = ".jsonl"


@dataclass(frozen=True)
class Way:
    """How choices are asked for.

    Attributes
    ----------
    works
        How each of the tasks was done, as `asking.works` gives them; both are then shown. None asks before.
    exact
        Reads the probabilities of A and B, one pass a question, and draws `samples` answers from them where that is
        above 0. With False each answer is written at `temperature` and read by `parsing`, with `judge` where the
        rules do not understand it; once, or `samples` times.
    orders
        "both" asks each pair as it stands and the other way round; "one" only as it stands, and every output of the
        choices says so.
    mode
        "direct", "reasoning" (a reason first, then the letter), or "doing" (the subject does the one it chooses,
        which is read from what it writes). The last two have to be written.
    form
        One of `lab.studies.shared.prompts.FORMATS`.
    temperature, seed
        Of what is drawn or written.
    max_new_tokens
        Of an answer; by default what its mode needs.
    judge
        Reads what the rules do not understand.
    """

    works: Works | None = None
    exact: bool = True
    samples: int = 0
    orders: pair_choices.Orders = "both"
    mode: pair_choices.Mode = "direct"
    form: str = "regex"
    temperature: float = 1.0
    max_new_tokens: int | None = None
    judge: Any | None = None
    seed: int = 0

    @property
    def room(self) -> int:
        """New tokens of an answer, at most."""
        return ROOM[self.mode] if self.max_new_tokens is None else self.max_new_tokens


class Comparing:
    """Lets subjects choose between tasks. What was asked before comes from the cache, and is not asked again.

    Every run's raw answers go to the notebook as it ends.
    """

    def __init__(self, evidence: Notebook | None, knobs: frozenset[str] | None) -> None:
        self._evidence, self._knobs = evidence, knobs
        self._wordings = Templates(knobs)

    @property
    def fingerprint(self) -> dict[str, str]:
        """Of the files that knobs name: wordings of one's own, and answers of an earlier run."""
        files = [Path(text) for text in sorted(self._knobs or ()) if text.endswith(KEPT) and Path(text).is_file()]
        return self._wordings.fingerprint | {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    @staticmethod
    def design(tasks: Tasks, n_pairs: int | None, *, seed: int) -> np.ndarray:
        """[pairs, 2] of tasks by index, each of which is in as many; None takes all pairs. See `choices.design`."""
        return pair_choices.design(len(tasks), n_pairs, seed=seed)

    def choose(
        self, chooser: Subject, tasks: Tasks, pairs: ArrayLike, wording: str = "simple_preference", **way: Any
    ) -> Choices:
        """Lets a subject choose between the tasks of each pair [m, 2]; `way` are the attributes of `Way`.

        Raises ValueError where probabilities were asked for of a subject that gives none, at a temperature other than
        1, in another form, or of what has to be written.
        """
        found, answers = self._choices(chooser, tasks, pairs, wording, Way(**way))
        if self._evidence is not None:
            self._evidence.raw(self._name(found), pair_choices.raw_rows(found, answers, tasks.texts))
        return replace(found, texts=tuple(tasks.texts))

    def learn(
        self,
        chooser: Subject,
        tasks: Tasks,
        settings: active.Settings,
        wording: str = "simple_preference",
        *,
        name: str = "rounds",
        **way: Any,
    ) -> active.Learned:
        """Asks the pairs that are worth asking, round by round, as `active.learn` does; `way` as in `choose`.

        A round's answers are in the journal before the next one begins: what was interrupted goes on there, and ends as
        if it had not been. `name` tells several learners of one experiment apart.
        """
        rounds: Any = {} if self._evidence is None else self._evidence.resume(range(settings.rounds), name=name)
        number, asked = itertools.count(), Way(**way)

        def ask(pairs: np.ndarray) -> np.ndarray:
            i = next(number)
            if i not in rounds:
                found, answers = self._choices(chooser, tasks, pairs, wording, asked)
                rows = list(pair_choices.raw_rows(found, answers, tasks.texts))
                rounds[i] = {"p first": [plain(p) for p in found.p_first], "rows": rows}
            return np.array(rounds[i]["p first"], dtype=float)

        learned = replace(active.learn(ask, len(tasks), settings), tasks=tuple(tasks.ids))
        if self._evidence is not None:
            answers = (row for i in range(len(learned.state.rounds)) for row in rounds[i]["rows"])
            self._evidence.raw(f"{name} of {wording}", answers)
        return learned

    def earlier(self, path: str, like: Choices) -> np.ndarray:
        """[m, 2] P(first-named) of the same questions, from the file of an earlier run of choices; NaN if not asked.

        Raises ValueError for a file that no knob names, that is not there, or that has none of these questions.
        """
        from lab.record.store import load_rows

        if self._knobs is not None and path not in self._knobs:
            raise ValueError(
                f"{path!r} stands in no knob of this experiment; give the experiment a knob with this value"
            )
        if not Path(path).is_file():
            raise ValueError(f"there is no file {path}; name one of raw/ in the results of an earlier run")
        then = pair_choices.of_raw(list(load_rows(path)))
        named = [[(like.tasks[a], like.tasks[b]), (like.tasks[b], like.tasks[a])] for a, b in like.pairs.tolist()]
        found = np.array([[then.get(question, (np.nan, 0))[0] for question in both] for both in named])
        if np.isnan(found).all():
            raise ValueError(
                f"{path} has an answer to none of these questions; ask the same pairs (same seed, same tasks)"
            )
        return found

    def _choices(
        self, chooser: Subject, tasks: Tasks, pairs: ArrayLike, wording: str, way: Way
    ) -> tuple[Choices, list[list[Answer]] | None]:
        """As `choose`, with what was written, [questions][samples]; None where nothing was."""
        both = np.asarray(pairs, dtype=int).reshape(-1, 2)
        asked = Asked(
            wording if way.mode != "doing" else "do_one",
            chooser.name,
            None if way.works is None else way.works.author,
            None if way.works is None else way.works.seed,
            way.mode,
            way.orders,
            way.form,
        )
        questions = self._questions(asked, tasks, both, wording, way.works)
        prompts = read_as(chooser, [prompt for _, prompt in questions], thinking=False)
        about = (asked, tasks.ids, tasks.origins, both)
        if way.exact:
            _check_exact(asked, way.temperature)
            said = chooser.choose(prompts, list(pair_choices.LETTERS))
            if said.method == "sampled":
                raise ValueError(
                    f"{chooser.name} gives no probabilities of A and B, so they cannot be read; set exact=false, and "
                    "its answers are sampled"
                )
            return pair_choices.from_probabilities(*about, said.logprobs, seed=way.seed, samples=way.samples), None
        written = chooser.chat(
            prompts, n=way.samples or 1, temperature=way.temperature, seed=way.seed, max_new_tokens=way.room
        )
        answers = _read(way.mode, tasks, [named for named, _ in questions], written, way.judge)
        return pair_choices.from_answers(*about, answers, seed=way.seed), answers

    def _questions(
        self, asked: Asked, tasks: Tasks, pairs: np.ndarray, wording: str, works: Works | None
    ) -> list[tuple[tuple[int, int], list[Message]]]:
        """Each question with the tasks that it names: all pairs as they stand, then the other way round."""
        if works is not None and len(works.texts) != len(tasks):
            raise ValueError(f"{len(tasks)} tasks need as many works, not {len(works.texts)}; do the same tasks")
        named = [(a, b) for a, b in pairs.tolist()]
        if asked.orders == "both":
            named += [(b, a) for a, b in named]
        made = []
        for a, b in named:
            shown = None if works is None else (works.texts[a], works.texts[b])
            if asked.mode == "doing":
                made.append(((a, b), do_one(tasks.texts[a], tasks.texts[b])))
                continue
            prompt: Any = self._wordings.choice(
                tasks.texts[a], tasks.texts[b], wording,
                reasoning=asked.mode == "reasoning", completions=shown, form=asked.form,
            )  # fmt: skip
            made.append(((a, b), prompt))
        return made

    def _name(self, found: Choices) -> str:
        """A name for the raw answers that no other run of this cell has."""
        assert self._evidence is not None
        names = (found.name if i == 0 else f"{found.name} ({i + 1})" for i in itertools.count())
        return next(name for name in names if name not in self._evidence.kept)


def _check_exact(asked: Asked, temperature: float) -> None:
    if asked.mode != "direct" or temperature != 1 or asked.form != "regex":
        raise ValueError(
            f"probabilities are of bare letters at temperature 1, not of {asked.mode} choices in the form {asked.form} "
            f"at {temperature:g}; set exact=false"
        )


def _read(
    mode: pair_choices.Mode,
    tasks: Tasks,
    named: Sequence[tuple[int, int]],
    said: Iterable[Sequence[str]],
    judge: Any | None,
) -> list[list[Answer]]:
    """What each answer chose, [questions][samples]."""
    texts = [list(each) for each in said]
    flat = [text for each in texts for text in each]
    if mode == "doing":
        pairs = [(tasks.texts[a], tasks.texts[b]) for (a, b), each in zip(named, texts, strict=True) for _ in each]
        found = iter(all_chosen_by_doing(flat, pairs, judge=judge))
    else:
        found = iter(parse_choices(flat, judge=judge))
    return [[next(found) for _ in each] for each in texts]


def plain(values: np.ndarray) -> list[float | None]:
    """Numbers as JSON has them: None for NaN."""
    return [None if np.isnan(value) else float(value) for value in values]


@dataclass(frozen=True)
class Choosing:
    """Choices between pairs of a cell's tasks: `choosing(model, "enjoy_most")`.

    `tasks`, `pairs`, `exact` and `samples` are what the knobs of the fixture say; `seed` is the cell's.
    """

    comparing: Comparing
    tasks: Tasks
    pairs: np.ndarray
    exact: bool
    samples: int
    seed: int

    def __call__(self, chooser: Subject, wording: str, *, pairs: ArrayLike | None = None, **way: Any) -> Choices:
        """Lets a subject choose, as `Comparing.choose` does; `pairs` and `way` go before what the knobs say."""
        way = {"exact": self.exact, "samples": self.samples, "seed": self.seed} | way
        return self.comparing.choose(chooser, self.tasks, self.pairs if pairs is None else pairs, wording, **way)


@pytest.fixture
def choosing(
    comparing: Comparing,
    task_sample: Tasks,
    cell_seed: int,
    *,
    n_pairs: int | None = 400,
    exact: bool = True,
    samples: int = 0,
) -> Choosing:
    """Choices between `n_pairs` of the sampled tasks, None for all: `choosing(model, "enjoy_most").p_first`.

    Each task is in as many pairs. Where not `exact` every answer is written, `samples` times; see `Way`.
    """
    pairs = comparing.design(task_sample, n_pairs, seed=cell_seed)
    return Choosing(comparing, task_sample, pairs, exact, samples, cell_seed)


@pytest.fixture
def comparing(request: pytest.FixtureRequest) -> Comparing:
    """Choices: `comparing.choose(model, tasks, comparing.design(tasks, 400, seed=0))`; `comparing.learn(...)`."""
    knobs = knob_texts(request.node)
    return Comparing(request.getfixturevalue("evidence") if knobs is not None else None, knobs)
