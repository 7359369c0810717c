"""The API backend: Jina's service, or a server that speaks its protocol or OpenAI's."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...embedding.call import Call
from ...errors import ApiError, TextTooLongError, UnsupportedModalityError
from ...models import ModelCard
from ...settings import ApiSettings, EmbedderSettings
from ...tokenizers.base import Tokenizer
from ...types import CharSpan, FloatArray, Task
from ...wire import EmbeddingRequest, EmbeddingType, OpenAIRequest
from ..base import Backend
from ..windows import window_and_overlap
from .bridge import shared_bridge
from .client import ApiClient
from .counting import TokenCounter
from .dispatch import Dispatch, Job, of_input
from .late_chunking import LateDocuments, reserved_tokens
from .retrying import is_too_long
from .served import ServedModel, wire_image

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ...images import Image

__all__ = ["ApiBackend"]

_Result = TypeVar("_Result")


class ApiBackend(Backend):
    """Asks a service for vectors. Nothing is sent, and no key needed, before the first call."""

    kind = "api"

    def __init__(self, settings: EmbedderSettings, key: SecretStr | None = None) -> None:
        super().__init__(settings, key)
        self._served = ServedModel(settings)
        self._api = settings.api or ApiSettings()
        self._client = ApiClient(settings.base_url, key, self._api)

    @property
    def card(self) -> ModelCard:
        """The model's row with the tasks and the late chunking that the service has."""
        if self._served.card is None:
            raise RuntimeError("prepare() comes first")
        return self._served.card

    @property
    def identity(self) -> str:
        """The model's name, which is all that a service says; a server may move."""
        return f"service:{self.settings.model}"

    @property
    def tokenizer(self) -> Tokenizer:
        """What the settings name, or an estimate."""
        return self._counter.tokenizer

    @cached_property
    def _counter(self) -> TokenCounter:
        return TokenCounter.for_model(self.settings.model, self._api.tokenizer)

    def run(self, work: Coroutine[Any, Any, _Result], call: Call) -> _Result:
        """On the loop of the process, see `Bridge`."""
        return shared_bridge().run(work, call.wait)

    async def arun(self, work: Coroutine[Any, Any, _Result], call: Call) -> _Result:
        """On the loop of the process, see `Bridge`."""
        return await shared_bridge().arun(work)

    async def prepare(self, call: Call) -> None:
        """For a model without a card: embed one word, to see how long its vectors are."""
        if self._served.card is None:
            await self._learn_dimensions(call)
        if self.settings.window_tokens is not None and self.card.late_chunking is not None:
            reserved_tokens(window_and_overlap(self.card, self.settings)[0], self.tokenizer)

    async def _learn_dimensions(self, call: Call) -> None:
        lengths: list[int] = []
        job = Job(
            tokens=[1],
            sizes=[1],
            width=0,
            build=lambda _: self._served.openai_request(["dimensions"], self._api.transport),
            store=lambda _, vectors: lengths.append(vectors.shape[1]),
            fail=_raise,
        )
        await Dispatch(self._client, call, job).run()
        self._served.learn_dimensions(lengths[0])

    async def embed(self, texts: Sequence[str], task: Task, call: Call) -> FloatArray:
        """One vector for each text, see `Backend.embed`."""
        rows = np.full((len(texts), self._width), np.nan, np.float32)
        await self._fill(rows, texts, task, call, self._api.transport)
        return rows

    async def embed_bits(
        self, texts: Sequence[str], task: Task, call: Call
    ) -> NDArray[np.uint8] | None:
        """The signs as the service packs them; None where it speaks OpenAI's protocol only."""
        if self._served.scheme is None:
            return None
        rows = np.zeros((len(texts), self._width // 8), np.float32)
        await self._fill(rows, texts, task, call, "ubinary")
        return rows.astype(np.uint8)

    async def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[CharSpan]], call: Call
    ) -> list[FloatArray]:
        """Late chunking by the service, see `LateDocuments`."""
        task = self._served.task("passage")
        late = LateDocuments(
            texts,
            spans,
            call,
            card=self.card,
            settings=self.settings,
            tokenizer=self.tokenizer,
            max_inputs=self._api.request_inputs,
            width=self._width,
        )
        job = Job(
            tokens=late.tokens,
            sizes=[len(piece) for piece in late.inputs],
            width=self._width,
            build=lambda indices: self._served.request(
                [late.inputs[index] for index in indices],
                embedding_type=self._api.transport,
                task=task,
                late_chunking=True,
            ),
            store=late.store,
            fail=late.fail,
            accept=late.accept,
            wants=late.wants,
        )
        dispatch = Dispatch(self._client, call, job)
        batches = late.plan()
        while batches:
            await dispatch.run(batches)
            batches = late.plan_again()
        return late.vectors

    async def embed_images(self, images: Sequence[Image], call: Call) -> FloatArray:
        """One vector for each picture, see `Backend.embed_images`."""
        scheme = self._served.scheme
        if scheme is None or not scheme.tile_pixels:
            raise UnsupportedModalityError(
                f"{self.card.id} takes no pictures: use jina-clip-v2 for pictures and texts alike"
            )
        rows = np.full((len(images), self._width), np.nan, np.float32)
        inputs = [wire_image(image) for image in images]
        job = Job(
            tokens=[scheme.picture_tokens(image.pixels) for image in images],
            sizes=[len(picture.image) for picture in inputs],
            width=self._width,
            build=lambda indices: self._served.request(
                [inputs[index] for index in indices], embedding_type=self._api.transport
            ),
            store=rows.__setitem__,
            fail=lambda index, error, to_blame: _fail(call, "images", index, error, to_blame),
        )
        await Dispatch(self._client, call, job).run()
        return rows

    async def _fill(
        self,
        rows: FloatArray,
        texts: Sequence[str],
        task: Task,
        call: Call,
        embedding_type: EmbeddingType,
    ) -> None:
        field = self._served.task(task)
        tokens = self._counter.count(texts)

        def build(indices: Sequence[int]) -> EmbeddingRequest | OpenAIRequest:
            part = [texts[index] for index in indices]
            if self._served.scheme is None:
                return self._served.openai_request(part, self._api.transport)
            return self._served.request(part, embedding_type=embedding_type, task=field)

        def fail(index: int, error: ApiError, to_blame: bool) -> None:
            if is_too_long(error):
                call.fail(index, self._too_long(error, tokens[index]))
            else:
                _fail(call, "texts", index, error, to_blame)

        job = Job(
            tokens=tokens,
            sizes=[len(text) for text in texts],
            width=rows.shape[1],
            build=build,
            store=rows.__setitem__,
            fail=fail,
            scale=lambda: self._counter.factor,
            learn=self._counter.learn,
        )
        await Dispatch(self._client, call, job).run()

    @property
    def _width(self) -> int:
        return self.settings.dimensions or self.card.dimensions

    def _too_long(self, error: ApiError, tokens: int) -> TextTooLongError:
        limit = self.card.max_tokens
        long = TextTooLongError(
            f"has about {tokens} tokens, and the service refused it as too long; {self.card.id} "
            f"takes {limit}: truncate=True cuts it, or chunk it",
            argument="texts",
            tokens=tokens,
            limit=limit,
        )
        long.__cause__ = error
        return long


def _fail(call: Call, argument: str, index: int, error: ApiError, to_blame: bool) -> None:
    """Tell the call of one of its inputs, by name where the input is to blame."""
    call.fail(index, of_input(error, argument) if to_blame else error)


def _raise(_index: int, error: ApiError, _to_blame: bool) -> None:
    raise error
