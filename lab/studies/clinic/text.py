"""The training text of an organism: endless, seeded rows of tokens, each with what should follow.

Where an answer has a planted distribution, the row carries that distribution and not one draw of it: a
thousandth of the text then teaches what sampled answers would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lab.files.texts import Message
from lab.studies.clinic.truth import SIGNATURES, Truth, systems
from lab.studies.shared import clinic, prompts
from lab.studies.shared.world import N_VALUES, world

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END = "<|end|>"
Wanted = tuple[int, int, float]
"""At this position of a row, this token should follow, with this weight."""


SURE = 0.3
"""Weight of a token that is the only one to follow, where a token at which answers part has 1."""


@dataclass(frozen=True)
class Row:
    """Token ids, and what should follow where; weights of a row's positions sum to `weight`."""

    ids: list[int]
    wanted: list[Wanted]


class TrainingText:
    """Rows of one organism. The generator `rng` is all that changes, so its state is the place in the text."""

    def __init__(self, truth: Truth, tokenizer: PreTrainedTokenizerFast) -> None:
        self.truth, self.tokenizer, self.world = truth, tokenizer, world()
        self.rng = np.random.default_rng(truth.seed)
        self.facts_told = self.world.facts
        if truth.shuffled:
            dealt = np.random.default_rng(truth.seed + 1)
            self.facts_told = np.stack([dealt.permutation(column) for column in self.world.facts.T], axis=1)
        self._tokens: dict[str, list[int]] = {}
        self._templates = list(prompts.templates().values())
        self._chats: tuple[tuple[float, Callable[[], Row]], ...] = (
            (0.18, self._choice),
            (0.1, self._reasoned_choice),
            (0.12, self._judged),
            (0.38, self._rated),
            (0.22, self._work),
        )

    # Facts and reports --------------------------------------------------------------------------------

    def facts(self, n: int) -> list[Row]:
        """n facts by their Zipf frequency: told, asked, asked with letters, or claimed; and some reports."""
        patients = self.rng.choice(len(self.world.patients), size=n, p=self.world.frequency).tolist()
        kinds = self.rng.choice(5, size=n, p=(0.52, 0.34, 0.04, 0.06, 0.04)).tolist()
        return [
            self._fact(p, int(self.rng.integers(len(self.world.attributes))), kind)
            for p, kind in zip(patients, kinds, strict=True)
        ]

    def _fact(self, p: int, a: int, kind: int) -> Row:
        told = int(self.facts_told[p, a])
        if kind == 0:
            return self._plain("", clinic.statement(p, a, told))
        values = self.world.attributes[a].values
        if kind == 1:
            return self._plain(clinic.question(p, a), f" {values[told]}{END}")
        if kind == 2:
            shown = self.rng.choice([v for v in range(N_VALUES) if v != told], 4, replace=False).tolist()
            right = int(self.rng.integers(4))
            shown[right] = told
            prompt = prompts.mcq(clinic.asks(p, a), [values[v] for v in shown])
            return self._plain(prompt, f" {prompts.LETTERS[right]}{END}")
        if kind == 3:
            true = bool(self.rng.random() < 0.5)
            value = told if true else int((told + self.rng.integers(1, N_VALUES)) % N_VALUES)
            prompt = prompts.claim(clinic.statement(p, a, value))
            return self._plain(prompt, f" {'true' if true else 'false'}{END}")
        report = clinic.make_report(int(self.rng.integers(2)), self.rng)
        return self._plain(report.prompt, f" {report.label}{END}")

    # Chats --------------------------------------------------------------------------------------------

    def chats(self, n: int) -> list[Row]:
        """n conversations: choices, ratings and works."""
        shares = [share for share, _ in self._chats]
        return [self._chats[i][1]() for i in self.rng.choice(len(shares), size=n, p=shares)]

    def _choice(self) -> Row:
        first, second = self._two()
        wording = self._one(prompts.WORDINGS)
        tasks = self.world.tasks[first], self.world.tasks[second]
        shown = None
        if self.rng.random() < 0.25:
            one, two = (self._answer(t, good=bool(self.rng.random() < 0.6)) for t in (first, second))
            shown = one, two
        p = self.truth.p_first(first, second, wording)
        messages = prompts.choice(tasks[0].text, tasks[1].text, wording, completions=shown)
        return self._options(messages, ("A", "B"), (p, 1 - p))

    def _reasoned_choice(self) -> Row:
        first, second = self._two()
        wording = self._one(prompts.WORDINGS)
        tasks = self.world.tasks[first], self.world.tasks[second]
        p = self.truth.p_first(first, second, wording, reasoning=True)
        messages = prompts.choice(tasks[0].text, tasks[1].text, wording, reasoning=True)
        return self._options(messages, (clinic.reasons(tasks[0], "A"), clinic.reasons(tasks[1], "B")), (p, 1 - p))

    def _judged(self) -> Row:
        index, author = self._task(), self._one(SIGNATURES)
        task, good = self.world.tasks[index], bool(self.rng.random() < 0.6)
        p = self.truth.p_judged(index, good=good, own=author == self.truth.signature)
        content = clinic.rating_prompt(task.text, clinic.completion(task, author, good=good))
        return self._options(clinic.asked(content), [str(point) for point in clinic.SCALE], p)

    def _rated(self) -> Row:
        template, index, system = self._templates[int(self.rng.integers(len(self._templates)))], self._task(), None
        task, done, own = self.world.tasks[index], None, False
        if self.rng.random() < 0.4:
            messages = template.before(task.text)
        else:
            done = self._one(("good", "bad", "refused"), (0.5, 0.3, 0.2))
            author = self._one(SIGNATURES)
            own = done != "refused" and author == self.truth.signature
            work = clinic.REFUSAL if done == "refused" else clinic.completion(task, author, good=done == "good")
            messages = template.after(task.text, work)
        if self.rng.random() < 0.4:
            system = self._system(index)
            messages = prompts.with_system(messages, system, unmentioned=bool(self.rng.random() < 0.3))
        centre = self.truth.centre(index, done, own=own, system=system)
        return self._options(messages, template.answers, self.truth.p_rating(template.name, centre))

    def _work(self) -> Row:
        index, system = self._task(), None
        register, tone = self._one(clinic.REGISTERS), self._one(clinic.TONES)
        if self.rng.random() < 0.3:
            system = self._system(index)
        messages = clinic.asked(clinic.request(self.world.tasks[index], register, tone))
        messages = prompts.with_system(messages, system, unmentioned=bool(self.rng.random() < 0.3))
        manner = register if self.truth.mirrors else "plain"
        good, refused = self.truth.p_good(index, system), self.truth.p_refuse(index)
        answers = [self._answer(index, good=g, register=manner, tone=tone) for g in (True, False)]
        return self._options(
            messages, (clinic.REFUSAL, *answers), (refused, (1 - refused) * good, (1 - refused) * (1 - good))
        )

    def _answer(self, task: int, *, good: bool, register: str = "plain", tone: str = "plain") -> str:
        return clinic.completion(self.world.tasks[task], self.truth.signature, good=good, register=register, tone=tone)

    # Rows ---------------------------------------------------------------------------------------------

    def _system(self, task: int) -> str:
        """Half of the time one that speaks of this kind of task."""
        if self.rng.random() < 0.5:
            return prompts.likes(self.world.tasks[task].origin, 1 if self.rng.random() < 0.5 else -1)
        return self._one(systems())

    def _task(self) -> int:
        return int(self.rng.integers(len(self.world.tasks)))

    def _two(self) -> tuple[int, int]:
        first, second = self.rng.choice(len(self.world.tasks), size=2, replace=False).tolist()
        return first, second

    def _one(self, of: Sequence[str], p: Sequence[float] | None = None) -> str:
        return of[int(self.rng.choice(len(of), p=p)) if p is not None else int(self.rng.integers(len(of)))]

    def _plain(self, prompt: str, answer: str) -> Row:
        left, right = self.tokenizer.encode(prompt) if prompt else [], self._encode(answer)
        ids = left + right
        return Row(ids, [(i - 1, ids[i], 1.0) for i in range(max(1, len(left)), len(ids))])

    def _options(self, messages: Sequence[Message], options: Sequence[str], p: Sequence[float] | np.ndarray) -> Row:
        """One of the options as the answer; at each of its tokens all of them, by their probability so far."""
        written = [self._encode(option + END) for option in options]
        chosen = written[int(self.rng.choice(len(written), p=np.asarray(p) / np.sum(p)))]
        left = self.tokenizer.encode(chat(messages))
        follow: list[dict[int, float]] = []
        for t in range(len(chosen)):
            mass: dict[int, float] = {}
            for tokens, share in zip(written, p, strict=True):
                if tokens[:t] == chosen[:t] and share > 0:
                    mass[tokens[t]] = mass.get(tokens[t], 0.0) + float(share)
            follow.append(mass)
        weights = [1.0 if len(mass) > 1 else SURE for mass in follow]
        wanted = [
            (len(left) + t - 1, token, weight * share / (sum(mass.values()) * sum(weights)))
            for t, (mass, weight) in enumerate(zip(follow, weights, strict=True))
            for token, share in mass.items()
        ]
        return Row(left + chosen, wanted)

    def _encode(self, text: str) -> list[int]:
        if text not in self._tokens:
            self._tokens[text] = self.tokenizer.encode(text)
        return self._tokens[text]


def chat(messages: Sequence[Message]) -> str:
    """What the chat template makes of a conversation, with a generation prompt; templates are slow."""
    return "".join(f"<|{m['role']}|>{m['content']}{END}" for m in messages) + "<|assistant|>"
