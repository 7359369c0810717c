"""LlamaIndex's embedding model."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import BaseNode
from llama_index.core.storage.kvstore.types import BaseKVStore
from pydantic import Field

from jina_integrations.embedder import Embedder
from jina_integrations.errors import InvalidSettingError
from jina_integrations.framework import EmbedderFields, SymmetricTask, warn_once
from jina_integrations.settings import EmbedderOptions
from jina_integrations.types import FloatArray

from .arguments import check_encoding, make_embedder, symmetric_task
from .cache import SeparateKeys, asking

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["JinaEmbedding", "to_lists"]


class JinaEmbedding(EmbedderFields, BaseEmbedding):
    """An `Embedder` as LlamaIndex's embedding model: texts are passages, queries are queries.

    Vectors are lists of Python floats. Every setting is a field; the key is none, and a copy in
    another process takes it from the environment. Each text is embedded alone: `LateChunking`
    encodes whole documents.

    Args:
        model: A model's name, see `Embedder`, or a ready embedder.
        api_key: See `Embedder`.
        embed_batch_size: Texts handed over at once, 1 to 2,048. They are batched by tokens below.
        callback_manager: LlamaIndex's.
        num_workers: Batches under way at once in `aget_text_embedding_batch`.
        embeddings_cache: Holds vectors under keys that tell query from passage and one embedder
            from another, see `SeparateKeys`, which is what the field then has.
        rate_limiter: LlamaIndex's, asked once a batch; the limits in ``api`` know tokens.
        task: A task of both sides: ``"text-matching"``, ``"classification"`` or ``"clustering"``.
            None embeds queries as queries and texts as passages.
        model_name: The same as `model`, as LlamaIndex calls it.
        encoding_queries: Only ``"float"``; taken for code that says so.
        encoding_documents: The same.
        options: Settings of an `Embedder`, not beside a ready one.

    Raises:
        InvalidSettingError: a setting is out of range or contradicts another.
    """

    model_name: str = Field(frozen=True)
    task: SymmetricTask | None = Field(default=None, frozen=True)
    embeddings_cache: BaseKVStore | None = Field(default=None, exclude=True)

    def __init__(
        self,
        model: str | Embedder | None = None,
        *,
        api_key: str | SecretStr | None = None,
        embed_batch_size: int = 512,
        callback_manager: CallbackManager | None = None,
        num_workers: int | None = None,
        embeddings_cache: BaseKVStore | None = None,
        rate_limiter: object = None,
        task: str | None = None,
        model_name: str | None = None,
        encoding_queries: str | None = None,
        encoding_documents: str | None = None,
        **options: Unpack[EmbedderOptions],
    ) -> None:
        check_encoding("encoding_queries", encoding_queries)
        check_encoding("encoding_documents", encoding_documents)
        embedder = make_embedder(model, model_name, options, api_key=api_key)
        own_task = symmetric_task(task)
        if options.get("late_chunking"):
            warn_once(
                f"{type(self).__name__} embeds each text alone, also with late_chunking=True; "
                "whole documents are encoded by LateChunking(embed_model=..., splitter=...).",
                stacklevel=3,
            )
        # Versions of LlamaIndex without rate limiters have no such field.
        limiter = {} if rate_limiter is None else {"rate_limiter": rate_limiter}
        super().__init__(
            embedder,
            model_name=embedder.settings.model,
            task=own_task,
            embed_batch_size=embed_batch_size,
            callback_manager=callback_manager or CallbackManager([]),
            num_workers=num_workers,
            **limiter,
        )
        self.embeddings_cache = embeddings_cache

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, self._view(value) if name == "embeddings_cache" else value)

    def _view(self, store: object) -> SeparateKeys | None:
        if store is None:
            return None
        if not isinstance(store, BaseKVStore):
            raise InvalidSettingError(
                f"embeddings_cache must be a BaseKVStore such as SimpleKVStore, not "
                f"{type(store).__name__}"
            )
        own = store.store if isinstance(store, SeparateKeys) else store
        return SeparateKeys(own, self.embedder, self.task)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed; it shares the embeddings cache.

        Raises:
            InvalidSettingError: a setting of the embedder, `model_name` or `task` is among them.
        """
        changes = dict(update or {})
        fixed = sorted({"model_name", "task"} & changes.keys())
        if fixed:
            raise InvalidSettingError(f"{fixed} cannot change: construct a new one")
        cache = changes.pop("embeddings_cache", self.embeddings_cache)
        copied = super().model_copy(update=changes, deep=deep)
        copied.embeddings_cache = cache
        return copied

    def __getstate__(self) -> dict[Any, Any]:
        # LlamaIndex deletes what cannot be pickled (a rate limiter's lock) from the object itself.
        return super(JinaEmbedding, copy.copy(self)).__getstate__()

    @classmethod
    def class_name(cls) -> str:
        """``"JinaEmbedding"``."""
        return "JinaEmbedding"

    def to_payload(self) -> dict[str, Any]:
        """What events say of this model."""
        return {
            "class_name": self.class_name(),
            "model_name": self.model_name,
            "embed_batch_size": self.embed_batch_size,
            "dimensions": self.dimensions,
            "task": self.task,
        }

    def get_query_embedding(self, query: str) -> Embedding:
        """The vector of a query; from the cache only if it was a query's."""
        with asking():
            return super().get_query_embedding(query)

    async def aget_query_embedding(self, query: str) -> Embedding:
        """`get_query_embedding`, without blocking the event loop."""
        with asking():
            return await super().aget_query_embedding(query)

    def _get_query_embedding(self, query: str) -> Embedding:
        return to_lists(self.embedder.embed([query], task=self.task or "query"))[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return to_lists(await self.embedder.aembed([query], task=self.task or "query"))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return to_lists(self.embedder.embed(texts, task=self.task or "passage"))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return to_lists(await self.embedder.aembed(texts, task=self.task or "passage"))

    def __call__(
        self,
        nodes: Sequence[BaseNode],
        **kwargs: Any,  # noqa: ANN401 - the signature of the base
    ) -> Sequence[BaseNode]:
        """The nodes with their vectors, each text embedded alone; warns where one is replaced."""
        _warn_of_vectors(nodes)
        return super().__call__(nodes, **kwargs)

    async def acall(
        self,
        nodes: Sequence[BaseNode],
        **kwargs: Any,  # noqa: ANN401 - the signature of the base
    ) -> Sequence[BaseNode]:
        """`__call__`, without blocking the event loop."""
        _warn_of_vectors(nodes)
        return await super().acall(nodes, **kwargs)


def to_lists(vectors: FloatArray) -> list[Embedding]:
    """The rows as Python floats."""
    rows: list[Embedding] = vectors.tolist()
    return rows


def _warn_of_vectors(nodes: Sequence[BaseNode]) -> None:
    if any(node.embedding is not None for node in nodes):
        warn_once(
            "Nodes with vectors are embedded again, each text alone. After LateChunking leave the "
            "embedding model out of the transformations.",
            stacklevel=4,
        )
