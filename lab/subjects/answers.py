"""What did a server answer, and what is kept of it? Replies, and their cache on disk."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.subjects.errors import LoadError, SubjectError


@dataclass(frozen=True)
class Reply:
    """What a server answered: its text, whether the token limit `cut` it, the likeliest first tokens with
    their log-probabilities, and which parameters it was asked `without`, because it refuses them.
    """

    text: str = ""
    cut: bool = False
    top: list[tuple[str, float]] | None = None
    without: tuple[str, ...] = ()

    @property
    def silent(self) -> bool:
        """Cut before its first word, as reasoning models are that think beyond the limit."""
        return self.cut and not self.text.strip()


@dataclass(frozen=True)
class Said:
    """An answer as `replies` gives it: its text, whether the token limit `cut` it, or the `fault` why there is none."""

    text: str = ""
    cut: bool = False
    fault: str = ""


class Cache:
    """Replies by the digest of their request: in memory, and a line each in a JSONL file where there is one."""

    def __init__(self, file: Path | None) -> None:
        self.file, self.unread = file, 0
        self.replies: dict[str, Reply] = {}
        self._lock = threading.Lock()
        if file is None or not file.exists():
            return
        content = file.read_bytes()
        for line in filter(None, content.split(b"\n")):
            try:
                record = json.loads(line)
                self.replies.setdefault(record.pop("key"), _restored(record))
            except (ValueError, TypeError, LookupError, AttributeError):
                self.unread += 1
        if content and not content.endswith(b"\n"):
            self._append(b"\n")  # a torn line must not swallow the next one

    def put(self, key: str, reply: Reply) -> None:
        with self._lock:
            self.replies[key] = reply
            if self.file is not None:
                self._append(json.dumps({"key": key, **asdict(reply)}).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        """In one write, so that processes may share the file."""
        assert self.file is not None
        try:
            with self.file.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as error:
            raise SubjectError(f"the answers cannot be kept in {self.file} ({error.strerror}); name another") from None


def cache_file(folder: Path, server: str, model: str) -> Path:
    """A file name that a reader knows, and that no two models share."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoadError(f"answers cannot be kept in {folder} ({error.strerror}); name another folder") from None
    mark = hashlib.sha256(f"{server}\n{model}".encode()).hexdigest()[:8]
    return folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', model)[-60:].strip('-.')}-{mark}.jsonl"


def _restored(record: dict[str, Any]) -> Reply:
    reply = Reply(**record)
    if not isinstance(reply.text, str):
        raise ValueError("not one of our lines")
    return reply


def digest(request: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_reply(body: Any) -> Reply:
    """The first choice of a chat completion. Raises on any other shape."""
    choice = body["choices"][0]
    text = choice["message"].get("content") or choice["message"].get("refusal") or ""
    if not isinstance(text, str):
        raise TypeError("content is not a text")
    given = (choice.get("logprobs") or {}).get("content")
    top = [(str(t["token"]), float(t["logprob"])) for t in given[0]["top_logprobs"]] if given else None
    return Reply(text, choice.get("finish_reason") == "length", top)


def token_counts(body: Any) -> tuple[int, int]:
    usage = body.get("usage") or {}
    return int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
