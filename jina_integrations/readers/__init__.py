"""Files and folders in, documents out.

Text, Markdown, reStructuredText, CSV and JSON Lines in UTF-8 need nothing but the standard
library; HTML, PDF and other encodings need the extra ``readers``.
"""

from __future__ import annotations

from .files import read_documents
from .results import FailedFile, ReadResult, SkippedFile

__all__ = ["FailedFile", "ReadResult", "SkippedFile", "read_documents"]
