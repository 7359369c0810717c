"""The model's tokenizer, bare: no truncation, no padding, special tokens put on by hand.

Texts are tokenised once. The token stream of a text is its start tokens, the tokens of prefix and
text together, and its end tokens; windows and pooling work on that stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as HuggingFaceTokenizer

from ...errors import InvalidSpanError
from ...types import CharSpan
from .plan import IntArray

__all__ = ["TextTokenizer", "TokenStream"]


@dataclass(frozen=True, slots=True, eq=False)
class TokenStream:
    """A tokenised document with the place of each token.

    Attributes:
        ids: Token ids, shape (tokens,): start tokens, prefix, text, end tokens.
        first: Position of the text's first token in the stream.
        starts: First character of each of the text's own tokens, shape (text tokens,).
        ends: One past the last character, shape (text tokens,).
    """

    ids: IntArray
    first: int
    starts: IntArray
    ends: IntArray

    def rows(self, text: str, spans: Sequence[CharSpan], *, index: int) -> list[IntArray]:
        """For each span the stream positions that it pools, sorted, at least one.

        A span pools the tokens that it touches. The span that touches the text's first token also
        pools the start tokens and the prefix; the one that touches its last also the end tokens.

        Args:
            text: The document.
            spans: Checked character spans of it.
            index: The document's position in the caller's list, carried by the error.

        Raises:
            InvalidSpanError: a span touches no token.
        """
        content = len(text) - len(text.lstrip()), len(text.rstrip())
        opening = int(np.searchsorted(self.ends, content[0], side="right"))
        closing = int(np.searchsorted(self.starts, content[1], side="left")) - 1
        rows: list[IntArray] = []
        for at, (start, end) in enumerate(spans):
            touched = self._touched(start, end)
            if not touched.size:
                raise InvalidSpanError(
                    f"spans[{at}] of texts[{index}], ({start}, {end}), holds no token: "
                    f"{text[start:end]!r:.60} is dropped by the model's tokenizer. Join it to a "
                    "neighbour",
                    index=index,
                )
            parts = [touched + self.first]
            if touched[0] <= opening:
                parts.insert(0, np.arange(self.first))
            if touched[-1] >= closing:
                parts.append(np.arange(self.first + len(self.starts), len(self.ids)))
            rows.append(np.concatenate(parts))
        return rows

    def _touched(self, start: int, end: int) -> IntArray:
        low = int(np.searchsorted(self.ends, start, side="right"))
        high = int(np.searchsorted(self.starts, end, side="left"))
        return np.arange(low, high)


class TextTokenizer:
    """Counts, places and encodes with a `tokenizers` tokenizer.

    Args:
        tokenizer: The model's; it is copied, so that nobody's truncation or padding matters.
        passage_prefix: Prefix of the passage task, counted in `overhead`.
    """

    def __init__(self, tokenizer: HuggingFaceTokenizer, passage_prefix: str) -> None:
        self._tokenizer = HuggingFaceTokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        probe = self._tokenizer.encode("a")
        special = np.array(probe.special_tokens_mask, bool)
        own = np.flatnonzero(~special)
        first, last = (int(own[0]), int(own[-1])) if own.size else (len(special), -1)
        self._head = np.array(probe.ids[:first], np.int64)
        self._tail = np.array(probe.ids[last + 1 :], np.int64)
        self._overhead = len(self._head) + len(self._tail)
        if passage_prefix:
            self._overhead += self.count(passage_prefix)

    @property
    def overhead(self) -> int:
        """Tokens that every passage carries beside its own: start, end, and the prefix."""
        return self._overhead

    @property
    def end_tokens(self) -> int:
        """Tokens that close every sequence."""
        return len(self._tail)

    def count(self, text: str) -> int:
        """Tokens of the text, `overhead` not included."""
        (encoding,) = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return len(encoding)

    def offsets(self, text: str) -> NDArray[np.int64]:
        """Character offsets of the text's tokens, shape (tokens, 2), half-open, in order."""
        return _offsets(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def encode(self, texts: Sequence[str], prefix: str) -> list[IntArray]:
        """The token stream of each text, without offsets."""
        encodings = self._tokenizer.encode_batch_fast(
            [prefix + text for text in texts], add_special_tokens=False
        )
        return [self._stream(encoding.ids) for encoding in encodings]

    def encode_with_offsets(self, texts: Sequence[str], prefix: str) -> list[TokenStream]:
        """The token stream of each text, with the offsets of its own tokens."""
        encodings = self._tokenizer.encode_batch(
            [prefix + text for text in texts], add_special_tokens=False
        )
        streams: list[TokenStream] = []
        for encoding in encodings:
            offsets = _offsets(encoding.offsets) - len(prefix)
            before = int(np.searchsorted(offsets[:, 1], 0, side="right")) if prefix else 0
            own = np.maximum(offsets[before:], 0)
            streams.append(
                TokenStream(
                    self._stream(encoding.ids), len(self._head) + before, own[:, 0], own[:, 1]
                )
            )
        return streams

    def _stream(self, ids: Sequence[int]) -> IntArray:
        return np.concatenate([self._head, np.array(ids, np.int64), self._tail])


def _offsets(pairs: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    # Made monotonic, because a token that stands for no character may be placed anywhere.
    return np.maximum.accumulate(np.array(pairs, np.int64).reshape(-1, 2), axis=0)
