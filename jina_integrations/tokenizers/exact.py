"""A model's tokenizer, bare: no truncation, no padding, special tokens put on by hand.

Texts are tokenised once. The token stream of a text is its start tokens, the tokens of prefix and
text together, and its end tokens; windows and pooling work on that stream.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError, ModelLoadError, ModelNotFoundError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer

__all__ = ["IntArray", "TextTokenizer", "TokenStream", "exact_tokenizer", "read_tokenizer"]

IntArray = NDArray[np.int64]

_TEXTS_AT_A_TIME: Final = 64
"""Enough for all cores. The library's result holds ten times the memory of the ids alone."""

_HUB_ID: Final = re.compile(r"[\w-][\w.-]*/[\w.-]+")


@dataclass(frozen=True, slots=True, eq=False)
class TokenStream:
    """A tokenised document with the place of each token.

    Attributes:
        ids: Token ids, shape (tokens,): start tokens, prefix, text, end tokens.
        first: Position of the text's first token in the stream.
        starts: First character of each of the text's own tokens, shape (text tokens,).
        ends: One past the last character, shape (text tokens,).
    """

    ids: IntArray
    first: int
    starts: IntArray
    ends: IntArray


class TextTokenizer:
    """Counts, places and encodes with a `tokenizers` tokenizer.

    Args:
        tokenizer: The model's; it is copied, so that nobody's truncation or padding matters.
        passage_prefix: Prefix of the passage task, counted in `overhead`.
    """

    def __init__(self, tokenizer: HuggingFaceTokenizer, passage_prefix: str) -> None:
        self._tokenizer = type(tokenizer).from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._identity = hashlib.sha256(self._tokenizer.to_str().encode()).hexdigest()
        probe = self._tokenizer.encode("a")
        special = np.array(probe.special_tokens_mask, bool)
        plain = np.flatnonzero(~special)
        first, last = (int(plain[0]), int(plain[-1])) if plain.size else (len(special), -1)
        self._head = np.array(probe.ids[:first], np.int64)
        self._tail = np.array(probe.ids[last + 1 :], np.int64)
        self._overhead = len(self._head) + len(self._tail)
        if passage_prefix:
            self._overhead += self.count(passage_prefix)

    @property
    def identity(self) -> str:
        """Hex SHA-256 of the tokenizer's JSON."""
        return self._identity

    @property
    def overhead(self) -> int:
        """Tokens that every passage has beside those of its text: start, end, and the prefix."""
        return self._overhead

    @property
    def end_tokens(self) -> int:
        """Tokens that close every sequence."""
        return len(self._tail)

    def count(self, text: str) -> int:
        """Tokens of the text, `overhead` not included."""
        (encoding,) = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return len(encoding)

    def offsets(self, text: str) -> NDArray[np.int64]:
        """Character offsets of the text's tokens, shape (tokens, 2), half-open, in order."""
        return _offsets(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def encode(self, texts: Sequence[str], prefix: str) -> list[IntArray]:
        """The token stream of each text, without offsets."""
        streams: list[IntArray] = []
        for first in range(0, len(texts), _TEXTS_AT_A_TIME):
            encodings = self._tokenizer.encode_batch_fast(
                [prefix + text for text in texts[first : first + _TEXTS_AT_A_TIME]],
                add_special_tokens=False,
            )
            streams += (self._stream(encoding.ids) for encoding in encodings)
        return streams

    def encode_with_offsets(self, texts: Sequence[str], prefix: str) -> list[TokenStream]:
        """The token stream of each text, with the offsets of its own tokens."""
        encodings = self._tokenizer.encode_batch(
            [prefix + text for text in texts], add_special_tokens=False
        )
        streams: list[TokenStream] = []
        for encoding in encodings:
            offsets = _offsets(encoding.offsets) - len(prefix)
            before = int(np.searchsorted(offsets[:, 1], 0, side="right")) if prefix else 0
            of_text = np.maximum(offsets[before:], 0)
            first = len(self._head) + before
            streams.append(
                TokenStream(self._stream(encoding.ids), first, of_text[:, 0], of_text[:, 1])
            )
        return streams

    def _stream(self, ids: Sequence[int]) -> IntArray:
        return np.concatenate([self._head, np.array(ids, np.int64), self._tail])


def _offsets(pairs: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    # Made monotonic, because a token that stands for no character may be placed anywhere.
    return np.maximum.accumulate(np.array(pairs, np.int64).reshape(-1, 2), axis=0)


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
    _library()  # before anything is downloaded for it
    return TextTokenizer(read_tokenizer(_tokenizer_file(name)), prefix)


def read_tokenizer(path: Path) -> HuggingFaceTokenizer:
    """The tokenizer of a ``tokenizer.json``.

    Raises:
        MissingExtraError: `tokenizers` is not installed.
        ModelLoadError: the file is no tokenizer.
    """
    library = _library()
    try:
        return library.from_file(str(path))
    except Exception as exc:  # the library raises nothing more special
        raise ModelLoadError(f"{path} cannot be read as a tokenizer: {exc}") from exc


def _library() -> type[HuggingFaceTokenizer]:
    try:
        from tokenizers import Tokenizer as HuggingFaceTokenizer
    except ModuleNotFoundError as exc:
        raise MissingExtraError("counting with a model's tokenizer", "onnx") from exc
    return HuggingFaceTokenizer


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
        raise MissingExtraError("a tokenizer from the hub", "onnx") from exc
    try:
        return Path(hf_hub_download(name, "tokenizer.json"))
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError, ValueError) as exc:
        raise ModelNotFoundError(
            f"the hub has no tokenizer.json of {name!r}, or cannot be reached "
            f"({type(exc).__name__}): check the name and the network, or pass a file"
        ) from exc
