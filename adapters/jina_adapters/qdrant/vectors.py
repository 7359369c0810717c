"""An embedder's vectors for plain qdrant-client: how they are laid out, written and searched."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypedDict, Unpack

import numpy as np
from qdrant_client import models

from jina_integrations.adapting import Job, cut, document_batches, late_chunk, with_text
from jina_integrations.chunkers import Chunker
from jina_integrations.embedding.embedder import Embedder
from jina_integrations.embedding.vectors import unit, unusable
from jina_integrations.errors import InvalidInputError, InvalidSettingError
from jina_integrations.stores.records import record_id
from jina_integrations.types import Document, FloatArray, Record

from .points import payload_of

__all__ = ["QdrantVectors", "QueryArguments", "QueryOptions", "VectorOptions"]

_OVERSAMPLING: Final = 4.0


class VectorOptions(TypedDict, total=False):
    """Options of qdrant-client's `models.VectorParams`, but for size and distance."""

    hnsw_config: models.HnswConfigDiff
    quantization_config: models.QuantizationConfig
    on_disk: bool
    memory: models.Memory
    datatype: models.Datatype


class QueryOptions(TypedDict, total=False):
    """Options of `QdrantVectors.query`."""

    limit: int
    query_filter: models.Filter | None
    search_params: models.SearchParams | None
    oversampling: float | None


class QueryArguments(TypedDict, total=False):
    """Keyword arguments of ``client.query_points``."""

    query: list[float]
    using: str
    limit: int
    query_filter: models.Filter
    search_params: models.SearchParams
    prefetch: models.Prefetch


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
        _check_positive("prefix_dimensions", length)
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
                raise InvalidSettingError("prefix=… needs prefix_dimensions")
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
        heading_context: bool = False,
        payload: Callable[[Record], Mapping[str, object]] = payload_of,
    ) -> Iterator[models.PointStruct]:
        """One point for each chunk, in order, for ``client.upload_points``.

        Documents are taken lazily, a batch at a time, and encoded whole where the embedder does
        late chunking. Ids and payloads are those of `Collection.ingest`: the same document with
        the same settings gets the same ids, a changed one gets others.

        Args:
            documents: With unique ids; those without text are skipped with a warning.
            chunker: Cuts the documents.
            heading_context: Whether title and headings are embedded in front of each chunk.
            payload: What to keep beside a chunk's vector; by default what `QdrantStore` keeps.

        Raises:
            InvalidInputError: an item is no document, or cannot be embedded; carries its position.
            JinaIntegrationsError: see `Embedder.embed_chunks`.
        """
        job = Job(self.embedder, chunker, heading_context)
        for batch in document_batches(
            with_text(_documents(documents), text_of=lambda document: document.text),
            characters=lambda numbered: len(numbered[1].text),
            batch_tokens=self.embedder.settings.batch_tokens,
        ):
            chunked = cut(job, batch)
            vectors = late_chunk(
                chunked,
                embedder=self.embedder,
                heading_context=heading_context,
                late_chunking=self.embedder.late_chunking,
            )
            for item, rows in zip(chunked, vectors, strict=True):
                count, root = len(item.chunks), item.document.root
                for chunk, vector in zip(item.chunks, self.point_vectors(rows), strict=True):
                    record = Record(chunk, item.version, count, root=root)
                    yield models.PointStruct(
                        id=record_id(record), vector=vector, payload=dict(payload(record))
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
        _check_positive("limit", limit)
        vector = self.embedder.embed_queries([query])[0] if isinstance(query, str) else query
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

    async def aquery(self, query: str, **options: Unpack[QueryOptions]) -> QueryArguments:
        """`query` for a question, without blocking the event loop."""
        (vector,) = await self.embedder.aembed_queries([query])
        return self.query(vector, **options)

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
        array, dimensions = np.asarray(rows, np.float32), self.embedder.dimensions
        if array.ndim != 2 or array.shape[1] != dimensions:
            raise InvalidInputError(
                f"vectors have shape {array.shape}, and the embedder's (n, {dimensions}): use the "
                "embedder that filled the collection"
            )
        _refuse_unusable(array)
        return array

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


def _check_positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidSettingError(f"{name} must be an int of at least 1, not {value!r:.60}")


def _refuse_unusable(rows: FloatArray) -> None:
    bad = unusable(rows)
    if bad:
        raise InvalidInputError(f"vector {bad[0]} holds NaN or is all zero", index=bad[0])
