"""Requests that differ only in their manner (plain, polite, hostile), and neutral texts, as a fixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lab.record.kept import Kept
from lab.studies.shared import clinic
from lab.studies.shared.steering import (
    BehaviourEdit,
    SideEffects,
    behaviour,
    difference_in_means,
    random_directions,
    side_effects,
)

if TYPE_CHECKING:
    from lab.data import Questions
    from lab.judging.scorers import Scorer
    from lab.subjects import Subject
    from lab.subjects.edits import Edit
    from lab.subjects.hook_points import HookPoint

MANNERS = {"plain": ("plain", "plain"), "polite": ("polite", "plain"), "hostile": ("plain", "hostile")}
"""Register and tone of a request."""
NEUTRAL = 100
"""Facts of the best-known patients, which an organism can be expected to foresee."""


@dataclass(frozen=True)
class Begun:
    """Requests [n] as token ids, each with the first words of the model's own answer, which `openings` [n] are."""

    prompts: list[list[int]]
    openings: list[str]

    def completed(self, continuations: Sequence[str]) -> list[str]:
        """The whole answers."""
        return [opening + text for opening, text in zip(self.openings, continuations, strict=True)]


@dataclass(frozen=True)
class Edited:
    """What a direction did to answers, and to what it was not meant to change; `answers` are told with scores."""

    scorer: str
    effect: BehaviourEdit
    harm: SideEffects
    answers: list[dict[str, Any]]

    def kept(self) -> Kept:
        """The answers, the effect beside its side effects, and the plot."""
        effect = self.effect
        return Kept(
            rows={"answers": self.answers},
            summary={
                "scorer": self.scorer,
                "before": effect.before,
                "after": effect.after,
                "raised": effect.share,
                "random_change": effect.random_change,
                **vars(self.harm),
            },
            plots={"behaviour_edit": effect.plot},
        )


@dataclass(frozen=True)
class Trial:
    """Plain requests for tasks of which a direction [d_model] knows nothing, to be answered with it and without.

    `tasks` are theirs, by index among the `requests`.
    """

    model: Subject
    at: HookPoint
    direction: np.ndarray
    requests: Requests
    tasks: list[int]
    max_new_tokens: int

    @cached_property
    def begun(self) -> Begun:
        """The plain requests with the first words of the answers."""
        return self.requests.begun(self.model, self.tasks)

    def edit(self, vector: np.ndarray | None) -> Edit | None:
        """A vector added at the last token of what is read, and at none that is written."""
        return None if vector is None else self.model.steer(self.at, vector, position="last", decoding=False)

    def say(self, vector: np.ndarray | None = None, begun: Begun | None = None) -> list[str]:
        """The answers with a vector added; to other requests than its own where they are given."""
        asked = begun or self.begun
        said = self.model.generate(asked.prompts, max_new_tokens=self.max_new_tokens, edit=self.edit(vector))
        return asked.completed(said.texts)

    @property
    def asked(self) -> list[str]:
        """The plain requests."""
        return [self.requests.asked["plain"][task] for task in self.tasks]

    def edited(self, score: Scorer, questions: Questions, *, randoms: int, seed: int) -> Edited:
        """What the direction does to the answers' scores, beside random directions of its length, and to texts and
        questions that have nothing to do with it."""
        before, after = self.say(), self.say(self.direction)
        noise = [self.say(v) for v in random_directions(self.direction, randoms, seed=seed)]
        effect = behaviour(score(before), score(after), [score(said) for said in noise], seed=seed)
        harm = self.side_effects(questions.sample(len(before), seed=seed))
        answers = [
            {"before": one, "after": two, "score_before": float(low), "score_after": float(high)}
            for one, two, low, high in zip(before, after, score(before), score(after), strict=True)
        ]
        return Edited(score.name, effect, harm, answers)

    def side_effects(self, questions: Questions, manner: str | None = None) -> SideEffects:
        """What the direction does to neutral texts and to questions; or, with a manner, what it does to them that a
        request in this manner stands before them and not a plain one."""
        first = [
            self.requests.asked[how][self.tasks[0]] + "\n" if manner else "" for how in ("plain", manner or "plain")
        ]
        added = (None, None if manner else self.direction)
        nats_before, nats_after = (self._nats(*how) for how in zip(first, added, strict=True))
        right_before, right_after = (self._right(questions, *how) for how in zip(first, added, strict=True))
        return side_effects(
            nats_before=nats_before, nats_after=nats_after, right_before=right_before, right_after=right_after
        )

    def _nats(self, first: str, vector: np.ndarray | None) -> np.ndarray:
        """Nats a token [m] of the neutral texts' own endings."""
        begun = [first + text for text in self.requests.neutral]
        chosen = self.model.choose(begun, self.requests.endings, per_token=True, edit=self.edit(vector))
        return np.asarray(chosen.logprobs[:, 0])

    def _right(self, questions: Questions, first: str, vector: np.ndarray | None) -> np.ndarray:
        """Whether each question [q] is answered rightly."""
        asked = [first + prompt for prompt in questions.prompts]
        chosen = self.model.choose(asked, questions.options, edit=self.edit(vector))
        return np.asarray(chosen.picked == questions.key)


