"""Requests to the Hugging Face hub, retried while it limits requests, fails or is silent; then a one-line error.

HF_HOME says where its files are kept, HF_HUB_OFFLINE=1 that nothing is to be fetched, HF_TOKEN who asks; no other token
is used, and it is written nowhere.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tenacity import RetryCallState

Given = TypeVar("Given")

TRIES = 6
LONGEST = 300.0
"""Seconds: the hub counts requests over windows of five minutes."""


def token() -> str | bool:
    """HF_TOKEN, or False, with which the hub's client looks for no other."""
    return os.environ.get("HF_TOKEN", "").strip() or False


def patiently(ask: Callable[[], Given], failed: Callable[[Exception], Exception]) -> Given:
    """What the hub gives, asked again where that may help; raises what `failed` makes of the last error."""
    from tenacity import Retrying, retry_if_exception, stop_after_attempt

    try:
        return Retrying(retry=retry_if_exception(_passes), wait=pause, stop=stop_after_attempt(TRIES), reraise=True)(
            ask
        )
    except Exception as error:  # no network shows itself as one of many errors
        raise failed(error) from None


def explain(error: Exception, name: str, kind: str, *, absent: str, instead: str) -> str:
    """One line: what happened, what to do.

    `kind` is what `name` is ("model"); `absent` says where else it was looked for in vain ("is not a folder"), and
    `instead` what may be done without a network.
    """
    if any(type(e).__name__ == "OfflineModeIsEnabled" for e in _chain(error)):
        return f"{name!r} is not in the hub's cache, and HF_HUB_OFFLINE is set; unset it, or fetch the {kind} before"
    response = _response(error)
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    if response is None:
        return f"{name!r} {absent}, and the hub cannot be asked ({said}); {instead}"
    status = response.status_code
    if status == 429:
        return (
            f"the hub limits requests (HTTP 429) and gave no {name!r} in {TRIES} tries; set HF_TOKEN, or wait a while"
        )
    if status >= 500:
        return f"the hub failed (HTTP {status}) and gave no {name!r} in {TRIES} tries; wait a while, or see its status"
    return f"the hub does not give {name!r} ({said}); check the name and HF_TOKEN"


def pause(state: RetryCallState) -> float:
    """Seconds to wait: as the hub asks for in Retry-After or RateLimit, else 1, 2, 4, ... 30."""
    response = _response(state.outcome.exception() if state.outcome else None)
    headers = {} if response is None else response.headers
    after, limit = headers.get("retry-after", "").strip(), re.search(r"r=0;t=(\d+)", headers.get("ratelimit", ""))
    asked = min(2.0 ** (state.attempt_number - 1), 30.0)
    if after.isdigit():
        asked = float(after)
    elif after:
        try:
            asked = parsedate_to_datetime(after).timestamp() - time.time()
        except ValueError:
            pass
    elif limit:
        asked = float(limit[1])
    return min(max(asked, 0.0), LONGEST)


def _chain(error: BaseException | None) -> list[BaseException]:
    """An error and what it came of; the hub's client wraps what the server said."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _response(error: BaseException | None) -> Any:
    found = (getattr(e, "response", None) for e in _chain(error))
    return next((response for response in found if response is not None), None)


def _passes(error: BaseException) -> bool:
    """Whether a second try may help. Where nobody listens at all it does not."""
    response = _response(error)
    if response is not None:
        return response.status_code in (408, 429) or response.status_code >= 500
    kinds = {kind.__name__ for e in _chain(error) for kind in type(e).__mro__}  # named: the client's library changes
    return bool(kinds & {"TimeoutException", "ReadError", "WriteError", "RemoteProtocolError"})
