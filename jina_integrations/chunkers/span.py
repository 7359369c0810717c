"""Chunks from anyone's own splitter."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import cast

from ..errors import InvalidSettingError, InvalidSpanError, JinaIntegrationsError
from ..tokenizers.base import Tokenizer
from ..types import CharSpan, Scalar
from .base import Chunker
from .ruler import has_text

__all__ = ["SpanChunker"]


@dataclass(frozen=True)
class SpanChunker(Chunker):
    """The spans that a callable returns, checked, without whitespace at their edges, and sorted.

    No token limit applies: a span over the model's context is for the embedder to refuse or cut.

    Args:
        splitter: Gets the text, returns half-open character spans ``(start, end)`` in any order;
            they may overlap. Not called for a text of whitespace.
        name: What identifies the splitter and its settings, e.g. ``"langchain-recursive-800"``: it
            is part of a document's version, so change it when the splitter changes. Required,
            because a function has no stable identity of its own.

    Raises:
        InvalidSettingError: `splitter` cannot be called or `name` is empty.
    """

    splitter: Callable[[str], Iterable[CharSpan]]
    _: KW_ONLY
    name: str

    def __post_init__(self) -> None:
        if not callable(self.splitter):
            raise InvalidSettingError(
                f"splitter must be a callable that takes a text, not {self.splitter!r:.80}"
            )
        if not isinstance(cast("object", self.name), str) or not self.name.strip():
            raise InvalidSettingError(
                f"name must be a non-empty str that identifies the splitter, not {self.name!r:.80}"
            )

    def spans(self, text: str, tokenizer: Tokenizer) -> list[CharSpan]:  # noqa: ARG002
        """Half-open character spans of the text, by start and end; empty for whitespace.

        Raises:
            InvalidTextError: a NUL character or a lone surrogate in the text.
            InvalidSpanError: the callable raised (the error is the cause), returned no iterable of
                spans, a span that is out of range, reversed or whitespace, or left out text that
                is not whitespace.
        """
        if not has_text(text):
            return []
        items = self._split(text)
        spans = sorted(self._checked(text, index, item) for index, item in enumerate(items))
        self._check_covered(text, spans)
        return spans

    def to_dict(self) -> dict[str, Scalar]:
        """``"span"`` and the splitter's name."""
        return {"chunker": "span", "name": self.name}

    @property
    def algorithm(self) -> dict[str, Scalar]:
        """The number of the trimming and sorting; the splitter is known by its name alone."""
        return {"version": 1}

    def _split(self, text: str) -> list[object]:
        try:
            returned = cast("object", self.splitter(text))
            if isinstance(returned, str | bytes) or not isinstance(returned, Iterable):
                raise InvalidSpanError(
                    f"splitter {self.name!r} must return an iterable of (start, end), "
                    f"not {type(returned).__name__}"
                )
            return list(cast("Iterable[object]", returned))
        except JinaIntegrationsError:
            raise
        except Exception as exc:  # one bad document shall not end a run over many
            raise InvalidSpanError(
                f"splitter {self.name!r} raised {type(exc).__name__}: {exc!s:.200}"
            ) from exc

    def _checked(self, text: str, index: int, item: object) -> CharSpan:
        where = f"splitter {self.name!r}, span {index}"
        try:
            start, end = (_as_int(bound) for bound in cast("Sequence[object]", item))
        except (TypeError, ValueError) as exc:
            raise InvalidSpanError(
                f"{where}: must be a pair of ints (start, end), not {item!r:.80}", index=index
            ) from exc
        if not 0 <= start < end <= len(text):
            raise InvalidSpanError(
                f"{where}: ({start}, {end}) is empty, reversed or outside a text of {len(text)} "
                "characters; spans are 0 <= start < end <= len(text)",
                index=index,
            )
        piece = text[start:end]
        if piece.isspace():
            raise InvalidSpanError(
                f"{where}: ({start}, {end}) is only whitespace; leave it out", index=index
            )
        return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())

    def _check_covered(self, text: str, spans: list[CharSpan]) -> None:
        covered = 0
        for start, end in [*spans, (len(text), len(text))]:
            gap = text[covered:start]
            if gap and not gap.isspace():
                first = covered + len(gap) - len(gap.lstrip())
                last = covered + len(gap.rstrip())
                raise InvalidSpanError(
                    f"splitter {self.name!r} leaves out ({first}, {last}), "
                    f"{text[first:last]!r:.40}; the spans must cover all text but whitespace"
                )
            covered = max(covered, end)


def _as_int(bound: object) -> int:
    """An int or NumPy integer as an int; a bool is neither."""
    if isinstance(bound, bool):
        raise TypeError("a bool is no position")
    return operator.index(cast("int", bound))
