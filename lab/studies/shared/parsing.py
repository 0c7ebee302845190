"""Parser of answers: the rating or choice in each, or why there is none, and the rule that read it.

Rules are tried in the order exact, format, refusal, judge, error, and the first that knows decides:

    exact     the whole answer is one of the scale's, but for case, white space, quotes, markdown and a full stop
    format    tags, JSON or a tool's call; "Rating: 4", "4/5", "I'd say 4", a number alone on a line, a short phrase
    refusal   the text says that it will not answer
    judge     somebody reads it, where there is a judge
    error     nothing of this; there is no number

A number that stands anywhere in a text is no rating, and one that is not on the scale never becomes a value.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from lab.judging.judges import Judge
from lab.judging.refusals import refuses
from lab.studies.shared.prompts import Template

OUTCOMES = ("rated", "refused", "unclear", "out_of_scale", "violation", "error")
CHOICES = ("A", "B", "refused", "unclear", "error")
PATHS = ("exact", "format", "refusal", "judge", "error")
SHORT = 12
"""Words: what is mentioned in a text up to this length is its answer; in a longer one it may be anything."""


@dataclass(frozen=True)
class Answer:
    """What a text says.

    Attributes
    ----------
    raw
        The text as it was, so that it can be read again.
    outcome
        One of `OUTCOMES` for a rating. Only "rated" has a value: "out_of_scale" named something that the scale has
        not, "violation" named a banned answer, "unclear" is a text that says neither, "error" is no text, or a judge
        that failed. One of `CHOICES` for a choice.
    value
        The number that the answer counts as; of a choice 1 for A and 0 for B. None where there is none.
    answer
        The answer of the scale that was meant, or what was said in its place.
    path
        One of `PATHS`: the rule that decided.
    """

    raw: str
    outcome: str
    value: float | None
    answer: str | None
    path: str


Read = tuple[str, float | None, str | None]
"""Outcome, value and answer."""
Rules = Sequence[tuple[str, Callable[[str], Read | None]]]
"""Paths with what each of them reads in a text; None where it reads nothing."""


def parse_all(
    raws: Sequence[str], template: Template, *, judge: Judge | None = None, ids: Sequence[str] | None = None
) -> list[Answer]:
    """The ratings [n] that n texts give on a template's scale, in the same order.

    Texts that no rule understands go to the `judge` together, by its rubric "preference_refusal"; those that refuse
    nothing then by "rating". Without a judge they are unclear. What a judge reads has to be on the scale like any
    answer. A judge that fails gives the outcome "error", with what failed as `answer`. `ids` [n] name the answers to
    a judge who looks them up.

    >>> from lab.studies.shared.prompts import templates
    >>> rate = templates()["anchored_1_5"]
    >>> [answer.value for answer in parse_all(["4", "**Rating:** 4/5.", "It is 850 square inches."], rate)]
    [4.0, 4.0, None]
    """
    named: list[dict[str, Any]] = [{} for _ in raws] if ids is None else [{"id": each} for each in ids]
    rules: Rules = (
        ("exact", lambda text: _rated(text, template)),
        ("format", lambda text: _rating(text, template)),
        ("refusal", _refusal),
    )
    answers = _judged(
        [_by_rules(raw, rules) for raw in raws],
        judge,
        "preference_refusal",
        lambda i: {"answer": raws[i]} | named[i],
        lambda said: ("refused", None, None) if said["is_refusal"] else ("unclear", None, None),
    )
    return _judged(
        answers,
        judge,
        "rating",
        lambda i: {"answer": raws[i], "scale": list(template.answers)} | named[i],
        lambda said: _meant(said["rating"], template),
    )


def parse_choices(raws: Sequence[str], *, judge: Judge | None = None) -> list[Answer]:
    """Which of two tasks n texts [n] prefer: A, B, refused, unclear or error, also behind a reason.

    Texts that no rule understands go to the `judge` together, by its rubric "choice".

    >>> [answer.outcome for answer in parse_choices(["b.", "Sums are a joy to me. Answer: A", "Either is fine."])]
    ['B', 'A', 'unclear']
    """
    rules: Rules = (("exact", _letter), ("format", _choice), ("refusal", _refusal))
    answers = [_by_rules(raw, rules) for raw in raws]
    return _judged(answers, judge, "choice", lambda i: {"answer": raws[i]}, _chosen_by_judge)


def all_chosen_by_doing(
    raws: Sequence[str], tasks: Sequence[tuple[str, str]], *, judge: Judge | None = None
) -> list[Answer]:
    """Which of two tasks each of n completions [n] did: A, B, refused, unclear or error.

    A completion that begins with a refusal is one, whichever task it names before. Where it begins with "Task A:" or
    "Task B:" that is the choice. Otherwise it is the task of whose own words some stand in the completion, while none
    of the other's do; words that both tasks have say nothing. The `judge` is shown the tasks too.
    """

    def rules(pair: tuple[str, str]) -> Rules:
        done = ("format", lambda text: _done(text, pair))
        return (("exact", _letter), ("refusal", _begins_with_refusal), ("format", _begun), done)

    answers = [_by_rules(raw, rules(pair)) for raw, pair in zip(raws, tasks, strict=True)]
    shown = "Task A: {}\nTask B: {}\nThe assistant chose one of them by doing it, and wrote:\n{}"
    return _judged(answers, judge, "choice", lambda i: {"answer": shown.format(*tasks[i], raws[i])}, _chosen_by_judge)


def values(answers: Iterable[Answer]) -> np.ndarray:
    """The numbers [n] that answers count as; NaN for all that is no rating, or no choice."""
    return np.array([np.nan if answer.value is None else answer.value for answer in answers], dtype=float)


def counts(answers: Iterable[Answer]) -> dict[str, int]:
    """How often each outcome came, the most frequent one first."""
    return dict(Counter(answer.outcome for answer in answers).most_common())


# The order of the rules -------------------------------------------------------------------------------


def _by_rules(raw: str, rules: Rules) -> Answer:
    """What the first rule says that knows; the path is "error" where none does. Thoughts are no part of an answer.

    Where a thought ends that did not begin, a server or template began it, and all before was thought.
    """
    said = re.sub(r"\A.*</think>", "", re.sub(r"<think>.*?(?:</think>|\Z)", "", raw, flags=re.S), flags=re.S)
    if not said.strip():
        return Answer(raw, "error", None, None, "error")
    for path, rule in rules:
        read = rule(said)
        if read is not None:
            return Answer(raw, *read, path)
    return Answer(raw, "unclear", None, None, "error")


def _refusal(text: str) -> Read | None:
    return ("refused", None, None) if refuses(text) else None


def _judged(
    answers: list[Answer],
    judge: Judge | None,
    rubric: str,
    item: Callable[[int], Mapping[str, Any]],
    read: Callable[[Mapping[str, Any]], Read],
) -> list[Answer]:
    """Lets a judge read what is unclear so far, all of it at once; `item` gives what it is shown of each."""
    left = [i for i, answer in enumerate(answers) if answer.outcome == "unclear"]
    if judge is None or not left:
        return answers
    answers = list(answers)
    for i, said in zip(left, judge(rubric, [item(i) for i in left]), strict=True):
        if said.values is None:
            answers[i] = replace(answers[i], outcome="error", answer=said.failed, path="error")
        else:
            answers[i] = Answer(answers[i].raw, *read(said.values), "judge")
    return answers


# Ratings ----------------------------------------------------------------------------------------------

_NUMBER = r"[-+\u2212]?\d+(?:\.\d+)?"
_OUT_OF = rf"(?:\s*\(?(?:/|(?:out )?of)\s*({_NUMBER})\)?)"
_QUOTES = " \t\r\n*_`\"'\u2018\u2019\u201c\u201d()[]#"
_CLOSES = r"(?=[\"')\]]*\s*(?:$|\n|[.!,;:)](?!\d)|[-\u2013\u2014]\s|because\b|since\b|on\b|points?\b|stars?\b))"
"""What may follow a number that is an answer: the end, a stop, a reason, but no unit."""
_SAYS = (
    r"\b(?:i(?:'d| would| will|'ll)?\s+(?:say|rate|give|put|score)(?:\s+(?:it|this|that|the|my|task|experience))*"
    r"(?:\s+(?:an?|as|at|with|rating|score|of))*|it(?:'s| is| was)\s+an?|(?:rating|score)\s+of)\s+"
)
_LABEL = (
    r"\b(?:rating|score|answer|response)(?:\s+(?:for|of|to)\s+(?:this|that|the|it)(?:\s+task)?)?"
    r"\s*(?:[:=]|is\b:?)\s*[\"']?"
)
_FIRST = (
    rf"\A[\s\"'(]*(?:(?:about|around|roughly)\s+)?({_NUMBER}){_OUT_OF}?[\"')]*"
    r"(?=\s*\n|\s+(?:[-\u2013\u2014]\s|\()|[:,;](?!\d)|\s*\Z)"
)
_LAST = rf"\n\s*({_NUMBER})()[.\"')]*\s*\Z"
_DENIES = re.compile(r"\b(?:not|never|neither|nor|hardly|no|cannot|anything|without|doubt|refuse)\b|n't\b")
_BREAKS = r"[.!?;:,()]\s|\n|\s[-\u2013\u2014]\s|\b(?:but|because|since|so)\b"
"""Where a clause ends, so that what is denied before says nothing of what follows."""
_PLAIN = frozenset(
    "a about an be been do doing experience feel feels feeling felt find for found give i i'd i'll is it it'd it's its "
    "me my one overall rate rating say so statement task that that's the this to was were will with work would".split()
)
"""What may stand beside an answer that is a word, in a clause that gives it: no other word is sure to leave it be."""


def _bare(text: str) -> str:
    """A text without what stands around an answer; a stop in front of a number is none."""
    return " ".join(text.casefold().lstrip(_QUOTES).rstrip(_QUOTES + ".!,;:").split())


def _number(text: str) -> float:
    return float(text.replace("\u2212", "-"))


@lru_cache
def _places(answers: tuple[str, ...]) -> tuple[dict[str, int], dict[float, int]]:
    """The place of each answer by its words, and by its number where all of them are numbers."""
    words = {_bare(answer): i for i, answer in enumerate(answers)}
    numbers = [_number(answer) for answer in answers if re.fullmatch(_NUMBER, answer)]
    return words, {number: i for i, number in enumerate(numbers)} if len(numbers) == len(answers) else {}


def _at(template: Template, place: int) -> Read:
    answer = template.answers[place]
    return ("violation", None, answer) if answer in template.banned else ("rated", template.values[place], answer)


def _rated(text: str, template: Template) -> Read | None:
    """A text that is an answer and nothing else."""
    bare = _bare(text)
    words, numbers = _places(template.answers)
    if bare in words:
        return _at(template, words[bare])
    if not numbers or not re.fullmatch(_NUMBER, bare):
        return None
    place = numbers.get(_number(bare))
    return ("out_of_scale", None, bare) if place is None else _at(template, place)


def _meant(said: str | None, template: Template) -> Read:
    """What a judge takes a text for."""
    if said is None:
        return "unclear", None, None
    return _rated(said, template) or ("out_of_scale", None, said)


def _rating(text: str, template: Template) -> Read | None:
    """An answer in a form that was asked for, or in one in which ratings are usually given."""
    loosely = _in_numbers if _places(template.answers)[1] else _in_words
    structured = _structured(text)
    if structured:
        return _agreed([_rated(each, template) or loosely(each, template) for each in structured])
    return loosely(text, template)


def _agreed(reads: Sequence[Read | None]) -> Read | None:
    """What all of them say; None where they differ, or where one says nothing."""
    return reads[0] if reads and len(set(reads)) == 1 else None


def _structured(text: str) -> list[str]:
    """What stands in tags for an answer, or in JSON under its name; not the placeholder of the question."""
    found = [inner for _, inner in re.findall(r"<(answer|rating|choice)>(.*?)</\1>", text, re.S | re.I)]
    place = -1 if found else text.find("{")
    while place >= 0:
        try:
            content, end = json.JSONDecoder().raw_decode(text, place)
        except json.JSONDecodeError:
            content, end = None, place + 1
        said = _under_name(content)
        found += [] if said is None else [said]
        place = text.find("{", end)
    return [each for each in found if each.strip() != "YOUR ANSWER"]


def _under_name(content: Any) -> str | None:
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("arguments"), dict):
        return _under_name(content["arguments"])
    said = next((content[name] for name in ("answer", "rating", "choice") if name in content), None)
    return str(said) if isinstance(said, str | int | float) and not isinstance(said, bool) else None


def _in_numbers(text: str, template: Template) -> Read | None:
    """A number behind a label; otherwise one that is given as a rating, and beside which no other is on the scale."""
    said, short = _unmarked(text), len(text.split()) <= SHORT  # in a longer text 2/5 and 80 % are figures like any
    if short and template.answers[-1] == "100":
        said = re.sub(rf"({_NUMBER})\s*(?:%|percent\b)", r"\1", said)
    labelled = list(re.finditer(rf"{_LABEL}({_NUMBER}){_OUT_OF}?{_CLOSES}", said))
    if labelled:
        return _agreed([None if _wavers(_sentence(said, at), template) else _of(at, template) for at in labelled])
    forms = [rf"{_SAYS}({_NUMBER}){_OUT_OF}?{_CLOSES}", _FIRST, _LAST]
    forms += [rf"(?<![\w./])({_NUMBER}){_OUT_OF}{_CLOSES}"] * short
    given = [found for form in forms for found in re.finditer(form, said)]
    return None if _wavers(said, template) else _agreed([_of(found, template) for found in given])


def _unmarked(text: str) -> str:
    """A text in lower case without markdown's stars, and with straight apostrophes."""
    return re.sub(r"\*+|__|`+|^#+\s*", "", text.casefold().replace("\u2019", "'"), flags=re.M)


