"""A store of whole documents, for `langchain_core.indexing.index`."""

# ruff: noqa: ANN401  # the methods of VectorStore take any keywords

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Self, TypeVar, cast

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from jina_integrations.backends.base import finish
from jina_integrations.chunkers import Chunker
from jina_integrations.errors import InvalidInputError

from .chunking import TextSplitter, make_job
from .embeddings import JinaEmbeddings
from .stored import Calls
from .writing import jina_embeddings_of, remove_documents, write_documents

__all__ = ["LateChunkingStore"]


_Method = TypeVar("_Method", bound=Callable[..., Any])


def _of_store(method: _Method) -> _Method:
    """The method of the store below."""
    name = method.__name__

    @wraps(method, updated=())  # else it stays abstract
    def call(self: LateChunkingStore, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.vector_store, name)(*args, **kwargs)

    return cast("_Method", call)


class LateChunkingStore(VectorStore):
    """Takes whole documents, keeps their late chunks in another store, and searches that one.

    What is added and deleted is documents, by their ids; what is found is chunks. So
    `langchain_core.indexing.index` keeps its records by document, and no batch of it cuts one in
    two.

    Args:
        vector_store: Built with `JinaEmbeddings`, with `get_by_ids` and `delete`.
        splitter: See `late_chunk_documents`.
        heading_context: See `late_chunk_documents`.

    Raises:
        InvalidInputError: the store is not such a one.
        InvalidSettingError: late chunking is switched off in the embedder.
    """

    def __init__(
        self,
        vector_store: VectorStore,
        *,
        splitter: TextSplitter | Chunker,
        heading_context: bool = False,
    ) -> None:
        self._embeddings = jina_embeddings_of(vector_store)
        self._job = make_job(self._embeddings, splitter, heading_context=heading_context)
        for method in ("get_by_ids", "delete"):
            if all(
                getattr(type(vector_store), name) is getattr(VectorStore, name)
                for name in (method, f"a{method}")
            ):
                raise InvalidInputError(
                    f"{type(vector_store).__name__} has no {method}, without which the chunks of a "
                    "document cannot be found again: use add_late_chunks, or another store"
                )
        self.vector_store = vector_store

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
        calls = Calls(self.vector_store, asynchronous=False)
        return [*finish(write_documents(calls, self._job, _with_ids(documents, ids), kwargs))]

    async def aadd_documents(
        self,
        documents: list[Document],
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_documents` through the store's own async methods."""
        calls = Calls(self.vector_store, asynchronous=True)
        return [*await write_documents(calls, self._job, _with_ids(documents, ids), kwargs)]

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete documents by their ids; one that is not there is no error.

        Args:
            ids: Of documents. None is left to the store's own `delete`.
            kwargs: For the store's `delete`.
        """
        if ids is None:
            return self.vector_store.delete(None, **kwargs)
        return finish(remove_documents(Calls(self.vector_store, asynchronous=False), ids, kwargs))

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """`delete` through the store's own async methods."""
        if ids is None:
            return await self.vector_store.adelete(None, **kwargs)
        return await remove_documents(Calls(self.vector_store, asynchronous=True), ids, kwargs)

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

    # All searches are the store's own.
    similarity_search = _of_store(VectorStore.similarity_search)
    asimilarity_search = _of_store(VectorStore.asimilarity_search)
    similarity_search_with_score = _of_store(VectorStore.similarity_search_with_score)
    asimilarity_search_with_score = _of_store(VectorStore.asimilarity_search_with_score)
    similarity_search_with_relevance_scores = _of_store(
        VectorStore.similarity_search_with_relevance_scores
    )
    asimilarity_search_with_relevance_scores = _of_store(
        VectorStore.asimilarity_search_with_relevance_scores
    )
    similarity_search_by_vector = _of_store(VectorStore.similarity_search_by_vector)
    asimilarity_search_by_vector = _of_store(VectorStore.asimilarity_search_by_vector)
    max_marginal_relevance_search = _of_store(VectorStore.max_marginal_relevance_search)
    amax_marginal_relevance_search = _of_store(VectorStore.amax_marginal_relevance_search)
    max_marginal_relevance_search_by_vector = _of_store(
        VectorStore.max_marginal_relevance_search_by_vector
    )
    amax_marginal_relevance_search_by_vector = _of_store(
        VectorStore.amax_marginal_relevance_search_by_vector
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