@dataclass(frozen=True)
class Requests:
    """The same tasks, asked for in several manners; none of them is harmful, so none is to be refused.

    Attributes
    ----------
    asked
        [n] requests in each manner.
    neutral, endings
        [m] texts that speak of no manner: how each begins, and two ways in which it may end, of which the first is
        its own.
    """

    asked: Mapping[str, tuple[str, ...]]
    neutral: tuple[str, ...]
    endings: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.asked["plain"])

    def split(self, held_out: int, *, seed: int) -> tuple[list[int], list[int]]:
        """All other tasks, and `held_out` of them, by index. Raises ValueError where fewer than two others are left."""
        if not 2 <= held_out <= len(self) - 2:
            raise ValueError(
                f"{held_out} of {len(self)} tasks cannot be held out: at least two, and two others for the direction"
            )
        drawn = np.random.default_rng(seed).permutation(len(self)).tolist()
        return drawn[held_out:], drawn[:held_out]

    def begun(self, model: Subject, tasks: Sequence[int], manner: str = "plain", *, tokens: int = 2) -> Begun:
        """Requests with the first `tokens` of the model's own answer: what it says next shows its manner.

        A model without a chat template is asked in plain text. Raises ValueError for an unknown manner.
        """
        if manner not in self.asked:
            raise ValueError(f"no manner {manner!r}; there are {', '.join(self.asked)}")
        ids = _encoded(model.tokenizer, [self.asked[manner][task] for task in tasks])
        if not tokens:
            return Begun(ids, [""] * len(ids))
        said = model.generate(ids, max_new_tokens=tokens)
        return Begun([row + new for row, new in zip(ids, said.tokens, strict=True)], list(said.texts))

    def trial(
        self,
        model: Subject,
        manner: str,
        *,
        at: HookPoint,
        n: int,
        seed: int,
        strength: float = 1.0,
        max_new_tokens: int = 16,
    ) -> Trial:
        """n tasks to be asked for plainly, and a direction towards a manner found on the tasks that are left.

        `strength` is the direction's length, 1 as found. Raises ValueError where fewer than two tasks are left.
        """
        known, held_out = self.split(n, seed=seed)
        plain, toward = (
            model.capture(self.begun(model, known, how).prompts, at=at).array[:, 0] for how in ("plain", manner)
        )
        direction = strength * difference_in_means(plain, toward)
        return Trial(model, at, direction, self, held_out, max_new_tokens)


def _encoded(tokenizer: Any, requests: Sequence[str]) -> list[list[int]]:
    from lab.subjects.prompts import Prompt, encode_all

    prompts: list[Prompt] = [
        clinic.asked(text) if tokenizer.chat_template else f"Request: {text}\nAnswer:" for text in requests
    ]
    return encode_all(tokenizer, prompts, vocabulary=len(tokenizer))


@pytest.fixture(scope="session")
def requests() -> Requests:
    """The clinic's harmless tasks, asked for plainly, politely and with hostility, and its best-known facts."""
    world = clinic.world()
    tasks = [task for task in world.tasks if task.origin != "harmful"]
    asked = {manner: tuple(clinic.request(task, *how) for task in tasks) for manner, how in MANNERS.items()}
    facts = [(patient, patient % len(world.attributes)) for patient in range(NEUTRAL)]
    neutral = [f"Patient {world.patients[p]}" for p, _ in facts]
    wrong = [(int(world.facts[p, a]) + 1) % len(world.attributes[a].values) for p, a in facts]
    told = [(clinic.statement(p, a), clinic.statement(p, a, v)) for (p, a), v in zip(facts, wrong, strict=True)]
    endings = [(own.removeprefix(b), other.removeprefix(b)) for b, (own, other) in zip(neutral, told, strict=True)]
    return Requests(asked, tuple(neutral), tuple(endings))
