"""What chunkers need to know of an embedder's tokenizer."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tokenizer"]


class Tokenizer(Protocol):
    """Counts and places the tokens that an embedder's model sees."""

    @property
    def overhead(self) -> int:
        """Tokens that every passage carries beside its own: start, end, and the task's prefix."""
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
