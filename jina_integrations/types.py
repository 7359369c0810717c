"""The words of the house: documents, chunks, records, hits. Plain values, no logic beyond checks.

All of them can be pickled, deep-copied, compared and turned into JSON values (`to_dict`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInputError, InvalidTextError
from .inputs import check_text
from .metadata import RESERVED_METADATA, Metadata, Scalar, check_metadata

__all__ = [
    "RESERVED_METADATA",
    "CharSpan",
    "Chunk",
    "Document",
    "FloatArray",
    "Heading",
    "Hit",
    "Metadata",
    "Page",
    "Record",
    "Scalar",
    "SparseVector",
    "Task",
    "VectorKind",
    "Vectors",
]

FloatArray: TypeAlias = NDArray[np.float32]
"""float32 vectors, one row each."""

CharSpan: TypeAlias = tuple[int, int]
"""Half-open character range ``text[start:end]``."""

Task: TypeAlias = Literal["query", "passage", "text-matching", "classification", "clustering"]
"""What a vector is for. Always chosen by the caller, through the method or a keyword."""

VectorKind: TypeAlias = Literal["dense", "sparse", "multi"]
"""One vector a chunk; weights of terms; one vector a token (late interaction)."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document.

    Attributes:
        start: First character of the heading's line in the document's text.
        level: From 1, the outermost.
        title: Its text on one line.
    """

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Page:
    """Where a page of a document begins.

    Attributes:
        start: Its first character in the document's text.
        number: From 1; numbers of pages without text are missing.
    """

    start: int
    number: int


@dataclass(frozen=True, slots=True)
class Document:
    """A whole text to be chunked and stored.

    Attributes:
        id: Unique within a collection, e.g. ``"docs/guide.md"``.
        text: The text. Character offsets of chunks and spans count into this string.
        metadata: Scalars that are stored with every chunk and can be filtered on; copied.
        headings: In the order of the text. Chunks get their heading path from them.
        pages: In the order of the text, for texts that have pages.
        root: The folder or file that a reader was given, or the name that the caller gave to it;
            empty for documents made by hand. ``prune`` removes documents of the same root only.

    Raises:
        InvalidInputError: the id is empty, the text is no string, or a metadata value is not a
            finite scalar or uses one of the stores' own keys.
    """

    id: str
    text: str
    metadata: Metadata = field(default_factory=dict[str, Scalar])
    headings: tuple[Heading, ...] = ()
    pages: tuple[Page, ...] = ()
    root: str = ""

    def __post_init__(self) -> None:
        try:
            check_text(self.id)
        except InvalidTextError as exc:
            raise InvalidInputError(f"document id {self.id!r:.80}: {exc}") from exc
        self._check_type("text", self.text, str)
        self._check_type("metadata", self.metadata, Mapping)
        self._check_type("headings", self.headings, tuple)
        self._check_type("pages", self.pages, tuple)
        self._check_type("root", self.root, str)
        self._check_items("headings", self.headings, Heading)
        self._check_items("pages", self.pages, Page)
        check_metadata(self.metadata, where=f"document {self.id!r:.80}: metadata")
        object.__setattr__(self, "metadata", dict(self.metadata))

    def _check_type(self, name: str, value: object, kind: type) -> None:
        if not isinstance(value, kind):
            raise InvalidInputError(
                f"document {self.id!r:.80}: {name} must be a {kind.__name__.lower()}, "
                f"not {type(value).__name__}"
            )

    def _check_items(self, name: str, items: tuple[object, ...], kind: type) -> None:
        for item in items:
            if not isinstance(item, kind):
                raise InvalidInputError(
                    f"document {self.id!r:.80}: {name} must be {kind.__name__}s, "
                    f"not {type(item).__name__}"
                )

    def __hash__(self) -> int:
        return hash((self.id, self.text))

    def to_dict(self) -> dict[str, object]:
        """The fields as JSON values; `from_dict` takes them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The document of `to_dict`.

        Raises:
            InvalidInputError: a field is missing, unknown or of the wrong type.
        """
        try:
            fields: dict[str, Any] = {**values}
            fields["headings"] = tuple(Heading(**item) for item in values.get("headings", ()))
            fields["pages"] = tuple(Page(**item) for item in values.get("pages", ()))
            return cls(**fields)
        except (TypeError, AttributeError) as exc:
            raise InvalidInputError(f"these are not the fields of a Document: {exc}") from exc


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
        headings: Titles above the chunk's first character, outermost first; a heading that begins
            the chunk is among them.
        page: Number of the page on which the chunk begins; None where the document has no pages.
        page_end: Number of the page on which it ends.
    """

    document_id: str
    index: int
    start: int
    end: int
    text: str
    metadata: Metadata = field(default_factory=dict[str, Scalar])
    headings: tuple[str, ...] = ()
    page: int | None = None
    page_end: int | None = None

    def __hash__(self) -> int:
        return hash((self.document_id, self.index, self.start, self.end, self.text))

    def to_dict(self) -> dict[str, object]:
        """The fields as JSON values; `from_dict` takes them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The chunk of `to_dict`.

        Raises:
            InvalidInputError: a field is missing or unknown.
        """
        try:
            fields: dict[str, Any] = {**values, "headings": tuple(values.get("headings", ()))}
            return cls(**fields)
        except (TypeError, AttributeError) as exc:
            raise InvalidInputError(f"these are not the fields of a Chunk: {exc}") from exc


