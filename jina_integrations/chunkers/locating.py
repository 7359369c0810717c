"""Where the pieces that someone else's splitter cut lie in the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from ..errors import InvalidSpanError
from ..types import CharSpan

__all__ = ["locate"]

_NOT_SPACE: Final = re.compile(r"\S")


def locate(
    text: str,
    pieces: Sequence[str],
    *,
    overlap_fits: Callable[[str], bool] = lambda overlap: True,  # noqa: ARG005
) -> list[CharSpan]:
    """The character span of each piece, for splitters that give texts and no positions.

    A piece may occur several times. It is taken where it begins first, after the beginning of the
    piece before it, without leaving out anything but whitespace, and with an overlap that fits;
    then where the overlap does not fit; then where text between the two is left out, as it is by
    splitters that drop their separators.

    Args:
        text: The document.
        pieces: In the order of the text; each begins after the one before it.
        overlap_fits: Whether neighbours may share this text, e.g. by the splitter's own measure.

    Raises:
        InvalidSpanError: a piece is empty or not in the text, so that the splitter has changed it;
            carries the piece's index.
    """
    spans: list[CharSpan] = []
    first, end = 0, 0
    for index, piece in enumerate(pieces):
        start = _first_start(text, piece, first, end, overlap_fits) if piece else -1
        if start < 0:
            raise InvalidSpanError(
                f"piece {index}, {piece!r:.60}, is not in the text after character {first}: the "
                "splitter has changed it. Use one that cuts and changes nothing, or a chunker of "
                "jina_integrations",
                index=index,
            )
        spans.append((start, start + len(piece)))
        first, end = start + 1, start + len(piece)
    return spans


def _first_start(
    text: str, piece: str, first: int, end: int, overlap_fits: Callable[[str], bool]
) -> int:
    following = _NOT_SPACE.search(text, end)
    latest = following.start() if following else len(text)
    adjacent = start = text.find(piece, first, latest + len(piece))
    while start >= 0 and not overlap_fits(text[start:end]):
        start = text.find(piece, start + 1, latest + len(piece))
    if start >= 0:
        return start
    return adjacent if adjacent >= 0 else text.find(piece, latest)
