"""The one class that users hold."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Self, overload

import numpy as np

from .backends import Backend, make_backend
from .cards import ModelCard
from .errors import (
    EmbeddingError,
    InvalidSettingError,
    LateChunkingUnsupportedError,
    TextTooLongError,
)
from .identity import fingerprint
from .settings import BackendName, DType, EmbedderSettings, LongTexts
from .spans import check_spans
from .texts import check_text, check_texts
from .tokenizer import Tokenizer
from .types import CharSpan, FloatArray, Task
from .usage import Usage, UsageMeter
from .vectors import finish, mix

__all__ = ["Embedder"]


class Embedder:
    """Turns texts into vectors, with a local model or a service.

    Construction is free: the model loads at the first call and is shared by every embedder of the
    process that needs the same weights. Thread-safe; pickles, compares and serialises by settings.

    Args:
        model: A name of `MODEL_CARDS` (``"minilm"``, ``"jina-embeddings-v3"``), a hub id
            (``"org/name"``), or a folder in transformers or sentence-transformers layout.
        backend: ``"local"`` runs the weights here; ``"auto"`` chooses, which today is local.
        revision: Commit, tag or branch of the hub repository.
        trust_remote_code: Run model code from the repository; needs ``revision``.
        device: ``"auto"`` (CUDA, else MPS, else CPU) or a torch device such as ``"cuda:1"``.
        dtype: ``"auto"`` is float32 on every device, so that a collection written on one machine
            is searched from any other; ``"bfloat16"`` is faster and differs by about 4e-5 cosine.
        dimensions: Matryoshka length: vectors are cut, then normalised again.
        normalize: Scale vectors to L2 norm 1; None takes the model's own configuration.
        truncate: Cut texts over the model's limit instead of raising.
        long: ``"windows"`` embeds texts over the limit in overlapping windows instead of raising.
        late_chunking: Whether `ingest` encodes whole documents; None takes the card's default.
        window_tokens: Tokens of one window, special tokens included; None is the whole context.
        overlap_tokens: Tokens that neighbouring windows share; None takes the card's default.
        context_weight: ``w`` in ``w * late + (1 - w) * isolated``, both normalised first, 0 to 1.
            1.0 is late chunking as published (arXiv 2409.04701).
        batch_tokens: Tokens of one forward pass; 1,024 to 2,048 is fastest on a CPU.
        on_usage: Called with the `Usage` of every call. Not pickled, not part of `to_dict`.

    Raises:
        InvalidSettingError: a setting is out of range or contradicts another.
    """

    def __init__(
        self,
        model: str,
        *,
        backend: BackendName = "auto",
        revision: str | None = None,
        trust_remote_code: bool = False,
        device: str = "auto",
        dtype: DType = "auto",
        dimensions: int | None = None,
        normalize: bool | None = None,
        truncate: bool = False,
        long: LongTexts = "error",
        late_chunking: bool | None = None,
        window_tokens: int | None = None,
        overlap_tokens: int | None = None,
        context_weight: float | None = None,
        batch_tokens: int = 2048,
        on_usage: Callable[[Usage], None] | None = None,
    ) -> None:
        self._setup(
            EmbedderSettings(
                model=model,
                backend=backend,
                revision=revision,
                trust_remote_code=trust_remote_code,
                device=device,
                dtype=dtype,
                dimensions=dimensions,
                normalize=normalize,
                truncate=truncate,
                long=long,
                late_chunking=late_chunking,
                window_tokens=window_tokens,
                overlap_tokens=overlap_tokens,
                context_weight=context_weight,
                batch_tokens=batch_tokens,
            ),
            on_usage,
        )

    def _setup(self, settings: EmbedderSettings, on_usage: Callable[[Usage], None] | None) -> None:
        self._settings = settings
        self._on_usage = on_usage
        self._meter = UsageMeter()

    @cached_property
    def _backend(self) -> Backend:
        return make_backend(self._settings)

    @property
    def settings(self) -> EmbedderSettings:
        """What the embedder was asked for."""
        return self._settings

    @cached_property
    def card(self) -> ModelCard:
        """The model's card: its row of `MODEL_CARDS`, or what its folder says."""
        card = self._backend.card
        if self._settings.dimensions is not None:
            card.check_dimensions(self._settings.dimensions)
        if self._settings.late_chunking and card.late_chunking is None:
            raise self._late_chunking_unsupported(card)
        return card

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self._settings.dimensions or self.card.dimensions

    @property
    def normalized(self) -> bool:
        """Whether vectors have L2 norm 1."""
        chosen = self._settings.normalize
        return self.card.normalize if chosen is None else chosen

    @property
    def late_chunking(self) -> bool:
        """Whether `ingest` encodes whole documents and pools their chunks."""
        chosen, defaults = self._settings.late_chunking, self.card.late_chunking
        return (defaults is not None and defaults.enabled) if chosen is None else chosen

    @property
    def context_weight(self) -> float:
        """Share of the late-chunking vector in `embed_chunks`, 0 to 1."""
        chosen, defaults = self._settings.context_weight, self.card.late_chunking
        return (defaults.context_weight if defaults else 1.0) if chosen is None else float(chosen)

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer, by which chunkers count."""
        return self._backend.tokenizer

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that changes a vector; equal embedders can share a collection."""
        settings, card = self._settings, self.card
        late = card.late_chunking
        return fingerprint(
            {
                "weights": self._backend.identity,
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

    @property
    def usage(self) -> Usage:
        """What this embedder has cost so far."""
        return self._meter.total

    def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of passages: float32, shape (len(texts), dimensions), rows in input order.

        Raises:
            InvalidTextError: a text is no str, empty, or not encodable; carries its index.
            TextTooLongError: a text is over the model's limit; carries its index.
            EmbeddingError: the model gave NaN or a zero vector.
        """
        return self.embed(texts, task="passage")

    def embed_queries(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of queries: float32, shape (len(texts), dimensions), rows in input order.

        Raises:
            InvalidTextError: see `embed_documents`.
            TextTooLongError: see `embed_documents`.
        """
        return self.embed(texts, task="query")

    def embed(self, texts: Sequence[str], *, task: Task) -> FloatArray:
        """Vectors for any of the model's tasks: float32, shape (len(texts), dimensions).

        Raises:
            UnsupportedTaskError: the model has no such task.
            InvalidTextError: see `embed_documents`.
            TextTooLongError: see `embed_documents`.
        """
        checked = check_texts(texts)
        self.card.scheme(task)
        if not checked:
            return np.empty((0, self.dimensions), np.float32)
        return self._finish(self._embed(checked, task))

    @overload
    def embed_chunks(self, text: str, spans: Sequence[CharSpan]) -> FloatArray: ...
    @overload
    def embed_chunks(
        self, text: Sequence[str], spans: Sequence[Sequence[CharSpan]]
    ) -> list[FloatArray]: ...

    def embed_chunks(
        self,
        text: str | Sequence[str],
        spans: Sequence[CharSpan] | Sequence[Sequence[CharSpan]],
    ) -> FloatArray | list[FloatArray]:
        """Late chunking: encode the whole document, pool one passage vector for each span.

        A span's vector is the mean of the tokens that it touches. The span that touches the
        document's first token also takes the start token and the prefix, the one that touches the
        last also the end token, as in the reference code of arXiv 2409.04701. A document beyond
        the window is encoded in overlapping windows; a token that lies in several has the mean of
        its vectors. With `context_weight` below 1 the span's own passage vector is mixed in.

        Args:
            text: One document, or several, which are packed together and give the same vectors.
            spans: Half-open character ranges, in any order, that may overlap or leave gaps; for
                several documents one list each.

        Returns:
            float32, shape (len(spans), dimensions), rows in the order of the spans; for several
            documents a list of such arrays.

        Raises:
            LateChunkingUnsupportedError: the model does not pool a mean.
            InvalidSpanError: a span is out of range, reversed, or holds no token.
            InvalidTextError: see `embed_documents`.
            TextTooLongError: with `context_weight` below 1, a span alone is over the limit.
        """
        return self._embed_chunks(text, spans)

    def _embed_chunks(
        self,
        text: str | Sequence[str],
        spans: Sequence[CharSpan] | Sequence[Sequence[CharSpan]],
    ) -> FloatArray | list[FloatArray]:
        card = self.card
        if card.late_chunking is None:
            raise self._late_chunking_unsupported(card)
        single = isinstance(text, str)
        texts = [check_text(text)] if single else check_texts(text)
        checked = check_spans(texts, [spans] if single else spans)
        if not any(checked):
            vectors = [np.empty((0, self.dimensions), np.float32) for _ in texts]
        else:
            vectors = self._late(texts, checked)
        return vectors[0] if single else vectors

    def _late(self, texts: list[str], spans: list[list[CharSpan]]) -> list[FloatArray]:
        start = time.perf_counter()
        late, usage = self._backend.embed_spans(texts, spans)
        self._record(usage, start)
        rows = np.concatenate(late)
        places = [(index, span) for index, own in enumerate(spans) for span in own]
        if self.context_weight < 1.0:
            rows = mix(rows, self._isolated(texts, places), self.context_weight)
        try:
            finished = self._finish(rows)
        except EmbeddingError as exc:
            index, span = places[exc.index or 0]
            raise EmbeddingError(f"span {span} of texts[{index}]: {exc}", index=index) from exc
        return np.split(finished, np.cumsum([len(own) for own in spans])[:-1])

    def _isolated(self, texts: list[str], places: list[tuple[int, CharSpan]]) -> FloatArray:
        """Each span's text as a passage of its own."""
        try:
            return self._embed([texts[index][a:b] for index, (a, b) in places], "passage")
        except TextTooLongError as exc:
            index, span = places[exc.index or 0]
            raise TextTooLongError(
                f"span {span} of texts[{index}] has {exc.tokens} tokens on its own, and the model "
                f"takes {exc.limit}: cut it shorter, or set context_weight=1.0 or truncate=True",
                tokens=exc.tokens,
                limit=exc.limit,
                index=index,
            ) from exc

    async def aembed_documents(self, texts: Sequence[str]) -> FloatArray:
        """`embed_documents`, without blocking the event loop."""
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_queries(self, texts: Sequence[str]) -> FloatArray:
        """`embed_queries`, without blocking the event loop."""
        return await asyncio.to_thread(self.embed_queries, texts)

    async def aembed(self, texts: Sequence[str], *, task: Task) -> FloatArray:
        """`embed`, without blocking the event loop."""
        return await asyncio.to_thread(self.embed, texts, task=task)

    @overload
    async def aembed_chunks(self, text: str, spans: Sequence[CharSpan]) -> FloatArray: ...
    @overload
    async def aembed_chunks(
        self, text: Sequence[str], spans: Sequence[Sequence[CharSpan]]
    ) -> list[FloatArray]: ...

    async def aembed_chunks(
        self,
        text: str | Sequence[str],
        spans: Sequence[CharSpan] | Sequence[Sequence[CharSpan]],
    ) -> FloatArray | list[FloatArray]:
        """`embed_chunks`, without blocking the event loop."""
        return await asyncio.to_thread(self._embed_chunks, text, spans)

    def _embed(self, texts: Sequence[str], task: Task) -> FloatArray:
        start = time.perf_counter()
        vectors, usage = self._backend.embed(texts, task)
        self._record(usage, start)
        return vectors

    def _finish(self, rows: FloatArray) -> FloatArray:
        return finish(
            rows,
            dimensions=self.dimensions,
            normalize=self.normalized,
            model=self._settings.model,
        )

    def _record(self, usage: Usage, start: float) -> None:
        usage = replace(usage, seconds=time.perf_counter() - start)
        self._meter.add(usage)
        if self._on_usage is not None:
            self._on_usage(usage)

    def _late_chunking_unsupported(self, card: ModelCard) -> LateChunkingUnsupportedError:
        return LateChunkingUnsupportedError(
            f"{card.id} pools the {card.pooling} token, so a span of its tokens is no vector of "
            "the span: use embed_documents on the chunks, or a mean-pooled text model such as "
            "jina-embeddings-v3"
            if card.pooling != "mean"
            else f"late chunking is not published for {card.id}: use embed_documents on the chunks"
        )

    def to_dict(self) -> dict[str, object]:
        """The settings as JSON values, without a key; `from_dict` takes them back."""
        return self._settings.to_dict()

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """An embedder from `to_dict`.

        Raises:
            InvalidSettingError: an unknown or bad setting.
        """
        if "model" not in values:
            raise InvalidSettingError("embedder settings need a 'model'")
        embedder = cls.__new__(cls)
        embedder._setup(EmbedderSettings.from_dict(values), None)
        return embedder

    def __getstate__(self) -> dict[str, object]:
        return self.to_dict()

    def __setstate__(self, state: Mapping[str, object]) -> None:
        self._setup(EmbedderSettings.from_dict(state), None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Embedder):
            return NotImplemented
        return self._settings == other._settings

    def __hash__(self) -> int:
        return hash(self._settings)

    def __repr__(self) -> str:
        defaults = EmbedderSettings(model=self._settings.model).to_dict()
        changed = {k: v for k, v in self.to_dict().items() if v != defaults[k]}
        options = "".join(f", {name}={value!r}" for name, value in changed.items())
        return f"Embedder({self._settings.model!r}{options})"
