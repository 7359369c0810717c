"""Search by words: BM25, for comparison and for fusion with vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType

import numpy as np

from ..errors import MissingExtraError
from ..types import FloatArray

__all__ = ["WordIndex", "bm25_library", "words"]


def words(text: str) -> Iterator[str]:
    """The words of a text in any language, by ICU, in lower case; no stemming, no stop words."""
    from icu4py.breakers import WordBreaker

    for piece in WordBreaker(text, "en"):
        word = str(piece).casefold()
        if any(character.isalnum() for character in word):
            yield word


def bm25_library() -> ModuleType:
    """``bm25s``.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import bm25s
    except ImportError as exc:
        raise MissingExtraError("search by words", "eval") from exc
    library: ModuleType = bm25s
    return library


class WordIndex:
    """BM25 over texts, as Lucene computes it (k1 1.5, b 0.75, the defaults of bm25s).

    Args:
        texts: What is searched.

    Raises:
        MissingExtraError: bm25s is not installed.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = len(texts)
        self._index = bm25_library().BM25()
        self._index.index([list(words(text)) for text in texts], show_progress=False)

    def scores(self, question: str) -> FloatArray:
        """The score of each text; minus infinity where it has no word of the question.

        Returns:
            float32, shape (texts,).
        """
        known = [word for word in words(question) if word in self._index.vocab_dict]
        if not known:
            return np.full(self._texts, -np.inf, np.float32)
        scores = np.asarray(self._index.get_scores(known), np.float32)
        return np.where(scores > 0.0, scores, np.float32(-np.inf))
