"""The local backend: a model whose weights run on this machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...embedding.call import Call
from ...embedding.info import EmbedderInfo
from ...errors import InvalidInputError, InvalidSpanError, InvalidTextError, TextTooLongError
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
    """Runs a model's weights here, on one of the `engines`."""

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

    async def info(self) -> EmbedderInfo:
        """The engine that runs the model, see `Backend.info`."""
        model = self._model
        choice = model.choose(self.settings)
        return EmbedderInfo(
            model.card.id,
            self.kind,
            choice.reason,
            engine=choice.engine,
            device=choice.device,
            precision=choice.precision,
            threads=choice.threads,
        )

    def unload(self) -> None:
        """Forget the weights and the tokenizer, which all embedders of this model share."""
        unload_model(self.settings)

    def worker_device(self, number: int) -> str:
        """One CUDA device after the other, where the settings leave open which."""
        device = self.settings.device
        chosen = self._model.choose(self.settings).device
        if device not in ("auto", "cuda") or not chosen.startswith("cuda"):
            return device
        from .engines.torch_device import cuda_device

        return cuda_device(number)

    async def embed(self, texts: Sequence[str], task: Task, call: Call) -> FloatArray:
        """One vector for each text, see `Backend.embed`; equal texts are encoded once."""
        model = self._model
        scheme = model.card.scheme(task)
        call.spend(requests=1)
        numbers: dict[str, int] = {}
        rows = np.array([numbers.setdefault(text, len(numbers)) for text in texts])
        distinct = list(numbers)
        slabs: list[FloatArray] = []
        for start, end in _slabs(distinct):
            sequences: list[TokenSequence] = []
            refused: dict[int, int] = {}
            streams = model.tokenizer.encode(distinct[start:end], scheme.prefix)
            for number, ids in enumerate(streams):
                if self._takes(len(ids), model.card):
                    sequences += self._whole(ids, number, model)
                else:
                    refused[start + number] = len(ids)
            for index in np.flatnonzero(np.isin(rows, list(refused))).tolist():
                call.fail(index, _refusal(refused[int(rows[index])], model.card))
            slabs.append(self._pool(sequences, end - start, scheme.adapter, model, call))
        vectors = np.concatenate(slabs)
        return vectors if len(vectors) == len(texts) else vectors[rows]

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
            turns=loaded.turns,
            batch_tokens=self.settings.batch_tokens,
            adapter=adapter,
        )

    def _takes(self, tokens: int, card: ModelCard) -> bool:
        """Whether a whole text of so many tokens gets a vector."""
        in_windows = self.settings.long == "windows" and card.pooling == "mean"
        long = tokens > card.max_tokens
        return tokens > 0 and (not long or self.settings.truncate or in_windows)

    def _whole(self, ids: IntArray, vector: int, model: LocalModel) -> list[TokenSequence]:
        """How a whole text that the model takes becomes one vector."""
        card, limit = model.card, model.card.max_tokens
        window, overlap = limit, 0
        if len(ids) > limit:
            if self.settings.truncate:
                closing = model.tokenizer.end_tokens
                ids = np.concatenate([ids[: limit - closing], ids[len(ids) - closing :]])
            else:
                window, overlap = window_and_overlap(card, self.settings)
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


def _refusal(tokens: int, card: ModelCard) -> InvalidInputError:
    """Why a text of so many tokens gets no vector."""
    if not tokens:  # only of a model without special tokens
        return InvalidTextError(
            "has no token: the model's tokenizer drops all of it. Leave it out of the call",
            argument="texts",
        )
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
