"""What an embedder does, written once: checks, the backend's work, and the last steps."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..backends.registry import make_backend
from ..backends.windows import window_and_overlap
from ..errors import (
    EmbeddingError,
    InvalidInputError,
    InvalidSettingError,
    JinaIntegrationsError,
    LateChunkingUnsupportedError,
    TextTooLongError,
)
from ..inputs import check_span_lists, check_spans, check_text, check_text_list
from ..models import ModelCard
from ..settings import EmbedderSettings
from ..types import CharSpan, FloatArray, Task
from .call import Call
from .info import EmbedderInfo
from .vectors import mix, pack_bits, to_signed, unit, unusable

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ..backends.base import Backend
    from ..images import Image

__all__ = ["Operations"]

_Result = TypeVar("_Result")


class Operations:
    """One embedder's settings, its backend, and its calls as coroutines for the backend to run.

    Inputs that fail a check never reach the backend. What fails there is told to a part of the
    call (see `Call.part`), which knows where the input is in the caller's list.
    """

    def __init__(self, settings: EmbedderSettings, key: SecretStr | None) -> None:
        self.settings = settings
        self.key = key
        self._card: ModelCard | None = None

    @cached_property
    def backend(self) -> Backend:
        """The backend that the settings ask for; nothing is loaded yet."""
        return make_backend(self.settings, self.key)

    def run(self, work: Coroutine[Any, Any, _Result], call: Call) -> _Result:
        """What the coroutine returns, see `Backend.run`."""
        return self._backend_for(work).run(work, call)

    async def arun(self, work: Coroutine[Any, Any, _Result], call: Call) -> _Result:
        """What the coroutine returns, see `Backend.arun`."""
        return await self._backend_for(work).arun(work, call)

    def _backend_for(self, work: Coroutine[Any, Any, object]) -> Backend:
        try:
            return self.backend
        except BaseException:
            work.close()  # or Python warns of a coroutine that was never awaited
            raise

    async def prepare(self, call: Call) -> ModelCard:
        """The card of the model, checked against the settings.

        Raises:
            InvalidSettingError: the model has no such dimensions, or no such windows.
            LateChunkingUnsupportedError: it is switched on, and the model cannot do it.
        """
        if self._card is None:
            await self.backend.prepare(call)
            card = self.backend.card
            if self.settings.dimensions is not None:
                card.check_dimensions(self.settings.dimensions)
            if self.settings.late_chunking and card.late_chunking is None:
                raise self._late_chunking_unsupported(card)
            window_and_overlap(card, self.settings)
            self._card = card
        return self._card

    async def info(self, call: Call) -> EmbedderInfo:
        """How the backend runs the model, once the settings are checked."""
        await self.prepare(call)
        return await self.backend.info()

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
        """Whether an ingestion encodes whole documents and pools their chunks."""
        chosen, defaults = self.settings.late_chunking, self.card.late_chunking
        return (defaults is not None and defaults.enabled) if chosen is None else chosen

    @property
    def context_weight(self) -> float:
        """Share of the late-chunking vector in `embed_chunks`, 0 to 1."""
        chosen, defaults = self.settings.context_weight, self.card.late_chunking
        return (defaults.context_weight if defaults else 1.0) if chosen is None else float(chosen)

    @property
    def window_and_overlap(self) -> tuple[int, int]:
        """Tokens of a window, special tokens included, and tokens that neighbours share."""
        return window_and_overlap(self.card, self.settings)

    async def embed(self, texts: object, task: Task, call: Call) -> FloatArray:
        """Vectors of the texts that do not fail, in order: shape (…, dimensions)."""
        checked, part = await self._checked_texts(texts, task, call)
        if not checked:
            return np.empty((0, self.dimensions), np.float32)
        return self._finish(await self.backend.embed(checked, task, part), part, "texts")

    async def embed_bits(
        self, texts: object, task: Task, embedding_type: str, call: Call
    ) -> NDArray[np.uint8] | NDArray[np.int8]:
        """The signs of the vectors, packed: shape (…, dimensions / 8), uint8, or int8 if binary."""
        if not isinstance(embedding_type, str) or embedding_type not in ("binary", "ubinary"):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidSettingError(
                f"embedding_type must be 'ubinary' or 'binary', not {embedding_type!r:.80}"
            )
        packed = await self._embed_bits(texts, task, call)
        return to_signed(packed) if embedding_type == "binary" else packed

    async def _embed_bits(self, texts: object, task: Task, call: Call) -> NDArray[np.uint8]:
        checked, part = await self._checked_texts(texts, task, call)
        if self.dimensions % 8:
            raise InvalidSettingError(
                f"dimensions is {self.dimensions}: binary vectors need a multiple of 8"
            )
        if not checked:
            return np.empty((0, self.dimensions // 8), np.uint8)
        packed = await self.backend.embed_bits(checked, task, part)
        if packed is None:
            rows = await self.backend.embed(checked, task, part)
            return pack_bits(self._finish(rows, part, "texts"))
        return packed[_alive(len(packed), part)]

    async def embed_images(self, images: object, call: Call) -> FloatArray:
        """Vectors of the pictures that do not fail, in order: shape (…, dimensions)."""
        from ..images import check_image_list, read_image

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
        part = call.part(positions)
        return self._finish(await self.backend.embed_images(readable, part), part, "images")

    async def embed_chunks(self, texts: object, spans: object, call: Call) -> list[FloatArray]:
        """Late-chunking vectors of the documents that do not fail, in order; one text is a list."""
        if isinstance(texts, str):
            if call.collects:
                raise InvalidSettingError(
                    "on_error='collect' is for several documents: pass [text] and [spans]"
                )
            texts, spans = [texts], [spans]
        documents = check_text_list(texts)
        checked: list[str] = []
        checked_spans: list[list[CharSpan]] = []
        positions: list[int] = []
        span_lists = check_span_lists(spans, len(documents))
        for index, (text, span_list) in enumerate(zip(documents, span_lists, strict=True)):
            try:
                document = check_text(text, index=index)
                checked_spans.append(check_spans(document, span_list, index=index))
            except InvalidInputError as exc:
                call.fail(index, exc)
            else:
                checked.append(document)
                positions.append(index)
        card = await self.prepare(call)
        if card.late_chunking is None:
            raise self._late_chunking_unsupported(card)
        if not any(checked_spans):
            return [np.empty((0, self.dimensions), np.float32) for _ in checked]
        return await self._late(checked, checked_spans, call.part(positions))

    async def _late(
        self, texts: list[str], spans: list[list[CharSpan]], call: Call
    ) -> list[FloatArray]:
        late = await self.backend.embed_spans(texts, spans, call)
        document_of = [index for index, span_list in enumerate(spans) for _ in span_list]
        span_of = [number for span_list in spans for number in range(len(span_list))]
        rows = np.concatenate(late)[:, : self.dimensions]
        if self.context_weight < 1.0:
            isolated = await self._isolated(texts, spans, document_of, span_of, call)
            rows = mix(rows, isolated, self.context_weight)
        for row in unusable(rows):
            if not call.failed(document_of[row]):
                call.fail(document_of[row], self._unusable(rows, row, "texts", span_of[row]))
        finished = unit(rows) if self.normalized else np.ascontiguousarray(rows)
        vectors = np.split(finished, np.cumsum([len(span_list) for span_list in spans])[:-1])
        return [vectors[index] for index in _alive(len(texts), call)]

    async def _isolated(
        self,
        texts: list[str],
        spans: list[list[CharSpan]],
        document_of: list[int],
        span_of: list[int],
        call: Call,
    ) -> FloatArray:
        """Each span's text as a passage of its own; NaN for those of documents that failed."""
        rows = np.full((len(document_of), self.dimensions), np.nan, np.float32)
        alive = [row for row, document in enumerate(document_of) if not call.failed(document)]
        if not alive:
            return rows
        passages: list[str] = []
        for row in alive:
            start, end = spans[document_of[row]][span_of[row]]
            passages.append(texts[document_of[row]][start:end])

        def rename(index: int, error: JinaIntegrationsError) -> JinaIntegrationsError:
            return _of_span(error, span_of[alive[index]])

        part = call.part([document_of[row] for row in alive], rename)
        vectors = await self.backend.embed(passages, "passage", part)
        rows[alive] = vectors[:, : self.dimensions]
        return rows

    async def _checked_texts(
        self, texts: object, task: Task, call: Call
    ) -> tuple[Sequence[str], Call]:
        """The texts that can be embedded, and the part of the call that is about them."""
        checked: list[str] = []
        positions: list[int] = []
        for index, text in enumerate(check_text_list(texts)):
            try:
                checked.append(check_text(text, index=index))
                positions.append(index)
            except InvalidInputError as exc:
                call.fail(index, exc)
        (await self.prepare(call)).scheme(task)
        return checked, call.part(positions)

    def _finish(self, rows: FloatArray, call: Call, argument: str) -> FloatArray:
        """Cut, checked, normalised, and without the rows that failed."""
        cut = rows[:, : self.dimensions]
        for index in unusable(cut):
            if not call.failed(index):
                call.fail(index, self._unusable(cut, index, argument))
        if call.failures:
            cut = cut[_alive(len(rows), call)]
        return unit(cut) if self.normalized else np.ascontiguousarray(cut)

    def _unusable(
        self, rows: FloatArray, row: int, argument: str, span: int | None = None
    ) -> EmbeddingError:
        return EmbeddingError(
            f"got a vector of norm {np.linalg.norm(rows[row])} from {self.settings.model} "
            f"({len(unusable(rows))} of {len(rows)} are unusable): try precision='float32', or "
            "another model",
            argument=argument,
            span=span,
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


def _alive(count: int, call: Call) -> list[int]:
    return [index for index in range(count) if not call.failed(index)]


def _of_span(error: JinaIntegrationsError, span: int) -> JinaIntegrationsError:
    """The error of a span's own text, as an error of the document that it lies in."""
    if isinstance(error, TextTooLongError):
        renamed = TextTooLongError(
            f"has {error.tokens} tokens on its own, and the model takes {error.limit}: cut it "
            "shorter, or set context_weight=1.0 or truncate=True",
            tokens=error.tokens,
            limit=error.limit,
            argument="texts",
            span=span,
        )
        renamed.__cause__ = error
        return renamed
    if isinstance(error, InvalidInputError | EmbeddingError):
        error.span = span
    return error
