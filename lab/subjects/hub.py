"""How does a model come from the Hugging Face hub? All its files are fetched here, with patience; then they are read
from the disk.

HF_HOME says where they are kept, HF_HUB_OFFLINE=1 that nothing is to be fetched, HF_TOKEN who asks; no other token is
used, and it is written nowhere.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lab.subjects import progress
from lab.subjects.errors import LoadError

if TYPE_CHECKING:
    from tenacity import RetryCallState

Given = TypeVar("Given")

TRIES = 6
LONGEST = 300.0
"""Seconds: the hub counts requests over windows of five minutes."""
_TEXTS = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "*.py")
_WEIGHTS = (("model*.safetensors", "adapter_model*.safetensors"), ("pytorch_model*.bin", "adapter_model*.bin"))
"""What a model is stored in: the second only where the first is missing."""


def check(name: str) -> None:
    """Asks the hub whether there is such a model, unless it is in the cache. Raises LoadError."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
    except HFValidationError:
        raise LoadError(f"{name!r} is neither a folder nor a hub name; check the spelling") from None
    _patiently(name, lambda: HfApi().model_info(name, timeout=10, token=_token()))


def fetch(name: str, revision: str | None = None, *, weights: bool = True) -> Path:
    """The folder of a model's files, downloaded where they are not in the cache. Raises LoadError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    def get(patterns: tuple[str, ...]) -> Path:
        options: dict[str, Any] = {"revision": revision, "token": _token(), "allow_patterns": list(patterns)}
        return Path(_patiently(name, lambda: snapshot_download(name, **options)))

    quiet = not (sys.stderr.isatty() or are_progress_bars_disabled())
    if quiet:
        disable_progress_bars()
    try:
        with progress.of(f"fetching {name}"):
            for patterns in _WEIGHTS if weights else ((),):
                folder = get(_TEXTS + patterns)
                if any(fnmatch(path.name, pattern) for path in folder.iterdir() for pattern in patterns):
                    break
    finally:
        if quiet:
            enable_progress_bars()
    return folder


def _token() -> str | bool:
    return os.environ.get("HF_TOKEN", "").strip() or False


def _patiently(name: str, ask: Callable[[], Given]) -> Given:
    """What the hub gives, asked again while it limits requests, fails or is silent."""
    from tenacity import Retrying, retry_if_exception, stop_after_attempt

    try:
        return Retrying(retry=retry_if_exception(_passes), wait=_pause, stop=stop_after_attempt(TRIES), reraise=True)(
            ask
        )
    except Exception as error:  # no network shows itself as one of many errors
        raise LoadError(_explain(name, error)) from None


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


def _pause(state: RetryCallState) -> float:
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


def _explain(name: str, error: Exception) -> str:
    """One line: what happened, what to do."""
    if any(type(e).__name__ == "OfflineModeIsEnabled" for e in _chain(error)):
        return f"{name!r} is not in the hub's cache, and HF_HUB_OFFLINE is set; unset it, or fetch the model before"
    response = _response(error)
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    if response is None:
        return (
            f"{name!r} is not a folder, and the hub cannot be asked ({said}); "
            "check the spelling or the network, or download it first"
        )
    status = response.status_code
    if status == 429:
        return (
            f"the hub limits requests (HTTP 429) and gave no {name!r} in {TRIES} tries; set HF_TOKEN, or wait a while"
        )
    if status >= 500:
        return f"the hub failed (HTTP {status}) and gave no {name!r} in {TRIES} tries; wait a while, or see its status"
    return f"the hub does not give {name!r} ({said}); check the name and HF_TOKEN"
