"""Reader of a user's own prompt files: named entries in YAML or JSON, checked when they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Formatter
from typing import Any, TypeVar

Entry = TypeVar("Entry")
ENDINGS = (".yaml", ".yml", ".json")


def file_of(name: str) -> Path | None:
    """The file of a name as "my.yaml:mine"; None for a name without one."""
    path, colon, entry = name.rpartition(":")
    return Path(path) if colon and entry and path.lower().endswith(ENDINGS) else None


def named(name: str, known: Mapping[str, Entry], load: Callable[[Path], dict[str, Entry]], what: str) -> Entry:
    """An entry by its name: one of those known, or one of a file. Raises ValueError, one line, where there is none."""
    path = file_of(name)
    among = known if path is None else load(path)
    entry = name if path is None else name.rpartition(":")[2]
    if entry not in among:
        own = "" if path else f", and those of a file as my.yaml:{what}"
        raise ValueError(f"no {what} {name!r}; there are {', '.join(among)}{own}")
    return among[entry]


def mapping(path: str | Path, what: str) -> dict[str, Any]:
    """The entries of a file, by name. Raises ValueError, one line, for a file that is missing or holds no mapping."""
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8")
        content = json.loads(text) if str(path).lower().endswith(".json") else yaml.safe_load(text)
    except OSError:
        raise ValueError(f"{path}: there is no such file; check the path") from None
    except (yaml.YAMLError, ValueError) as error:
        kind = "JSON" if str(path).lower().endswith(".json") else "YAML"
        raise ValueError(f"{path}: no {kind}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: it must map names to {what}")
    return {str(name): given for name, given in content.items()}


def placeholders(where: str, text: str, allowed: set[str]) -> None:
    """Raises ValueError where a text has other placeholders than those allowed, or braces that are none."""
    try:
        places = {place for _, place, _, _ in Formatter().parse(text) if place is not None}
    except ValueError as error:
        raise ValueError(f"{where}: {error}; write {{{{ and }}}} for braces") from None
    if places - allowed:
        there = f"there are {', '.join(sorted(allowed))}" if allowed else "there are none"
        raise ValueError(f"{where}: unknown placeholder {places - allowed}; {there}")
