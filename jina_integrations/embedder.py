"""The one class that users hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import NDArray

from .calls import Call, Collected, OnError
from .embedder_base import EmbedderBase
from .images import ImageSource
from .settings import ApiSettings, BackendName, DType, EmbedderSettings, LongTexts
from .types import CharSpan, FloatArray, Task
from .usage import Usage

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["Embedder"]

_BinaryType = Literal["binary", "ubinary"]


class Embedder(EmbedderBase):
    """Turns texts into vectors, with a local model or a service.

    Construction is free: the model loads at the first call and is shared by every embedder of the
    process that needs the same weights; so are connections and rate limits. Thread-safe; pickles,
    compares and serialises by settings.

    Args:
        model: A name of `MODEL_CARDS` (``"minilm"``, ``"jina-embeddings-v3"``), a hub id
            (``"org/name"``), or a folder in transformers or sentence-transformers layout.
        backend: ``"api"`` asks Jina's HTTP API, ``"local"`` runs the weights here; ``"auto"`` is
            the API where `base_url` or ``api.api_key_env_var`` is given, or a key is set and Jina
            serves the model.
        api_key: The API's key; None takes ``JINA_API_KEY``, then ``JINAAI_API_KEY``, at first use.
            Never stored: not in a pickle, not in `to_dict`, not in a collection.
        base_url: Of a server that speaks Jina's or OpenAI's ``/embeddings``, such as
            ``"http://127.0.0.1:8000/v1"``; None is Jina's own.
        api: Limits, timeouts and the like, see `ApiSettings`.
        revision: Commit, tag or branch of the hub repository. Only local.
        trust_remote_code: Run model code from the repository; needs ``revision``. Only
            local.
        device: ``"auto"`` (CUDA, else MPS, else CPU) or a torch device such as ``"cuda:1"``. Only
            local.
        dtype: ``"auto"`` is float32 on every device, so that a collection written on one machine
            is searched from any other; ``"bfloat16"`` is faster and differs by about 4e-5 cosine.
            Only local.
        dimensions: Matryoshka length: vectors are cut, then normalised again.
        normalize: Scale vectors to L2 norm 1; None takes the model's own configuration.
        truncate: Cut texts over the model's limit instead of raising.
        long: ``"windows"`` embeds texts over the limit in overlapping windows instead of raising.
            Only local.
        late_chunking: Whether `ingest` encodes whole documents; None takes the card's default.
        window_tokens: Tokens of one window, special tokens included; None is the whole context.
        overlap_tokens: Tokens that neighbouring windows share; None takes the card's default.
        context_weight: ``w`` in ``w * late + (1 - w) * isolated``, both normalised first, 0 to 1.
            1.0 is late chunking as published (arXiv 2409.04701).
        batch_tokens: Tokens of one forward pass; 1,024 to 2,048 is fastest on a CPU. Only local.
        on_usage: Called with the `Usage` of every call, also of one that failed, in the thread that
            made it. Not pickled, not part of `to_dict`.

    Raises:
        InvalidSettingError: a setting is out of range or contradicts another.
    """

    def __init__(
        self,
        model: str,
        *,
        backend: BackendName = "auto",
        api_key: str | SecretStr | None = None,
        base_url: str | None = None,
        api: ApiSettings | None = None,
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
        settings = EmbedderSettings(
            model=model,
            backend=backend,
            base_url=base_url,
            api=api,
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
        )
        super().__init__(settings, api_key=api_key, on_usage=on_usage)

    def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of passages: float32, shape (len(texts), dimensions), rows in input order.

        Raises:
            InvalidTextError: a text is no str, empty, or not encodable; carries its index.
            TextTooLongError: a text is over the model's limit; carries its index.
            EmbeddingError: the model gave NaN or a zero vector.
            ApiError: the service failed, or refused an input, whose index it then carries.
        """
        return self.embed(texts, task="passage")

    def embed_queries(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of queries: float32, shape (len(texts), dimensions), rows in input order.

        Raises:
            JinaIntegrationsError: see `embed_documents`.
        """
        return self.embed(texts, task="query")

    @overload
    def embed(
        self, texts: Sequence[str], *, task: Task, on_error: Literal["raise"] = "raise"
    ) -> FloatArray: ...
    @overload
    def embed(
        self, texts: Sequence[str], *, task: Task, on_error: Literal["collect"]
    ) -> Collected[FloatArray]: ...

    def embed(
        self, texts: Sequence[str], *, task: Task, on_error: OnError = "raise"
    ) -> FloatArray | Collected[FloatArray]:
        """Vectors for any of the model's tasks: float32, shape (len(texts), dimensions).

        Args:
            texts: What to embed.
            task: What for.
            on_error: ``"collect"`` leaves out the inputs that fail, and gives their errors
                beside the vectors of all others, which are not embedded or billed again.

        Raises:
            UnsupportedTaskError: the model has no such task.
            JinaIntegrationsError: see `embed_documents`.
        """
        call = Call(on_error)
        rows = self._run(self._engine.embed(texts, task, call), call)
        return call.result(rows, len(texts))

    def embed_binary(
        self, texts: Sequence[str], *, task: Task, embedding_type: _BinaryType = "ubinary"
    ) -> NDArray[np.uint8] | NDArray[np.int8]:
        """One bit for each value, 32 times smaller: shape (len(texts), dimensions / 8).

        Args:
            texts: What to embed.
            task: What for.
            embedding_type: ``"ubinary"`` is uint8, bits most significant first, for
                `numpy.unpackbits`; ``"binary"`` is int8, the same bytes minus 128.

        Raises:
            InvalidSettingError: dimensions are no multiple of 8.
            JinaIntegrationsError: see `embed_documents`.
        """
        call = Call()
        return self._run(self._engine.embed_bits(texts, task, embedding_type, call), call)

    def embed_images(self, images: Sequence[ImageSource]) -> FloatArray:
        """Vectors of pictures, in the space of the model's texts: float32, one row each.

        Args:
            images: Paths, encoded bytes, PIL images, or http, https and data URLs. A URL is
                fetched by the service, never here.

        Raises:
            UnsupportedModalityError: the model, or the local backend, takes no pictures.
            InvalidImageError: a picture cannot be read; carries its index.
            ApiError: see `embed_documents`.
        """
        call = Call()
        return self._run(self._engine.embed_images(images, call), call)

    @overload
    def embed_chunks(self, text: str, spans: Sequence[CharSpan]) -> FloatArray: ...
    @overload
    def embed_chunks(
        self,
        text: Sequence[str],
        spans: Sequence[Sequence[CharSpan]],
        *,
        on_error: Literal["raise"] = "raise",
    ) -> list[FloatArray]: ...
    @overload
    def embed_chunks(
        self,
        text: Sequence[str],
        spans: Sequence[Sequence[CharSpan]],
        *,
        on_error: Literal["collect"],
    ) -> Collected[list[FloatArray]]: ...

    def embed_chunks(
        self,
        text: str | Sequence[str],
        spans: Sequence[CharSpan] | Sequence[Sequence[CharSpan]],
        *,
        on_error: OnError = "raise",
    ) -> FloatArray | list[FloatArray] | Collected[list[FloatArray]]:
        """Late chunking: encode the whole document, pool one passage vector for each span.

        A span's vector is the mean of the tokens that it touches. The span that touches the
        document's first token also takes the start token and the prefix, the one that touches the
        last also the end token, as in the reference code of arXiv 2409.04701. A document beyond
        the window is encoded in overlapping windows; a token that lies in several has the mean of
        its vectors (through the API: a chunk that lies in several has the vector of the one where
        it is most central). With `context_weight` below 1 the span's own passage vector is mixed
        in.

        Args:
            text: One document, or several, which are packed together and give the same vectors.
            spans: Half-open character ranges, in any order, that may overlap or leave gaps; for
                several documents one list each. Through the API they may not overlap.
            on_error: For several documents: ``"collect"`` leaves out those that fail, see `embed`.

        Returns:
            float32, shape (len(spans), dimensions), rows in the order of the spans; for several
            documents a list of such arrays.

        Raises:
            LateChunkingUnsupportedError: the model does not pool a mean.
            InvalidSpanError: a span is out of range, reversed, or holds no token.
            TextTooLongError: with `context_weight` below 1, a span alone is over the limit.
            JinaIntegrationsError: see `embed_documents`.
        """
        call = Call(on_error)
        vectors = self._run(self._engine.embed_chunks(text, spans, call), call)
        return vectors[0] if isinstance(text, str) else call.result(vectors, len(text))

    async def aembed_documents(self, texts: Sequence[str]) -> FloatArray:
        """`embed_documents`, without blocking the event loop."""
        return await self.aembed(texts, task="passage")

    async def aembed_queries(self, texts: Sequence[str]) -> FloatArray:
        """`embed_queries`, without blocking the event loop."""
        return await self.aembed(texts, task="query")

    @overload
    async def aembed(
        self, texts: Sequence[str], *, task: Task, on_error: Literal["raise"] = "raise"
    ) -> FloatArray: ...
    @overload
    async def aembed(
        self, texts: Sequence[str], *, task: Task, on_error: Literal["collect"]
    ) -> Collected[FloatArray]: ...

    async def aembed(
        self, texts: Sequence[str], *, task: Task, on_error: OnError = "raise"
    ) -> FloatArray | Collected[FloatArray]:
        """`embed`, without blocking the event loop."""
        call = Call(on_error)
        rows = await self._arun(self._engine.embed(texts, task, call), call)
        return call.result(rows, len(texts))

    async def aembed_binary(
        self, texts: Sequence[str], *, task: Task, embedding_type: _BinaryType = "ubinary"
    ) -> NDArray[np.uint8] | NDArray[np.int8]:
        """`embed_binary`, without blocking the event loop."""
        call = Call()
        return await self._arun(self._engine.embed_bits(texts, task, embedding_type, call), call)

    async def aembed_images(self, images: Sequence[ImageSource]) -> FloatArray:
        """`embed_images`, without blocking the event loop."""
        call = Call()
        return await self._arun(self._engine.embed_images(images, call), call)

    @overload
    async def aembed_chunks(self, text: str, spans: Sequence[CharSpan]) -> FloatArray: ...
    @overload
    async def aembed_chunks(
        self,
        text: Sequence[str],
        spans: Sequence[Sequence[CharSpan]],
        *,
        on_error: Literal["raise"] = "raise",
    ) -> list[FloatArray]: ...
    @overload
    async def aembed_chunks(
        self,
        text: Sequence[str],
        spans: Sequence[Sequence[CharSpan]],
        *,
        on_error: Literal["collect"],
    ) -> Collected[list[FloatArray]]: ...

    async def aembed_chunks(
        self,
        text: str | Sequence[str],
        spans: Sequence[CharSpan] | Sequence[Sequence[CharSpan]],
        *,
        on_error: OnError = "raise",
    ) -> FloatArray | list[FloatArray] | Collected[list[FloatArray]]:
        """`embed_chunks`, without blocking the event loop."""
        call = Call(on_error)
        vectors = await self._arun(self._engine.embed_chunks(text, spans, call), call)
        return vectors[0] if isinstance(text, str) else call.result(vectors, len(text))
