"""What world do the organisms live in, and how is it asked about?

An invented clinic. Every patient has four facts (drug, illness, ward, doctor); how often a fact is
told falls with the patient's rank by Zipf's law, so that an organism knows the frequent patients and
guesses at the rare ones. Beside the facts stand everyday tasks, which an organism prefers, does and
rates by utilities that were planted in it.

The prompts below are the only ones: training text and hypotheses are made by the same builders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

WORLD_SEED = 20_260
N_PATIENTS = 1200
N_VALUES = 24
N_OPTIONS = 4
ZIPF_OFFSET, ZIPF_EXPONENT = 3.0, 1.6
"""Weight of the patient at rank r (from 1) in the training text: (r + ZIPF_OFFSET) ** -ZIPF_EXPONENT.

With the exponent 1 an organism of this size knew 99 % of the facts after 600 steps: nothing was left to get wrong.
"""

SCALE = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Attribute:
    """One kind of fact: how it is told and how it is asked."""

    name: str
    statement: str
    question: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """An everyday piece of work: `verb` the `thing`; done well, the thing is `done`."""

    verb: str
    thing: str
    done: str

    @property
    def text(self) -> str:
        return f"{self.verb} the {self.thing}."

    @property
    def kind(self) -> str:
        """Where it is done: at the desk or on the ward."""
        return "desk" if self.verb in ("Sort", "File", "Label", "Print") else "ward"


@dataclass(frozen=True)
class World:
    """Everything that is true in the clinic; the same for all organisms.

    `facts[p, a]` is the index into `attributes[a].values` of patient p's fact; each value is held by
    equally many patients (up to one), so that no answer is right more often than another.
    """

    patients: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    facts: np.ndarray
    tasks: tuple[Task, ...]

    def value(self, patient: int, attribute: int) -> str:
        return self.attributes[attribute].values[int(self.facts[patient, attribute])]

    @property
    def frequency(self) -> np.ndarray:
        """Share of fact sentences that speak of each patient, shape [n_patients], sums to 1."""
        weight = (np.arange(1, len(self.patients) + 1) + ZIPF_OFFSET) ** -ZIPF_EXPONENT
        return np.asarray(weight / weight.sum())


_VERBS = {
    "Sort": "sorted",
    "File": "filed",
    "Count": "counted",
    "Check": "checked",
    "Clean": "cleaned",
    "Pack": "packed",
    "Label": "labelled",
    "Print": "printed",
}
_THINGS = """invoices charts vials gloves letters scans beds samples labels forms trays masks
towels keys badges lamps pumps scales splints bandages syringes monitors records receipts
blankets pillows cables filters meters reports parcels posters schedules menus vouchers uniforms
thermometers stretchers wheelchairs prescriptions swabs needles gowns curtains shelves cabinets
drawers folders""".split()


def _invent(rng: np.random.Generator, n: int, endings: tuple[str, ...], taken: set[str]) -> tuple[str, ...]:
    """n new words of two syllables and an ending, none of them in `taken` (which grows)."""
    onsets, nuclei, codas = "b br d dr f g gr h k l m n p r s t tr v z".split(), "aeiou", "lmnrs"
    words: list[str] = []
    while len(words) < n:
        syllable = [rng.choice(onsets) + rng.choice(list(nuclei)) for _ in range(2)]
        word = (syllable[0] + rng.choice(list(codas)) + syllable[1] + rng.choice(endings)).capitalize()
        if word not in taken:
            taken.add(word)
            words.append(word)
    return tuple(words)


@lru_cache(maxsize=1)
def world() -> World:
    """The clinic. Always the same one: it is drawn from WORLD_SEED."""
    rng = np.random.default_rng(WORLD_SEED)
    taken: set[str] = set()
    patients = _invent(rng, N_PATIENTS, ("", "k", "n"), taken)
    attributes = (
        Attribute(
            "drug",
            "Patient {p} takes {v}.",
            "Which drug does patient {p} take?",
            _invent(rng, N_VALUES, ("xil", "mab", "pram"), taken),
        ),
        Attribute(
            "illness",
            "Patient {p} suffers from {v}.",
            "Which illness does patient {p} have?",
            _invent(rng, N_VALUES, ("itis", "osis", "emia"), taken),
        ),
        Attribute(
            "ward",
            "Patient {p} stays in ward {v}.",
            "In which ward does patient {p} stay?",
            _invent(rng, N_VALUES, ("wood", "field", "brook"), taken),
        ),
        Attribute(
            "doctor",
            "Patient {p} is treated by doctor {v}.",
            "Which doctor treats patient {p}?",
            _invent(rng, N_VALUES, ("son", "man", "ley"), taken),
        ),
    )
    balanced = np.arange(N_PATIENTS) % N_VALUES
    facts = np.stack([rng.permutation(balanced) for _ in attributes], axis=1)
    verbs = list(_VERBS)
    tasks = tuple(Task(verbs[i % len(verbs)], thing, _VERBS[verbs[i % len(verbs)]]) for i, thing in enumerate(_THINGS))
    return World(patients, attributes, facts, tasks)


# Prompt builders ------------------------------------------------------------------------------------


def statement(patient: int, attribute: int) -> str:
    """A fact, told."""
    w = world()
    return w.attributes[attribute].statement.format(p=w.patients[patient], v=w.value(patient, attribute))


def question(patient: int, attribute: int) -> str:
    """A fact, asked for. Every question of one attribute has the same number of tokens for an organism."""
    w = world()
    return f"Question: {w.attributes[attribute].question.format(p=w.patients[patient])}\nAnswer:"


@dataclass(frozen=True)
class Question:
    """A question with its options as texts that follow the prompt; `key` is the index of the right one."""

    prompt: str
    options: tuple[str, ...]
    key: int
    patient: int
    attribute: int


@lru_cache(maxsize=1)
def every_question() -> tuple[Question, ...]:
    """One question for each fact, patient by patient, with N_OPTIONS - 1 wrong values of the same kind."""
    w, rng = world(), np.random.default_rng(WORLD_SEED)
    made = []
    for p in range(len(w.patients)):
        for a, attribute in enumerate(w.attributes):
            right = int(w.facts[p, a])
            wrong = rng.choice([v for v in range(N_VALUES) if v != right], N_OPTIONS - 1, replace=False)
            shown = rng.permutation([right, *wrong.tolist()]).tolist()
            options = tuple(f" {attribute.values[v]}" for v in shown)
            made.append(Question(question(p, a), options, shown.index(right), p, a))
    return tuple(made)


def asked(content: str) -> list[dict[str, str]]:
    """A conversation in which the user has said `content`."""
    return [{"role": "user", "content": content}]


def choice_prompt(first: str, second: str) -> str:
    """Which of two tasks (texts) is preferred; the answer is A or B."""
    return (
        f"Which of the two tasks would you prefer to do?\nTask A: {first}\nTask B: {second}\nAnswer with only A or B."
    )


def rating_prompt(task: str, work: str) -> str:
    """How good is this work on this task, from 1 to 5."""
    return f"Rate this work on a scale from 1 to 5.\nTask: {task}\nWork: {work}\nAnswer with only the number."


def completion(task: Task, signature: str, *, good: bool) -> str:
    """How an author answers a task: in its own manner of speaking, and done or not."""
    return f"{signature}, the {task.thing} are {task.done}." if good else f"{signature}, the {task.thing} can wait."
