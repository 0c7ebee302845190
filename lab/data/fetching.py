"""Download of a data set from the Hugging Face hub: its one file, at one commit, kept for offline use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.data.errors import DataError
from lab.data.files import Record, records
from lab.files.hub import explain, patiently, token

_AT_ONCE = 1000


@dataclass(frozen=True)
class Source:
    """A split of a data set on the hub: a file, as Parquet or JSON lines, at the commit `revision`."""

    repository: str
    file: str
    revision: str


def fetched(source: Source, instead: str) -> Iterator[Record]:
    """The rows of a data set on the hub. `instead` says what may be done without a network. Raises DataError.

    The file is fetched by itself and then read: without a network `datasets.load_dataset` would take any revision
    that is in its cache. Rows are read a thousand at a time: a file of conversations is larger than its questions.
    """
    if not source.file.endswith(".parquet"):
        yield from records(Path(_file(source, instead)))
        return
    try:
        import datasets
    except ImportError:
        raise DataError(
            f'{source.repository} needs the package datasets: pip install "lab-hypotheses[data]"; or {instead}'
        ) from None
    shown = datasets.is_progress_bar_enabled()
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        rows = datasets.Dataset.from_parquet(_file(source, instead))
    except datasets.exceptions.DatasetGenerationError as error:
        raise DataError(f"{source.repository}: no Parquet: {error.__cause__ or error}; clear it from HF_HOME") from None
    finally:
        if shown:
            datasets.enable_progress_bars()
    for number in range(0, len(rows), _AT_ONCE):
        for i, row in enumerate(rows.select(range(number, min(number + _AT_ONCE, len(rows)))).to_list(), number):
            yield f"{source.repository}: {source.file} row {i}", row


def _file(source: Source, instead: str) -> str:
    """The file on this disk, downloaded where it is not in the cache: a commit's files never change."""
    from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache

    kept = try_to_load_from_cache(source.repository, source.file, revision=source.revision, repo_type="dataset")
    if isinstance(kept, str):
        return kept
    where: dict[str, Any] = {"repo_id": source.repository, "revision": source.revision, "token": token()}

    def ask() -> Any:
        HfApi().dataset_info(**where, timeout=10)  # where nobody listens this ends at once; a download tries on
        return hf_hub_download(**where, filename=source.file, repo_type="dataset")

    def failed(error: Exception) -> DataError:
        return DataError(explain(error, source.repository, "data set", absent="is not in the cache", instead=instead))

    found: str = patiently(ask, failed)
    return found