def _sentence(text: str, found: re.Match[str]) -> str:
    """What a sentence says from a match on."""
    return re.split(r"(?<=[.!?])\s|\n", text[found.start() :], maxsplit=1)[0]


def _of(found: re.Match[str], template: Template) -> Read | None:
    """A number with what it is out of: 4/5 on a scale that ends in 5, but not 8/10. None where its clause denies it."""
    if _denied(found):
        return None
    number, whole = found[1], found[2]
    if whole and _number(whole) != max(_places(template.answers)[1]):
        return "out_of_scale", None, f"{number}/{whole}"
    return _rated(number, template)


def _denied(found: re.Match[str]) -> bool:
    """Whether the clause denies before a match what is said in it, as in "I don't think it's a 5"."""
    return bool(_DENIES.search(re.split(_BREAKS, found.string[: found.start()])[-1]))


def _wavers(said: str, template: Template) -> bool:
    """Whether several numbers of the scale stand in a text, but for those that tell the scale; or it tells another."""
    low, high = map(re.escape, (template.answers[0], template.answers[-1]))
    rest = re.sub(rf"(?<![\w.]){low}\s*(?:to|-|\u2013|and)\s*{high}\b|(?:/|(?:out )?of)\s*{high}\b", " ", said)
    if re.search(rf"\bscale\s+(?:of|from)\s+{_NUMBER}\s*(?:to|-|\u2013)\s*{_NUMBER}", rest):
        return True
    if any(int(points) != len(template.answers) for points in re.findall(r"\b(\d+)[- ]point\b", rest)):
        return True
    found = {_number(each) for each in re.findall(rf"(?<![\w.]){_NUMBER}(?!\w|\.\d)", rest)}
    return len(found & _places(template.answers)[1].keys()) > 1


