"""Late chunking through the API: which pieces of a document go into which request.

The service joins all inputs of a late-chunking request into one text, encodes that, and gives one
vector for each input. So a document is cut into pieces that join to exactly its text, and one that
is longer than the context goes in groups of pieces that overlap. Nothing here sends anything.

Unlike the local backend, which gives a token in several windows the mean of its vectors, a piece's
vector comes from one group alone: the one that has most of the document on both sides of it.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from ...errors import InvalidSpanError, TextTooLongError
from ...types import CharSpan

__all__ = ["Group", "Piece", "cover", "plan_groups"]

_GAP_CHARACTERS: Final = 400
"""Text between spans is cut into pieces of at most this: some 100 tokens of English, and in no
script so many that it does not fit beside others."""

_GAP_PIECE: Final = re.compile(
    rf"\S(?:[\s\S]{{0,{_GAP_CHARACTERS - 1}}}(?=\s|\Z)|[\s\S]{{{_GAP_CHARACTERS - 1}}})"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document that is one input of a request.

    Attributes:
        start: First character.
        end: One past the last.
        span_index: The span that it holds; None for text between spans, whose vector is not wanted.
    """

    start: int
    end: int
    span_index: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive pieces of a document that are one request.

    Attributes:
        first: Index of the first piece.
        last: One past the index of the last.
        wanted: Indices of the pieces whose vectors are taken from this request, ascending.
        tokens: Of all its pieces.
    """

    first: int
    last: int
    wanted: tuple[int, ...]
    tokens: int


def cover(text: str, spans: Sequence[CharSpan], *, position: int) -> list[Piece]:
    """Consecutive pieces that join to exactly the text, each span in a piece of its own.

    Whitespace between spans goes to the piece before it, and at the start of the text to the first
    piece. Other text between spans makes pieces without a span.

    Args:
        text: The document.
        spans: Checked character spans of it, in any order.
        position: The document's position in the call's list, carried by the error.

    Raises:
        InvalidSpanError: two spans overlap, or one is only whitespace.
    """
    heads: list[tuple[int, int | None]] = []
    done, previous = 0, -1
    for index in sorted(range(len(spans)), key=lambda number: spans[number]):
        start, end = spans[index]
        if start < done:
            raise InvalidSpanError(
                f"is {(start, end)} and overlaps spans[{previous}], {tuple(spans[previous])}: late "
                "chunking through the API gives each part of a document one vector. Cut the chunks "
                "without overlap, or use backend='local'",
                argument="texts",
                index=position,
                span=index,
            )
        if text[start:end].isspace():
            raise InvalidSpanError(
                f"is {(start, end)} and only whitespace: leave it out, or join it to a neighbour",
                argument="texts",
                index=position,
                span=index,
            )
        heads += ((head, None) for head in _gap_heads(text, done, start))
        heads.append((start, index))
        done, previous = end, index
    heads += ((head, None) for head in _gap_heads(text, done, len(text)))
    starts = [0, *(start for start, _ in heads[1:]), len(text)]
    return [
        Piece(starts[number], starts[number + 1], index) for number, (_, index) in enumerate(heads)
    ]


def _gap_heads(text: str, start: int, end: int) -> Iterator[int]:
    """Where the pieces of the text between two spans start, whitespace before them left out."""
    return (match.start() for match in _GAP_PIECE.finditer(text, start, end))


def plan_groups(
    tokens: Sequence[int],
    *,
    context: int,
    overlap: int,
    position: int,
    max_inputs: int = 512,
    needed: Sequence[bool] | None = None,
) -> list[Group]:
    """The requests that give every needed piece one vector, in the order of the document.

    Each group is as long as the context allows. Neighbours share at least `overlap` tokens, or
    what leaves room for one more piece where that is less. A piece is taken from the group where
    the smaller of the tokens before and after it in the group is largest; the start and the end of
    the document count as infinitely far, and of equals the first group has it.

    Args:
        tokens: Tokens of each piece.
        context: Tokens of one request at most, special tokens and prefix not included.
        overlap: Tokens that neighbours should share.
        position: The document's position in the call's list, carried by the error.
        max_inputs: Pieces of one request at most.
        needed: For each piece whether its vector is; None for all. A group from which nothing is
            needed is left out.

    Raises:
        TextTooLongError: a single piece is over the context.
    """
    longest = max(tokens, default=0)
    if longest > context:
        raise TextTooLongError(
            f"has a chunk of {longest} tokens; a late-chunking request takes {context}: make the "
            "chunks smaller",
            argument="texts",
            index=position,
            tokens=longest,
            limit=context,
        )
    before = [0, *accumulate(tokens)]
    ranges = _ranges(before, context, overlap, max_inputs)
    pieces = [piece for piece in range(len(tokens)) if needed is None or needed[piece]]
    wanted: list[list[int]] = [[] for _ in ranges]
    for piece in pieces:
        wanted[_most_central(piece, ranges, before)].append(piece)
    return [
        Group(first, last, tuple(taken), before[last] - before[first])
        for (first, last), taken in zip(ranges, wanted, strict=True)
        if taken
    ]


def _ranges(
    before: Sequence[int], context: int, overlap: int, max_inputs: int
) -> list[tuple[int, int]]:
    """Half-open ranges of pieces; ``before[i]`` is the tokens before piece ``i``."""
    count = len(before) - 1
    ranges: list[tuple[int, int]] = []
    first = last = 0
    while last < count:
        last = min(bisect_right(before, before[first] + context) - 1, first + max_inputs)
        ranges.append((first, last))
        if last < count:
            shares_enough = min(bisect_right(before, before[last] - overlap) - 1, last)
            leaves_room = bisect_left(before, before[last + 1] - context)
            first = max(shares_enough, leaves_room, last + 1 - max_inputs)
    return ranges


def _most_central(piece: int, ranges: Sequence[tuple[int, int]], before: Sequence[int]) -> int:
    """Index of the range that has most tokens on both sides of the piece."""
    count = len(before) - 1

    def distance(number: int) -> float:
        first, last = ranges[number]
        ahead = before[piece] - before[first] if first else math.inf
        behind = before[last] - before[piece + 1] if last < count else math.inf
        return min(ahead, behind)

    low = bisect_right(ranges, piece, key=lambda pieces: pieces[1])
    high = bisect_right(ranges, piece, key=lambda pieces: pieces[0])
    return max(range(low, high), key=distance)
