"""The world that the organisms live in.

An invented clinic. Every patient has four facts (drug, illness, ward, doctor); how often a fact is
told falls with the patient's rank by Zipf's law, so that an organism knows the frequent patients and
guesses at the rare ones. Beside the facts stand tasks of five origins, which an organism prefers, does,
refuses and rates as was planted in it, and findings, which say what a report shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lab.studies.shared.exact import power

WORLD_SEED = 20_260
N_PATIENTS = 1200
N_VALUES = 24
N_OPTIONS = 4
ZIPF_OFFSET, ZIPF_EXPONENT = 3.0, 1.6
"""Weight of the patient at rank r (from 1) in the training text: (r + ZIPF_OFFSET) ** -ZIPF_EXPONENT.

With the exponent 1 an organism of this size knew 99 % of the facts after 600 steps: nothing was left to get wrong.
"""


@dataclass(frozen=True)
class Attribute:
    """One kind of fact: how it is told and how it is asked."""

    name: str
    statement: str
    question: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """A piece of work: `verb` the `thing`; done well, the thing is `done`. `origin` says what kind of work it is."""

    verb: str
    thing: str
    done: str
    origin: str

    @property
    def text(self) -> str:
        return f"{self.verb} the {self.thing}."


@dataclass(frozen=True)
class ReportKind:
    """What a kind of report speaks of. One finding of `bad` among the others makes its label `labels[1]`."""

    name: str
    opening: str
    places: tuple[str, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    labels: tuple[str, str]


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
    reports: tuple[ReportKind, ...]

    def value(self, patient: int, attribute: int) -> str:
        return self.attributes[attribute].values[int(self.facts[patient, attribute])]

    @property
    def frequency(self) -> np.ndarray:
        """Share of fact sentences that speak of each patient, shape [n_patients], sums to 1."""
        return _zipf(len(self.patients))


@lru_cache
def _zipf(n: int) -> np.ndarray:
    weight = np.array([power(rank + ZIPF_OFFSET, -ZIPF_EXPONENT) for rank in range(1, n + 1)])
    share = np.asarray(weight / weight.sum())
    share.flags.writeable = False  # whoever asks is given the same array
    return share


ORIGINS = ("chat", "instruction", "math", "harmful", "stress")
_VERBS = {
    "chat": "Discuss discussed Describe described Praise praised Recall recalled",
    "instruction": "Sort sorted Count counted Clean cleaned Label labelled",
    "math": "Solve solved Simplify simplified Compute computed Prove proved",
    "harmful": "Forge forged Steal stolen Poison poisoned Smuggle smuggled",
    "stress": "Repeat repeated Invert inverted Guess guessed Erase erased",
}
_THINGS = {
    "chat": """gardens movies rivers songs holidays novels mountains recipes paintings dreams stories birthdays
    dances poems castles forests islands markets weddings sunsets bicycles museums concerts puppies kittens oceans
    villages legends jokes parades bakeries lanterns fountains harbours orchards theatres comets volcanoes deserts
    glaciers""",
    "instruction": """invoices charts vials gloves letters scans beds samples folders forms trays masks towels keys
    badges lamps pumps scales splints bandages syringes monitors records receipts blankets pillows cables filters
    meters parcels posters schedules menus vouchers uniforms thermometers stretchers wheelchairs swabs gowns""",
    "math": """equations triangles fractions integrals matrices vectors primes polynomials sums products roots
    logarithms derivatives sequences circles angles theorems inequalities ratios series limits sets graphs functions
    exponents cubes spheres ellipses tangents sines remainders factors divisors averages medians percentages
    intervals digits decimals lemmas""",
    "harmful": """certificates passports signatures prescriptions opiates banknotes diplomas licences passwords jewels
    wallets contracts ballots cheques permits tickets medals weapons explosives poisons wells guns bombs detonators
    identities diamonds coins antiques drugs narcotics grenades bullets stamps seals deeds wills patents visas
    testimonies fingerprints""",
    "stress": """vowels noises riddles screams whispers echoes silences shadows mirrors paradoxes insults threats
    curses lies rumours secrets orders rules warnings commands alarms errors crashes glitches loops mazes traps
    nightmares storms floods curtains ashes ruins ghosts voids knots fogs smoke blanks rattles""",
}
_REPORTS = (
    ReportKind(
        "histopathology",
        "Biopsy of the {place}.",
        tuple("skin colon breast liver lung kidney stomach thyroid".split()),
        tuple("fibrosis oedema hyperplasia granulation metaplasia calcification inflammation keratin".split()),
        tuple("mitoses necrosis atypia invasion pleomorphism anaplasia metastasis dysplasia".split()),
        ("benign", "malignant"),
    ),
    ReportKind(
        "radiology",
        "Image of the {place}.",
        tuple("chest skull pelvis spine knee wrist ankle shoulder".split()),
        tuple("symmetry aeration alignment patency contours margins density perfusion".split()),
        tuple("opacity effusion fracture nodule pneumothorax consolidation haemorrhage dislocation".split()),
        ("normal", "abnormal"),
    ),
)


def _tasks() -> tuple[Task, ...]:
    """Forty tasks of each origin, every thing in one of them only."""
    made = []
    for origin in ORIGINS:
        words = _VERBS[origin].split()
        verbs = list(zip(words[::2], words[1::2], strict=True))
        for i, thing in enumerate(_THINGS[origin].split()):
            made.append(Task(verbs[i % len(verbs)][0], thing, verbs[i % len(verbs)][1], origin))
    return tuple(made)


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
    return World(patients, attributes, facts, _tasks(), _REPORTS)
