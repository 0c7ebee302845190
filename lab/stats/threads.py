"""A limit of one BLAS thread for a fit, since the workers of a run share the cores already.

With two BLAS threads and a second process beside it, the same five-fold probe was measured at 7 to 11 s
instead of 0.09 s. Limiting OpenMP alone does not help; limiting BLAS alone does.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def one_thread(fit: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function that factorises, multiplies or fits: BLAS has one thread while it runs."""

    @functools.wraps(fit)
    def pinned(*args: P.args, **kwargs: P.kwargs) -> R:
        with _libraries(len(sys.modules)).limit(limits=1, user_api="blas"):
            return fit(*args, **kwargs)

    return pinned


@functools.lru_cache(maxsize=1)
def _libraries(modules: int) -> Any:
    """The BLAS libraries of this process. Looking for them takes 0.6 ms, so only after an import is it done again.

    scipy brings one of its own, which must be there before a fit begins, or it is not limited in the first.
    """
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
