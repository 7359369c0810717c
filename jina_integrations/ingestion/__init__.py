"""Documents into a store, and searches out of it. What is guaranteed: ``docs/ingestion.md``."""

from __future__ import annotations

from .report import DocumentFailure, IngestProgress, IngestReport
from .run import ingest
from .searching import search

__all__ = ["DocumentFailure", "IngestProgress", "IngestReport", "ingest", "search"]
