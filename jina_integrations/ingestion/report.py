"""What an ingestion tells: while it runs, and at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..errors import JinaIntegrationsError
from ..readers.results import SkippedFile

__all__ = ["Activity", "DocumentFailure", "IngestProgress", "IngestReport"]

Activity: TypeAlias = Literal[
    "loading the model", "reading", "embedding", "writing", "pruning", "finishing"
]
"""What a run is doing."""


@dataclass(frozen=True, slots=True)
class DocumentFailure:
    """A document that is not in the store at its present version; an older one is untouched.

    Attributes:
        document_id: Its id; the path for a file that could not be read.
        error: Why.
    """

    document_id: str
    error: JinaIntegrationsError


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far a run is. Documents and chunks that are counted here are durable in the store.

    Attributes:
        activity: What the run is doing.
        document_id: The document that was read last; empty before the first.
        embedded: Documents that were embedded and written.
        unchanged: Documents that were complete already.
        failed: Documents that failed.
        skipped: Files that the reader left out on purpose.
        chunks: Chunks written.
        tokens: Tokens encoded; rises with every forward pass.
        seconds: Wall time since the start.
    """

    activity: Activity
    document_id: str
    embedded: int
    unchanged: int
    failed: int
    skipped: int
    chunks: int
    tokens: int
    seconds: float

    @property
    def done(self) -> int:
        """Documents and files that are settled one way or the other."""
        return self.embedded + self.unchanged + self.failed + self.skipped


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a run did. Every input is embedded, unchanged, failed or skipped.

    Attributes:
        documents_embedded: Documents that were embedded and written; of a dry run, those that
            would be.
        documents_unchanged: Documents that were complete at this version already.
        documents_removed: Ids of documents whose chunks were deleted because the document is
            empty now, or has left its source; of a dry run, those that would be.
        failures: Documents that failed, in the order in which they did.
        skipped: Files that the reader left out on purpose, and documents without text.
        chunks_written: Chunks written.
        chunks_dropped: Chunks of older versions and of removed documents that were deleted.
        contexts_shortened: Chunks whose headings did not fit into the model's limit beside the
            chunk, and were left out from the outermost on. Only with ``heading_context``.
        tokens: Tokens encoded.
        seconds: Wall time of the run.
        dry_run: Whether nothing was written.
    """

    documents_embedded: int
    documents_unchanged: int
    documents_removed: tuple[str, ...]
    failures: tuple[DocumentFailure, ...]
    skipped: tuple[SkippedFile, ...]
    chunks_written: int
    chunks_dropped: int
    contexts_shortened: int
    tokens: int
    seconds: float
    dry_run: bool = False

    def to_dict(self) -> dict[str, object]:
        """The report as JSON values."""
        return {
            "dry_run": self.dry_run,
            "documents_embedded": self.documents_embedded,
            "documents_unchanged": self.documents_unchanged,
            "documents_removed": list(self.documents_removed),
            "failures": [
                {
                    "document_id": failure.document_id,
                    "error": type(failure.error).__name__,
                    "message": str(failure.error),
                }
                for failure in self.failures
            ],
            "skipped": [{"path": file.path, "reason": file.reason} for file in self.skipped],
            "chunks_written": self.chunks_written,
            "chunks_dropped": self.chunks_dropped,
            "contexts_shortened": self.contexts_shortened,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
        }
