"""An embedder's vectors for plain qdrant-client: how they are laid out, written and searched."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypedDict, Unpack

import numpy as np
from qdrant_client import models

from jina_integrations.chunkers import Chunker
from jina_integrations.embedder import Embedder
from jina_integrations.errors import (
    InvalidInputError,
    InvalidSettingError,
    JinaIntegrationsError,
)
from jina_integrations.identity import chunk_id, document_version
from jina_integrations.ingestion.batching import document_batches
from jina_integrations.ingestion.embedding import ChunkedDocument, chunk_document, embed_documents
from jina_integrations.ingestion.isolation import is_of_input
from jina_integrations.stores.layout import metadata_of
from jina_integrations.types import Document, EmbeddedChunk, FloatArray
from jina_integrations.vectors import unit, unusable

__all__ = ["QdrantVectors", "QueryArguments", "VectorOptions", "payload_of"]

_OVERSAMPLING: Final = 4.0


class VectorOptions(TypedDict, total=False):
    """Options of qdrant-client's `models.VectorParams`, but for size and distance."""

    hnsw_config: models.HnswConfigDiff
    quantization_config: models.QuantizationConfig
    on_disk: bool
    memory: models.Memory
    datatype: models.Datatype


class QueryArguments(TypedDict, total=False):
    """Keyword arguments of ``client.query_points``."""

    query: list[float]
    using: str
    limit: int
    query_filter: models.Filter
    search_params: models.SearchParams
    prefetch: models.Prefetch


def payload_of(item: EmbeddedChunk) -> dict[str, object]:
    """The chunk as `QdrantStore` keeps it and langchain-qdrant reads it, see ``docs/stores.md``."""
    return {"page_content": item.chunk.text, "metadata": metadata_of(item)}


