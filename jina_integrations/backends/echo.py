"""A stand-in for a model: deterministic vectors without weights, for tests and dry runs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from ..embedding.call import Call
from ..errors import TextTooLongError
from ..models import MODEL_CARDS, ModelCard
from ..tokenizers.words import WordTokenizer
from ..types import CharSpan, FloatArray, Task
from .base import Backend

if TYPE_CHECKING:
    from ..images import Image

__all__ = ["EchoBackend"]

_CARD: Final = MODEL_CARDS["echo"]
_IMAGE_TOKENS: Final = 64


class EchoBackend(Backend):
    """The vector of a text is drawn from a generator seeded with its SHA-256.

    Equal texts have equal vectors, and unequal ones are next to orthogonal. A late-chunking vector
    is that of its span, moved a little towards that of the document.
    """

    kind = "local"

    @property
    def card(self) -> ModelCard:
        """The row ``echo``."""
        return _CARD

    @property
    def identity(self) -> str:
        """There are no weights."""
        return "echo"

    @property
    def tokenizer(self) -> WordTokenizer:
        """Counts words."""
        return WordTokenizer()

    async def embed(self, texts: Sequence[str], task: Task, call: Call) -> FloatArray:
        """One vector for each text, see `Backend.embed`."""
        call.spend(requests=1)
        counts = [self._count(text, index, call) for index, text in enumerate(texts)]
        vectors = np.stack([_vector(text.encode()) for text in texts])
        call.advance(sum(counts))
        return vectors

    async def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[CharSpan]], call: Call
    ) -> list[FloatArray]:
        """Late chunking, see `Backend.embed_spans`."""
        call.spend(requests=1)
        vectors = [
            np.array(
                [
                    _vector(text[start:end].encode()) + 0.1 * _vector(text.encode())
                    for start, end in span_list
                ],
                np.float32,
            ).reshape(-1, _CARD.dimensions)
            for text, span_list in zip(texts, spans, strict=True)
        ]
        call.advance(sum(map(self.tokenizer.count, texts)))
        return vectors

    async def embed_images(self, images: Sequence[Image], call: Call) -> FloatArray:
        """One vector for each picture's bytes, or URL."""
        call.spend(requests=1)
        vectors = [_vector(image.data or (image.url or "").encode()) for image in images]
        call.advance(_IMAGE_TOKENS * len(images))
        return np.stack(vectors)

    def _count(self, text: str, index: int, call: Call) -> int:
        tokens = self.tokenizer.count(text)
        limit = _CARD.max_tokens
        if tokens > limit and not self.settings.truncate:
            call.fail(
                index,
                TextTooLongError(
                    f"has {tokens} tokens; echo takes {limit}: truncate=True cuts it, or chunk it",
                    argument="texts",
                    tokens=tokens,
                    limit=limit,
                ),
            )
        return min(tokens, limit)


def _vector(content: bytes) -> FloatArray:
    seed = int.from_bytes(hashlib.sha256(content).digest()[:8])
    return np.random.default_rng(seed).standard_normal(_CARD.dimensions, np.float32)
