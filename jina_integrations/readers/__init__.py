"""Files and folders in, documents out.

Text, reStructuredText, CSV and JSON Lines in UTF-8 need nothing but the standard library; Markdown
needs the extra ``chunkers`` or ``readers``; HTML, PDF and other encodings need ``readers``.
"""

from __future__ import annotations

from .files import read_documents
from .results import FailedFile, ReadResult, SkippedFile, Source

__all__ = ["FailedFile", "ReadResult", "SkippedFile", "Source", "read_documents"]
