"""What the chunkers with a token limit share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import ClassVar, Final

from ..errors import InvalidSettingError
from ..tokenizers.base import Tokenizer
from ..types import CharSpan, Scalar
from .base import Chunker
from .breaks import icu_version
from .ruler import TokenRuler, has_text

__all__ = ["LimitedChunker"]

_MAX_INT: Final = 2**31 - 1
"""Far beyond any context; sums of two such numbers fit the 64 bits of NumPy's integers."""


@dataclass(frozen=True)
class LimitedChunker(Chunker):
    """A chunker whose fields are its settings, all of them ints, `max_tokens` first.

    `to_dict`, `parse_chunker` and `chunker_from_dict` derive from the fields. Every further field
    is an overlap.

    Args:
        max_tokens: Longest chunk as the model sees it as a passage, in its own tokens: special
            tokens and the task's prefix (`Tokenizer.overhead`) included, so that chunks of 256 fit
            a context of 256. Each chunk's text is counted, none is longer.

    Raises:
        InvalidSettingError: a value of the wrong type or range.
    """

    name: ClassVar[str]
    """As on the command line and in `to_dict`."""

    version: ClassVar[int]
    """Of the algorithm; raise it when it cuts elsewhere."""

    max_tokens: int = 256

    def __post_init__(self) -> None:
        for setting, value in asdict(self).items():
            if setting == "max_tokens":
                _check_int(setting, value, minimum=1)
            else:
                _check_int(setting, value, minimum=0)
                if value >= self.max_tokens:
                    raise InvalidSettingError(
                        f"{setting}={value} must be smaller than max_tokens={self.max_tokens}"
                    )

    def spans(self, text: str, tokenizer: Tokenizer) -> list[CharSpan]:
        """Half-open character spans of the text, in order; empty for a text of whitespace.

        Raises:
            InvalidInputError: an argument of the wrong type.
            InvalidTextError: a NUL character or a lone surrogate.
            InvalidSettingError: `max_tokens` is too small for the overhead, for a character, or
                for the overlap beside the overhead.
            MissingExtraError: a library of the extra ``chunkers`` is needed and not installed.
        """
        if not has_text(text):
            return []
        return self._cut(TokenRuler(text, tokenizer, self.max_tokens))

    @abstractmethod
    def _cut(self, ruler: TokenRuler) -> list[CharSpan]:
        """The spans of a text that is not blank."""

    def to_dict(self) -> dict[str, Scalar]:
        """The name and all settings."""
        return {"chunker": self.name, **asdict(self)}

    @property
    def algorithm(self) -> dict[str, Scalar]:
        """The algorithm's number, and the version of ICU, which knows sentences and words.

        Raises:
            MissingExtraError: the extra ``chunkers`` is not installed.
        """
        return {"version": self.version, "icu": icu_version()}


def _check_int(setting: str, value: object, *, minimum: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidSettingError(f"{setting} must be an int, not {value!r:.80}")
    if not minimum <= value <= _MAX_INT:
        # Python refuses to print very long integers.
        shown = value if value.bit_length() < 64 else f"an integer of {value.bit_length()} bits"
        raise InvalidSettingError(f"{setting}={shown}: must be from {minimum} to {_MAX_INT}")
