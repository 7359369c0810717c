"""A store of whole documents, for `langchain_core.indexing.index`."""

# ruff: noqa: ANN401  # the methods of VectorStore take any keywords

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from jina_integrations.chunkers import Chunker
from jina_integrations.errors import InvalidInputError

from .chunking import TextSplitter, check_late_chunking, check_splitter
from .embeddings import JinaEmbeddings
from .identity import name_documents
from .writing import (
    aadd_late_chunks,
    add_late_chunks,
    adelete_documents,
    delete_documents,
    jina_embeddings_of,
)

__all__ = ["LateChunkingStore"]


class LateChunkingStore(VectorStore):
    """Takes whole documents, keeps their late chunks in another store, and searches that one.

    What is added and deleted is documents, by their ids; what is found is chunks. So
    `langchain_core.indexing.index` keeps its records by document, and no batch of it cuts one in
    two.

    Args:
        vector_store: Built with `JinaEmbeddings`, with `get_by_ids` and `delete`.
        splitter: See `late_chunk_documents`.

    Raises:
        InvalidInputError: the store is not such a one.
        InvalidSettingError: late chunking is switched off in the embedder.
    """

    def __init__(self, vector_store: VectorStore, *, splitter: TextSplitter | Chunker) -> None:
        self._embeddings = jina_embeddings_of(vector_store)
        check_late_chunking(self._embeddings)
        check_splitter(splitter)
        for method in ("get_by_ids", "delete"):
            if all(
                getattr(type(vector_store), name) is getattr(VectorStore, name)
                for name in (method, f"a{method}")
            ):
                raise InvalidInputError(
                    f"{type(vector_store).__name__} has no {method}, without which the chunks of a "
                    "document cannot be found again: use add_late_chunks, or another store"
                )
        self._store = vector_store
        self._splitter = splitter

    @property
    def embeddings(self) -> JinaEmbeddings:
        """Those of the store."""
        return self._embeddings

    def add_documents(
        self,
        documents: list[Document],
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_late_chunks`, but for the ids.

        Args:
            documents: Whole ones.
            ids: Of the documents; they go before `Document.id`.
            kwargs: For the `add_documents` of the store.

        Returns:
            The ids of the documents, by which `delete` takes them.

        Raises:
            JinaIntegrationsError: see `add_late_chunks`.
        """
        named = _with_ids(documents, ids)
        add_late_chunks(self._store, named, splitter=self._splitter, **kwargs)
        return _names(named)

    async def aadd_documents(
        self,
        documents: list[Document],
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_documents` through the store's own async methods."""
        named = _with_ids(documents, ids)
        await aadd_late_chunks(self._store, named, splitter=self._splitter, **kwargs)
        return _names(named)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete documents by their ids; one that is not there is no error.

        Args:
            ids: Of documents. None is left to the store's own `delete`.
            kwargs: For the store's `delete`.
        """
        if ids is None:
            return self._store.delete(None, **kwargs)
        return delete_documents(self._store, ids, **kwargs)

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """`delete` through the store's own async methods."""
        if ids is None:
            return await self._store.adelete(None, **kwargs)
        return await adelete_documents(self._store, ids, **kwargs)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],  # noqa: ARG003  # the base class demands the method
        embedding: Embeddings,  # noqa: ARG003
        metadatas: list[dict[Any, Any]] | None = None,  # noqa: ARG003
        *,
        ids: list[str] | None = None,  # noqa: ARG003
        **kwargs: Any,  # noqa: ARG003
    ) -> Self:
        """Refused: there is no store to put the chunks in.

        Raises:
            InvalidInputError: always; the message says what to call.
        """
        raise InvalidInputError(
            "LateChunkingStore has no store of its own: construct it with one, as "
            "LateChunkingStore(vector_store, splitter=…), and call add_texts"
        )

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Chunks, by the store's own method, as all searches."""
        return self._store.similarity_search(query, k, **kwargs)

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """See `similarity_search`."""
        return await self._store.asimilarity_search(query, k, **kwargs)

    def similarity_search_with_score(
        self, *args: Any, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """See `similarity_search`."""
        return self._store.similarity_search_with_score(*args, **kwargs)

    async def asimilarity_search_with_score(
        self, *args: Any, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """See `similarity_search`."""
        return await self._store.asimilarity_search_with_score(*args, **kwargs)

    def similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """See `similarity_search`."""
        return self._store.similarity_search_with_relevance_scores(query, k, **kwargs)

    async def asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """See `similarity_search`."""
        return await self._store.asimilarity_search_with_relevance_scores(query, k, **kwargs)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """See `similarity_search`."""
        return self._store.similarity_search_by_vector(embedding, k, **kwargs)

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """See `similarity_search`."""
        return await self._store.asimilarity_search_by_vector(embedding, k, **kwargs)

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """See `similarity_search`."""
        return self._store.max_marginal_relevance_search(query, k, fetch_k, lambda_mult, **kwargs)

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """See `similarity_search`."""
        return await self._store.amax_marginal_relevance_search(
            query, k, fetch_k, lambda_mult, **kwargs
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """See `similarity_search`."""
        return self._store.max_marginal_relevance_search_by_vector(
            embedding, k, fetch_k, lambda_mult, **kwargs
        )

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """See `similarity_search`."""
        return await self._store.amax_marginal_relevance_search_by_vector(
            embedding, k, fetch_k, lambda_mult, **kwargs
        )


def _with_ids(documents: list[Document], ids: Sequence[str | None] | None) -> list[Document]:
    """The documents with the ids that are given for them."""
    if ids is None:
        return list(documents)
    if len(ids) != len(documents):
        raise InvalidInputError(f"{len(documents)} documents cannot have {len(ids)} ids")
    return [
        document if name is None else document.model_copy(update={"id": name})
        for document, name in zip(documents, ids, strict=True)
    ]


def _names(documents: list[Document]) -> list[str]:
    return [named.name for named in name_documents(documents)]