def _in_words(text: str, template: Template) -> Read | None:
    """The one answer that is named behind a label, or in a clause of a short text that says nothing else."""
    said = "\n".join(" ".join(line.split()) for line in _unmarked(text).splitlines())
    answers = "|".join(map(re.escape, sorted(_places(template.answers)[0], key=len, reverse=True)))
    closes = r"(?=[\"')\]]*\s*(?:$|\n|[.!,;:)]|[-\u2013\u2014]\s|because\b|since\b))"
    labelled = list(re.finditer(rf"{_LABEL}(?:{answers}){closes}", said))
    if labelled:
        named = [re.findall(rf"\b(?:{answers})\b", _sentence(said, at)) for at in labelled if not _denied(at)]
        return _agreed([_rated(each, template) for these in named for each in these])
    if len(said.split()) > SHORT or _DENIES.search(said):
        return None
    clauses = re.split(rf"[.!?;:,()\n]|{_BREAKS}", said)
    plainly = [not set(re.sub(rf"\b(?:{answers})\b", " ", clause).split()) - _PLAIN for clause in clauses]
    named = [re.findall(rf"\b(?:{answers})\b", clause) for clause in clauses]
    if not any(plain and these for plain, these in zip(plainly, named, strict=True)):
        return None
    return _agreed([_rated(each, template) for these in named for each in these])


