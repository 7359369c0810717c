"""Where a text may be cut, from sentences down to characters, by ICU's rules (UAX #14 and #29).

ICU counts in UTF-16 units; everything here counts in characters of the Python string.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..errors import MissingExtraError
from .ruler import Positions

if TYPE_CHECKING:
    from types import ModuleType

    from icu4py.breakers import BaseBreaker

__all__ = [
    "BLANK_LINE",
    "Breaks",
    "breaks_from",
    "common",
    "grapheme_levels",
    "icu_version",
    "sentence_levels",
    "word_levels",
]

Breaks: TypeAlias = Callable[[int, int], Positions]
"""Where ``text[start:end]`` may be cut, without start and end."""

_LOCALE = "en@ss=standard"
"""ICU's rules are the same for all languages; of sentences, ``ss=standard`` keeps those in CLDR's
list of English abbreviations ("Mr.", "Prof.") from ending one."""

_NEWLINE = re.compile(r"\r\n?|[\n\v\f\x85\u2028]")
BLANK_LINE = re.compile(r"(?>\r\n?|\n)(?:[^\S\r\n]*+(?:\r\n?|\n))++|\u2029")


def sentence_levels(text: str) -> tuple[Breaks, ...]:
    """Sentences and paragraphs, then lines, then `word_levels`."""

    def sentences(start: int, end: int) -> Positions:
        piece = text[start:end]
        # A line that is merely wrapped ends no sentence, but ICU takes every newline for one.
        unwrapped = _NEWLINE.sub(lambda newline: " " * len(newline[0]), piece)
        paragraphs = [match.end() for match in BLANK_LINE.finditer(piece)]
        return _inside(np.union1d(_icu("SentenceBreaker", unwrapped), paragraphs), start, end)

    def lines(start: int, end: int) -> Positions:
        ends = [match.end() for match in _NEWLINE.finditer(text, start, end)]
        return breaks_from(np.array(ends, dtype=np.int64))(start, end)

    return (sentences, lines, *word_levels(text))


def word_levels(text: str) -> tuple[Breaks, ...]:
    """Words with their punctuation (Chinese, Japanese and Thai by dictionary), then graphemes."""

    def words(start: int, end: int) -> Positions:
        piece = text[start:end]
        # A line may also break inside a Chinese word, and a word may end before its comma.
        both = common(_icu("WordBreaker", piece), _icu("LineBreaker", piece))
        return _inside(both, start, end)

    return (words, *grapheme_levels(text))


def grapheme_levels(text: str) -> tuple[Breaks, ...]:
    """Grapheme clusters, and characters for a cluster that does not fit."""

    def graphemes(start: int, end: int) -> Positions:
        return _inside(_icu("CharacterBreaker", text[start:end]), start, end)

    def characters(start: int, end: int) -> Positions:
        return np.arange(start + 1, end, dtype=np.int64)

    return (graphemes, characters)


def breaks_from(positions: Positions) -> Breaks:
    """Those of the sorted positions that lie inside a piece."""

    def inside(start: int, end: int) -> Positions:
        first = np.searchsorted(positions, start, side="right")
        return positions[first : np.searchsorted(positions, end)]

    return inside


def common(first: Positions, second: Positions) -> Positions:
    """Positions that are in both, sorted, in linear time."""
    size = 1 + max(first.max(initial=0), second.max(initial=0))
    in_first, in_second = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    in_first[first] = True
    in_second[second] = True
    return np.flatnonzero(in_first & in_second)


def _inside(cuts: Positions, start: int, end: int) -> Positions:
    """Cuts of a piece, counted from its start, as cuts of the text."""
    return breaks_from(cuts.astype(np.int64) + start)(start, end)


def _icu(breaker: str, piece: str) -> Positions:
    """Where the breaker of that name ends a segment of the piece.

    Each piece has a breaker of its own, because icu4py gives a breaker one text for life. To make
    one takes 3 microseconds; with abbreviations 0.14 ms, since ICU reads their list each time.
    """
    kind: type[BaseBreaker] = getattr(_icu4py(), breaker)
    segments = kind(piece, _LOCALE).segments()
    units = np.fromiter((end for _, end in segments), dtype=np.int64)
    if piece.isascii():
        return units
    codes = np.frombuffer(piece.encode("utf-32-le"), dtype="<u4")
    pairs = np.flatnonzero(codes > 0xFFFF)
    # The k-th character of two UTF-16 units, at character p, begins at unit p + k.
    return units - np.searchsorted(pairs + np.arange(len(pairs)), units)


@cache
def _icu4py() -> ModuleType:
    try:
        from icu4py import breakers
    except ImportError as exc:
        raise MissingExtraError("cutting text into chunks", "chunkers") from exc
    return breakers


@cache
def icu_version() -> str:
    """Version of the ICU in use, e.g. ``"78.3"``, whose rules and dictionaries decide the cuts.

    Raises:
        MissingExtraError: icu4py is not installed.
    """
    try:
        import icu4py
    except ImportError as exc:
        raise MissingExtraError("cutting text into chunks", "chunkers") from exc
    return icu4py.icu_version
