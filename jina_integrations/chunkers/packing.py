"""Greedy packing of pieces into chunks, for every chunker that has a token limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..errors import InvalidSettingError
from ..types import CharSpan
from .breaks import Breaks
from .ruler import Positions, TokenRuler

__all__ = ["pack"]


def pack(
    ruler: TokenRuler,
    levels: Sequence[Breaks],
    start: int,
    end: int,
    *,
    overlap: int = 0,
    overlap_in: Literal["units", "tokens"] = "units",
) -> list[CharSpan]:
    """Spans that cover ``text[start:end]``, each as long as the limit allows.

    A chunk takes as many whole units of the first level as fit. A unit that does not fit even alone
    is packed by the next level, and its last piece is filled up with the units that follow.

    Args:
        ruler: The text and the limit.
        levels: Where the text may be cut, best places first, single characters last. Not called
            for a text that fits whole: a breaker for sentences takes 0.14 ms to make.
        start: First character.
        end: One past the last.
        overlap: What the next chunk repeats of a chunk's end, at most: whole units of the first
            level, fewer where the unit after them would not fit, and never the whole chunk.
        overlap_in: Whether `overlap` counts units or the document's tokens.

    Returns:
        Spans in order, none contained in another; starts and ends both rise.

    Raises:
        InvalidSettingError: a single character does not fit.
    """
    if ruler.fits(start, end):
        starts, ends = ruler.units(start, end, np.array([], dtype=np.int64))
        return list(zip(starts.tolist(), ends.tolist(), strict=True))
    breaks, *lower = levels
    starts, ends = ruler.units(start, end, breaks(start, end))
    marks = np.arange(len(starts)) if overlap_in == "units" else ruler.tokens_before(starts)
    spans: list[CharSpan] = []
    begin, after = -1, 0
    while after < len(starts):
        first = int(np.searchsorted(marks, marks[after] - overlap))
        unit, stop = _resume(ruler, starts, ends, range(first, after), after, begin)
        begin = int(starts[unit])
        if stop == unit:
            if not lower:
                raise _too_small(ruler, begin, int(ends[unit]))
            *whole, (begin, _) = pack(ruler, lower, begin, int(ends[unit]))
            spans += whole
            stop = ruler.reach(begin, ends, unit)
        spans.append((begin, int(ends[stop - 1])))
        after = stop
    return spans


def _resume(
    ruler: TokenRuler,
    starts: Positions,
    ends: Positions,
    repeatable: range,
    after: int,
    previous: int,
) -> tuple[int, int]:
    """The unit that the chunk after one that began at `previous` begins with, and where it stops.

    That is the first of the repeatable units with which the unit `after` fits too, else `after`.
    """
    for unit in repeatable:
        if starts[unit] > previous:
            stop = ruler.reach(int(starts[unit]), ends, after)
            if stop > after:
                return unit, stop
    return after, ruler.reach(int(starts[after]), ends, after)


def _too_small(ruler: TokenRuler, start: int, end: int) -> InvalidSettingError:
    tokens, overhead = ruler.excess(start, end) + ruler.room, ruler.tokenizer.overhead
    return InvalidSettingError(
        f"max_tokens={ruler.max_tokens} is too small for {ruler.text[start:end]!r:.40} at "
        f"{start}, which cannot be cut: it has {tokens} tokens, and every passage {overhead} more; "
        f"give at least {tokens + overhead}"
    )
