"""How many tokens a text has: counted with the model's tokenizer, or estimated without it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...cards import MODEL_CARDS
from ...errors import MissingExtraError, ModelLoadError, ModelNotFoundError
from ...tokenizer import Tokenizer
from ..echo import EchoTokenizer

if TYPE_CHECKING:
    from ..local.tokens import TextTokenizer

__all__ = ["EstimatingTokenizer", "TokenCounter", "TokenizerFamily", "exact_tokenizer"]

TokenizerFamily: TypeAlias = Literal["unigram", "bytes", "wordpiece"]
"""Kinds of tokenizer, which differ most outside of Latin script: XLM-RoBERTa's unigram model of
250,000 pieces, byte-level BPE such as Qwen's, and the WordPiece of an English BERT."""

_FAMILIES: Final[Mapping[str, TokenizerFamily]] = MappingProxyType(
    {
        "minilm": "wordpiece",
        "jina-embeddings-v2-base-en": "wordpiece",
        "jina-embeddings-v3": "unigram",
        "jina-embeddings-v4": "bytes",
        "jina-embeddings-v5-text-small": "bytes",
        "jina-embeddings-v5-text-nano": "bytes",
        "jina-embeddings-v5-omni-small": "bytes",
        "jina-embeddings-v5-omni-nano": "bytes",
        "jina-clip-v1": "wordpiece",
        "jina-clip-v2": "unigram",
        "jina-code-embeddings-0.5b": "bytes",
        "jina-code-embeddings-1.5b": "bytes",
    }
)
_HUB_ID: Final = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_SPECIAL_TOKENS: Final = 2
_UNKNOWN_PREFIX_TOKENS: Final = 10

_LEAST_FACTOR: Final = 0.2
_MOST_FACTOR: Final = 4.0
_MARGIN: Final = 1.03
_PRIOR_TOKENS: Final = 1_000
_REMEMBERED_TOKENS: Final = 200_000

# The patterns were fitted to XLM-RoBERTa's and Qwen's tokenizers and MiniLM's WordPiece, on
# program translations and the first article of human rights in some 130 languages.
_SLAVIC: Final = r"\u0400-\u045f"
_MIDDLE_EAST: Final = r"\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff"
_INDIC_AND_THAI: Final = r"\u0900-\u0d7f\u0e00-\u0e7f"
_OTHER_ALPHABETS: Final = r"\u0370-\u03ff\u0530-\u058f\u0d80-\u0dff\u0e80-\u18ff\u1f00-\u1fff"
_HANGUL: Final = r"\uac00-\ud7a3"
_ASTRAL: Final = r"\U00010000-\U0010ffff"  # emoji, rare ideographs
_VOWEL_SIGNS: Final = r"\u093e-\u094d"

_LINES_AND_INDENTS: Final = r"|[ \t]*[\r\n]\s*|[ \t]{2,}|\t| (?=\d)"
_SPACE_BEFORE_SYMBOL: Final = r"| (?=[^\w\s!-~])"


def _token_pattern(
    latin: int, slavic: int, middle_east: int, others: int, blanks: str
) -> re.Pattern[str]:
    """Each match is one estimated token; the numbers are its characters at most."""
    return re.compile(
        rf"(?<![^\W_])[A-Z]?[a-z]{{1,4}}|[a-z]{{1,{latin}}}|[A-Z]{{1,2}}"
        rf"|[{_SLAVIC}]{{1,{slavic}}}|[{_MIDDLE_EAST}]{{1,{middle_east}}}"
        rf"|[{_INDIC_AND_THAI}{_OTHER_ALPHABETS}]{{1,{others}}}"
        rf"|\S{blanks}"
    )


_PATTERNS: Final[Mapping[TokenizerFamily | None, re.Pattern[str]]] = MappingProxyType(
    {
        "unigram": _token_pattern(3, 2, 2, 2, _SPACE_BEFORE_SYMBOL),
        "bytes": _token_pattern(2, 2, 1, 1, _LINES_AND_INDENTS),
        "wordpiece": _token_pattern(2, 1, 1, 1, ""),
        None: _token_pattern(2, 1, 1, 1, _LINES_AND_INDENTS + _SPACE_BEFORE_SYMBOL),
    }
)
_BYTES_DOUBLE: Final = r"\u0980-\u0d7f" + _OTHER_ALPHABETS + _ASTRAL + _VOWEL_SIGNS
_DOUBLE: Final[Mapping[TokenizerFamily | None, re.Pattern[str]]] = MappingProxyType(
    {
        "unigram": re.compile(f"[{_ASTRAL}]"),
        "bytes": re.compile(f"[{_BYTES_DOUBLE}]"),
        "wordpiece": re.compile(f"[{_HANGUL}]"),
        None: re.compile(f"[{_BYTES_DOUBLE}{_HANGUL}]"),
    }
)
"""Characters of two tokens each."""


_ASCII_CHARACTERS_PER_TOKEN: Final = 2.5
"""English prose has 4 to 5, code 3; tables of numbers and encoded data have 1.5 to 2."""


