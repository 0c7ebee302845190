"""Prompts for ratings, choices, questions and system prompts, from the texts in fixtures/prompts.

Organisms are trained on what these builders make, and hypotheses ask real models with the same ones. Prompts are
chat messages or plain text; nothing here knows a model.
"""

from lab.data.question_prompts import LETTERS, claim, mcq, question, report
from lab.files.texts import Message, assistant, user
from lab.judging.refusals import refuses
from lab.judging.rubrics import Rubric, load_rubrics, rubrics
from lab.studies.shared.prompts.choices import WORDINGS, choice, do_one, load_wordings
from lab.studies.shared.prompts.formats import FORMATS
from lab.studies.shared.prompts.ratings import Template, load_templates, template, templates
from lab.studies.shared.prompts.systems import (
    Variation,
    compared,
    likes,
    load_variations,
    not_to_mention,
    variations,
    with_system,
)
from lab.subjects.prompts import rendered

__all__ = [
    "FORMATS",
    "LETTERS",
    "WORDINGS",
    "Message",
    "Rubric",
    "Template",
    "Variation",
    "assistant",
    "choice",
    "claim",
    "compared",
    "do_one",
    "likes",
    "load_rubrics",
    "load_templates",
    "load_variations",
    "load_wordings",
    "mcq",
    "not_to_mention",
    "question",
    "refuses",
    "rendered",
    "report",
    "rubrics",
    "template",
    "templates",
    "user",
    "variations",
    "with_system",
]
