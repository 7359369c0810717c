"""What an adapter of a framework builds on: settings as fields, and late chunking of documents.

This is the public face for adapters in this repository and elsewhere, see ``docs/extending.md``:

- `EmbedderFields` is a base of a framework's pydantic class that holds an `Embedder`.
- `with_text`, `cut` and `late_chunk` take a framework's documents to chunks with vectors;
  `document_batches` has them in batches, and `locate` finds pieces that have no positions.
"""

from __future__ import annotations

from ..chunkers.locating import locate
from ..ingestion.batching import document_batches
from ..ingestion.stages import Job
from .arguments import SymmetricTask, embedder_of, read_task, warn_once
from .fields import EmbedderFields
from .late_chunking import (
    CutDocument,
    PieceChunker,
    alate_chunk,
    cut,
    late_chunk,
    name_document,
    with_text,
)

__all__ = [
    "CutDocument",
    "EmbedderFields",
    "Job",
    "PieceChunker",
    "SymmetricTask",
    "alate_chunk",
    "cut",
    "document_batches",
    "embedder_of",
    "late_chunk",
    "locate",
    "name_document",
    "read_task",
    "warn_once",
    "with_text",
]
