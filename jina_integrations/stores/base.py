"""The contract of a vector store, which `ingest` and `search` work against and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

from ..types import EmbeddedChunk, FloatArray, Hit, Scalar

__all__ = ["CollectionInfo", "Filters", "Store", "StoreCounts"]

Filters: TypeAlias = Mapping[str, Scalar | Sequence[Scalar]]
"""Metadata key to the value it must equal, or to several values of which it must equal one.

Several keys must all hold. ``True`` is not 1, and ``"5"`` is not 5.
"""


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a collection remembers of the embedder that fills it.

    Attributes:
        fingerprint: `Embedder.fingerprint` of everything that changes a vector.
        dimensions: Length of every vector.
        embedder: `Embedder.to_dict()`, from which `search` rebuilds the embedder. JSON values only,
            no key.
    """

    fingerprint: str
    dimensions: int
    embedder: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """How much a collection holds: documents and chunks, stale ones included."""

    documents: int
    chunks: int


class Store(ABC):
    """One collection of one vector store. Connects at first use, not at construction.

    Use it as a context manager, or call `close`. Vectors are compared by cosine. Every failure of
    the library or server below is raised as a `StoreError` that says what to do.
    """

    @abstractmethod
    def read_info(self) -> CollectionInfo | None:
        """What the collection remembers; None where there is no such collection yet.

        Raises:
            CollectionNotFoundError: the collection exists and was not made by this package.
        """

    @abstractmethod
    def create(self, info: CollectionInfo) -> None:
        """Make the collection with that info. Only called where `read_info` gave None.

        Safe when another process makes the same collection at the same moment.
        """

    @abstractmethod
    def find_complete(self, versions: Mapping[str, str]) -> set[str]:
        """Those documents (id to version) of which every chunk is stored at that very version."""

    @abstractmethod
    def write(self, chunks: Sequence[EmbeddedChunk]) -> None:
        """Insert or overwrite chunks by their deterministic id; durable when this returns."""

    @abstractmethod
    def drop_stale(self, versions: Mapping[str, str]) -> int:
        """Delete the chunks of these documents that are not at the given version; how many."""

    @abstractmethod
    def search(self, vector: FloatArray, *, k: int, filters: Filters | None = None) -> list[Hit]:
        """The `k` nearest chunks, best first; fewer where the collection holds fewer.

        Args:
            vector: float32, shape (dimensions,).
            k: At least 1.
            filters: Conditions on metadata, see `Filters`.
        """

    @abstractmethod
    def counts(self) -> StoreCounts:
        """Documents and chunks in the collection."""

    @abstractmethod
    def close(self) -> None:
        """Release files and connections. Safe to call twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
