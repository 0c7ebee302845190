"""Asks an oracle all questions of a design and has the answers judged, target by target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.studies.oracle import results_file
from lab.studies.oracle.design import Design, Resampled
from lab.studies.oracle.keeper import Keeper
from lab.studies.shared.oracle import Read
from lab.studies.shared.prompts.oracle import Target

if TYPE_CHECKING:
    from lab.judging.judges import Judge, Judged

RUBRIC = "similarity"


def resampled(
    design: Design, read: Read, judge: Judge, keeper: Keeper, work: Callable[[str], Any], *, aside: bool
) -> Resampled:
    """Asks about what was read of the targets, has it judged and keeps it.

    `work` gives the results by target id of a loop by its name, as `evidence.resume` does: those that an interrupted
    run finished are there already. With `aside` the judge works in a thread of its own while the oracle is asked.
    """
    ids = [target.id for target in design.targets]
    answers, judged = work("oracle: answers"), work("oracle: judgements")
    with _Aside(judge, aside) as judging:
        for i, target in enumerate(design.targets):
            if target.id not in answers:
                answers[target.id] = _ask(design, target, read.vectors[i])
            keeper.answered(i, answers[target.id])
            if target.id in judged:
                keeper.judged(i, judged[target.id])
            else:
                judging.put(i, _to_judge(design, target, answers[target.id]))
            for j, found in judging.done(wait=False):
                judged[ids[j]] = found
                keeper.judged(j, found)
        for j, found in judging.done(wait=True):
            judged[ids[j]] = found
            keeper.judged(j, found)
    keeper.finish()
    scores = np.array([[_score(one) for one in judged[id]] for id in ids])
    return Resampled(
        design,
        read,
        [answers[id]["texts"] for id in ids],
        [answers[id]["own"] for id in ids],
        scores[:, :-1],
        scores[:, -1],
        keeper.path,
    )


class _Aside:
    """Judges: in a thread of its own while the oracle is asked, or at once, as a judge on this machine has to."""

    def __init__(self, judge: Judge, aside: bool) -> None:
        self._judge = judge
        self._thread = ThreadPoolExecutor(1) if aside else None
        self._under_way: dict[int, Future[list[Judged]]] = {}

    def __enter__(self) -> _Aside:
        return self

    def __exit__(self, *fault: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=fault[0] is not None)

    def put(self, i: int, items: list[dict[str, Any]]) -> None:
        if self._thread is not None:
            self._under_way[i] = self._thread.submit(self._judge, RUBRIC, items)
            return
        self._under_way[i] = Future()
        self._under_way[i].set_result(self._judge(RUBRIC, items))

    def done(self, *, wait: bool) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """What was judged since the last time, in the order in which it was put."""
        for i, future in list(self._under_way.items()):
            if not wait and not future.done():
                return
            del self._under_way[i]
            yield i, [asdict(one) for one in future.result()]


def _ask(design: Design, target: Target, vector: np.ndarray) -> dict[str, Any]:
    """Every question about a target k times, and what the model itself answers to it without the adapter."""
    oracle, how, n = design.oracle, asdict(design.decoding), len(design.questions)
    texts = oracle.ask(
        [question.text for question in design.questions],
        np.broadcast_to(vector, (n, vector.size)),
        design.seeds(design.runs(target)),
        **how,
    )
    with oracle.subject.adapter(None):
        own = oracle.subject.generate(
            [list(target.messages)], seeds=design.seeds([results_file.own_id(target.id)]).tolist(), **how
        ).texts
    return {"texts": texts, "own": own}


def _to_judge(design: Design, target: Target, said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One item for each query, and one for the model's own answers."""
    asked = [question.text for question in design.questions] + [str(target.messages[-1]["content"])]
    runs = [*design.runs(target), results_file.own_id(target.id)]
    answers = [*said["texts"], said["own"]]
    return [
        {"id": run, "question": text, "answers": given} for run, text, given in zip(runs, asked, answers, strict=True)
    ]


def _score(judged: Mapping[str, Any]) -> float:
    return float("nan") if judged["values"] is None else float(judged["values"]["similarity_1_to_10"])
