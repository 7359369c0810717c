"""LlamaIndex's embedding models, for texts, and for texts and pictures."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Self, Unpack

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.embeddings import MultiModalEmbedding
from llama_index.core.schema import BaseNode, ImageType
from llama_index.core.storage.kvstore.types import BaseKVStore
from pydantic import Field

from jina_integrations.adapting import (
    EmbedderFields,
    SymmetricTask,
    embedder_of,
    read_task,
    warn_once,
)
from jina_integrations.embedding.embedder import Embedder
from jina_integrations.errors import InvalidSettingError
from jina_integrations.images import ImageSource
from jina_integrations.settings import EmbedderOptions
from jina_integrations.types import FloatArray

from .cache import SeparateKeys, asking

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["JinaEmbedding", "JinaMultiModalEmbedding"]

DEFAULT_MODEL: Final = "jina-embeddings-v3"
"""That of llama-index-embeddings-jinaai 0.7."""


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

    It also takes the settings of an `Embedder` by name, though none beside a ready one.

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
        for name, encoding in (
            ("encoding_queries", encoding_queries),
            ("encoding_documents", encoding_documents),
        ):
            if encoding not in (None, "float"):
                raise InvalidSettingError(
                    f"{name} must be 'float', not {encoding!r:.60}: LlamaIndex's vectors are lists "
                    "of floats. For packed bits call embedder.embed_binary, or let the store "
                    "quantize (Qdrant does)"
                )
        embedder = embedder_of(model or model_name or DEFAULT_MODEL, options, api_key=api_key)
        if model_name is not None and model_name != embedder.settings.model:
            raise InvalidSettingError(
                f"model_name={model_name!r} and model={embedder.settings.model!r} name two models: "
                "leave model_name out"
            )
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
            task=_symmetric_task(task),
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
        store = store.store if isinstance(store, SeparateKeys) else store
        return SeparateKeys(store, self.embedder, self.task)

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
        return _floats(self.embedder.embed([query], task=self.task or "query"))[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return _floats(await self.embedder.aembed([query], task=self.task or "query"))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return _floats(self.embedder.embed(texts, task=self.task or "passage"))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return _floats(await self.embedder.aembed(texts, task=self.task or "passage"))

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


class JinaMultiModalEmbedding(JinaEmbedding, MultiModalEmbedding):
    """`JinaEmbedding` for models that also take pictures, such as ``"jina-clip-v2"``.

    A picture is a path, an http, https or data URL, or a `BytesIO`, which is read from its start.
    Another model raises `UnsupportedModalityError` at the first picture.
    """

    @classmethod
    def class_name(cls) -> str:
        """``"JinaMultiModalEmbedding"``."""
        return "JinaMultiModalEmbedding"

    def _get_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return self._get_image_embeddings([img_file_path])[0]

    async def _aget_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return (await self._aget_image_embeddings([img_file_path]))[0]

    def _get_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Embedding]:
        return _floats(self.embedder.embed_images(_sources(img_file_paths)))

    async def _aget_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Embedding]:
        return _floats(await self.embedder.aembed_images(_sources(img_file_paths)))


def _sources(images: Sequence[ImageType]) -> list[ImageSource]:
    return [image.getvalue() if isinstance(image, BytesIO) else image for image in images]


def _floats(vectors: FloatArray) -> list[Embedding]:
    rows: list[Embedding] = vectors.tolist()
    return rows


def _symmetric_task(name: str | None) -> SymmetricTask | None:
    """The task of both sides; None where queries and passages have each their own.

    Warns once where the task of one side was asked for both, as by the package that this replaces.
    """
    task = None if name is None else read_task(name)
    if task == "query" or task == "passage":
        warn_once(
            f"task={name!r} is for one side only: here queries are embedded as queries and texts "
            "as passages. Leave task out.",
            stacklevel=4,
        )
        return None
    return task


def _warn_of_vectors(nodes: Sequence[BaseNode]) -> None:
    if any(node.embedding is not None for node in nodes):
        warn_once(
            "Nodes with vectors are embedded again, each text alone. After LateChunking leave the "
            "embedding model out of the transformations.",
            stacklevel=4,
        )
