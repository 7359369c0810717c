"""The contract of a backend: texts in, vectors out."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..calls import Call, finish
from ..cards import ModelCard
from ..errors import UnsupportedModalityError
from ..images import Image
from ..tokenizer import Tokenizer
from ..types import CharSpan, FloatArray, Task

__all__ = ["Backend"]

_Result = TypeVar("_Result")


class Backend(ABC):
    """What `Embedder` asks of a local model or a service. Loads at first use, is thread-safe.

    Work is written once, as coroutines, and runs where the backend says: `run` and `arun`. Those
    of a model in this process never wait for anything, so `run` simply steps through them in the
    caller's thread; a service runs them on a loop of its own.

    Vectors come back as float32, one row for each input, in the order asked, pooled, and as long
    as the card says or as short as the settings' ``dimensions``; `Embedder` cuts and normalises.
    An input that fails is reported with `Call.fail` at `Call.position` of its index, and its row
    is NaN. Texts and spans were checked before.
    """

    kind: ClassVar[Literal["api", "local"]]
    """Whether a service or this machine runs the model."""

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
        """Find out what `card` tells, where that takes more than reading a file."""

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """What the coroutine returns; blocks this thread. One that waits needs another `run`."""
        return finish(work)

    async def arun(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """What the coroutine returns; blocks no event loop."""
        return await asyncio.to_thread(self.run, work)
