"""How many threads may a fit use? One: the workers of a run share the cores already.

With two BLAS threads and a second process beside it, the same five-fold probe was measured at 7 to 11 s
instead of 0.09 s. Limiting OpenMP alone does not help; limiting BLAS alone does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def one_thread(fit: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function that factorises, multiplies or fits: BLAS has one thread while it runs."""

    @functools.wraps(fit)
    def pinned(*args: P.args, **kwargs: P.kwargs) -> R:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="blas"):
            return fit(*args, **kwargs)

    return pinned
