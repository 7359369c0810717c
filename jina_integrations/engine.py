"""What an embedder does, written once: checks, the backend's work, and the last steps."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .backends import Backend, make_backend
from .calls import Call
from .cards import ModelCard
from .errors import (
    ApiError,
    EmbeddingError,
    InvalidInputError,
    InvalidSettingError,
    JinaIntegrationsError,
    LateChunkingUnsupportedError,
    TextTooLongError,
)
from .identity import fingerprint
from .images import Image, check_image_list, read_image
from .settings import EmbedderSettings
from .spans import check_span_lists, check_spans
from .texts import check_text, check_text_list
from .types import CharSpan, FloatArray, Task
from .vectors import mix, pack_bits, to_signed, unit, unusable

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["Engine"]


class Engine:
    """One embedder's settings, its backend, and its calls as coroutines for the backend to run."""

    def __init__(self, settings: EmbedderSettings, key: SecretStr | None) -> None:
        self.settings = settings
        self.key = key
        self._card: ModelCard | None = None

    @cached_property
    def backend(self) -> Backend:
        """The backend that the settings ask for; nothing is loaded yet."""
        return make_backend(self.settings, self.key)

    async def prepare(self, call: Call) -> ModelCard:
        """The card of the model, checked against the settings.

        Raises:
            InvalidSettingError: the model has no such dimensions.
            LateChunkingUnsupportedError: it is switched on, and the model cannot do it.
        """
        if self._card is None:
            await self.backend.prepare(call)
            card = self.backend.card
            if self.settings.dimensions is not None:
                card.check_dimensions(self.settings.dimensions)
            if self.settings.late_chunking and card.late_chunking is None:
                raise self._late_chunking_unsupported(card)
            self._card = card
        return self._card

    @property
    def ready(self) -> bool:
        """Whether `prepare` has run."""
        return self._card is not None

    @property
    def card(self) -> ModelCard:
        """The card, once `prepare` has run."""
        if self._card is None:
            raise RuntimeError("prepare() comes first")
        return self._card

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self.settings.dimensions or self.card.dimensions

    @property
    def normalized(self) -> bool:
        """Whether vectors have L2 norm 1."""
        chosen = self.settings.normalize
        return self.card.normalize if chosen is None else chosen

    @property
    def late_chunking(self) -> bool:
        """Whether `ingest` encodes whole documents."""
        chosen, defaults = self.settings.late_chunking, self.card.late_chunking
        return (defaults is not None and defaults.enabled) if chosen is None else chosen

    @property
    def context_weight(self) -> float:
        """Share of the late-chunking vector, 0 to 1."""
        chosen, defaults = self.settings.context_weight, self.card.late_chunking
        return (defaults.context_weight if defaults else 1.0) if chosen is None else float(chosen)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that changes a vector."""
        settings, card = self.settings, self.card
        late = card.late_chunking
        return fingerprint(
            {
                "weights": self.backend.identity,
                "tasks": {task: [s.prefix, s.adapter] for task, s in sorted(card.tasks.items())},
                "pooling": card.pooling,
                "dimensions": self.dimensions,
                "normalized": self.normalized,
                "precision": "full" if settings.dtype in ("auto", "float32") else "half",
                "long": "truncate" if settings.truncate else settings.long,
                "late_chunking": self.late_chunking,
                "context_weight": self.context_weight,
                "window_tokens": settings.window_tokens or card.context_tokens,
                "overlap_tokens": late.overlap_tokens
                if settings.overlap_tokens is None and late
                else settings.overlap_tokens,
            }
        )

    async def embed(self, texts: object, task: Task, call: Call) -> FloatArray:
        """Vectors of the texts that do not fail, in order: shape (…, dimensions)."""
        checked = await self._checked_texts(texts, task, call)
        if not checked:
            return np.empty((0, self.dimensions), np.float32)
        return self._finish(await self.backend.embed(checked, task, call), call)

    async def embed_bits(
        self, texts: object, task: Task, embedding_type: str, call: Call
    ) -> NDArray[np.uint8] | NDArray[np.int8]:
        """The signs of the vectors, packed: shape (…, dimensions / 8), uint8, or int8 if binary."""
        if embedding_type not in ("binary", "ubinary"):
            raise InvalidSettingError(
                f"embedding_type must be 'ubinary' or 'binary', not {embedding_type!r}"
            )
        packed = await self._embed_bits(texts, task, call)
        return to_signed(packed) if embedding_type == "binary" else packed

    async def _embed_bits(self, texts: object, task: Task, call: Call) -> NDArray[np.uint8]:
        checked = await self._checked_texts(texts, task, call)
        if self.dimensions % 8:
            raise InvalidSettingError(
                f"dimensions is {self.dimensions}: binary vectors need a multiple of 8"
            )
        if not checked:
            return np.empty((0, self.dimensions // 8), np.uint8)
        packed = await self.backend.embed_bits(checked, task, call)
        if packed is None:
            return pack_bits(self._finish(await self.backend.embed(checked, task, call), call))
        return packed[self._succeeded(len(packed), call)]

    async def embed_images(self, images: object, call: Call) -> FloatArray:
        """Vectors of the pictures that do not fail, in order: shape (…, dimensions)."""
        await self.prepare(call)
        readable: list[Image] = []
        positions: list[int] = []
        for index, source in enumerate(check_image_list(images)):
            try:
                readable.append(read_image(source, index=index))
                positions.append(index)
            except InvalidInputError as exc:
                call.fail(index, exc)
        if not readable:
            return np.empty((0, self.dimensions), np.float32)
        call.restrict(positions)
        return self._finish(await self.backend.embed_images(readable, call), call)

    async def embed_chunks(self, texts: object, spans: object, call: Call) -> list[FloatArray]:
        """Late-chunking vectors of the documents that do not fail, in order; one text is a list."""
        if isinstance(texts, str):
            texts, spans = [texts], [spans]
        documents = check_text_list(texts)
        lists = check_span_lists(spans, len(documents))
        checked: list[str] = []
        checked_spans: list[list[CharSpan]] = []
        positions: list[int] = []
        for index, (text, own) in enumerate(zip(documents, lists, strict=True)):
            try:
                document = check_text(text, index=index)
                checked_spans.append(check_spans(document, own, index=index))
            except InvalidInputError as exc:
                call.fail(index, exc)
            else:
                checked.append(document)
                positions.append(index)
        card = await self.prepare(call)
        if card.late_chunking is None:
            raise self._late_chunking_unsupported(card)
        call.restrict(positions)
        if not any(checked_spans):
            return [np.empty((0, self.dimensions), np.float32) for _ in checked]
        return await self._late(checked, checked_spans, call)

    async def _late(
        self, texts: list[str], spans: list[list[CharSpan]], call: Call
    ) -> list[FloatArray]:
        late = await self.backend.embed_spans(texts, spans, call)
        places = [(index, span) for index, own in enumerate(spans) for span in own]
        rows = np.concatenate(late)[:, : self.dimensions]
        if self.context_weight < 1.0:
            rows = mix(rows, await self._isolated(texts, places, call), self.context_weight)
        for at in unusable(rows):
            index, span = places[at]
            if not call.failed(index):
                position = call.position(index)
                error = self._unusable(rows, f"span {span} of texts[{position}]", at, position)
                call.fail(position, error)
        finished = unit(rows) if self.normalized else np.ascontiguousarray(rows)
        own_rows = np.split(finished, np.cumsum([len(own) for own in spans])[:-1])
        return [own_rows[index] for index in self._succeeded(len(texts), call)]

    async def _isolated(
        self, texts: list[str], places: list[tuple[int, CharSpan]], call: Call
    ) -> FloatArray:
        """Each span's text as a passage of its own; NaN for those of documents that failed."""
        rows = np.full((len(places), self.dimensions), np.nan, np.float32)
        alive = [at for at, (index, _) in enumerate(places) if not call.failed(index)]
        if not alive:
            return rows

        def fail(at: int, error: JinaIntegrationsError) -> None:
            index, span = places[alive[at]]
            position = call.position(index)
            call.fail(position, _of_span(error, span, position))

        own_texts = [texts[index][start:end] for index, (start, end) in (places[a] for a in alive)]
        vectors = await self.backend.embed(own_texts, "passage", call.nested(fail))
        rows[alive] = vectors[:, : self.dimensions]
        return rows

    async def _checked_texts(self, texts: object, task: Task, call: Call) -> list[str]:
        """The texts that can be embedded, to which the call is restricted from now on."""
        checked: list[str] = []
        positions: list[int] = []
        for index, text in enumerate(check_text_list(texts)):
            try:
                checked.append(check_text(text, index=index))
                positions.append(index)
            except InvalidInputError as exc:
                call.fail(index, exc)
        (await self.prepare(call)).scheme(task)
        call.restrict(positions)
        return checked

    def _finish(self, rows: FloatArray, call: Call) -> FloatArray:
        """Cut, checked, normalised, and without the rows that failed."""
        cut = rows[:, : self.dimensions]
        for index in unusable(cut):
            if not call.failed(index):
                position = call.position(index)
                call.fail(position, self._unusable(cut, f"input {position}", index, position))
        if call.failures:
            cut = cut[self._succeeded(len(rows), call)]
        return unit(cut) if self.normalized else np.ascontiguousarray(cut)

    def _succeeded(self, count: int, call: Call) -> list[int]:
        return [index for index in range(count) if not call.failed(index)]

    def _unusable(self, rows: FloatArray, name: str, at: int, position: int) -> EmbeddingError:
        return EmbeddingError(
            f"{self.settings.model} gave a vector of norm {np.linalg.norm(rows[at])} for {name} "
            f"({len(unusable(rows))} of {len(rows)} are unusable): try dtype='float32', or another "
            "model",
            index=position,
        )

    def _late_chunking_unsupported(self, card: ModelCard) -> LateChunkingUnsupportedError:
        if card.pooling != "mean":
            return LateChunkingUnsupportedError(
                f"{card.id} pools the {card.pooling} token, so a span of its tokens is no vector "
                "of the span: use embed_documents on the chunks, or a mean-pooled text model such "
                "as jina-embeddings-v3"
            )
        return LateChunkingUnsupportedError(
            f"late chunking is not offered for {card.id} with backend={self.backend.kind!r}: use "
            "embed_documents on the chunks, or jina-embeddings-v3"
        )


def _of_span(error: JinaIntegrationsError, span: CharSpan, position: int) -> JinaIntegrationsError:
    """The error of a span's own text, told of the document that it lies in."""
    if not isinstance(error, TextTooLongError):
        if isinstance(error, InvalidInputError | EmbeddingError | ApiError):
            error.index = position
        return error
    told = TextTooLongError(
        f"span {span} of texts[{position}] has {error.tokens} tokens on its own, and the model "
        f"takes {error.limit}: cut it shorter, or set context_weight=1.0 or truncate=True",
        tokens=error.tokens,
        limit=error.limit,
        index=position,
    )
    told.__cause__ = error
    return told