# Choices ----------------------------------------------------------------------------------------------

_CHOSEN = (
    r"(?i:\b(?:answer|choice|preference)\s*(?:[:=]|is\b:?)\s*[\"'(]?(?:task\s+|option\s+)?)([ABab])"
    r"(?=[\"')]?\s*(?:[.!,;]|$|\n))",
    r"(?i:\bI(?:'d|\u2019d| would| did| do)?\s+(?:rather\s+)?"
    r"(?:choose|chose|pick|prefer|preferred|select|enjoy|enjoyed|do|go with)\s+(?:(?:task|option)\s+)?)([AB])\b(?!')",
    r"\A[\s\"'(]*(?i:(?:task|option)\s+)?([AB])(?=[\"']?(?:[.:)]|\s+[-\u2013\u2014]|\s*\n))",
)
"""How a letter is given as a choice: behind a label, behind a verb, or first of all."""
_BEGUN = re.compile(
    r"[\W_]*(?:(?:i(?:'ll| will)?\s+(?:choose|do|pick)|my choice is)\s+)?(?:task|option)\s+([ab])\b\W*", re.I
)
_COMMON = frozenset(
    "a an and are as at be by for from in into is it its of on or that the this to with you your".split()
)


def _letter(text: str) -> Read | None:
    """A text that is a letter and nothing else."""
    found = re.fullmatch(r"(?:(?:task|option|choice)\s+)?([ab])", _bare(text))
    return None if found is None else _chosen(found[1])


