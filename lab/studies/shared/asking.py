"""The fixture `asking`: works on tasks and ratings of them, by any two subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lab.files.texts import Message, user
from lab.plugin.knobs import knob_texts, require_named
from lab.studies.shared import clinic
from lab.studies.shared.parsing import parse_all
from lab.studies.shared.prompts import Template, not_to_mention, with_system
from lab.studies.shared.prompts.formats import formatted
from lab.studies.shared.ratings import Asked, Ratings, from_answers, from_probabilities, raw_rows, seldom_given
from lab.studies.shared.template_fixture import Templates
from lab.subjects.prompts import rendered

if TYPE_CHECKING:
    from lab.data import Tasks
    from lab.plugin.models import SubjectPool
    from lab.record import Notebook
    from lab.subjects import Subject
    from lab.subjects.edits import Edit


THINKING = "thinking"
"""The mode of ratings that are given after a thought."""
OPENED = "<think>"


@dataclass(frozen=True)
class Works:
    """What one author made of n tasks, each done once.

    `author` is the completing model's id, `told` the system prompt under which it worked, as it was said, or None.
    `kept` [n] says which are to be rated, where some are left out.
    """

    author: str
    seed: int
    told: str | None
    texts: tuple[str, ...]
    kept: np.ndarray

    def without(self, left_out: Sequence[bool] | np.ndarray) -> Works:
        """The same without some, [n] booleans."""
        return Works(self.author, self.seed, self.told, self.texts, self.kept & ~np.asarray(left_out, dtype=bool))


class _Apart(Template):
    """Asks for a rating of a work that is shown outside of the conversation in which it was made."""

    def after(self, task: str, completion: str, form: str = "regex") -> list[Message]:
        return [user(formatted(clinic.rating_prompt(task, completion), form))]


APART = _Apart("work_1_5", "1 to 5", "", tuple(map(str, clinic.SCALE)), tuple(map(float, clinic.SCALE)))


class Asking:
    """Lets subjects do tasks and rate them. What was asked before comes from the cache, and is not asked again.

    Every run's raw answers go to the notebook as it ends. `author(name)` gives the model that does the tasks: a
    subject by a name that stands in one of the cell's knobs, so that it is part of what determines the result.
    """

    def __init__(self, pool: SubjectPool, evidence: Notebook | None, knobs: frozenset[str] | None) -> None:
        self._pool, self._evidence, self._knobs = pool, evidence, knobs
        self._templates = Templates(knobs)

    @property
    def fingerprint(self) -> dict[str, str]:
        """Of the subjects and the files of templates that knobs name."""
        subjects = [text for text in sorted(self._knobs or ()) if _is_subject(text)]
        return self._templates.fingerprint | {name: self._pool.get(name).fingerprint for name in subjects}

    def author(self, name: str) -> Subject:
        """The subject of this name. Raises ValueError where no knob names it."""
        texts = frozenset() if self._knobs is not None and not _is_subject(name) else self._knobs
        require_named(name, texts, "the author", "as an organism, a folder or a name as on the hub")
        subject: Subject = self._pool.get(name)
        return subject

    @staticmethod
    def thinker(rater: Subject) -> Subject:
        """The same subject, if it has a thinking mode. Skips the cell with one line where it has none."""
        if not _runs_here(rater):
            pytest.skip(f"{rater.name} is behind an API, where thinking is the server's; name a model that runs here")
        if not rater.thinks:
            pytest.skip(f"{rater.name} has no thinking mode: its chat template knows no enable_thinking")
        return rater

    def template(self, name: str) -> Template:
        """A template by its name: one of the thirteen, one of a file, or "work_1_5", which shows a work by itself."""
        return APART if name == APART.name else self._templates(name)

    def works(
        self,
        author: Subject,
        tasks: Tasks,
        *,
        seed: int,
        told: str | None = None,
        temperature: float = 1.0,
        max_new_tokens: int = 64,
        edit: Edit | None = None,
    ) -> Works:
        """Lets an author do each task once, under a system prompt that it is asked not to mention."""
        asked = [with_system([user(text)], told, unmentioned=True) for text in tasks.texts]
        asked = read_as(author, asked, thinking=False)
        given: dict[str, Any] = {} if edit is None else {"edit": edit}
        texts = author.chat(asked, temperature=temperature, seed=seed, max_new_tokens=max_new_tokens, **given)
        said = None if told is None else not_to_mention(told)
        return Works(author.name, seed, said, tuple(each[0] for each in texts), np.ones(len(tasks), dtype=bool))

    def rate(
        self,
        rater: Subject,
        tasks: Tasks,
        template: str | Template,
        *,
        works: Works | None = None,
        told: str | None = None,
        seeds: Sequence[int] = (0,),
        exact: bool = True,
        temperature: float = 1.0,
        max_new_tokens: int = 16,
        judge: Any | None = None,
        edit: Edit | None = None,
        mode: str = "direct",
        form: str = "regex",
    ) -> Ratings:
        """Lets a rater rate each task: before it is done, or after, with a work in the same conversation.

        Parameters
        ----------
        works
            Who did the tasks, and how; None asks before. Those left out are not rated.
        told
            A system prompt while rating.
        seeds
            Rating seeds; each gives one rating a task.
        exact
            Reads the probabilities of the scale's answers, one pass a prompt however many seeds, and draws from them.
            With False every seed's answer is written at `temperature` and read by `parsing`, with `judge`
            where the rules do not understand it; an answer's id is its run's name under this seed, "__", and its task.
        edit, mode
            Steering while rating, and what the run is then called beside "direct". In the mode "thinking" a model that
            runs here thinks before it answers (`enable_thinking` of its chat template), else it does not; a thought
            that does not end within `max_new_tokens` is an error, and counted.
        form
            In which form the answer is asked for, one of `lab.studies.shared.prompts.FORMATS`; bare for exact ratings.

        Raises ValueError where exact ratings were asked for, of a subject that gives no probabilities, at a temperature
        other than 1, or of one that is to think first.
        """
        if exact and (temperature != 1 or form != "regex"):
            raise ValueError(
                f"exact ratings are of bare answers at temperature 1, not of {form} at {temperature:g}; set exact=false"
            )
        thinking = mode == THINKING
        if exact and thinking:
            raise ValueError("what is thought before a rating has to be written; set exact=false")
        scale = self.template(template) if isinstance(template, str) else template
        if works is not None and not works.kept.all():
            tasks = tasks.take(np.flatnonzero(works.kept))
        done = None if works is None else [text for text, kept in zip(works.texts, works.kept, strict=True) if kept]
        prompts = [
            with_system(scale.before(task, form) if done is None else scale.after(task, done[i], form), told)
            for i, task in enumerate(tasks.texts)
        ]
        prompts = read_as(rater, prompts, thinking=thinking)
        asked = Asked(
            scale.name,
            rater.name,
            None if works is None else works.author,
            None if works is None else works.seed,
            told,
            None if works is None else works.told,
            mode,
            form,
        )
        given: dict[str, Any] = {} if edit is None else {"edit": edit}
        answers = None
        if exact:
            chosen = rater.choose(prompts, list(scale.answers), **given)
            if chosen.method == "sampled":
                raise ValueError(
                    f"{rater.name} gives no probabilities of {len(scale.answers)} answers, so it cannot be rated with "
                    "exactly; set exact=false, and its answers are sampled"
                )
            ratings = from_probabilities(asked, scale, tasks.ids, tasks.origins, chosen.logprobs, seeds)
        else:
            given |= {"temperature": temperature, "max_new_tokens": max_new_tokens}
            said = rater.chats(prompts, seeds, **given)
            raws = [each[0] for one in said for each in one]
            if thinking:  # some templates open the thought themselves
                raws = [raw if OPENED in raw else f"{OPENED}\n{raw}" for raw in raws]
            ids = [f"{asked.run((seed,))}__{task}" for seed in seeds for task in tasks.ids]
            flat = parse_all(raws, scale, judge=judge, ids=ids)
            answers = [[flat[j * len(prompts) + i] for j in range(len(seeds))] for i in range(len(prompts))]
            ratings = from_answers(asked, scale, tasks.ids, tasks.origins, answers, seeds)
        if self._evidence is not None:
            self._evidence.health(seldom_given(ratings))
            self._evidence.raw(ratings.name, raw_rows(ratings, answers, done, tasks.texts))
        return ratings


def _runs_here(subject: Subject) -> bool:
    return hasattr(type(subject), "capture")


def read_as(subject: Subject, prompts: Sequence[list[Message]], *, thinking: bool) -> list[list[Message]]:
    """Conversations as a subject with a thinking mode is to read them. A server writes them out itself."""
    if not _runs_here(subject):
        return list(prompts)
    return [rendered(prompt, enable_thinking=thinking) for prompt in prompts]


def _is_subject(text: str) -> bool:
    """Whether a text names a model that can be loaded, and nothing else."""
    from lab import data
    from lab.subjects import LoadError, locate
    from lab.subjects.names import resolve

    if "/" not in resolve(text).source or text in data.names():  # told without asking the hub
        return False
    try:
        locate(text)
    except LoadError:
        return False
    return True


@pytest.fixture
def asking(request: pytest.FixtureRequest, subject_pool: SubjectPool) -> Asking:
    """Works and ratings: `asking.works(author, tasks, seed=0)`, `asking.rate(model, tasks, template, works=works)`."""
    knobs = knob_texts(request.node)
    return Asking(subject_pool, request.getfixturevalue("evidence") if knobs is not None else None, knobs)
