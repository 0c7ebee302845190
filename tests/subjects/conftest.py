"""Small random-weight models with the organisms' tokenizer: `model` of four families, `any_model` of all."""

from copy import deepcopy

import pytest

from lab.studies.clinic import tokenizer as organism_tokenizer
from lab.subjects import wrap
from tests.subjects.families import FAMILIES, make


@pytest.fixture(scope="session")
def tokenizer():
    return organism_tokenizer.build()


@pytest.fixture(scope="session", params=("gpt2", "gpt_neox", "opt", "llama"))
def model(request, tokenizer):
    return make(request.param, len(tokenizer))


@pytest.fixture(scope="session")
def wrapped(model, tokenizer):
    return wrap(model, tokenizer)


@pytest.fixture
def subject(wrapped):
    return fresh(wrapped)


def fresh(wrapped):
    """A subject as `wrap` left it, of the same model: to wrap it anew takes fifty times as long."""
    kept = (wrapped.tokenizer, *wrapped.model.modules())
    return deepcopy(wrapped, {id(part): part for part in kept})


@pytest.fixture(scope="session", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="session")
def any_model(family, tokenizer):
    return make(family, len(tokenizer))


@pytest.fixture(scope="session")
def any_wrapped(any_model, tokenizer):
    return wrap(any_model, tokenizer)


@pytest.fixture
def any_subject(any_wrapped):
    return fresh(any_wrapped)