@dataclass(frozen=True)
class QdrantVectors:
    """What creating, writing and searching a collection must agree on; connects to nothing.

    With `prefix_dimensions` each point has two vectors: the whole one, and its Matryoshka prefix,
    normalised again where the embedder normalises. The prefix is searched, and what it finds is
    scored again with the whole vector.

    Args:
        embedder: Makes the vectors.
        name: The vector's name in the collection; empty for the one without a name.
        prefix_dimensions: Length of the prefix, which is named ``{name}-{prefix_dimensions}``;
            None for no prefix.

    Raises:
        InvalidSettingError: a prefix that is no positive int, or beside a vector without a name.
    """

    embedder: Embedder
    name: str = ""
    prefix_dimensions: int | None = None

    def __post_init__(self) -> None:
        length = self.prefix_dimensions
        if length is None:
            return
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidSettingError(f"prefix_dimensions must be a positive int, not {length!r}")
        if not self.name:
            raise InvalidSettingError(
                "prefix_dimensions makes a second vector, so both need names: pass name='text', "
                f"and the prefix is 'text-{length}'"
            )

    def vectors_config(
        self,
        *,
        distance: models.Distance = models.Distance.COSINE,
        prefix: VectorOptions | None = None,
        **options: Unpack[VectorOptions],
    ) -> models.VectorParams | dict[str, models.VectorParams]:
        """What ``client.create_collection`` takes as `vectors_config`.

        Beside a prefix the whole vector is read for a few candidates only. So unless the options
        say otherwise, it lies on disk and has no HNSW graph (``m=0``).

        Args:
            distance: Of all vectors.
            prefix: Options of the prefix.
            options: Options of the whole vector.

        Raises:
            InvalidSettingError: the model has no such prefix, or there is none to have options.
        """
        size = self.embedder.dimensions
        if self.prefix_dimensions is None:
            if prefix is not None:
                raise InvalidSettingError(
                    "prefix has options of a vector that is not there: set prefix_dimensions"
                )
            params = models.VectorParams(size=size, distance=distance, **options)
            return {self.name: params} if self.name else params
        self._check_prefix(self.prefix_dimensions)
        for_rescoring: VectorOptions = {
            "on_disk": True,
            "hnsw_config": models.HnswConfigDiff(m=0),
            **options,
        }
        return {
            self.name: models.VectorParams(size=size, distance=distance, **for_rescoring),
            self._prefix_name: models.VectorParams(
                size=self.prefix_dimensions, distance=distance, **(prefix or {})
            ),
        }

    def point_vectors(self, rows: FloatArray) -> list[models.VectorStruct]:
        """For each row what `models.PointStruct` takes as `vector`.

        Args:
            rows: Of `Embedder.embed_documents`, shape (n, dimensions).

        Raises:
            InvalidInputError: another shape, or a row that holds NaN or is zero.
            InvalidSettingError: the model has no such prefix.
        """
        checked = self._checked(rows)
        whole = checked.tolist()
        if self.prefix_dimensions is None:
            return [{self.name: row} if self.name else row for row in whole]
        prefixes = self._cut(checked, self.prefix_dimensions).tolist()
        return [
            {self.name: row, self._prefix_name: prefix}
            for row, prefix in zip(whole, prefixes, strict=True)
        ]

    def points(
        self,
        documents: Iterable[Document],
        *,
        chunker: Chunker,
        payload: Callable[[EmbeddedChunk], Mapping[str, object]] = payload_of,
    ) -> Iterator[models.PointStruct]:
        """One point for each chunk, in order, for ``client.upload_points``.

        Documents are taken lazily, a batch at a time, and encoded whole where the embedder does
        late chunking. Ids are those of `ingest`: the same document with the same settings gets the
        same ids, a changed one gets others.

        Args:
            documents: With unique ids.
            chunker: Cuts the documents.
            payload: What to keep beside a chunk's vector.

        Raises:
            InvalidInputError: an item is no document, or has no text; its batch gives no points.
            JinaIntegrationsError: a document cannot be embedded, see `Embedder.embed_chunks`.
                Where the document is to blame, the error's notes name it.
        """
        settings, fingerprint = chunker.to_dict(), self.embedder.fingerprint

        def chunked(document: Document) -> ChunkedDocument:
            version = document_version(document, chunker=settings, embedder_fingerprint=fingerprint)
            try:
                return chunk_document(document, version, chunker=chunker, embedder=self.embedder)
            except JinaIntegrationsError as exc:
                exc.add_note(f"in document {document.id!r}")
                raise

        for batch in document_batches(
            _documents(documents),
            characters=lambda document: len(document.text),
            embedder=self.embedder,
        ):
            for chunks in embed_documents(
                [chunked(document) for document in batch],
                embedder=self.embedder,
                on_failure=_fail,
            ):
                vectors = self.point_vectors(np.stack([item.vector for item in chunks]))
                for item, vector in zip(chunks, vectors, strict=True):
                    chunk = item.chunk
                    yield models.PointStruct(
                        id=chunk_id(chunk.document_id, item.version, chunk.index),
                        vector=vector,
                        payload=dict(payload(item)),
                    )

    def query(
        self,
        query: str | FloatArray,
        *,
        limit: int = 10,
        query_filter: models.Filter | None = None,
        search_params: models.SearchParams | None = None,
        oversampling: float | None = None,
    ) -> QueryArguments:
        """What ``client.query_points(collection, **arguments)`` takes.

        Args:
            query: A question, or its vector, shape (dimensions,).
            limit: How many points are wanted. With a prefix they come out of
                ``limit * oversampling`` candidates, also where an offset is added.
            query_filter: Which points count. With a prefix it goes into the prefetch alone, since a
                server joins two filters wrongly (github.com/qdrant/qdrant/issues/10594).
            search_params: Of the search; with a prefix, of the search by prefix.
            oversampling: Candidates for each point wanted; 4 if None. Only with a prefix.

        Raises:
            InvalidInputError: a bad limit, or a vector of another shape.
            InvalidSettingError: a bad oversampling, or one without a prefix.
            JinaIntegrationsError: the question cannot be embedded, see `Embedder.embed_queries`.
        """
        vector = self.embedder.embed_queries([query])[0] if isinstance(query, str) else query
        return self._arguments(vector, limit, query_filter, search_params, oversampling)

    async def aquery(
        self,
        query: str,
        *,
        limit: int = 10,
        query_filter: models.Filter | None = None,
        search_params: models.SearchParams | None = None,
        oversampling: float | None = None,
    ) -> QueryArguments:
        """`query` for a question, without blocking the event loop."""
        vector = (await self.embedder.aembed_queries([query]))[0]
        return self._arguments(vector, limit, query_filter, search_params, oversampling)

    def _arguments(
        self,
        vector: FloatArray,
        limit: int,
        query_filter: models.Filter | None,
        search_params: models.SearchParams | None,
        oversampling: float | None,
    ) -> QueryArguments:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"limit must be at least 1, not {limit!r}")
        row = self._checked(np.asarray(vector)[np.newaxis])
        arguments = QueryArguments(query=row[0].tolist(), limit=limit)
        if self.name:
            arguments["using"] = self.name
        if self.prefix_dimensions is None:
            if oversampling is not None:
                raise InvalidSettingError(
                    "oversampling is for a prefix: that of a quantized vector is in "
                    "search_params=models.SearchParams(quantization=…)"
                )
            if query_filter is not None:
                arguments["query_filter"] = query_filter
            if search_params is not None:
                arguments["search_params"] = search_params
            return arguments
        factor = _OVERSAMPLING if oversampling is None else oversampling
        if not 1.0 <= factor < math.inf:
            raise InvalidSettingError(f"oversampling must be at least 1, not {oversampling!r}")
        arguments["prefetch"] = models.Prefetch(
            query=self._cut(row, self.prefix_dimensions)[0].tolist(),
            using=self._prefix_name,
            limit=math.ceil(limit * factor),
            filter=query_filter,
            params=search_params,
        )
        return arguments

    @property
    def _prefix_name(self) -> str:
        return f"{self.name}-{self.prefix_dimensions}"

    def _check_prefix(self, length: int) -> None:
        if length >= self.embedder.dimensions:
            raise InvalidSettingError(
                f"prefix_dimensions must be below the embedder's {self.embedder.dimensions} "
                f"dimensions, not {length}"
            )
        self.embedder.card.check_dimensions(length)

    def _checked(self, rows: FloatArray) -> FloatArray:
        """The rows as float32, shape (n, dimensions)."""
        found, dimensions = np.asarray(rows, np.float32), self.embedder.dimensions
        if found.ndim != 2 or found.shape[1] != dimensions:
            raise InvalidInputError(
                f"vectors have shape {found.shape}, and the embedder's (n, {dimensions}): use the "
                "embedder that filled the collection"
            )
        _refuse_unusable(found)
        return found

    def _cut(self, rows: FloatArray, length: int) -> FloatArray:
        """The rows' prefixes, as an embedder of that many dimensions would give them."""
        self._check_prefix(length)
        prefixes = rows[:, :length]
        _refuse_unusable(prefixes)
        return unit(prefixes) if self.embedder.normalized else prefixes


def _documents(documents: Iterable[Document]) -> Iterator[Document]:
    for position, item in enumerate(documents):
        if not isinstance(item, Document):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(
                f"documents[{position}] must be a Document, not {type(item).__name__}",
                index=position,
            )
        yield item


def _fail(own: ChunkedDocument, error: JinaIntegrationsError) -> None:
    if is_of_input(error):
        error.add_note(f"in document {own.document.id!r}")
    raise error


def _refuse_unusable(rows: FloatArray) -> None:
    bad = unusable(rows)
    if bad:
        raise InvalidInputError(f"vector {bad[0]} holds NaN or is all zero", index=bad[0])
