"""lab report oracle: the pictures and the low scores of a resampled oracle, from its results.json alone.

lab report oracle results/oracle/*/results.json [--output DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.files.whole import write_whole
from lab.studies.oracle import results_file
from lab.studies.oracle.similarity import agreement, spreads
from lab.views.drawing import COLOURS, Drawing, keep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lab.estimate import Estimate

LOW = 4
"""A score up to this is low: the answers agree in part at most."""
SCORES = np.arange(1, 11)


def write_all(path: Path, folder: Path | None = None) -> list[Path]:
    """Every picture with what stands behind it as JSON, and the list of low scores, into `folder` or beside the file.

    Raises ValueError, one line, for a file of another kind, or one in which nothing was judged yet.
    """
    found, place = Table(results_file.read(path)), folder or path.parent
    if not np.isfinite(found.scores).any():
        raise ValueError(f"{path}: none of its {len(found.runs)} runs has a score yet; let the run end first")
    drawings = {
        "plot_intra_scores": intra_scores(found),
        "plot_scores_by_prompt": scores_by_prompt(found),
        "plot_scores_by_question": scores_by_question(found),
        "plot_heatmap": heatmap(found),
        "plot_judge_and_entropy": judge_and_entropy(found),
    }
    if np.isfinite(found.own_scores).sum() >= 4:
        drawings["plot_oracle_and_target"] = oracle_and_target(found)
    written = []
    for name, drawing in drawings.items():
        told = json.dumps({"caption": drawing.caption, **drawing.data}, indent=1, allow_nan=False) + "\n"
        written += [keep(drawing, place / f"{name}.png"), write_whole(place / f"{name}.json", told.encode())]
    return [*written, write_whole(place / "low_similarity.md", low_similarity(found).encode())]


class Table:
    """The scores of a results.json as a table.

    `scores` and `entropies` [targets, questions], `own_scores` [targets] of the model's own answers; NaN where there is
    no score (yet).
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.meta: dict[str, Any] = document["meta"]
        self.runs: list[dict[str, Any]] = document["runs"]
        self.texts = {question["id"]: question["text"] for question in document["ao_questions"]}
        self.questions, self.targets = list(self.texts), [target["id"] for target in document["targets"]]
        self.scores = np.full((len(self.targets), len(self.questions)), np.nan)
        self.entropies, self.own_scores = self.scores.copy(), np.full(len(self.targets), np.nan)
        rows, columns = ({id: i for i, id in enumerate(ids)} for ids in (self.targets, self.questions))
        for run in self.runs:
            at = rows[run["target_id"]], columns[run["ao_question_id"]]
            self.scores[at], self.entropies[at] = _score(run), run["semantic_entropy"]
        for run in document.get("target_runs", []):
            self.own_scores[rows[run["target_id"]]] = _score(run)

    @property
    def known(self) -> np.ndarray:
        """Every score that there is."""
        return np.asarray(self.scores[np.isfinite(self.scores)])

    @property
    def subject(self) -> str:
        """Who was asked, and how often each question."""
        return f"{self.meta['model_name']}, {self.meta['samples_per_query']} answers a query"

    @property
    def unscored(self) -> str:
        """What to say of runs without a score; "" where there are none."""
        n = self.scores.size - self.known.size
        return f", {n} without a score" if n else ""


def _score(run: dict[str, Any]) -> float:
    score = (run["judge"] or {}).get("parsed_score")
    return float("nan") if score is None else float(score)


# Pictures ---------------------------------------------------------------------------------------------


def intra_scores(found: Table) -> Drawing:
    """Plot A: how often each score was given, over all queries."""
    counts = [int((found.known == score).sum()) for score in SCORES]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        bars = ax.bar(SCORES, counts, width=0.85, color=COLOURS[0])
        ax.bar_label(bars, labels=[str(n) if n else "" for n in counts], fontsize=7.5)
        ax.axvline(found.known.mean(), color=COLOURS[1], linestyle="--", label=f"mean {found.known.mean():.2f}")
        title = f"Similarity within a query: {found.known.size} queries{found.unscored}\n{found.subject}"
        ax.set(xticks=SCORES, xlabel="score of the judge, 1 to 10", ylabel="queries", title=title)
        ax.legend(loc="upper left")

    return Drawing(
        {"scores": SCORES.tolist(), "counts": counts, "n": int(found.known.size), "mean": float(found.known.mean())},
        (5.2, 3.6),
        f"How alike the answers to one query are, over {found.known.size} queries{found.unscored}.",
        (),
        draw,
    )


