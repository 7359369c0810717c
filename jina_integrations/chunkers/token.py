"""Chunks of a fixed number of tokens."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from ..errors import InvalidSettingError
from ..tokenizer import Tokenizer
from ..types import CharSpan, Scalar
from ._breaks import breaks_from, common, grapheme_levels
from ._packing import pack
from ._ruler import Positions, TokenRuler
from ._settings import check_int, check_overlap, has_text
from .base import Chunker

__all__ = ["TokenChunker"]


@dataclass(frozen=True)
class TokenChunker(Chunker):
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

    max_tokens: int = 256
    _: KW_ONLY
    overlap_tokens: int = 0

    def __post_init__(self) -> None:
        check_int("max_tokens", self.max_tokens, minimum=1)
        check_overlap("overlap_tokens", self.overlap_tokens, max_tokens=self.max_tokens)

    def spans(self, text: str, tokenizer: Tokenizer) -> list[CharSpan]:
        """Half-open character spans of the text, in order; empty for a text of whitespace.

        Raises:
            InvalidTextError: a NUL character or a lone surrogate.
            InvalidSettingError: `max_tokens` is too small for the overhead, for a character, or
                for the overlap beside the overhead.
        """
        if not has_text(text):
            return []
        ruler = TokenRuler(text, tokenizer, self.max_tokens)
        if self.overlap_tokens >= ruler.room:
            raise InvalidSettingError(
                f"overlap_tokens={self.overlap_tokens} must be smaller than {ruler.room}, which is "
                f"max_tokens={self.max_tokens} less the {tokenizer.overhead} special and prefix "
                "tokens of this model"
            )
        graphemes, characters = grapheme_levels(text)
        between = common(graphemes(0, len(text)), _between_tokens(ruler))
        return pack(
            ruler,
            (breaks_from(between), graphemes, characters),
            0,
            len(text),
            overlap=self.overlap_tokens,
            overlap_in="tokens",
        )

    def to_dict(self) -> dict[str, Scalar]:
        """The name and both settings."""
        return {
            "chunker": "token",
            "max_tokens": self.max_tokens,
            "overlap_tokens": self.overlap_tokens,
        }


def _between_tokens(ruler: TokenRuler) -> Positions:
    """Starts of those tokens that begin where all tokens before them have ended."""
    return ruler.token_starts[1:][ruler.token_starts[1:] >= ruler.token_ends[:-1]]
