"""What would a subject have to do? Its own code over a model without weights: passes are counted, and not made.

Batches, shared prefixes and checks are those of `Subject`, so what is counted is what a run would do. What a pass
would have given is made up. Three things are not known before:

- how long a model writes: as long as it may;
- whether rows can share a prefix, and whether pads leak: taken to be as in most models;
- the hook points of a model that was never loaded: it is taken to have them all.

Of a server, tokens are taken to be four characters, and it is taken to give log-probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import nn

from lab.subjects import api, downloading
from lab.subjects.architecture import Anatomy, Block, text_config
from lab.subjects.effort import DONE
from lab.subjects.errors import LoadError, Stop
from lab.subjects.hook_points import Layer, Outline, features
from lab.subjects.hooks import Tap
from lab.subjects.loading import located
from lab.subjects.prompts import Prompt
from lab.subjects.results import Choice
from lab.subjects.running import Runner
from lab.subjects.subject import Subject

CHARACTERS = 4
"""Of a text behind an API, to a token."""


def load(
    name: str,
    place: str,
    outline: Outline | None,
    *,
    revision: str | None = None,
    adapter: str | Path | None = None,
    trust_remote_code: bool = False,
    **options: Any,
) -> Any:
    """As `lab.subjects.load`, but without weights; the kind of device and the outline are told, where it is known.

    Of a model on the hub its configuration and its tokenizer are fetched. Raises LoadError.
    """
    if api.is_api(name):
        return _DrySpeaker(name, options)
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source, own, _ = located(name)
    if not Path(source).is_dir():
        source = str(downloading.fetch(source, revision, weights=False))
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
    except Exception as error:  # each architecture fails in ways of its own
        raise LoadError(f"{name} cannot be planned: {str(error).strip().partition(chr(10))[0]}") from error
    subject = DrySubject(model, tokenizer, name=name, place=place, outline=outline or outlined(model))
    DONE.loads += 1
    if own is not None:
        subject.add_adapter(own, own.name)
    if adapter is not None:
        subject.add_adapter(adapter)
    return subject


def outlined(model: Any) -> Outline:
    """What can be told of a model without running it. It is taken to have every hook point."""
    config = text_config(model)
    depth = getattr(config, "num_hidden_layers", None)
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == depth]
    if not lists:
        raise LoadError(f"{type(model).__name__} has no list of {depth} blocks, so it cannot be planned; run it once")
    layers = []
    for block in lists[0]:
        norms = tuple(name for name, m in block.named_modules() if "norm" in type(m).__name__.lower())
        layers.append(Layer("", "", "", "", norms, tuple(name for name, _ in block.named_children())))
    heads = getattr(config, "num_attention_heads", None)
    d_head = getattr(config, "head_dim", None) or (config.hidden_size // heads if heads else None)
    context = int(getattr(config, "max_position_embeddings", None) or 10**9)
    n_parameters = sum(p.numel() for p in model.parameters())
    return Outline(type(model).__name__, tuple(layers), config.hidden_size, heads, d_head, context, n_parameters)


class DrySubject(Subject):
    """A subject whose passes are counted, and not made."""

    def __init__(self, model: nn.Module, tokenizer: Any, *, name: str, place: str, outline: Outline) -> None:
        self._place, self._known = place, outline
        super().__init__(model, tokenizer, name=name)

    def _look(self) -> None:
        known = self._known
        module = nn.Identity()
        blocks = tuple(
            Block(module, la.attn_out, la.mlp_out, la.reads_mid, la.head_out, la.norms) for la in known.layers
        )
        self.anatomy = Anatomy(known.owner, "", blocks, known.d_model, known.n_heads, known.d_head)
        self._runner: Runner = DryRunner(self.model, self.tokenizer, self.anatomy, self.name, self._place, known)

    def add_adapter(self, folder: str | Path, name: str = "default") -> None:
        self._look()

    def adapter(self, name: str | None) -> Any:
        return nullcontext()


class DryRunner(Runner):
    """Counts what it is to run. Whoever looks at a stream or at logits on the way sees made-up ones."""

    def __init__(self, model: Any, tokenizer: Any, anatomy: Anatomy, name: str, place: str, outline: Outline) -> None:
        self._place, self._told = place, outline
        self._taps: list[Tap] = []
        self._draw = torch.Generator().manual_seed(crc32(name.encode()))  # no two models write the same
        super().__init__(_Hollow(model, self._pass), tokenizer, anatomy, name)

    def _outline(self) -> Outline:
        return self._told

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def place(self) -> str:
        return self._place

    @contextmanager
    def tapped(self, taps: Iterable[Tap]) -> Iterator[None]:
        before, self._taps = self._taps, sorted(taps, key=lambda tap: tap[1])
        try:
            yield
        except Stop:
            pass
        finally:
            self._taps = before

    @contextmanager
    def skipping(self, below: int) -> Iterator[None]:
        yield

    def decode(
        self, ids: torch.Tensor, mask: torch.Tensor, start: int, config: Any, *_: Any, **__: Any
    ) -> torch.Tensor:
        special = torch.tensor(self.tokenizer.all_special_ids, dtype=ids.dtype)
        known = torch.unique(ids[mask.bool()])
        words = known[~torch.isin(known, special)]
        words = words if len(words) else known
        new: int = config.max_new_tokens
        self.count_decoding(ids, start, new)
        written: torch.Tensor = words[torch.randint(len(words), (len(ids), new), generator=self._draw)]
        return written

    def _pass(self, *, input_ids: torch.Tensor, logits_to_keep: Any = None, **_: Any) -> Any:
        rows, width = input_ids.shape
        for site, _layer, see in self._taps:
            size = features(self.outline, site)
            if site.point == "attn_pattern":
                size = (len(site.heads or range(self.outline.n_heads or 1)), width)
            see(torch.randn((rows, 1, *size), generator=self._draw).expand(rows, width, *size))
        kept = width if logits_to_keep is None else len(logits_to_keep)
        return SimpleNamespace(logits=_Unknown.of(rows, kept, self.vocabulary))


class _Hollow:
    """A model that answers for its configuration, and gives any pass to another."""

    def __init__(self, model: Any, run: Any) -> None:
        self._model, self._run = model, run

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._model, attribute)

    def __call__(self, **arguments: Any) -> Any:
        return self._run(**arguments)


class _Unknown(torch.Tensor):
    """A tensor whose values are made up when they are fetched. Numbers drawn from it are 0, truths are true."""

    @staticmethod
    def of(*shape: int) -> torch.Tensor:
        return torch.empty(shape, device="meta").as_subclass(_Unknown)

    def cpu(self, *_: Any, **__: Any) -> torch.Tensor:
        return torch.randn(self.shape, dtype=self.dtype)

    def __float__(self) -> float:
        return 0.0

    def __bool__(self) -> bool:
        return True


class _DrySpeaker:
    """An API's subject whose requests are counted, and not sent. What the answers' cache knows is taken from there."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        kept = options.get("cache")
        if kept is not None and not Path(kept).expanduser().is_dir():
            options = {key: value for key, value in options.items() if key != "cache"}
        self._subject = api.connect(name, **options)
        self._options: list[str] = []
        create = SimpleNamespace(create=self._answer)
        server: Any = self._subject._server
        server.client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(with_raw_response=create)))
        if server.cache is not None:
            server.cache.mode = "read"

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._subject, attribute)

    def choose(self, prompts: Sequence[Prompt], options: Any, **settings: Any) -> Choice:
        self._options = [o.strip() for these in options for o in ([these] if isinstance(these, str) else these)]
        return self._subject.choose(prompts, options, **settings)

    def _answer(self, **request: Any) -> Any:
        asked = sum(len(str(message["content"])) for message in request["messages"]) // CHARACTERS
        room = int(request["max_completion_tokens"])
        words = str(request["messages"][-1]["content"])[: CHARACTERS * room]
        choice: dict[str, Any] = {"message": {"content": words}, "finish_reason": "stop"}
        if request.get("logprobs"):
            guesses = np.random.default_rng(0).normal(-2, 1, len(self._options)).tolist()
            top = [{"token": o, "logprob": p} for o, p in zip(self._options, guesses, strict=True)]
            choice["logprobs"] = {"content": [{"top_logprobs": top}]}
        body = {"choices": [choice], "usage": {"prompt_tokens": asked, "completion_tokens": room}}
        return SimpleNamespace(text=json.dumps(body), retries_taken=0)
