"""The one class that users hold."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from ..backends.keys import check_key
from ..models import ModelCard
from ..settings import EmbedderOptions, EmbedderSettings
from ..tokenizers.base import Tokenizer
from ..types import CharSpan, FloatArray, Task
from .async_twins import AsyncTwins, BinaryType
from .call import Call, Collected, OnError, OnProgress, Usage, UsageMeter, is_query
from .info import EmbedderInfo
from .operations import Operations

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ..images import ImageSource

__all__ = ["Embedder"]

_Result = TypeVar("_Result")


class Embedder(AsyncTwins):
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
        engine: What runs the model here: ``"onnx"`` (ONNX Runtime, on the CPU) or ``"torch"``;
            ``"auto"`` is torch where there is a GPU or the model needs it, else ONNX Runtime where
            it is installed. Both give the same vectors; `info` says which and why. Only local.
        device: ``"auto"`` (CUDA, else MPS, else CPU) or a torch device such as ``"cuda:1"``. Only
            local.
        precision: ``"auto"`` is float32 on every device, so that a collection written on one
            machine is searched from any other; ``"bfloat16"`` and ``"float16"`` need torch,
            ``"int8"`` ONNX Runtime, and have a fingerprint of their own. Only local.
        dimensions: Matryoshka length: vectors are cut, then normalised again.
        normalize: Scale vectors to L2 norm 1; None takes the model's own configuration.
        truncate: Cut texts over the model's limit instead of raising.
        long: ``"windows"`` embeds texts over the limit in overlapping windows instead of raising.
            Only local.
        late_chunking: Whether `ingest` encodes whole documents; None takes the card's default.
        window_tokens: Tokens of one window, special tokens included; None is the whole context.
        overlap_tokens: Tokens that neighbouring windows share; None takes the card's default, and
            of a mix (`context_weight` under 1) an eighth of the window at most.
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
        api_key: str | SecretStr | None = None,
        on_usage: Callable[[Usage], None] | None = None,
        **options: Unpack[EmbedderOptions],
    ) -> None:
        self._set_up(EmbedderSettings(model=model, **options), api_key, on_usage)

    def _set_up(
        self,
        settings: EmbedderSettings,
        api_key: str | SecretStr | None,
        on_usage: Callable[[Usage], None] | None,
    ) -> None:
        self._operations = Operations(settings, check_key(api_key, settings))
        self._meter = UsageMeter(on_usage)

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
        self,
        texts: Sequence[str],
        *,
        task: Task,
        on_error: Literal["raise"] = "raise",
        on_progress: OnProgress = None,
    ) -> FloatArray: ...
    @overload
    def embed(
        self,
        texts: Sequence[str],
        *,
        task: Task,
        on_error: Literal["collect"],
        on_progress: OnProgress = None,
    ) -> Collected[FloatArray]: ...

    def embed(
        self,
        texts: Sequence[str],
        *,
        task: Task,
        on_error: OnError = "raise",
        on_progress: OnProgress = None,
    ) -> FloatArray | Collected[FloatArray]:
        """Vectors for any of the model's tasks: float32, shape (len(texts), dimensions).

        Args:
            texts: What to embed.
            task: What for.
            on_error: ``"collect"`` leaves out the inputs that fail, and gives their errors
                beside the vectors of all others, which are not embedded or billed again.
            on_progress: Called with the tokens of each forward pass, or of each answer of the
                API, once it is done, in the thread that did it; and with 0 twice a second while
                the API is waited for. What it raises ends the call.

        Raises:
            UnsupportedTaskError: the model has no such task.
            JinaIntegrationsError: see `embed_documents`.
        """
        call = Call(on_error, on_progress, query=is_query(task))
        rows = self._run(self._operations.embed(texts, task, call), call)
        return call.result(rows, len(texts))

    def embed_binary(
        self, texts: Sequence[str], *, task: Task, embedding_type: BinaryType = "ubinary"
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
        call = Call(query=is_query(task))
        return self._run(self._operations.embed_bits(texts, task, embedding_type, call), call)

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
        return self._run(self._operations.embed_images(images, call), call)

    @overload
    def embed_chunks(
        self, text: str, spans: Sequence[CharSpan], *, on_progress: OnProgress = None
    ) -> FloatArray: ...
    @overload
    def embed_chunks(
        self,
        text: Sequence[str],
        spans: Sequence[Sequence[CharSpan]],
        *,
        on_error: Literal["raise"] = "raise",
        on_progress: OnProgress = None,
    ) -> list[FloatArray]: ...
    @overload
    def embed_chunks(
        self,
        text: Sequence[str],
        spans: Sequence[Sequence[CharSpan]],
        *,
        on_error: Literal["collect"],
        on_progress: OnProgress = None,
    ) -> Collected[list[FloatArray]]: ...

    def embed_chunks(
        self,
        text: str | Sequence[str],
        spans: Sequence[CharSpan] | Sequence[Sequence[CharSpan]],
        *,
        on_error: OnError = "raise",
        on_progress: OnProgress = None,
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
            on_progress: See `embed`.

        Returns:
            float32, shape (len(spans), dimensions), rows in the order of the spans; for several
            documents a list of such arrays.

        Raises:
            LateChunkingUnsupportedError: the model does not pool a mean.
            InvalidSpanError: a span is out of range, reversed, or holds no token.
            TextTooLongError: with `context_weight` below 1, a span alone is over the limit.
            JinaIntegrationsError: see `embed_documents`.
        """
        call = Call(on_error, on_progress)
        vectors = self._run(self._operations.embed_chunks(text, spans, call), call)
        return vectors[0] if isinstance(text, str) else call.result(vectors, len(text))

    @property
    def settings(self) -> EmbedderSettings:
        """What the embedder was asked for."""
        return self._operations.settings

    @property
    def backend(self) -> Literal["api", "local"]:
        """How the model is run; ``"auto"`` is decided at first use."""
        return self._operations.backend.kind

    @property
    def operations(self) -> Operations:
        """What does the work, with the model's card read and checked against the settings."""
        if not self._operations.ready:
            call = Call()
            self._run(self._operations.prepare(call), call)
        return self._operations

    @property
    def card(self) -> ModelCard:
        """The model's card: its row of `MODEL_CARDS`, or what its folder or server says.

        Its tasks and its late chunking are those that the backend has.
        """
        return self.operations.card

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self.settings.dimensions or self.operations.dimensions

    @property
    def normalized(self) -> bool:
        """Whether vectors have L2 norm 1."""
        return self.operations.normalized

    @property
    def late_chunking(self) -> bool:
        """Whether an ingestion encodes whole documents and pools their chunks."""
        return self.operations.late_chunking

    @property
    def context_weight(self) -> float:
        """Share of the late-chunking vector in `embed_chunks`, 0 to 1."""
        return self.operations.context_weight

    @property
    def tokenizer(self) -> Tokenizer:
        """By which chunkers count: the model's own, or an estimate (see `ApiSettings`)."""
        return self._operations.backend.tokenizer

    @property
    def fingerprint(self) -> str:
        """Hash of what queries must share; equal embedders can search the same collection."""
        from ..recipe import FORMAT, hash_values, vector_values

        return hash_values({"format": FORMAT, **vector_values(self.operations)})

    @property
    def usage(self) -> Usage:
        """What this embedder has cost so far."""
        return self._meter.total

    def info(self) -> EmbedderInfo:
        """How the model is run: engine, device, precision, threads, and why.

        Loads no weights, but looks at the model's files, and so downloads those of a hub id.

        Raises:
            InvalidSettingError: no engine runs this model with these settings.
            MissingExtraError: what has to run the model is not installed.
            ModelError: the model is not found, or its files cannot be used.
        """
        call = Call()
        return self._run(self._operations.info(call), call)

    def unload(self) -> None:
        """Free the model's weights; every embedder that shares them loads them again when needed.

        What is under way is finished. Through the API there is nothing to free.
        """
        self._operations.backend.unload()

    def replace(self, **changes: Unpack[EmbedderOptions]) -> Self:
        """An embedder with some settings changed, and the same key and `on_usage`; usage from 0.

        Raises:
            InvalidSettingError: a bad setting, or one that contradicts another.
        """
        settings = self.settings.replace(**changes)
        return self._of(settings, self._operations.key, self._meter.on_usage)

    def to_dict(self) -> dict[str, object]:
        """The settings as JSON values, without a key; `from_dict` takes them back."""
        return self.settings.to_dict()

    @classmethod
    def from_dict(
        cls, values: Mapping[str, object], *, api_key: str | SecretStr | None = None
    ) -> Self:
        """An embedder from `to_dict`.

        Raises:
            InvalidInputError: `values` is no mapping.
            InvalidSettingError: an unknown or bad setting.
        """
        return cls._of(EmbedderSettings.from_dict(values), api_key)

    @classmethod
    def _of(
        cls,
        settings: EmbedderSettings,
        api_key: str | SecretStr | None,
        on_usage: Callable[[Usage], None] | None = None,
    ) -> Self:
        embedder = cls.__new__(cls)
        embedder._set_up(settings, api_key, on_usage)
        return embedder

    def __getstate__(self) -> dict[str, object]:
        return self.to_dict()

    def __setstate__(self, state: Mapping[str, object]) -> None:
        self._set_up(EmbedderSettings.from_dict(state), None, None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Embedder):
            return NotImplemented
        return self.settings == other.settings

    def __hash__(self) -> int:
        return hash(self.settings)

    def __repr__(self) -> str:
        defaults = EmbedderSettings(model=self.settings.model).to_dict()
        changed = {k: v for k, v in self.to_dict().items() if v != defaults[k]}
        options = "".join(f", {name}={value!r}" for name, value in changed.items())
        return f"{type(self).__name__}({self.settings.model!r}{options})"

    def _run(self, work: Coroutine[Any, Any, _Result], call: Call) -> _Result:
        with self._meter.measure(call):
            return self._operations.run(work, call)
