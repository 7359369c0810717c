"""What chunkers and backends need to know of a tokenizer."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tokenizer"]


class Tokenizer(Protocol):
    """Counts and places the tokens that an embedder's model sees."""

    @property
    def identity(self) -> str:
        """A name that is equal only where every text is cut into the same tokens."""
        ...

    @property
    def overhead(self) -> int:
        """Tokens that every passage has beside those of its text: start, end, the prefix."""
        ...

    def count(self, text: str) -> int:
        """Tokens of the text, `overhead` not included."""
        ...

    def offsets(self, text: str) -> NDArray[np.int64]:
        """Character offsets of the tokens of the text, shape (tokens, 2), half-open, in order.

        A token that stands for no character has an empty range. Special tokens and the prefix are
        not included.
        """
        ...
