"""What determines the numbers that a subject gives: its files, how it is loaded, and the code that runs it.

Loads no model and imports no torch, so that results which were kept can be found without either.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import uuid
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from lab.subjects.names import API, Origin, home, resolve

LARGEST = 200_000_000
"""Bytes of weights in a folder up to which they are read; of larger ones size and time of change count."""
_WEIGHTS = (".safetensors", ".bin", ".pt")
_TEXTS = (".json", ".jinja", ".txt", ".model", ".tiktoken", ".py")
_RUN_BY = ("torch", "transformers", "tokenizers", "peft", "bitsandbytes")

_hashes: dict[tuple[Path, int, int], str] = {}


def identity(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """What determines the numbers of the subject that `lab.subjects.load(name, **options)` gives, in plain values.

    Of folders the content of their files; of a hub name the commit in the hub's cache. A model that is not there
    yet has an identity that no other call shares, so that nothing kept can be taken for its own. Of a server's
    address only a hash is told. A second call takes less than a millisecond.
    """
    if name.startswith(API):
        address = options.get("base_url") or os.environ.get("OPENAI_BASE_URL", "").strip()
        server = hashlib.sha256(str(address).encode()).hexdigest()
        return {"api": name, "server": server, "samples": options.get("samples"), "code": _code()}
    place, own, untrained = _resolved(home(), name)
    adapters = [] if own is None else [own]
    adapters += [options["adapter"]] if options.get("adapter") else []
    revision = options.get("revision")
    return {
        "source": source(place, revision, weights=not untrained),
        "untrained": 0 if untrained else None,  # the seed of its weights
        "adapters": [source(adapter) for adapter in adapters],
        "revision": revision,
        "dtype": options.get("dtype"),
        "quantize": options.get("quantize"),
        "device": _device(options.get("device") or "auto"),
        "device_map": options.get("device_map"),
        "trust_remote_code": bool(options.get("trust_remote_code", False)),
        "enable_hooks": bool(options.get("enable_hooks", True)),
        "versions": _versions(),
        "code": _code(),
    }


def source(place: str | Path, revision: str | None = None, *, weights: bool = True) -> dict[str, str]:
    """What is in a folder, by file, or which commit of a hub name is here; with or without the weights.

    Raises OSError for a folder that cannot be read.
    """
    folder = Path(place).expanduser()
    if not folder.is_dir():
        return {"commit": _commit(str(place), revision)}
    wanted = _TEXTS + (_WEIGHTS if weights else ())
    files = [path for path in sorted(folder.iterdir()) if path.suffix in wanted and path.is_file()]
    whole = sum(path.stat().st_size for path in files if path.suffix in _WEIGHTS) <= LARGEST
    return {path.name: _content(path) if whole or path.suffix in _TEXTS else _stamp(path) for path in files}


def _content(path: Path) -> str:
    """The hash of a file, read again only where it has changed."""
    found = path.stat()
    key = path.resolve(), found.st_mtime_ns, found.st_size
    if key not in _hashes:
        with path.open("rb") as file:
            _hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashes[key]


def _stamp(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size} bytes of {found.st_mtime_ns}"


@cache
def _resolved(_home: Path, name: str) -> Origin:
    """`resolve`, once for each name: it looks for adapters through all organisms."""
    return resolve(name)


def _commit(name: str, revision: str | None) -> str:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for file in ("config.json", "adapter_config.json"):
        try:
            found = try_to_load_from_cache(name, file, revision=revision)
        except HFValidationError:
            break
        if isinstance(found, str):
            return Path(found).parent.name
    return f"not here: {uuid.uuid4().hex}"


def _device(device: str) -> str:
    """The kind of device that `load` takes; "auto" where only torch could tell."""
    if device != "auto":
        return device.partition(":")[0]
    if _versions()["torch"].endswith("+cpu") or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "cpu"
    if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        return "cuda"
    return "cpu" if sys.platform in ("linux", "darwin") else "auto"


@cache
def _versions() -> dict[str, str]:
    return {name: _version(name) for name in _RUN_BY}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


@cache
def _code() -> str:
    """The sources of this folder: a fault mended there makes what it computed stale."""
    made = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        content = path.read_bytes()
        made.update(f"{path.name}|{len(content)}|".encode() + content)
    return made.hexdigest()
