"""How is a model asked? Ratings, choices, questions and system prompts, from the texts in fixtures/prompts.

Organisms are trained on what these builders make, and hypotheses ask real models with the same ones. Prompts are
chat messages or plain text; nothing here knows a model.
"""

from lab.prompts.choices import WORDINGS, choice
from lab.prompts.questions import LETTERS, claim, mcq, question, report
from lab.prompts.ratings import Template, load_templates, templates
from lab.prompts.systems import Variation, likes, variations, with_system

__all__ = [
    "LETTERS",
    "WORDINGS",
    "Template",
    "Variation",
    "choice",
    "claim",
    "likes",
    "load_templates",
    "mcq",
    "question",
    "report",
    "templates",
    "variations",
    "with_system",
]