class EstimatingTokenizer:
    """Estimates the tokens of a text without the model's tokenizer, and errs on the long side.

    Measured on texts in 134 languages: too long by 15 to 30 % in the middle one, too short in one
    of seven (small languages in Latin script most of all), and then by less than a sixth.

    Args:
        family: The kind of tokenizer; None assumes of each script the one that makes most of it.
        prefix: The passage task's prefix, counted in `overhead`; None where it is not known.
    """

    def __init__(self, family: TokenizerFamily | None = None, prefix: str | None = None) -> None:
        self._pattern = _PATTERNS[family]
        self._double = _DOUBLE[family]
        own = _UNKNOWN_PREFIX_TOKENS if prefix is None else self.count(prefix)
        self._overhead = _SPECIAL_TOKENS + own

    @property
    def overhead(self) -> int:
        """Tokens that every passage carries beside its own: start, end, and the prefix."""
        return self._overhead

    def count(self, text: str) -> int:
        """Tokens of the text, `overhead` not included."""
        tokens = len(self._pattern.findall(text))
        return tokens if text.isascii() else tokens + len(self._double.findall(text))

    def offsets(self, text: str) -> NDArray[np.int64]:
        """Character offsets of the estimated tokens, shape (`count`, 2), half-open, in order.

        A character of two tokens is there twice. No token lies across words.
        """
        places = [match.span() for match in self._pattern.finditer(text)]
        if not text.isascii():
            places += (match.span() for match in self._double.finditer(text))
            places.sort()
        return np.array(places, np.int64).reshape(-1, 2)


def exact_tokenizer(name: str, *, prefix: str = "") -> TextTokenizer:
    """The tokenizer of a model, without its weights; neither torch nor transformers is loaded.

    Args:
        name: A ``tokenizer.json``, a folder with one, or a hub id, which is downloaded.
        prefix: The passage task's prefix, counted in `Tokenizer.overhead` as special tokens are.

    Raises:
        MissingExtraError: `tokenizers` or `huggingface_hub` is not installed.
        ModelNotFoundError: no such file, folder or hub id, or the hub cannot be reached.
        ModelLoadError: the file is no tokenizer.
    """
    try:
        from tokenizers import Tokenizer as HuggingFaceTokenizer

        from ..local.tokens import TextTokenizer
    except ModuleNotFoundError as exc:
        raise MissingExtraError("counting with a model's tokenizer", "local") from exc
    path = _tokenizer_file(name)
    try:
        tokenizer = HuggingFaceTokenizer.from_file(str(path))
    except Exception as exc:  # the library raises nothing more special
        raise ModelLoadError(f"{path} cannot be read as a tokenizer: {exc}") from exc
    return TextTokenizer(tokenizer, prefix)


def _tokenizer_file(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        path /= "tokenizer.json"
    if path.is_file():
        return path
    if path.name == "tokenizer.json" or not _HUB_ID.fullmatch(name):
        raise ModelNotFoundError(
            f"there is no {path}: name a tokenizer.json, a folder that has one, or a hub id such "
            "as 'jinaai/jina-embeddings-v3'"
        )
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    except ModuleNotFoundError as exc:
        raise MissingExtraError("a tokenizer from the hub", "local") from exc
    try:
        return Path(hf_hub_download(name, "tokenizer.json"))
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError, ValueError) as exc:
        raise ModelNotFoundError(
            f"the hub has no tokenizer.json of {name!r}, or cannot be reached "
            f"({type(exc).__name__}): check the name and the network, or pass a file"
        ) from exc


class TokenCounter:
    """Expected cost of texts, special tokens and prefix included, which learns from real costs.

    For one thread only.

    Args:
        tokenizer: The model's, or an estimate.
        exact: Whether it is the model's; there is nothing to learn then.
    """

    def __init__(self, tokenizer: Tokenizer, *, exact: bool) -> None:
        self.tokenizer = tokenizer
        self._exact = exact
        self._estimated = self._actual = float(_PRIOR_TOKENS)

    @classmethod
    def for_model(cls, model: str, tokenizer: str | None) -> Self:
        """A counter for a model of the service.

        Args:
            model: Its name; nothing needs to be known of it.
            tokenizer: Where its tokenizer is, see `exact_tokenizer`; None estimates.
        """
        if model == "echo":
            return cls(EchoTokenizer(), exact=True)
        card = MODEL_CARDS.get(model)
        prefix = None if card is None else card.scheme("passage").prefix
        if tokenizer is not None:
            return cls(exact_tokenizer(tokenizer, prefix=prefix or ""), exact=True)
        return cls(EstimatingTokenizer(_FAMILIES.get(model), prefix), exact=False)

    @property
    def factor(self) -> float:
        """What estimates are multiplied by: 1 at first and where counts are exact; 0.2 to 4."""
        return min(max(self._actual / self._estimated, _LEAST_FACTOR), _MOST_FACTOR)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as an input of its own, at least 1; `factor` is not in them."""
        overhead = self.tokenizer.overhead
        count = self.tokenizer.count if self._exact else self._estimate
        return [max(1, math.ceil(count(text)) + overhead) for text in texts]

    def _estimate(self, text: str) -> float:
        # Most texts are ASCII, of which the length tells enough: what is learned does the rest.
        if text.isascii():
            return len(text) / _ASCII_CHARACTERS_PER_TOKEN
        return self.tokenizer.count(text)

    def learn(self, estimated: int, actual: int) -> None:
        """Take in what a request has really cost.

        Args:
            estimated: Sum of what `count` gave for its texts.
            actual: Tokens that the service counted.
        """
        if self._exact or estimated <= 0 or actual <= 0:
            return
        self._estimated += estimated
        self._actual += _MARGIN * actual
        excess = self._estimated / _REMEMBERED_TOKENS
        if excess > 1.0:
            self._estimated /= excess
            self._actual /= excess
