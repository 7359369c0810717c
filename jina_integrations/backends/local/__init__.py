"""The local backend: a transformers model on this machine's own device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...calls import Call
from ...cards import ModelCard
from ...errors import InvalidSpanError, TextTooLongError
from ...settings import EmbedderSettings
from ...types import CharSpan, FloatArray, Task
from ...usage import Usage
from ...windows import window_and_overlap
from ..base import Backend
from .model import LocalModel, shared_model
from .plan import IntArray, TokenSequence, pool_plan

if TYPE_CHECKING:
    from .tokens import TextTokenizer

__all__ = ["LocalBackend"]

_SLAB_CHARACTERS = 2_000_000
"""Texts are tokenised and encoded in slabs of about this size, which bounds memory."""


class LocalBackend(Backend):
    """Runs a model's weights through transformers and torch."""

    kind = "local"

    def __init__(self, settings: EmbedderSettings) -> None:
        self._settings = settings
        self._model: LocalModel = shared_model(settings)

    @property
    def card(self) -> ModelCard:
        """The model's row, or what its folder says."""
        return self._model.card

    @property
    def identity(self) -> str:
        """Hash of the files that decide a vector."""
        return self._model.identity

    @property
    def tokenizer(self) -> TextTokenizer:
        """The model's own."""
        return self._model.tokenizer

    async def embed(self, texts: Sequence[str], task: Task, call: Call) -> FloatArray:
        """One vector for each text, see `Backend.embed`."""
        scheme = self.card.scheme(task)
        slabs: list[FloatArray] = []
        tokens = 0
        for start, end in _slabs(texts):
            streams = self.tokenizer.encode(texts[start:end], scheme.prefix)
            sequences: list[TokenSequence] = []
            for at, ids in enumerate(streams):
                position = call.position(start + at)
                try:
                    sequences += self._sequences(ids, at, position=position)
                except TextTooLongError as exc:
                    call.fail(position, exc)
            slabs.append(self._pool(sequences, end - start, scheme.adapter))
            tokens += _count(sequences)
        call.spend(Usage(tokens=tokens, requests=1))
        return np.concatenate(slabs)

    async def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[CharSpan]], call: Call
    ) -> list[FloatArray]:
        """Late chunking, see `Backend.embed_spans`."""
        scheme = self.card.scheme("passage")
        window, overlap = window_and_overlap(self.card, self._settings)
        vectors: list[FloatArray] = []
        tokens = 0
        for start, end in _slabs(texts):
            streams = self.tokenizer.encode_with_offsets(texts[start:end], scheme.prefix)
            sequences: list[TokenSequence] = []
            ends: list[int] = []
            for index, stream in zip(range(start, end), streams, strict=True):
                first = ends[-1] if ends else 0
                ends.append(first + len(spans[index]))
                if not spans[index]:
                    continue
                position = call.position(index)
                try:
                    rows = stream.rows(texts[index], spans[index], index=position)
                except InvalidSpanError as exc:
                    call.fail(position, exc)
                else:
                    sequences += pool_plan(
                        stream.ids, rows, first_vector=first, window=window, overlap=overlap
                    )
            pooled = self._pool(sequences, ends[-1], scheme.adapter)
            vectors += np.split(pooled, ends[:-1])
            tokens += _count(sequences)
        call.spend(Usage(tokens=tokens, requests=1))
        return vectors

    def _pool(
        self, sequences: Sequence[TokenSequence], vectors: int, adapter: str | None
    ) -> FloatArray:
        return self._model.encoder.pool(
            sequences, vectors, batch_tokens=self._settings.batch_tokens, adapter=adapter
        )

    def _sequences(self, ids: IntArray, vector: int, *, position: int) -> list[TokenSequence]:
        """How a whole text becomes one vector."""
        card, limit = self.card, self.card.max_tokens
        window, overlap = limit, 0
        if len(ids) > limit:
            if self._settings.truncate:
                closing = self.tokenizer.end_tokens
                ids = np.concatenate([ids[: limit - closing], ids[len(ids) - closing :]])
            elif self._settings.long == "windows" and card.pooling == "mean":
                window, overlap = window_and_overlap(self.card, self._settings)
            else:
                raise self._too_long(len(ids), position)
        rows = {
            "mean": slice(None),
            "cls": slice(0, 1),
            "last": slice(-1, None),
        }[card.pooling]
        return pool_plan(
            ids,
            [np.arange(len(ids))[rows]],
            first_vector=vector,
            window=window,
            overlap=overlap,
        )

    def _too_long(self, tokens: int, position: int) -> TextTooLongError:
        limit = self.card.max_tokens
        if self.card.pooling == "mean":
            ways = "truncate=True cuts it, long='windows' embeds all of it in windows, or chunk it"
        else:
            ways = (
                f"truncate=True cuts it, or chunk it (windows need a mean-pooled model, and "
                f"{self.card.id} pools the {self.card.pooling} token)"
            )
        return TextTooLongError(
            f"texts[{position}] has {tokens} tokens; {self.card.id} takes {limit}: {ways}",
            tokens=tokens,
            limit=limit,
            index=position,
        )


def _slabs(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Half-open ranges of texts of about `_SLAB_CHARACTERS` together, at least one text each."""
    slabs: list[tuple[int, int]] = []
    start = characters = 0
    for index, text in enumerate(texts):
        if index > start and characters + len(text) > _SLAB_CHARACTERS:
            slabs.append((start, index))
            start, characters = index, 0
        characters += len(text)
    slabs.append((start, len(texts)))
    return slabs


def _count(sequences: Sequence[TokenSequence]) -> int:
    return sum(len(sequence.ids) for sequence in sequences)
