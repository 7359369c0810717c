"""What counts as a character span, in one place."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import cast

from .errors import InvalidInputError, InvalidSpanError
from .types import CharSpan

__all__ = ["check_span_lists", "check_spans"]


def check_span_lists(spans: object, count: int) -> Sequence[object]:
    """One item for each of `count` texts; the items are not looked at.

    Raises:
        InvalidInputError: no sequence, or not as many.
    """
    if isinstance(spans, str | bytes) or not isinstance(spans, Sequence):
        raise InvalidInputError(f"spans must be a list, not {type(spans).__name__}")
    lists = cast("Sequence[object]", spans)
    if len(lists) != count:
        raise InvalidInputError(f"{count} texts need as many lists of spans, not {len(lists)}")
    return lists


def check_spans(text: str, spans: object, *, index: int = 0) -> list[CharSpan]:
    """The spans of one text as pairs of ints.

    Args:
        text: The document.
        spans: A list of half-open character ranges.
        index: The text's position in the caller's list, carried by the error.

    Raises:
        InvalidSpanError: a span is no pair of ints with ``0 <= start < end <= len(text)``.
    """
    if isinstance(spans, str | bytes) or not isinstance(spans, Sequence):
        raise InvalidSpanError(
            f"spans of texts[{index}] must be a list of (start, end), not {type(spans).__name__}",
            index=index,
        )
    items = cast("Sequence[object]", spans)
    return [_check(span, text, at, index) for at, span in enumerate(items)]


def _check(span: object, text: str, at: int, index: int) -> CharSpan:
    try:
        start, end = cast("tuple[int, int]", span)
        start, end = operator.index(start), operator.index(end)
    except (TypeError, ValueError) as exc:
        raise InvalidSpanError(
            f"spans[{at}] of texts[{index}] must be (start, end) in characters, not {span!r:.60}",
            index=index,
        ) from exc
    if not 0 <= start < end <= len(text):
        raise InvalidSpanError(
            f"spans[{at}] of texts[{index}] is ({start}, {end}): it must satisfy "
            f"0 <= start < end <= {len(text)}, the text's length in characters",
            index=index,
        )
    return start, end
