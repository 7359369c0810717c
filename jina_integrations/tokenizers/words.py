"""Words as tokens, for `echo`."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["WordTokenizer"]

_WORD: Final = re.compile(r"\S+")


class WordTokenizer:
    """One token for each run of characters that are no whitespace."""

    identity = "words"
    overhead = 0

    def count(self, text: str) -> int:
        """Words of the text."""
        return len(text.split())

    def offsets(self, text: str) -> NDArray[np.int64]:
        """Where the words are, shape (words, 2)."""
        spans = [match.span() for match in _WORD.finditer(text)]
        return np.array(spans, np.int64).reshape(-1, 2)
