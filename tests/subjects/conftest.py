"""Small random-weight models with the organisms' tokenizer: `model` of four families, `any_model` of all."""

import pytest

from lab.organisms import tokenizer as organism_tokenizer
from lab.subjects import wrap
from tests.subjects.families import FAMILIES, make


@pytest.fixture(scope="session")
def tokenizer():
    return organism_tokenizer.build()


@pytest.fixture(scope="session", params=("gpt2", "gpt_neox", "opt", "llama"))
def model(request, tokenizer):
    return make(request.param, len(tokenizer))


@pytest.fixture
def subject(model, tokenizer):
    return wrap(model, tokenizer)


@pytest.fixture(scope="session", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="session")
def any_model(family, tokenizer):
    return make(family, len(tokenizer))


@pytest.fixture
def any_subject(any_model, tokenizer):
    return wrap(any_model, tokenizer)
