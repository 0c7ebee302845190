"""Hugging Face's classifiers by name: how likely a text is to be toxic, formal or what else one was trained for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lab.subjects import downloading
from lab.subjects.errors import LoadError, PromptError

BATCH = 8192
"""Padded tokens in a batch."""


class Classifier:
    """A sequence classifier, read for one of its labels: `classifier(texts)` gives [n] probabilities of it.

    The probability is a softmax over the labels; of a classifier with several labels at once
    (`problem_type="multi_label_classification"`), or with one alone, it is the label's own sigmoid, as in
    transformers' pipeline. Texts are batched by length with their pads masked, which changes no score.

    Attributes
    ----------
    name
        What it was loaded from, and the label.
    label
        As the model spells it.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str, label: str) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer
        labels = {int(i): str(text) for i, text in model.config.id2label.items()}
        chosen = [i for i, text in labels.items() if text.lower() == label.lower()]
        if not chosen:
            raise LoadError(
                f"{name} has no label {label!r}; its labels are {', '.join(labels.values())}: "
                f"write {name}:{next(iter(labels.values()))}, or another of them"
            )
        self._index, self.label = chosen[0], labels[chosen[0]]
        self.name = f"{name}:{self.label}"
        self._each = len(labels) == 1 or model.config.problem_type == "multi_label_classification"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        if tokenizer.pad_token_id is not None:
            model.config.pad_token_id = tokenizer.pad_token_id
        longest = getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length
        self.context = int(min(longest, tokenizer.model_max_length))

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Raises PromptError for one text in place of a list, or a text that is longer than the classifier reads."""
        if isinstance(texts, str):
            raise PromptError("the texts are one string; pass a list of texts, for example [text]")
        scores = np.zeros(len(texts))
        rows = [self.tokenizer(text, verbose=False)["input_ids"] for text in texts]
        for i, ids in enumerate(rows):
            if len(ids) > self.context:
                raise PromptError(
                    f"text {i} has {len(ids)} tokens, but {self.name} reads {self.context}; write shorter answers"
                )
        for chosen in self._batches([len(ids) for ids in rows]):
            batch = self.tokenizer([texts[i] for i in chosen], padding=len(chosen) > 1, return_tensors="pt")
            logits = self.model(**batch.to(self.model.device)).logits.float()
            p = logits.sigmoid() if self._each else logits.softmax(-1)
            scores[chosen] = p[:, self._index].double().cpu().numpy()
        return scores

    def _batches(self, lengths: list[int]) -> list[list[int]]:
        """Texts of like length together; an empty one has no token to read, and scores 0."""
        order = sorted((i for i, length in enumerate(lengths) if length), key=lambda i: -lengths[i])
        if self.tokenizer.pad_token_id is None:
            return [[i] for i in order]
        batches: list[list[int]] = []
        for i in order:
            if not batches or lengths[batches[-1][0]] * (len(batches[-1]) + 1) > BATCH:
                batches.append([])
            batches[-1].append(i)
        return batches


def load(name: str, label: str, *, device: str = "auto") -> Classifier:
    """A classifier from the hub or from a folder, read for `label`.

    Raises LoadError where there is none, or where it has no such label: its labels are then listed.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source = Path(name).expanduser()
    if not source.is_dir():
        if source.is_absolute() or name.startswith("."):
            raise LoadError(f"there is no folder {name}; check the path")
        downloading.check(name)
        source = downloading.fetch(name)
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForSequenceClassification.from_pretrained(source, dtype=torch.float32)
    except Exception as error:  # safetensors, tokenizers and torch each raise their own
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LoadError(f"cannot load the classifier {name}: {said}") from error
    return Classifier(model.to(place), tokenizer, name=name, label=label)
