"""One embedder, every vector store.

    from jina_integrations import Embedder, SentenceChunker, ingest, open_store, search

Importing this loads no model library and no store's client.
"""

from __future__ import annotations

from importlib.metadata import version

from . import errors
from .calls import Collected
from .cards import MODEL_CARDS, ModelCard
from .chunkers import Chunker, MarkdownChunker, SentenceChunker, SpanChunker, TokenChunker
from .embedder import Embedder
from .errors import JinaIntegrationsError
from .ingestion import IngestReport, ingest, search
from .settings import ApiSettings
from .stores import Store, StoreCounts, open_store
from .types import Chunk, Document, Hit
from .usage import Usage

__all__ = [
    "MODEL_CARDS",
    "ApiSettings",
    "Chunk",
    "Chunker",
    "Collected",
    "Document",
    "Embedder",
    "Hit",
    "IngestReport",
    "JinaIntegrationsError",
    "MarkdownChunker",
    "ModelCard",
    "SentenceChunker",
    "SpanChunker",
    "Store",
    "StoreCounts",
    "TokenChunker",
    "Usage",
    "__version__",
    "errors",
    "ingest",
    "open_store",
    "search",
]

__version__ = version("jina-integrations")
"""Version of the installed distribution."""
