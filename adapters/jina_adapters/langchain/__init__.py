"""LangChain: embeddings, and late chunking that reaches the store.

``pip install "jina-integrations[langchain]"``

::

    store = QdrantVectorStore(client, "handbook", embedding=JinaEmbeddings("jina-embeddings-v3"))
    store.add_documents(chunks)                                 # each chunk by itself
    add_late_chunks(store, documents, splitter=splitter)        # whole documents, late chunking

See ``docs/langchain.md``.
"""

from __future__ import annotations

from jina_integrations.errors import MissingExtraError

try:
    import langchain_core  # noqa: F401  # pyright: ignore[reportUnusedImport]  # its modules do
except ImportError as exc:
    raise MissingExtraError("The LangChain adapter", "langchain") from exc

from .chunking import LateChunks, TextSplitter, alate_chunk_documents, late_chunk_documents
from .embeddings import JinaEmbeddings
from .indexing import LateChunkingStore
from .writing import aadd_late_chunks, add_late_chunks

__all__ = [
    "JinaEmbeddings",
    "LateChunkingStore",
    "LateChunks",
    "TextSplitter",
    "aadd_late_chunks",
    "add_late_chunks",
    "alate_chunk_documents",
    "late_chunk_documents",
]
