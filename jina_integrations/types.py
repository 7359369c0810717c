"""The words of the house: documents, chunks, spans, tasks, hits. No logic beyond checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInputError, InvalidTextError
from .texts import check_text, find_surrogate

__all__ = [
    "CharSpan",
    "Chunk",
    "Document",
    "EmbeddedChunk",
    "FloatArray",
    "Hit",
    "Metadata",
    "Scalar",
    "Task",
]

FloatArray: TypeAlias = NDArray[np.float32]
"""float32 vectors, one row each."""

CharSpan: TypeAlias = tuple[int, int]
"""Half-open character range ``text[start:end]``."""

Task: TypeAlias = Literal["query", "passage", "text-matching", "classification", "clustering"]
"""What a vector is for. Always chosen by the caller, through the method or a keyword."""

Scalar: TypeAlias = str | int | float | bool
"""What metadata may hold: every supported store keeps and filters these."""

Metadata: TypeAlias = Mapping[str, Scalar]

RESERVED_METADATA = frozenset(
    {"document_id", "document_version", "chunk_index", "chunk_count", "start", "end"}
)
"""Metadata keys that the stores write themselves, beside the document's own."""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole text to be chunked and stored.

    Attributes:
        id: Unique within a collection, e.g. the path relative to the ingested folder.
        text: The text. Character offsets of chunks and spans count into this string.
        metadata: Scalars that are stored with every chunk and can be filtered on.

    Raises:
        InvalidInputError: the id is empty, the text is no string, or a metadata value is not a
            finite scalar or uses one of the stores' own keys.
    """

    id: str
    text: str
    metadata: Metadata = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        try:
            check_text(self.id)
        except InvalidTextError as exc:
            raise InvalidInputError(f"document id {self.id!r:.80}: {exc}") from exc
        if not isinstance(self.text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(
                f"document {self.id!r}: text must be a str, not {type(self.text).__name__}"
            )
        for key, value in self.metadata.items():
            _check_metadata(self.id, key, value)


def _check_metadata(document_id: str, key: object, value: object) -> None:
    where = f"document {document_id!r}: metadata {key!r}"
    if not isinstance(key, str) or not key:
        raise InvalidInputError(f"{where}: keys must be non-empty strings")
    if key in RESERVED_METADATA:
        raise InvalidInputError(f"{where}: the stores write this key themselves; rename yours")
    if not isinstance(value, str | int | float | bool):
        raise InvalidInputError(
            f"{where}: must be a str, int, float or bool, not {type(value).__name__}; "
            "leave the key out, or turn the value into text"
        )
    if isinstance(value, str) and find_surrogate(key + value) is not None:
        raise InvalidInputError(f"{where}: holds a lone surrogate, which is not text")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInputError(f"{where}: {value} is not a finite number; leave the key out")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInputError(f"{where}: {value} does not fit 64 bits; store it as text")


@dataclass(frozen=True, slots=True)
class Chunk:
    """One span of a document; ``text == document.text[start:end]``.

    Attributes:
        document_id: The document's id.
        index: Position among the document's chunks, from 0.
        start: First character, counted in the document's text.
        end: One past the last character.
        text: The characters themselves.
        metadata: The document's metadata.
    """

    document_id: str
    index: int
    start: int
    end: int
    text: str
    metadata: Metadata = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedChunk:
    """A chunk as a store keeps it.

    Attributes:
        chunk: The chunk.
        version: Hash of everything that made the document's chunks and vectors.
        chunk_count: How many chunks the document has at that version.
        vector: float32, shape (dimensions,).
    """

    chunk: Chunk
    version: str
    chunk_count: int
    vector: FloatArray


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search found.

    Attributes:
        chunk: The chunk with its document id, position and metadata.
        score: Cosine similarity to the query, -1 to 1; higher is nearer.
    """

    chunk: Chunk
    score: float