def _chosen(letter: str) -> Read:
    return letter.upper(), float(letter in "aA"), letter.upper()


def _chosen_by_judge(said: Mapping[str, Any]) -> Read:
    choice = str(said["choice"])
    return _chosen(choice) if choice in ("A", "B") else ("refused" if choice == "refusal" else "unclear", None, None)


def _choice(text: str) -> Read | None:
    """A letter in a form that was asked for, or in one in which choices are usually given."""
    structured = _structured(text)
    if structured:
        return _agreed([_letter(each) for each in structured])
    said = re.sub(r"\*+|__|`+", "", text)
    for form in _CHOSEN:
        found = re.findall(form, said)
        if found:
            return _agreed([_chosen(letter) for letter in found])
    if len(said.split()) > SHORT or re.search(r"(?i)\b(?:not|never|neither|nor|than)\b|n['\u2019]t\b", said):
        return None
    return _agreed([_chosen(letter) for letter in re.findall(r"(?i:\b(?:task|option)\s+)([ABab])\b", said)])


def _begins_with_refusal(text: str) -> Read | None:
    """A refusal among the first words; further on, somebody in a story may refuse."""
    begun = _BEGUN.match(text)
    return _refusal(" ".join(text[begun.end() if begun else 0 :].split()[: 2 * SHORT]))


def _begun(text: str) -> Read | None:
    """The letter with which a completion begins, as it was asked to."""
    found = _BEGUN.match(text)
    return None if found is None else _chosen(found[1])


def _done(text: str, pair: tuple[str, str]) -> Read | None:
    """The task of whose own words some stand in the text, while none of the other's do."""
    said, first, second = (set(re.findall(r"\w+", each.casefold())) - _COMMON for each in (text, *pair))
    in_first, in_second = bool(said & (first - second)), bool(said & (second - first))
    return None if in_first == in_second else _chosen("A" if in_first else "B")
