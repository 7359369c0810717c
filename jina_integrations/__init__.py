"""One embedder, every vector store.

    from jina_integrations import Collection, Document, Embedder, SentenceChunker, read_documents

Importing this loads nothing else: each name loads its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import errors
    from .chunkers import Chunker, MarkdownChunker, SentenceChunker, SpanChunker, TokenChunker
    from .collection import Collection
    from .embedding.call import Collected, Usage
    from .embedding.embedder import Embedder
    from .embedding.info import EmbedderInfo
    from .errors import JinaIntegrationsError
    from .ingestion.report import IngestReport
    from .models import MODEL_CARDS, ModelCard
    from .readers import read_documents
    from .recipe import Recipe
    from .settings import ApiSettings
    from .stores import Store, open_store
    from .types import Chunk, Document, Hit

    __version__: str
    """Version of the installed distribution."""

__all__ = [
    "MODEL_CARDS",
    "ApiSettings",
    "Chunk",
    "Chunker",
    "Collected",
    "Collection",
    "Document",
    "Embedder",
    "EmbedderInfo",
    "Hit",
    "IngestReport",
    "JinaIntegrationsError",
    "MarkdownChunker",
    "ModelCard",
    "Recipe",
    "SentenceChunker",
    "SpanChunker",
    "Store",
    "TokenChunker",
    "Usage",
    "__version__",
    "errors",
    "open_store",
    "read_documents",
]

_MODULES = {
    "MODEL_CARDS": ".models",
    "ApiSettings": ".settings",
    "Chunk": ".types",
    "Chunker": ".chunkers",
    "Collected": ".embedding.call",
    "Collection": ".collection",
    "Document": ".types",
    "Embedder": ".embedding.embedder",
    "EmbedderInfo": ".embedding.info",
    "Hit": ".types",
    "IngestReport": ".ingestion.report",
    "JinaIntegrationsError": ".errors",
    "MarkdownChunker": ".chunkers",
    "ModelCard": ".models",
    "Recipe": ".recipe",
    "SentenceChunker": ".chunkers",
    "SpanChunker": ".chunkers",
    "Store": ".stores",
    "TokenChunker": ".chunkers",
    "Usage": ".embedding.call",
    "open_store": ".stores",
    "read_documents": ".readers",
}


def __getattr__(name: str) -> object:
    """The name, from the module that has it (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("jina-integrations")
    elif name == "errors":
        value = import_module(".errors", __name__)
    elif name in _MODULES:
        value = getattr(import_module(_MODULES[name], __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
