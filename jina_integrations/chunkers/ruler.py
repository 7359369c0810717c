"""Measures pieces of one text in an embedder's tokens."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError, InvalidSettingError
from ..inputs import check_text
from ..tokenizers.base import Tokenizer

__all__ = ["Positions", "TokenRuler", "has_text"]

Positions = NDArray[np.int64]
"""Sorted character positions in a text."""

_IS_SPACE = np.array([chr(code).isspace() for code in range(0x3001)] + [False])
"""By code point: does `str.isspace` hold? U+3000 is the last one for which it does."""


def has_text(text: object) -> bool:
    """False for an empty or whitespace-only str, True for a text that can be embedded.

    Raises:
        InvalidTextError: not a str, a NUL character, or a lone surrogate.
    """
    if isinstance(text, str) and (not text or text.isspace()):
        return False
    check_text(text)
    return True


class TokenRuler:
    """One text, tokenised once, and how much of it fits a chunk.

    Pieces are measured in two steps: the document's token offsets give in O(log n) how far a chunk
    can reach, then the chunk's own text is counted, because a piece alone can have more tokens
    than the document has inside it. Only the second decides what fits.

    Args:
        text: The text.
        tokenizer: The embedder's.
        max_tokens: What a chunk may have as a passage, `Tokenizer.overhead` included.

    Raises:
        InvalidSettingError: the overhead leaves no room for a token.
    """

    def __init__(self, text: str, tokenizer: Tokenizer, max_tokens: int) -> None:
        if not callable(getattr(tokenizer, "offsets", None)):
            raise InvalidInputError(
                f"tokenizer must be that of an embedder, not {type(tokenizer).__name__}: pass "
                "Embedder(…).tokenizer"
            )
        self.text = text
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.room = max_tokens - tokenizer.overhead
        if self.room < 1:
            raise InvalidSettingError(
                f"max_tokens={max_tokens} leaves no room: this model's special tokens and prefix "
                f"alone are {tokenizer.overhead}; give at least {tokenizer.overhead + 1}"
            )
        offsets = tokenizer.offsets(text)
        self.token_starts: Positions = np.maximum.accumulate(offsets[:, 0])
        self.token_ends: Positions = np.maximum.accumulate(offsets[:, 1])
        codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
        space = _IS_SPACE[np.minimum(codes, len(_IS_SPACE) - 1)]
        self._solid: Positions = np.flatnonzero(~space)

    def excess(self, start: int, end: int) -> int:
        """Tokens by which ``text[start:end]`` is over the limit; 0 or less where it fits.

        Whitespace at its edges is left out, as it is in a chunk.
        """
        return self.tokenizer.count(self.text[start:end].strip()) - self.room

    def fits(self, start: int, end: int) -> bool:
        """Whether ``text[start:end]`` is within the limit; a long text is not counted for it."""
        first, last = self.tokens_before(np.array([start, end], dtype=np.int64))
        return bool(last - first <= self.room) and self.excess(start, end) <= 0

    def reach(self, start: int, ends: Positions, first: int) -> int:
        """How far a chunk from `start` can go.

        Returns:
            One past the index of the last of `ends`, from `first` on, that fits; `first` where
            not even ``ends[first]`` does.
        """
        before = int(np.searchsorted(self.token_ends, start, side="right"))
        room = self.room
        while room > 0:
            token = before + room
            limit = self.token_starts[token] if token < len(self.token_starts) else sys.maxsize
            stop = int(np.searchsorted(ends, limit, side="right"))
            if stop <= first:
                break
            excess = self.excess(start, int(ends[stop - 1]))
            if excess <= 0:
                return stop
            if stop == first + 1:
                return first
            room -= excess
        return first + 1 if self.excess(start, int(ends[first])) <= 0 else first

    def tokens_before(self, positions: Positions) -> Positions:
        """The document's tokens that end at or before each position."""
        return np.searchsorted(self.token_ends, positions, side="right").astype(np.int64)

    def units(self, start: int, end: int, cuts: Positions) -> tuple[Positions, Positions]:
        """Starts and ends of the pieces of ``text[start:end]`` between the cuts.

        Whitespace at their edges is left out, and so are pieces of whitespace. A piece of
        characters that the tokenizer drops (it would be a chunk without a vector) is joined to the
        next one, or at the end to the one before.
        """
        bounds = np.concatenate([[start], cuts, [end]]).astype(np.int64)
        solid = np.searchsorted(self._solid, bounds)
        first, last = solid[:-1], solid[1:] - 1
        holds = first <= last
        starts = self._solid[first[holds]]
        ends = self._solid[last[holds]] + 1
        tokens = np.searchsorted(self.token_starts, ends) - np.searchsorted(
            self.token_ends, starts, side="right"
        )
        if np.all(tokens > 0):
            return starts, ends
        total = int(np.sum(tokens > 0))
        group = np.minimum(np.cumsum(tokens > 0) - (tokens > 0), max(total - 1, 0))
        heads = np.flatnonzero(np.diff(group, prepend=-1))
        return starts[heads], ends[np.append(heads[1:] - 1, len(ends) - 1)]
