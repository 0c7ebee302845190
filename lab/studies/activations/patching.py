"""Effects of activation patching: how answers change when an activation is put into another prompt."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import finite, row
from lab.stats.families import MaxT, max_t
from lab.stats.intervals import paired_difference, ratio, student, wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class PatchingEffect:
    """How often a patch changed the continuation, prompt by prompt.

    Attributes
    ----------
    rate
        Share of prompts whose continuation the clean activation changed.
    random_rate
        The same for a random activation at the same distance.
    answered_rate
        Share of prompts that were rightly answered without a patch, where that is known.
    excess
        Share of prompts whose right answer the patch changed, less the share whose right answer the
        random one changed; paired by prompt. What is not answered cannot be changed: a network that
        knows nothing may change its continuation at any disturbance, and has no excess.
    identity_rate
        Share that their own activation, put back, changed; anything but 0 is a fault of the machinery.
    restored_rate
        Share in which the continuation became the clean prompt's own.
    random_restored_rate
        The same for the random activation.
    """

    rate: Estimate
    random_rate: Estimate
    answered_rate: Estimate
    excess: Estimate
    identity_rate: float
    restored_rate: Estimate
    random_restored_rate: Estimate

    def plot(self, ax: Axes) -> None:
        """The four shares with their intervals, and the identity patch."""
        bars = {
            "clean\nchanges": self.rate,
            "clean\nrestores": self.restored_rate,
            "random\nchanges": self.random_rate,
            "random\nrestores": self.random_restored_rate,
        }
        for i, e in enumerate(bars.values()):
            error = [[100 * (e.value - e.low)], [100 * (e.high - e.value)]]
            ax.bar(i, 100 * e.value, yerr=error, capsize=3, color="C0" if i < 2 else "0.7")
        ax.bar(len(bars), 100 * self.identity_rate, color="C3")
        ax.set_xticks(range(len(bars) + 1), [*bars, "identity\nchanges"], fontsize=7)
        ax.set(ylabel="% of prompts", ylim=(0, 105), title="Activation patching")


def changes(
    *,
    base: Sequence[Hashable],
    clean: Sequence[Hashable],
    patched: Sequence[Hashable],
    identity: Sequence[Hashable],
    random: Sequence[Hashable],
    answered: Sequence[bool] | None = None,
) -> PatchingEffect:
    """Compares continuations, one a prompt.

    Parameters
    ----------
    base, clean
        What the model says to the corrupted and to the clean prompts, unpatched.
    patched, identity, random
        What it says to the corrupted prompts with the clean activation, with their own, and with a
        random one in place.
    answered
        Whether `base` is the right answer; by default all count as answers.

    Raises ValueError for different lengths.
    """
    if len({len(texts) for texts in (base, clean, patched, identity, random)}) != 1:
        raise ValueError("all continuations must be of the same prompts, one each")
    changed, noise = _differ(base, patched), _differ(base, random)
    right = np.ones(len(base), dtype=bool) if answered is None else np.asarray(answered, dtype=bool)
    if right.shape != (len(base),):
        raise ValueError(f"{len(base)} prompts need {len(base)} marks of being answered, not {right.shape}")
    return PatchingEffect(
        rate=wilson(changed),
        random_rate=wilson(noise),
        answered_rate=wilson(right),
        excess=paired_difference(changed & right, noise & right),
        identity_rate=float(_differ(base, identity).mean()),
        restored_rate=wilson(changed & ~_differ(clean, patched)),
        random_restored_rate=wilson(noise & ~_differ(clean, random)),
    )


def random_at_distance(base: np.ndarray, clean: np.ndarray, *, seed: int) -> np.ndarray:
    """Random activations as far from `base` as `clean` is, row by row; all [n, d_model]."""
    direction = np.random.default_rng([seed, 3]).standard_normal(base.shape)  # a stream of its own
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    distance = np.linalg.norm(np.asarray(clean, dtype=float) - base, axis=1, keepdims=True)
    return np.asarray(base + distance * direction)


def recovery(
    clean: ArrayLike, corrupted: ArrayLike, patched: ArrayLike, *, groups: ArrayLike | None = None
) -> Estimate:
    """How much of the clean prompts' answer does a patch restore? 0 as corrupted, 1 as clean.

    (patched - corrupted) / (clean - corrupted) in logit differences, right answer less wrong one, which is
    the metric Zhang and Nanda (2024, arXiv 2309.16042) recommend. A ratio of means with Fieller's interval,
    so that no prompt whose two runs hardly differ can carry it off. Below 0 a patch makes matters worse,
    above 1 it overshoots.

    Parameters
    ----------
    clean, corrupted, patched
        [n] logit differences of the clean prompts, the corrupted ones, and those with the patch.
    groups
        [n] labels of prompts that belong together.

    In doubt where clean and corrupted prompts cannot be told apart on average. Raises ValueError for rows
    that do not match, NaN, or where their means are the same.

        >>> print(recovery([4.0, 5.0, 6.0], [0.0, 0.5, 1.0], [3.0, 3.5, 4.8]))
        0.726 [0.585, 0.854] (n=3, Fieller)
    """
    whole, least, now = row(clean, "clean logits"), row(corrupted, "corrupted logits"), row(patched, "patched logits")
    if not whole.shape == least.shape == now.shape:
        raise ValueError(f"logits must be of the same prompts, not {whole.size}, {least.size} and {now.size} of them")
    return ratio(now - least, whole - least, groups=groups)


@dataclass(frozen=True)
class LayerEffects:
    """At which layer does a patch act?

    Attributes
    ----------
    sweep
        Corrected for the number of layers: `sweep.p`, and `sweep.band`, whose intervals hold at once.
    strongest
        The layer with the largest effect.
    rivals
        The other layers whose bands overlap the strongest one's: it cannot be told from them by this.
    identity
        [layers] the largest effect, in size, that any prompt's own activation had when put back; anything
        but 0 is a fault of the machinery.
    """

    sweep: MaxT
    strongest: int
    rivals: tuple[int, ...]
    identity: np.ndarray

    def rows(self) -> list[dict[str, Any]]:
        """One row a layer, from which the plot can be drawn again."""
        return [
            {"layer": layer, "effect": e.value, "low": e.low, "high": e.high, "identity": float(own)}
            for layer, (e, own) in enumerate(zip(self.sweep.band, self.identity, strict=True))
        ]

    def plot(self, ax: Axes) -> None:
        """Mean effect by layer with the simultaneous band, and the identity patch."""
        from matplotlib.ticker import MaxNLocator

        band, layers = self.sweep.band, range(len(self.sweep.band))
        known = "no band: every layer in doubt" if all(e.doubt for e in band) else "band, all layers"
        ax.fill_between(layers, [e.low for e in band], [e.high for e in band], alpha=0.25, label=known)
        ax.plot(layers, [e.value for e in band], marker="o", markersize=3, label="patched")
        ax.plot(layers, self.identity, color="C3", linestyle=":", label="identity, largest")
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="layer", ylabel="effect", title=f"Patching by layer, strongest at {self.strongest}")
        ax.legend(fontsize=7)


def by_layer(
    effects: ArrayLike,
    *,
    identity: ArrayLike,
    gap: ArrayLike | None = None,
    permutations: int = 9999,
    seed: int = 0,
    level: float = 0.95,
) -> LayerEffects:
    """Compares a patch's effect between layers.

    Parameters
    ----------
    effects
        [n, layers] effect on each prompt, as patched less corrupted logit difference. Rows are independent prompts:
        average those that belong together first.
    identity
        [n, layers] the same with each prompt's own activation in place. An effect of 0 is exactly 0.
    gap
        [n] of the same prompts, as clean less corrupted logit difference: effects are then told in units of its
        mean, and 1 is full recovery. That mean is estimated too. Taken for known, with a gap of 3 +- 2.5 and
        effects of 1.5 +- 0.4 that do not depend on it, a layer passes 0.5 falsely in 25 % of searches.
    permutations, seed, level
        Of `max_t`.

    With a gap the band is Fieller's at all layers at once: of each the ratios r for which the mean of effect less
    r gap is no more standard errors from 0 than the critical value. That is the quantile of the largest |t| of
    these contrasts at the estimated ratios, over sign flips; `sweep.t` and `sweep.p` are of no effect, r = 0.

    Raises ValueError for shapes that do not match, fewer than two prompts, NaN, or a gap whose mean is 0.
    """
    x, own = np.asarray(effects, dtype=float), np.asarray(identity, dtype=float)
    if x.ndim != 2 or own.shape != x.shape:
        raise ValueError(f"effects {x.shape} and identity {own.shape} do not match; both need [n, layers]")
    sweep = max_t(x, permutations=permutations, seed=seed, level=level)
    if gap is not None:
        unit = row(gap, "gaps", least=2)
        if unit.shape != x.shape[:1]:
            raise ValueError(f"{len(x)} prompts need {len(x)} gaps, not {unit.size}")
        if unit.mean() == 0:
            raise ValueError("the gap has mean 0; there is nothing to restore, and so no share of it")
        own = own / unit.mean()
        contrasts = x - np.outer(unit, x.mean(0) / unit.mean())
        critical = max_t(contrasts, permutations=permutations, seed=seed, level=level).critical
        sweep = replace(sweep, critical=critical, band=_fieller_band(x, unit, sweep, critical, level))
    strongest = int(np.argmax([e.value for e in sweep.band]))
    top = sweep.band[strongest]
    rivals = (i for i, e in enumerate(sweep.band) if i != strongest and e.high >= top.low)
    return LayerEffects(sweep, strongest, tuple(rivals), np.abs(finite(own, "identity effects")).max(0))


def _fieller_band(x: np.ndarray, gap: np.ndarray, sweep: MaxT, critical: float, level: float) -> tuple[Estimate, ...]:
    """Fieller's interval of each layer's ratio with `critical` in place of Student's quantile."""
    from scipy.special import stdtr

    # Where every contrast is constant there is none, nor any width for it to act on.
    each = level if np.isnan(critical) else min(2 * float(stdtr(len(gap) - 1, critical)) - 1, 1 - 1e-12)
    found = (ratio(effect, gap, level=each) for effect in x.T)
    return tuple(
        replace(e, level=level, p=flat.p, method="Fieller's band, max-T")
        for e, flat in zip(found, sweep.band, strict=True)
    )