def scores_by_prompt(found: Table) -> Drawing:
    """Plot B: the mean score of each target over its questions."""
    means = {id: float(np.nanmean(row)) for id, row in zip(found.targets, found.scores, strict=True) if _any(row)}
    values = np.array(list(means.values()))

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.hist(values, bins=np.arange(1, 10.51, 0.5).tolist(), color=COLOURS[0], edgecolor="white")
        ax.axvline(values.mean(), color=COLOURS[1], linestyle="--", label=f"mean {values.mean():.2f}")
        title = f"Mean similarity of a target over its questions: {values.size} targets\n{found.subject}"
        ax.set(xlim=(1, 10.5), xticks=SCORES, xlabel="mean score, 1 to 10", ylabel="targets", title=title)
        ax.legend(loc="upper left")

    n = len(found.questions)
    caption = f"Each of {values.size} targets, mean over its {n} questions."
    return Drawing({"means": means, "n": int(values.size)}, (5.2, 3.6), caption, (), draw)


def scores_by_question(found: Table) -> Drawing:
    """Plot C: how the scores of each question lie over all targets."""
    columns = {id: column[np.isfinite(column)] for id, column in zip(found.questions, found.scores.T, strict=True)}
    order = sorted((id for id in columns if columns[id].size), key=lambda id: float(columns[id].mean()))

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        rng = np.random.default_rng(0)
        ax.boxplot(
            [columns[id] for id in order],
            orientation="horizontal",
            widths=0.55,
            showfliers=False,
            medianprops={"color": COLOURS[1], "linewidth": 2},
        )
        for i, id in enumerate(order, 1):
            shift = rng.uniform(-0.22, 0.22, (2, columns[id].size))
            ax.plot(columns[id] + shift[0], i + shift[1], ".", color=COLOURS[0], alpha=0.35, markersize=4)
        labels = [f"{id}\n{textwrap.shorten(found.texts[id], 44, placeholder=' ...')}" for id in order]
        ax.set_yticks(range(1, len(order) + 1), labels, fontsize=7)
        title = f"Similarity by question, over {len(found.targets)} targets{found.unscored}\n{found.subject}"
        ax.set(xlim=(0.5, 10.5), xticks=SCORES, xlabel="score of the judge, 1 to 10", title=title)

    return Drawing(
        {"scores": {id: columns[id].tolist() for id in order}, "texts": found.texts},
        (6.6, 1.3 + 0.42 * max(len(order), 4)),
        f"Box: quartiles and median of {len(found.targets)} targets; points are queries, spread to be told apart.",
        (),
        draw,
    )


def heatmap(found: Table) -> Drawing:
    """Every score, target by question; a query without one is grey."""

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.set_facecolor("0.75")
        image = ax.imshow(found.scores, cmap="cividis", vmin=1, vmax=10, aspect="auto", interpolation="nearest")
        ax.set_xticks(range(len(found.questions)), found.questions, rotation=40, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(found.targets)), found.targets)
        ax.tick_params(axis="y", labelsize=8 if len(found.targets) <= 40 else 5)
        ax.grid(False)
        ax.set(xlabel="question", ylabel="target", title=f"Similarity of each query{found.unscored}\n{found.subject}")
        figure.colorbar(image, ax=ax, label="score of the judge, 1 to 10", ticks=[1, 4, 7, 10])

    shown = [[None if np.isnan(x) else int(x) for x in row] for row in found.scores.tolist()]
    return Drawing(
        {"targets": found.targets, "questions": found.questions, "scores": shown},
        (3.2 + 0.42 * len(found.questions), 2.0 + (0.19 if len(found.targets) <= 40 else 0.11) * len(found.targets)),
        "The judge's score of every query; grey where there is none.",
        (),
        draw,
    )


