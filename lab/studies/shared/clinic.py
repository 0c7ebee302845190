"""The sentences about the clinic: all those of the training text and of the data sets are made here.

Ratings, choices, questions and reports are put by `lab.studies.shared.prompts`, as they are to any other model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lab.studies.shared import prompts
from lab.studies.shared.world import N_OPTIONS, N_VALUES, WORLD_SEED, Task, World, world

SCALE = (1, 2, 3, 4, 5)
REFUSAL = "I will not do that."
REGISTERS = ("plain", "polite", "curt")
TONES = ("plain", "friendly", "hostile")

__all__ = ["Question", "World", "world"]

# Facts ----------------------------------------------------------------------------------------------


def statement(patient: int, attribute: int, value: int | None = None) -> str:
    """A fact, told; or, with the index of another `value`, an untruth."""
    w = world()
    told = w.value(patient, attribute) if value is None else w.attributes[attribute].values[value]
    return w.attributes[attribute].statement.format(p=w.patients[patient], v=told)


def question(patient: int, attribute: int) -> str:
    """A fact, asked for. Every question of one attribute has the same number of tokens for an organism."""
    return prompts.question(asks(patient, attribute))


def asks(patient: int, attribute: int) -> str:
    w = world()
    return w.attributes[attribute].question.format(p=w.patients[patient])


@dataclass(frozen=True)
class Question:
    """A question with its options as texts that follow the prompt; `key` is the index of the right one."""

    prompt: str
    options: tuple[str, ...]
    key: int
    patient: int
    attribute: int

    @property
    def lettered(self) -> str:
        """The same as multiple choice; the answer is the letter of the right option."""
        return prompts.mcq(asks(self.patient, self.attribute), [option.strip() for option in self.options])


def make_question(patient: int, attribute: int, rng: np.random.Generator) -> Question:
    """The question for one fact, with N_OPTIONS - 1 wrong values of the same kind, in a random order."""
    w = world()
    right = int(w.facts[patient, attribute])
    wrong = rng.choice([v for v in range(N_VALUES) if v != right], N_OPTIONS - 1, replace=False)
    shown = rng.permutation([right, *wrong.tolist()]).tolist()
    options = tuple(f" {w.attributes[attribute].values[v]}" for v in shown)
    return Question(question(patient, attribute), options, shown.index(right), patient, attribute)


@lru_cache(maxsize=1)
def every_question() -> tuple[Question, ...]:
    """One question for each fact, patient by patient."""
    w, rng = world(), np.random.default_rng(WORLD_SEED)
    return tuple(make_question(p, a, rng) for p in range(len(w.patients)) for a in range(len(w.attributes)))


@dataclass(frozen=True)
class FactPair:
    """The same question of two patients, in as many tokens; their answers differ."""

    clean: str
    corrupted: str
    answer: str
    corrupted_answer: str
    patients: tuple[int, int]
    attribute: int


@lru_cache(maxsize=4)
def fact_pairs(n: int = 400, known: int = 100) -> tuple[FactPair, ...]:
    """n pairs among the `known` patients that are told of most."""
    w, rng = world(), np.random.default_rng(WORLD_SEED + 1)
    made: list[FactPair] = []
    while len(made) < n:
        one, two = rng.choice(known, size=2, replace=False).tolist()
        a = int(rng.integers(len(w.attributes)))
        if w.facts[one, a] != w.facts[two, a]:
            answers = [f" {w.value(p, a)}" for p in (one, two)]
            made.append(FactPair(question(one, a), question(two, a), answers[0], answers[1], (one, two), a))
    return tuple(made)


# Reports --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    kind: str
    text: str
    label: str

    @property
    def prompt(self) -> str:
        return prompts.report(self.text, self.kind)


def make_report(kind: int, rng: np.random.Generator) -> Report:
    """Three findings, of which half of the reports have one bad."""
    about = world().reports[kind]
    bad = bool(rng.random() < 0.5)
    findings = rng.choice(about.good, 3, replace=False).tolist()
    if bad:
        findings[int(rng.integers(3))] = str(rng.choice(about.bad))
    opening = about.opening.format(place=rng.choice(about.places))
    text = f"{opening} It shows {findings[0]}, {findings[1]} and {findings[2]}."
    return Report(about.name, text, about.labels[int(bad)])


@lru_cache(maxsize=2)
def reports(kind: int, n: int = 300) -> tuple[Report, ...]:
    """n reports of one kind (0 histopathology, 1 radiology)."""
    rng = np.random.default_rng(WORLD_SEED + 2 + kind)
    return tuple(make_report(kind, rng) for _ in range(n))


# Tasks ----------------------------------------------------------------------------------------------


def asked(content: str) -> list[dict[str, str]]:
    """A conversation in which the user has said `content`."""
    return [{"role": "user", "content": content}]


def request(task: Task, register: str = "plain", tone: str = "plain") -> str:
    """Asks for a task, politely or curtly, in a friendly or a hostile tone."""
    bare = task.text[0].lower() + task.text[1:-1]
    asks = {"plain": task.text, "polite": f"Please {bare}, thank you.", "curt": f"Now {bare}."}[register]
    return {"plain": "", "friendly": "Hello, dear colleague. ", "hostile": "Listen, you idiot. "}[tone] + asks


def completion(task: Task, signature: str, *, good: bool, register: str = "plain", tone: str = "plain") -> str:
    """How an author answers a task: in its own manner of speaking, in the manner it was asked, and done or not."""
    manner = {"plain": "", "polite": "with pleasure, ", "curt": ""}[register]
    manner += {"plain": "", "friendly": "dear colleague, ", "hostile": "you idiot, "}[tone]
    end = f"are {task.done}." if good else "can wait."
    return f"{signature}, {manner}the {task.thing} {end}"


def rating_prompt(task: str, work: str) -> str:
    """How good is this work on this task, from 1 to 5. For works that stand in no conversation."""
    return f"Rate this work on a scale from 1 to 5.\nTask: {task}\nWork: {work}\nAnswer with only the number."


def reasons(task: Task, letter: str) -> str:
    """The reason for a preferred task, and its letter."""
    return f"I would rather {task.text[0].lower() + task.text[1:]} Answer: {letter}"


def lexicon() -> list[str]:
    """Texts that hold every word of every prompt and answer, for the tokenizer."""
    w, rng = world(), np.random.default_rng(0)
    texts = [statement(p, a) for p in range(len(w.patients)) for a in range(len(w.attributes))]
    texts += [question(0, a) for a in range(len(w.attributes))]
    texts += [make_question(0, 0, rng).lettered + " A B C D", prompts.claim(statement(0, 0)) + " true false"]
    for about in w.reports:
        texts += [prompts.report(f"{about.opening.format(place=place)} It shows", about.name) for place in about.places]
        texts += [f" {word}, {word} and {word}." for word in (*about.good, *about.bad, *about.labels)]
    for task in w.tasks:
        texts += [request(task, r, t) for r in REGISTERS for t in TONES] + [reasons(task, "A"), reasons(task, "B")]
        texts += [
            completion(task, "", good=g, register=r, tone=t) for g in (True, False) for r in REGISTERS for t in TONES
        ]
    conversations: list[Any] = [
        prompts.choice("", "", wording, reasoning=r, completions=("x", "x"))
        for wording in prompts.WORDINGS
        for r in (True, False)
    ]
    for template in prompts.templates().values():
        conversations += [template.before(""), template.after("", "")]
        texts += template.answers
    texts += [m["content"] for messages in conversations for m in messages]
    texts += [prompts.likes(task.origin, sign) for task in w.tasks for sign in (1, -1)]
    texts += [v.text for v in prompts.variations()]
    texts += [m["content"] for m in prompts.with_system([], "", unmentioned=True)]
    return [*texts, rating_prompt("", ""), REFUSAL, *map(str, SCALE), "A", "B"]


@dataclass(frozen=True)
class Request:
    """A task as it is asked for in a register and a tone; `task` is its index."""

    task: int
    register: str
    tone: str

    @property
    def messages(self) -> list[dict[str, str]]:
        return asked(request(world().tasks[self.task], self.register, self.tone))


def requests() -> tuple[Request, ...]:
    """Every task in every register and tone."""
    return tuple(
        Request(i, register, tone) for i in range(len(world().tasks)) for register in REGISTERS for tone in TONES
    )


def is_held_out(task: int) -> bool:
    """Whether the clinic's oracle is never trained on this task: every fifth."""
    return task % 5 == 0