@dataclass(frozen=True)
class LayerRecovery:
    """How much of the clean prompts' answer each layer's patch restores, 0 as corrupted and 1 as clean.

    Attributes
    ----------
    clean, corrupted
        Mean logit differences of the unpatched runs.
    gap
        The first less the second, paired by prompt. Where it is not well above 0, no patch has anything to restore.
    layers
        Every layer, in units of the mean gap.
    searched
        Those among which the strongest was looked for.
    strongest
        The effect at that layer, in those units. Its interval holds for all that were searched at once, and has the
        gap's own uncertainty in it.
    recovered
        `recovery` at that layer, as if it had been named beforehand.
    identity, end
        The largest change of a logit difference by a prompt's own activation; and how far the last layer's patch
        is from the clean run.
    """

    clean: Estimate
    corrupted: Estimate
    gap: Estimate
    layers: LayerEffects
    searched: LayerEffects
    strongest: Estimate
    recovered: Estimate
    identity: float
    end: float

    def plot(self, ax: Axes) -> None:
        """The effect at each layer with the band that holds for all, and the strongest of those searched."""
        self.layers.plot(ax)
        best, n = self.searched.strongest, self.gap.n
        ax.plot(best, self.strongest.value, "o", color="C1", markersize=8, fillstyle="none", label="strongest searched")
        ax.axhline(1, color="0.6", linewidth=0.8)
        beside = f", overlapping {len(self.searched.rivals)}" if self.searched.rivals else ""
        ax.set(ylabel="effect (0 corrupted, 1 clean)", title=f"Patching by layer: strongest {best}{beside} (n={n})")
        ax.legend(fontsize=7)