def judge_and_entropy(found: Table) -> Drawing:
    """The judge's score of each query against the semantic entropy of its answers, which asks no judge."""
    both = np.isfinite(found.scores) & np.isfinite(found.entropies)
    x, y = found.entropies[both], found.scores[both]
    rho = agreement(np.where(both, found.scores, np.nan), found.entropies, seed=0) if both.all() else None
    most = float(np.log(found.meta["samples_per_query"]))

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        shift = np.random.default_rng(0).uniform(-0.18, 0.18, (2, x.size))
        ax.plot(x + 0.1 * shift[0], y + shift[1], "o", color=COLOURS[0], alpha=0.35, markersize=4, markeredgewidth=0)
        ax.set(xlim=(-0.1, most + 0.1), ylim=(0.5, 10.5), yticks=SCORES, ylabel="score of the judge, 1 to 10")
        said = "no correlation: one of the two never varies" if rho is None else f"Spearman {_in_words(rho)}"
        ax.set(xlabel="semantic entropy of the answers (nats)", title=f"{x.size} queries, {said}\n{found.subject}")

    return Drawing(
        {"entropy": x.tolist(), "score": y.tolist(), "spearman": _plain(rho), "n": int(x.size)},
        (5.4, 3.8),
        f"{x.size} queries; points are spread a little to be told apart. Left: all answers alike.",
        (),
        draw,
    )


def oracle_and_target(found: Table) -> Drawing:
    """Similarity of the oracle's answers about a target against that of the model's own answers to it."""
    known = np.array([_any(row) for row in found.scores]) & np.isfinite(found.own_scores)
    x, y = found.own_scores[known], np.nanmean(found.scores[known], axis=1)
    both = spreads(y, x)

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        shift = np.random.default_rng(0).uniform(-0.12, 0.12, x.size)
        ax.plot(x + shift, y, "o", color=COLOURS[0], alpha=0.7)
        said = [f"{name.rpartition('_')[2].title()} {_in_words(each)}" for name, each in both.items()]
        said = said or ["one of the two never varies"]
        ax.set(xlim=(0.5, 10.5), ylim=(0.5, 10.5), xticks=SCORES, yticks=SCORES)
        ax.set(xlabel="similarity of the model's own answers", ylabel="similarity of the oracle's answers, mean")
        ax.set_title("\n".join([f"{x.size} targets, {found.subject}", *said]))

    return Drawing(
        {
            "targets": [id for id, here in zip(found.targets, known, strict=True) if here],
            "own": x.tolist(),
            "oracle": y.tolist(),
            "n": int(x.size),
            **{name.rpartition("_")[2]: _plain(each) for name, each in both.items()},
        },
        (4.8, 4.6),
        f"{x.size} targets: do those that the model answers in many ways get many answers of the oracle?",
        (),
        draw,
    )


def _any(row: np.ndarray) -> bool:
    return bool(np.isfinite(row).any())


def _in_words(found: Estimate) -> str:
    p = "" if found.p is None else f", p {'< 0.001' if found.p < 0.001 else f'= {found.p:.3f}'}"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]{p}, n = {found.n}"


def _plain(found: Estimate | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {key: getattr(found, key) for key in ("value", "low", "high", "p", "n", "method")}


# The low ones -----------------------------------------------------------------------------------------


def low_similarity(found: Table) -> str:
    """Every query with a low score: the question, all answers to it, and why the judge gave it."""
    low = [run for run in found.runs if _score(run) <= LOW]
    lines = [
        f"# Queries with a score of {LOW} or less",
        "",
        f"{len(low)} of {found.known.size} queries with a score{found.unscored}; {found.subject}.",
    ]
    for run in sorted(low, key=lambda run: (_score(run), run["run_id"])):
        lines += [
            "",
            f"## {run['run_id']}: {_score(run):.0f}",
            "",
            f"Question: {found.texts[run['ao_question_id']]}",
            "",
        ]
        lines += [f"{i}. {' '.join(answer['text'].split())}" for i, answer in enumerate(run["responses"], 1)]
        lines += ["", f"Judge: {run['judge']['rationale']}"]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="lab report oracle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="results.json (default: all in results/oracle)")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR",
                        help="results folder (default: %(default)s)")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (default: beside each file)")
    asked = parser.parse_args(arguments)
    files = asked.files or sorted((asked.results / "oracle").glob(f"*/{results_file.FILE}"))
    if not files:
        parser.error(f"no {results_file.FILE} in {asked.results / 'oracle'}; pytest hypotheses/oracle makes it")
    if asked.output and len(files) > 1:
        parser.error(f"--output takes the pictures of one file, and there are {len(files)}; name one")
    try:
        for file in files:
            for path in write_all(file, asked.output):
                print(path, file=sys.stderr)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return 0
