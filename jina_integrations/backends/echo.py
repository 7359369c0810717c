"""A stand-in for a model: deterministic vectors without weights, for tests and dry runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..calls import Call
from ..cards import MODEL_CARDS, ModelCard
from ..errors import TextTooLongError
from ..images import Image
from ..settings import EmbedderSettings
from ..types import CharSpan, FloatArray, Task
from ..usage import Usage
from .base import Backend

__all__ = ["EchoBackend", "EchoTokenizer"]

_CARD: Final = MODEL_CARDS["echo"]
_WORD: Final = re.compile(r"\S+")
_IMAGE_TOKENS: Final = 64


class EchoTokenizer:
    """One token for each run of characters that are no whitespace."""

    overhead = 0

    def count(self, text: str) -> int:
        """Words of the text."""
        return len(text.split())

    def offsets(self, text: str) -> NDArray[np.int64]:
        """Where the words are, shape (words, 2)."""
        spans = [match.span() for match in _WORD.finditer(text)]
        return np.array(spans, np.int64).reshape(-1, 2)


class EchoBackend(Backend):
    """The vector of a text is drawn from a generator seeded with its SHA-256.

    Equal texts have equal vectors, and unequal ones are next to orthogonal. A late-chunking vector
    is that of its span, moved a little towards that of the document.
    """

    kind = "local"

    def __init__(self, settings: EmbedderSettings) -> None:
        self._truncate = settings.truncate

    @property
    def card(self) -> ModelCard:
        """The row ``echo``."""
        return _CARD

    @property
    def identity(self) -> str:
        """There are no weights."""
        return "echo"

    @property
    def tokenizer(self) -> EchoTokenizer:
        """Counts words."""
        return EchoTokenizer()

    async def embed(self, texts: Sequence[str], task: Task, call: Call) -> FloatArray:
        """One vector for each text, see `Backend.embed`."""
        counts = [self._count(text, call.position(index), call) for index, text in enumerate(texts)]
        call.spend(Usage(tokens=sum(counts), requests=1))
        return np.stack([_vector(text.encode()) for text in texts])

    async def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[CharSpan]], call: Call
    ) -> list[FloatArray]:
        """Late chunking, see `Backend.embed_spans`."""
        call.spend(Usage(tokens=sum(map(self.tokenizer.count, texts)), requests=1))
        return [
            np.array(
                [
                    _vector(text[start:end].encode()) + 0.1 * _vector(text.encode())
                    for start, end in own
                ],
                np.float32,
            ).reshape(-1, _CARD.dimensions)
            for text, own in zip(texts, spans, strict=True)
        ]

    async def embed_images(self, images: Sequence[Image], call: Call) -> FloatArray:
        """One vector for each picture's bytes, or URL."""
        call.spend(Usage(tokens=_IMAGE_TOKENS * len(images), requests=1))
        return np.stack([_vector(image.data or (image.url or "").encode()) for image in images])

    def _count(self, text: str, position: int, call: Call) -> int:
        tokens = self.tokenizer.count(text)
        limit = _CARD.max_tokens
        if tokens > limit and not self._truncate:
            call.fail(
                position,
                TextTooLongError(
                    f"texts[{position}] has {tokens} tokens; echo takes {limit}: "
                    "truncate=True cuts it, or chunk it",
                    tokens=tokens,
                    limit=limit,
                    index=position,
                ),
            )
        return min(tokens, limit)


def _vector(content: bytes) -> FloatArray:
    seed = int.from_bytes(hashlib.sha256(content).digest()[:8])
    return np.random.default_rng(seed).standard_normal(_CARD.dimensions, np.float32)
