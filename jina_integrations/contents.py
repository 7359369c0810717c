"""What a collection holds, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .recipe import Recipe
from .types import Scalar

__all__ = ["CollectionSummary", "DocumentEntry"]


@dataclass(frozen=True, slots=True)
class CollectionSummary:
    """What a collection holds.

    Attributes:
        name: Store, collection and place.
        documents: How many documents, each counted once for each of its stored versions.
        chunks: How many chunks.
        recipe: What filled it.
    """

    name: str
    documents: int
    chunks: int
    recipe: Recipe

    def to_dict(self) -> dict[str, object]:
        """The summary as JSON values."""
        return {
            "name": self.name,
            "documents": self.documents,
            "chunks": self.chunks,
            "fingerprint": self.recipe.fingerprint,
            "recipe": self.recipe.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """A stored document.

    Attributes:
        document_id: Its id.
        chunks: How many chunks it has.
        root: `Document.root`.
        version: Hash of what made it.
        metadata: The document's.
    """

    document_id: str
    chunks: int
    root: str
    version: str
    metadata: Mapping[str, Scalar]

    def to_dict(self) -> dict[str, object]:
        """The entry as JSON values."""
        return {
            "document_id": self.document_id,
            "chunks": self.chunks,
            "root": self.root,
            "version": self.version,
            "metadata": dict(self.metadata),
        }