def recovery_by_layer(
    clean: ArrayLike, corrupted: ArrayLike, patched: ArrayLike, own: ArrayLike, *, but_last: bool = True, seed: int = 0
) -> LayerRecovery:
    """The effect of patching each layer in turn, on logit differences of the right answer less the wrong one.

    Parameters
    ----------
    clean, corrupted
        [n] of the unpatched runs.
    patched, own
        [layers, n] of the corrupted run with each layer's clean activation, and with its own.
    but_last
        Leaves the last layer out of the search: patched into the last token of the residual stream, it is the clean
        run by construction.
    seed
        Of `by_layer`.

    Raises ValueError for shapes that do not match, NaN, fewer than two layers or prompts, or no mean gap.
    """
    whole, least = row(clean, "clean logits", least=2), row(corrupted, "corrupted logits", least=2)
    now, same = np.asarray(patched, dtype=float), np.asarray(own, dtype=float)
    if now.shape != same.shape or now.ndim != 2 or now.shape[1:] != whole.shape or whole.shape != least.shape:
        raise ValueError(f"logits must be [n], [n], [layers, n] twice, not {whole.shape}, {now.shape}, {same.shape}")
    if len(now) < 2:
        raise ValueError("a search over layers needs at least two of them")
    gap = whole - least
    if gap.mean() == 0:
        raise ValueError("clean and corrupted prompts have the same mean logit difference; there is nothing to restore")
    effects, identity = ((side - least).T for side in (now, same))
    layers = by_layer(effects, identity=identity, gap=gap, seed=seed)
    searched = by_layer(effects[:, :-1], identity=identity[:, :-1], gap=gap, seed=seed) if but_last else layers
    return LayerRecovery(
        clean=student(whole),
        corrupted=student(least),
        gap=student(gap),
        layers=layers,
        searched=searched,
        strongest=searched.sweep.band[searched.strongest],
        recovered=recovery(whole, least, now[searched.strongest]),
        identity=float(np.abs(same - least).max()),
        end=float(np.abs(now[-1] - whole).max()),
    )


def first_tokens(tokenizer: Any, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
    """The id [n] of the token with which each answer begins after its prompt; `answers` hold the space before a word.

    As the tokenizer writes both together where that keeps the prompt's own tokens, else as it writes the answer
    alone. Raises ValueError for different lengths, or an answer without a token.
    """
    if len(prompts) != len(answers):
        raise ValueError(f"{len(prompts)} prompts need {len(prompts)} answers, not {len(answers)}")
    before = tokenizer(list(prompts))["input_ids"]
    both = tokenizer([p + a for p, a in zip(prompts, answers, strict=True)])["input_ids"]
    alone = tokenizer(list(answers), add_special_tokens=False)["input_ids"]
    found = []
    for answer, tokens_before, joined, own in zip(answers, before, both, alone, strict=True):
        tokens = joined[len(tokens_before) :] if list(joined[: len(tokens_before)]) == list(tokens_before) else own
        if not tokens:
            raise ValueError(
                f"the answer {answer!r} has no token of its own after its prompt; write the space before it"
            )
        found.append(int(tokens[0]))
    return np.array(found)


def _differ(a: Sequence[Hashable], b: Sequence[Hashable]) -> np.ndarray:
    return np.array([x != y for x, y in zip(a, b, strict=True)], dtype=bool)
