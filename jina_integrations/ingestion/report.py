"""What `ingest` tells: while it runs, and at its end."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import JinaIntegrationsError
from ..readers.results import SkippedFile

__all__ = ["DocumentFailure", "IngestProgress", "IngestReport"]


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
    """How far a run is. Everything counted here is durable in the store.

    Attributes:
        embedded: Documents that were embedded and written.
        unchanged: Documents that were complete already.
        failed: Documents that failed.
        skipped: Files that the reader left out on purpose.
        chunks: Chunks written.
        tokens: Tokens encoded.
        seconds: Wall time since the start.
    """

    embedded: int
    unchanged: int
    failed: int
    skipped: int
    chunks: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a run did. Every input is embedded, unchanged, failed or skipped.

    Attributes:
        documents_embedded: Documents that were embedded and written.
        documents_unchanged: Documents that were complete at this version already.
        failures: Documents that failed, in the order in which they did.
        skipped: Files that the reader left out on purpose.
        chunks_written: Chunks written.
        chunks_dropped: Chunks of older versions that were deleted.
        tokens: Tokens that the embedder counted meanwhile.
        seconds: Wall time of the run.
    """

    documents_embedded: int
    documents_unchanged: int
    failures: tuple[DocumentFailure, ...]
    skipped: tuple[SkippedFile, ...]
    chunks_written: int
    chunks_dropped: int
    tokens: int
    seconds: float
