"""Chunks of a fixed number of tokens."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from ..errors import InvalidSettingError
from ..types import CharSpan
from .breaks import common, grapheme_levels
from .limited import LimitedChunker
from .packing import pack
from .ruler import Positions, TokenRuler

__all__ = ["TokenChunker"]


@dataclass(frozen=True)
class TokenChunker(LimitedChunker):
    """Consecutive windows of tokens, cut at token boundaries wherever they fall in the language.

    Tokens that make up one grapheme cluster (the bytes of an emoji, say) stay together, unless
    they do not fit alone. Characters that the tokenizer drops stay with the token before them.

    Args:
        max_tokens: Longest chunk as the model sees it as a passage, in its own tokens: special
            tokens and the task's prefix (`Tokenizer.overhead`) included, so that chunks of 256 fit
            a context of 256. Each chunk's text is counted, none is longer; where a piece alone has
            more tokens than the document has inside it, the window is cut shorter.
        overlap_tokens: Tokens of the document that a chunk repeats from the end of the one before;
            fewer where a grapheme cluster would have to be cut.

    Raises:
        InvalidSettingError: a value of the wrong type or range.
    """

    name: ClassVar[str] = "token"
    version: ClassVar[int] = 1

    _: KW_ONLY
    overlap_tokens: int = 0

    def _cut(self, ruler: TokenRuler) -> list[CharSpan]:
        if self.overlap_tokens >= ruler.room:
            raise InvalidSettingError(
                f"overlap_tokens={self.overlap_tokens} must be smaller than {ruler.room}, which is "
                f"max_tokens={self.max_tokens} less the {ruler.tokenizer.overhead} special and "
                "prefix tokens of this model"
            )
        graphemes, characters = grapheme_levels(ruler.text)

        def tokens(start: int, end: int) -> Positions:
            return common(graphemes(start, end), _between_tokens(ruler))

        return pack(
            ruler,
            (tokens, graphemes, characters),
            0,
            len(ruler.text),
            overlap=self.overlap_tokens,
            overlap_in="tokens",
        )


def _between_tokens(ruler: TokenRuler) -> Positions:
    """Starts of those tokens that begin where all tokens before them have ended."""
    return ruler.token_starts[1:][ruler.token_starts[1:] >= ruler.token_ends[:-1]]
