"""Chunks in Qdrant: embedded in this process, in a folder for other programs, or on a server.

::

    qdrant-edge:./index#handbook              Qdrant's engine in this process: index and log
    qdrant:./index#handbook                   qdrant-client's local mode, which langchain-qdrant
                                              opens; for up to about 20,000 chunks
    qdrant+http://localhost:6333/handbook     a server, 1.16 or newer; its key in QDRANT_API_KEY
    qdrant+grpc://localhost:6334/handbook     the same over gRPC; grpcs with TLS

``pip install "jina-integrations[qdrant-edge]"`` for the first, ``[qdrant]`` for the others. Points
are laid out as langchain-qdrant reads them; see ``docs/stores.md``. `QdrantVectors` is for programs
that use qdrant-client themselves; see ``docs/qdrant.md``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from jina_integrations.errors import MissingExtraError

if TYPE_CHECKING:
    from .edge import QdrantEdgeStore
    from .store import QdrantStore
    from .vectors import QdrantVectors

__all__ = ["QdrantEdgeStore", "QdrantStore", "QdrantVectors"]

_MODULES = {
    "QdrantEdgeStore": (".edge", "qdrant_edge", "qdrant-edge"),
    "QdrantStore": (".store", "qdrant_client", "qdrant"),
    "QdrantVectors": (".vectors", "qdrant_client", "qdrant"),
}
"""The module of each name, the library that it needs, and the extra that installs the library."""


def __getattr__(name: str) -> object:
    """Import what is asked for: the embedded engine and the client need not both be installed."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, library, extra = _MODULES[name]
    try:
        import_module(library)
    except ImportError as exc:
        raise MissingExtraError(name, extra) from exc
    return getattr(import_module(module, __name__), name)
