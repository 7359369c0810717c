"""The contract of a backend: texts in, vectors out."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..embedding.call import Call
from ..embedding.info import EmbedderInfo
from ..errors import UnsupportedModalityError
from ..models import ModelCard
from ..settings import EmbedderSettings
from ..tokenizers.base import Tokenizer
from ..types import CharSpan, FloatArray, Task

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ..images import Image

__all__ = ["Backend", "finish"]

_Result = TypeVar("_Result")

_THREADS: Final = 64
"""Async calls of local models at a time, and as many for queries alone, which so wait for no other.
They take turns at the model, so most of them wait."""


class Backend(ABC):
    """What `Embedder` asks of a local model or a service. Loads at first use, is thread-safe.

    Work is written once, as coroutines, and runs where the backend says: `run` and `arun`. Those
    of a model in this process never wait for anything, so `run` simply steps through them in the
    caller's thread; a service runs them on a loop of its own.

    Vectors come back as float32, one row for each input, in the order asked, pooled, and as long
    as the card says or as short as the settings' ``dimensions``; `Embedder` cuts and normalises.
    An input that fails is reported with `Call.fail`, and what its row holds does not matter. Texts
    and spans were checked before. Each request is counted with `Call.spend` when it begins, and
    each forward pass or answer with `Call.advance` when it is done.

    Args:
        settings: What the embedder was asked for.
        key: The API key that the caller passed; None where there was none.
    """

    kind: ClassVar[Literal["api", "local"]]
    """Whether a service or this machine runs the model."""

    def __init__(self, settings: EmbedderSettings, key: SecretStr | None = None) -> None:
        self.settings = settings

    @property
    @abstractmethod
    def card(self) -> ModelCard:
        """The model's card as this backend runs it, once `prepare` has run."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """A name of the weights that is equal only where they are."""

    @property
    @abstractmethod
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, for chunkers."""

    @property
    def tokenizer_identity(self) -> str:
        """A name of the tokenizer that is equal only where it cuts all texts alike."""
        return self.tokenizer.identity

    @abstractmethod
    async def embed(self, texts: Sequence[str], task: Task, call: Call) -> FloatArray:
        """One vector for each text, shape (len(texts), dimensions).

        Fails with:
            TextTooLongError: a text is over the limit and the settings do not say what to do.
        """

    @abstractmethod
    async def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[CharSpan]], call: Call
    ) -> list[FloatArray]:
        """Late chunking: for each text, shape (its spans, dimensions).

        Fails with:
            InvalidSpanError: a span holds no token.
        """

    async def embed_bits(
        self, texts: Sequence[str], task: Task, call: Call
    ) -> NDArray[np.uint8] | None:
        """The signs of the vectors, see `vectors.pack_bits`; None where `embed` has to do."""
        return None

    async def embed_images(self, images: Sequence[Image], call: Call) -> FloatArray:
        """One vector for each picture, in the space of the texts, shape (len(images), dimensions).

        Raises:
            UnsupportedModalityError: the model, or this backend, takes no pictures.
        """
        raise UnsupportedModalityError(
            f"{self.card.id} takes no pictures here: pictures go through Jina's API, with "
            "Embedder('jina-clip-v2', backend='api')"
        )

    async def prepare(self, call: Call) -> None:  # noqa: B027  # most have nothing to find out
        """Find out what `card` tells, and refuse settings that do not fit it."""

    async def info(self) -> EmbedderInfo:
        """How the model is run, and why; loads no weights."""
        who = "a service" if self.kind == "api" else type(self).__name__
        return EmbedderInfo(self.settings.model, self.kind, f"{who} runs the model")

    def unload(self) -> None:  # noqa: B027  # most hold nothing
        """Free what the process shares for this model. What is under way is finished."""

    def worker_device(self, number: int) -> str:
        """The setting ``device`` for a process of an ingestion that has several.

        Args:
            number: Of the process, from 0.
        """
        return self.settings.device

    def run(self, work: Coroutine[Any, Any, _Result], call: Call) -> _Result:
        """What the coroutine returns; blocks this thread. One that waits needs another `run`."""
        return finish(work)

    async def arun(self, work: Coroutine[Any, Any, _Result], call: Call) -> _Result:
        """What the coroutine returns; blocks no event loop.

        A caller that is cancelled ends the work after the forward pass that runs, and gets away
        then, so that nothing goes on unseen and its cost is known.
        """
        import asyncio

        thread = _executor(call).submit(self.run, work, call)
        done = asyncio.wrap_future(thread)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            call.cancel()
            if thread.cancel():  # no thread has taken it up
                work.close()
            else:
                await asyncio.wait((done,))
                done.exception()  # or asyncio tells of an error that nobody has looked at
            raise


def finish(work: Coroutine[Any, Any, _Result]) -> _Result:
    """What a coroutine returns that never waits, run in this thread without an event loop.

    Raises:
        RuntimeError: it waited.
    """
    try:
        work.send(None)
    except StopIteration as exc:
        result: _Result = exc.value
        return result
    work.close()
    raise RuntimeError(f"{work!r} waited, and nothing here can wait for it")


_executors: dict[str, ThreadPoolExecutor] = {}
_executors_lock = threading.Lock()


def _executor(call: Call) -> ThreadPoolExecutor:
    """Threads of our own: those of asyncio are few, and the application's."""
    name = "jina-queries" if call.query else "jina-calls"
    with _executors_lock:
        if name not in _executors:
            _executors[name] = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)
        return _executors[name]


def _forget_executors() -> None:
    # A forked child has none of its parent's threads, and perhaps a lock that never opens.
    global _executors_lock  # noqa: PLW0603
    _executors.clear()
    _executors_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_executors)
