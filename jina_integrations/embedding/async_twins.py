"""The methods of `Embedder` that block no event loop."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ..types import CharSpan, FloatArray, Task
from .call import Call, Collected, OnError, OnProgress, UsageMeter, is_query
from .info import EmbedderInfo
from .operations import Operations

if TYPE_CHECKING:
    from ..images import ImageSource

__all__ = ["AsyncTwins", "BinaryType"]

BinaryType = Literal["binary", "ubinary"]
"""How bits travel, see `Embedder.embed_binary`."""

_Result = TypeVar("_Result")


class AsyncTwins:
    """For each method of `Embedder` that waits its twin: the same arguments, results and errors.

    A twin that is cancelled ends its work after the forward pass that runs.
    """

    _operations: Operations
    _meter: UsageMeter

    async def aembed_documents(self, texts: Sequence[str]) -> FloatArray:
        """`embed_documents`, without blocking the event loop."""
        return await self.aembed(texts, task="passage")

    async def aembed_queries(self, texts: Sequence[str]) -> FloatArray:
        """`embed_queries`, without blocking the event loop."""
        return await self.aembed(texts, task="query")

    @overload
    async def aembed(
        self,
        texts: Sequence[str],
        *,
        task: Task,
        on_error: Literal["raise"] = "raise",
        on_progress: OnProgress = None,
    ) -> FloatArray: ...
    @overload
    async def aembed(
        self,
        texts: Sequence[str],
        *,
        task: Task,
        on_error: Literal["collect"],
        on_progress: OnProgress = None,
    ) -> Collected[FloatArray]: ...

    async def aembed(
        self,
        texts: Sequence[str],
        *,
        task: Task,
        on_error: OnError = "raise",
        on_progress: OnProgress = None,
    ) -> FloatArray | Collected[FloatArray]:
        """`embed`, without blocking the event loop."""
        call = Call(on_error, on_progress, query=is_query(task))
        rows = await self._arun(self._operations.embed(texts, task, call), call)
        return call.result(rows, len(texts))

    async def aembed_binary(
        self, texts: Sequence[str], *, task: Task, embedding_type: BinaryType = "ubinary"
    ) -> NDArray[np.uint8] | NDArray[np.int8]:
        """`embed_binary`, without blocking the event loop."""
        call = Call(query=is_query(task))
        return await self._arun(
            self._operations.embed_bits(texts, task, embedding_type, call), call
        )

    async def aembed_images(self, images: Sequence[ImageSource]) -> FloatArray:
        """`embed_images`, without blocking the event loop."""
        call = Call()
        return await self._arun(self._operations.embed_images(images, call), call)

    @overload
    async def aembed_chunks(
        self, text: str, spans: Sequence[CharSpan], *, on_progress: OnProgress = None
    ) -> FloatArray: ...
    @overload
    async def aembed_chunks(
        self,
        text: Sequence[str],
        spans: Sequence[Sequence[CharSpan]],
        *,
        on_error: Literal["raise"] = "raise",
        on_progress: OnProgress = None,
    ) -> list[FloatArray]: ...
    @overload
    async def aembed_chunks(
        self,
        text: Sequence[str],
        spans: Sequence[Sequence[CharSpan]],
        *,
        on_error: Literal["collect"],
        on_progress: OnProgress = None,
    ) -> Collected[list[FloatArray]]: ...

    async def aembed_chunks(
        self,
        text: str | Sequence[str],
        spans: Sequence[CharSpan] | Sequence[Sequence[CharSpan]],
        *,
        on_error: OnError = "raise",
        on_progress: OnProgress = None,
    ) -> FloatArray | list[FloatArray] | Collected[list[FloatArray]]:
        """`embed_chunks`, without blocking the event loop."""
        call = Call(on_error, on_progress)
        vectors = await self._arun(self._operations.embed_chunks(text, spans, call), call)
        return vectors[0] if isinstance(text, str) else call.result(vectors, len(text))

    async def ainfo(self) -> EmbedderInfo:
        """`info`, without blocking the event loop."""
        call = Call()
        return await self._arun(self._operations.info(call), call)

    async def _arun(self, work: Coroutine[Any, Any, _Result], call: Call) -> _Result:
        with self._meter.measure(call):
            return await self._operations.arun(work, call)
