"""Probabilities of options after prompts, read from the logits; what options share is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from lab.subjects import prefix
from lab.subjects.batches import Batch
from lab.subjects.edits import Edit, Plan
from lab.subjects.errors import PromptError
from lab.subjects.prompts import Prompt
from lab.subjects.results import Choice
from lab.subjects.running import Runner

LOGITS = 2.5e8
"""The most logits of options that are in memory at once: 1 GB of float32."""
Options = Sequence[str] | Sequence[Sequence[str]]


@torch.no_grad()
def choose(
    runner: Runner, prompts: Sequence[Prompt], options: Options, *, per_token: bool, edits: Sequence[Edit]
) -> Choice:
    """`Subject.choose`; see there."""
    rows = runner.encode(prompts)
    tails = _tails(runner, prompts, rows, options)
    longest = max(len(tail) for these in tails for tail in these)
    over = next((i for i, row in enumerate(rows) if len(row) + longest - 1 > runner.context), None)
    if over is not None:
        raise PromptError(
            f"prompt {over} has {len(rows[over])} tokens and an option {longest}, but the model's context is "
            f"{runner.context}; shorten or drop it"
        )
    plan = Plan(runner, edits, prompts, rows)
    logprobs = np.empty((len(rows), len(tails[0])))
    shares = longest > 1 and runner.may_share(max(map(len, rows)) + longest)

    def run(chosen: list[int]) -> None:
        batch = runner.pad(rows, chosen, side="left" if shares else None)
        cache = prefix.empty() if shares else None
        with runner.tapped(plan.taps(batch)):
            output = runner.forward(batch, logits=runner.keep(batch), cache=cache)
        scores = runner.last_logits(output, batch).float().log_softmax(-1)
        first = torch.tensor([[tail[0] for tail in tails[i]] for i in chosen], device=scores.device)
        found = scores.gather(1, first).double().cpu().numpy()
        if shares:
            found += _later_tokens(runner, batch, cache, [tails[i] for i in chosen], plan)
        logprobs[chosen] = found

    options_tokens = len(tails[0]) * (longest - 1) if shares else 0
    runner.in_batches(rows, run, doing="choose", more=options_tokens, side="left" if shares else None)
    if longest > 1 and not shares:
        _score_plainly(runner, rows, tails, logprobs, plan)
    _take_out_longer(logprobs, tails)
    if per_token:
        logprobs /= np.array([[len(tail) for tail in these] for these in tails])
    return Choice(logprobs)


def _tails(runner: Runner, prompts: Sequence[Prompt], rows: list[list[int]], options: Options) -> list[list[list[int]]]:
    """The tokens that each option adds to its prompt: as the tokenizer writes both together, where that keeps the
    prompt's own tokens, else as it writes the option alone.
    """
    first = options[0] if len(options) else ""
    each: list[list[str]] = [list(options)] * len(rows) if isinstance(first, str) else [list(o) for o in options]  # type: ignore[arg-type]
    if len(each) != len(rows):
        raise PromptError(f"{len(rows)} prompts but {len(each)} lists of options; pass one list for each")
    k = len(each[0])
    if k < 2 or any(len(these) != k for these in each):
        raise PromptError("every prompt needs the same number of options, at least two")
    if any(not option for these in each for option in these):
        raise PromptError("an option is empty; every option needs at least one token")
    tokenizer, merged = runner.tokenizer, 0
    if tokenizer is None:
        raise PromptError("this subject was wrapped without a tokenizer, which options need; wrap(model, tokenizer)")
    texts = sorted({option for these in each for option in these})
    alone = dict(zip(texts, tokenizer(texts, add_special_tokens=False)["input_ids"], strict=True))
    written = [i for i, prompt in enumerate(prompts) if isinstance(prompt, str)]
    together = tokenizer([str(prompts[i]) + o for i in written for o in each[i]], verbose=False) if written else None
    joined = {i: together["input_ids"][r * k : (r + 1) * k] for r, i in enumerate(written)} if together else {}
    tails = []
    for i, row in enumerate(rows):
        these = []
        for j, option in enumerate(each[i]):
            both = joined[i][j] if i in joined else []
            kept = both[: len(row)] == row and len(both) > len(row)
            merged += i in joined and not kept
            these.append(list(both[len(row) :]) if kept else list(alone[option]))
        tails.append(these)
    if merged:
        runner.note(
            f"{merged} options are written otherwise together with their prompt than alone, and were scored as written "
            "alone; begin options with a space, or end prompts where a word ends"
        )
    return tails


def _take_out_longer(logprobs: np.ndarray, tails: list[list[list[int]]]) -> None:
    """Leaves to an option what no longer one begins with, in place: a text that begins with 10 is 10, and not 1 too.

    Where a tokenizer writes numbers digit by digit, the tokens of 1 are the first ones of 10 to 19 and of 100. Without
    this the probabilities of 1 to 100 were seen to come to more than 1, most of it on 1 to 9.
    """
    whole = logprobs.copy()
    cells: dict[tuple[tuple[int, ...], ...], list[tuple[int, list[int]]]] = {}
    for i, these in enumerate(tails):
        key = tuple(map(tuple, these))
        if key not in cells:
            cells[key] = _extended(key)
        for j, longer in cells[key]:
            share = float(np.exp(whole[i, longer] - whole[i, j]).sum())
            logprobs[i, j] += np.log1p(-min(share, 1 - 1e-12))


def _extended(tails: tuple[tuple[int, ...], ...]) -> list[tuple[int, list[int]]]:
    """Each option that others begin with, and which begin with it and with no longer one of those."""
    of: dict[tuple[int, ...], list[int]] = {}
    for j, tail in enumerate(tails):
        heads = [tail[:end] for end in range(len(tail) - 1, 0, -1)]
        nearest = next((head for head in heads if head in tails), None)
        if nearest is not None:
            of.setdefault(nearest, []).append(j)
    return [(j, of[tail]) for j, tail in enumerate(tails) if tail in of]


def _later_tokens(runner: Runner, batch: Batch, cache: Any, tails: list[list[list[int]]], plan: Plan) -> np.ndarray:
    """Log-probabilities [n, k] of every option's second and later tokens, the prompt coming from the cache."""
    n, k = len(tails), len(tails[0])
    longest = max(len(tail) for these in tails for tail in these)
    found = np.zeros((n, k))
    if longest == 1:
        return found
    # Row j * n + i is option j of prompt i. The last token of an option predicts nothing that counts.
    flat = [tails[i][j] for j in range(k) for i in range(n)]
    ids = torch.full((n * k, longest - 1), runner.fill)
    real = torch.zeros((n * k, longest - 1), dtype=torch.long)
    for r, tail in enumerate(flat):
        ids[r, : len(tail) - 1] = torch.tensor(tail[:-1], dtype=torch.long)
        real[r, : len(tail) - 1] = 1
    ids, real = ids.to(runner.device), real.to(runner.device)
    positions = batch.positions[:, -1:].repeat(k, 1) + torch.arange(1, longest, device=runner.device)
    positions = positions.clamp(max=runner.context - 1)  # those of an option's fill count nothing
    whole = None
    if batch.padded or not bool(real.all()):
        whole = torch.cat([batch.mask.repeat(k, 1), real], 1)
    targets = torch.zeros((n * k, longest - 1), dtype=torch.long)
    for r, tail in enumerate(flat):
        targets[r, : len(tail) - 1] = torch.tensor(tail[1:], dtype=torch.long)
    reader = runner.reader(cache, batch.width, new=longest - 1)
    some = max(1, int(LOGITS // (n * (longest - 1) * runner.vocabulary))) * n
    for begin in range(0, n * k, some):
        rows = slice(begin, min(begin + some, n * k))
        mask = None if whole is None else whole[rows]
        taps = plan.taps(batch, start=batch.width, copies=(rows.stop - rows.start) // n)
        with runner.tapped(taps):
            logits = runner.step(ids[rows], mask, positions[rows], cache=reader).logits
        scores = logits.float().log_softmax(-1)
        each = scores.gather(2, targets[rows].to(scores.device)[..., None])[..., 0].double()
        total = (each * real[rows].to(scores.device)).sum(1).view(-1, n)
        found[:, begin // n : begin // n + len(total)] = total.T.cpu().numpy()
    return found


def _score_plainly(
    runner: Runner, rows: list[list[int]], tails: list[list[list[int]]], logprobs: np.ndarray, plan: Plan
) -> None:
    """Options of several tokens in whole passes over prompt and option, where the prompt cannot be shared; in place."""
    longer = [(i, j) for i, these in enumerate(tails) for j, tail in enumerate(these) if len(tail) > 1]
    full = [rows[i] + tails[i][j][:-1] for i, j in longer]

    def run(chosen: list[int]) -> None:
        batch, owners = runner.pad(full, chosen), [longer[c][0] for c in chosen]
        with runner.tapped(plan.taps_within(batch, owners, [len(rows[i]) for i in owners])):
            logits = runner.forward(batch).logits
        for r, c in enumerate(chosen):
            i, j = longer[c]
            tail = torch.tensor(tails[i][j], device=logits.device)
            end = int(batch.first[r] + batch.lengths[r])
            scores = logits[r, end - len(tail) : end].float().log_softmax(-1)
            logprobs[i, j] = float(scores.gather(1, tail[:, None]).double().sum())

    runner.in_batches(full, run, doing="choose")
