"""Embeddings and late chunking for LlamaIndex: ``pip install "jina-integrations[llama-index]"``.

::

    from jina_adapters.llama_index import JinaEmbedding, LateChunking

    embed_model = JinaEmbedding("jina-embeddings-v3")
    late = LateChunking(embed_model=embed_model, splitter=SentenceSplitter(chunk_overlap=0))
    index = VectorStoreIndex.from_documents(
        documents, transformations=[late], embed_model=embed_model
    )

See ``docs/llama_index.md``.
"""

from __future__ import annotations

from jina_integrations.errors import MissingExtraError

try:  # for the message alone
    import llama_index.core  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ImportError as exc:
    raise MissingExtraError("The LlamaIndex adapter", "llama-index") from exc

from .embedding import JinaEmbedding, JinaMultiModalEmbedding
from .late_chunking import LateChunking

__all__ = ["JinaEmbedding", "JinaMultiModalEmbedding", "LateChunking"]
