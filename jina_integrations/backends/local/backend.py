"""The local backend: a transformers model on this machine's own device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...embedding.call import Call
from ...errors import InvalidSpanError, TextTooLongError
from ...models import ModelCard
from ...tokenizers.exact import IntArray, TextTokenizer
from ...types import CharSpan, FloatArray, Task
from ..base import Backend
from ..windows import window_and_overlap
from .batches import pool
from .late_chunking import TokenSequence, pool_plan, token_rows
from .model import LocalModel, shared_model, unload_model

__all__ = ["LocalBackend"]

_SLAB_CHARACTERS = 2_000_000
"""Texts are tokenised and encoded in slabs of about this size, which bounds memory."""


class LocalBackend(Backend):
    """Runs a model's weights through transformers and torch."""

    kind = "local"

    @property
    def _model(self) -> LocalModel:
        return shared_model(self.settings)

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

    def unload(self) -> None:
        """Forget the weights and the tokenizer, which all embedders of this model share."""
        unload_model(self.settings)

    async def embed(self, texts: Sequence[str], task: Task, call: Call) -> FloatArray:
        """One vector for each text, see `Backend.embed`."""
        model = self._model
        scheme = model.card.scheme(task)
        call.spend(requests=1)
        slabs: list[FloatArray] = []
        for start, end in _slabs(texts):
            streams = model.tokenizer.encode(texts[start:end], scheme.prefix)
            sequences: list[TokenSequence] = []
            for number, ids in enumerate(streams):
                try:
                    sequences += self._whole(ids, number, model)
                except TextTooLongError as exc:
                    call.fail(start + number, exc)
            slabs.append(self._pool(sequences, end - start, scheme.adapter, model, call))
        return np.concatenate(slabs)

    async def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[CharSpan]], call: Call
    ) -> list[FloatArray]:
        """Late chunking, see `Backend.embed_spans`."""
        model = self._model
        scheme = model.card.scheme("passage")
        window, overlap = window_and_overlap(model.card, self.settings)
        call.spend(requests=1)
        vectors: list[FloatArray] = []
        for start, end in _slabs(texts):
            streams = model.tokenizer.encode_with_offsets(texts[start:end], scheme.prefix)
            sequences: list[TokenSequence] = []
            ends: list[int] = []
            for index, stream in zip(range(start, end), streams, strict=True):
                first = ends[-1] if ends else 0
                ends.append(first + len(spans[index]))
                if not spans[index]:
                    continue
                try:
                    rows = token_rows(stream, texts[index], spans[index], index=index)
                except InvalidSpanError as exc:
                    call.fail(index, exc)
                else:
                    sequences += pool_plan(
                        stream.ids, rows, first_vector=first, window=window, overlap=overlap
                    )
            pooled = self._pool(sequences, ends[-1], scheme.adapter, model, call)
            vectors += np.split(pooled, ends[:-1])
        return vectors

    def _pool(
        self,
        sequences: Sequence[TokenSequence],
        vectors: int,
        adapter: str | None,
        model: LocalModel,
        call: Call,
    ) -> FloatArray:
        loaded = model.encoder(self.settings)
        return pool(
            loaded.encoder,
            sequences,
            vectors,
            call,
            thread=loaded.thread,
            batch_tokens=self.settings.batch_tokens,
            adapter=adapter,
        )

    def _whole(self, ids: IntArray, vector: int, model: LocalModel) -> list[TokenSequence]:
        """How a whole text becomes one vector."""
        card, limit = model.card, model.card.max_tokens
        window, overlap = limit, 0
        if len(ids) > limit:
            if self.settings.truncate:
                closing = model.tokenizer.end_tokens
                ids = np.concatenate([ids[: limit - closing], ids[len(ids) - closing :]])
            elif self.settings.long == "windows" and card.pooling == "mean":
                window, overlap = window_and_overlap(card, self.settings)
            else:
                raise _too_long(len(ids), card)
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


def _too_long(tokens: int, card: ModelCard) -> TextTooLongError:
    if card.pooling == "mean":
        ways = "truncate=True cuts it, long='windows' embeds all of it in windows, or chunk it"
    else:
        ways = (
            f"truncate=True cuts it, or chunk it (windows need a mean-pooled model, and {card.id} "
            f"pools the {card.pooling} token)"
        )
    return TextTooLongError(
        f"has {tokens} tokens; {card.id} takes {card.max_tokens}: {ways}",
        argument="texts",
        tokens=tokens,
        limit=card.max_tokens,
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
