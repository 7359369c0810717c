"""Graphs on disk, so that a process that finds its own there need not import ``onnx``."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Final

from .onnx_plan import GraphPlan

__all__ = ["CACHE_VARIABLE", "cache_folder", "graph_of"]

_log = logging.getLogger("jina_integrations")

CACHE_VARIABLE: Final = "JINA_INTEGRATIONS_CACHE"
"""Names another folder than the platform's for what can be made again."""

_FAILURES: Final = (OSError, RuntimeError)
"""What a file cannot be read or written with; `Path.home` raises the second for a user without."""


def graph_of(plan: GraphPlan) -> bytes:
    """The plan's graph as an ONNX file, without weights: from the cache, else built and kept there.

    A cache that cannot be written, because the folder is read-only, the disk full, or the user has
    no home, is logged.
    A kept file that a crash has cut short is built anew: it begins with its graph's SHA-256.
    """
    builder = files(__name__.rpartition(".")[0]).joinpath("onnx_graph.py").read_bytes()
    key = hashlib.sha256(builder + repr(plan).encode()).hexdigest()
    try:
        kept = _path(key).read_bytes()
    except _FAILURES:
        kept = b""
    size = hashlib.sha256().digest_size
    if kept and kept[:size] == hashlib.sha256(kept[size:]).digest():
        return kept[size:]
    from .onnx_graph import build_graph

    graph = build_graph(plan)
    _keep(key, hashlib.sha256(graph).digest() + graph)
    return graph


def cache_folder() -> Path:
    """``JINA_INTEGRATIONS_CACHE``, else a folder where the platform keeps caches of a user.

    Raises:
        RuntimeError: the user has no home, as in a container with any user id.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jina-integrations"


def _path(key: str) -> Path:
    return cache_folder() / "graphs" / f"{key}.graph"


def _keep(key: str, content: bytes) -> None:
    """Write the file under another name first: who reads it, reads all of it."""
    temporary: Path | None = None
    try:
        path = _path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
        temporary.replace(path)
    except _FAILURES as exc:
        _log.info(
            "the graph cannot be kept (%s), and is built again next time: %s names another folder",
            exc,
            CACHE_VARIABLE,
        )
        if temporary is not None:
            temporary.unlink(missing_ok=True)