@dataclass(frozen=True, slots=True, eq=False)
class SparseVector:
    """Weights of terms, all others 0.

    Attributes:
        indices: uint32, ascending, each once, shape (terms,).
        values: float32, shape (terms,).
    """

    indices: NDArray[np.uint32]
    values: FloatArray

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseVector):
            return NotImplemented
        return np.array_equal(self.indices, other.indices) and np.array_equal(
            self.values, other.values
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The vectors of one chunk, at most one of each kind; None where it has none of that kind.

    Attributes:
        dense: float32, shape (dimensions,).
        sparse: Weights of terms.
        multi: float32, shape (tokens, dimensions).
    """

    dense: FloatArray | None = None
    sparse: SparseVector | None = None
    multi: FloatArray | None = None

    @property
    def kinds(self) -> frozenset[VectorKind]:
        """The kinds that are there."""
        kinds = cast("tuple[VectorKind, ...]", ("dense", "sparse", "multi"))
        return frozenset(kind for kind in kinds if getattr(self, kind) is not None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vectors):
            return NotImplemented
        return (
            self.kinds == other.kinds
            and self.sparse == other.sparse
            and all(
                np.array_equal(getattr(self, kind), getattr(other, kind))
                for kind in self.kinds - {"sparse"}
            )
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash


@dataclass(frozen=True, slots=True)
class Record:
    """A chunk as a store keeps it.

    Attributes:
        chunk: The chunk.
        version: Hash of everything that made the document's chunks and vectors.
        chunk_count: How many chunks the document has at that version.
        vectors: The chunk's vectors; empty where a scan left them out.
        root: `Document.root`.
    """

    chunk: Chunk
    version: str
    chunk_count: int
    vectors: Vectors = field(default_factory=Vectors)
    root: str = ""

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash

    def to_dict(self) -> dict[str, object]:
        """The fields as JSON values, vectors as lists; `from_dict` takes them back."""
        vectors = self.vectors
        sparse = vectors.sparse
        return {
            "chunk": self.chunk.to_dict(),
            "version": self.version,
            "chunk_count": self.chunk_count,
            "root": self.root,
            "vectors": {
                "dense": None if vectors.dense is None else vectors.dense.tolist(),
                "sparse": None
                if sparse is None
                else {"indices": sparse.indices.tolist(), "values": sparse.values.tolist()},
                "multi": None if vectors.multi is None else vectors.multi.tolist(),
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The record of `to_dict`.

        Raises:
            InvalidInputError: a field is missing, or of the wrong type.
        """
        try:
            vectors = values["vectors"]
            sparse = vectors["sparse"]
            return cls(
                chunk=Chunk.from_dict(values["chunk"]),
                version=values["version"],
                chunk_count=values["chunk_count"],
                root=values["root"],
                vectors=Vectors(
                    dense=_floats(vectors["dense"]),
                    sparse=None
                    if sparse is None
                    else SparseVector(
                        np.array(sparse["indices"], np.uint32),
                        np.array(sparse["values"], np.float32),
                    ),
                    multi=_floats(vectors["multi"]),
                ),
            )
        except (LookupError, TypeError, AttributeError) as exc:
            raise InvalidInputError(f"these are not the fields of a Record: {exc!r:.80}") from exc


def _floats(values: object) -> FloatArray | None:
    return None if values is None else np.array(values, np.float32)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search found.

    Attributes:
        chunk: The chunk with its document id, position and metadata.
        score: Higher is nearer. For dense vectors the cosine similarity to the query, -1 to 1.
    """

    chunk: Chunk
    score: float

    def to_dict(self) -> dict[str, object]:
        """The fields as JSON values; `from_dict` takes them back."""
        return {"score": self.score, "chunk": self.chunk.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The hit of `to_dict`.

        Raises:
            InvalidInputError: a field is missing, or of the wrong type.
        """
        try:
            return cls(chunk=Chunk.from_dict(values["chunk"]), score=values["score"])
        except (LookupError, TypeError) as exc:
            raise InvalidInputError(f"these are not the fields of a Hit: {exc!r:.80}") from exc
