"""What a service takes of a model: its card there, and the bodies of requests."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from ...errors import InvalidSettingError, ModelError, ModelNotFoundError, UnsupportedTaskError
from ...images import Image
from ...models import MODEL_CARDS, ModelCard, ServiceScheme, TaskScheme
from ...settings import EmbedderSettings, Transport
from ...types import Task
from ...wire import EmbeddingRequest, EmbeddingType, ImageInput, OpenAIRequest
from ...wire import Input as WireInput

__all__ = ["ServedModel", "wire_image"]

_UNKNOWN_LIMIT: Final = 2**31 - 1
"""Tokens that a model takes of which nothing is known; its server refuses what is too long."""

_LOCAL_ONLY: Final = ("revision", "trust_remote_code", "engine", "device", "precision", "long")


class ServedModel:
    """A model as a service has it. Models without a `ServiceScheme` speak OpenAI's protocol.

    Raises:
        InvalidSettingError: a setting is for local models, or the service has no such choice.
        ModelError: the service does not have the model, or its vectors fit no `Embedder`.
    """

    def __init__(self, settings: EmbedderSettings) -> None:
        self.settings = settings
        row = MODEL_CARDS.get(settings.model)
        self.scheme = None if row is None else row.service
        self._check(row)
        self.card: ModelCard | None = None
        if row is not None and self.scheme is not None:
            self.card = _card_of(row, self.scheme)
        elif settings.dimensions is not None:
            self.learn_dimensions(settings.dimensions)

    def learn_dimensions(self, dimensions: int) -> None:
        """A card for a model of which only the length of its vectors is known."""
        self.card = ModelCard(
            id=self.settings.model,
            repository=None,
            dimensions=dimensions,
            min_dimensions=None,
            context_tokens=_UNKNOWN_LIMIT,
            max_tokens=_UNKNOWN_LIMIT,
            tasks=MappingProxyType({"query": TaskScheme(), "passage": TaskScheme()}),
            pooling="mean",
            late_chunking=None,
            licence="unknown",
            source=f"{self.settings.base_url}",
        )

    def task(self, task: Task) -> str | None:
        """The request's ``task``; None leaves it out."""
        if self.scheme is None:
            return None
        if task not in self.scheme.tasks:
            raise UnsupportedTaskError(
                f"{self.settings.model} has no task {task!r} at the service; it has "
                f"{', '.join(map(repr, self.scheme.tasks))}"
            )
        return self.scheme.tasks[task]

    def request(
        self,
        inputs: Sequence[WireInput],
        *,
        embedding_type: EmbeddingType,
        task: str | None = None,
        late_chunking: bool = False,
    ) -> EmbeddingRequest:
        """The body for some inputs, with the fields that the model has."""
        settings, scheme, row = self.settings, self._known_scheme, MODEL_CARDS[self.settings.model]
        return EmbeddingRequest(
            model=settings.model,
            input=list(inputs),
            task=task,
            dimensions=settings.dimensions if row.min_dimensions is not None else None,
            normalized=settings.normalize if scheme.normalized else None,
            late_chunking=late_chunking or None,
            truncate=settings.truncate,
            embedding_type=embedding_type,
        )

    def openai_request(self, texts: Sequence[str], transport: Transport) -> OpenAIRequest:
        """The body for some texts of a model that has no scheme."""
        return OpenAIRequest(
            model=self.settings.model,
            input=list(texts),
            dimensions=self.settings.dimensions,
            encoding_format=transport,
        )

    @property
    def _known_scheme(self) -> ServiceScheme:
        if self.scheme is None:
            raise RuntimeError("a model without a scheme takes openai_request()")
        return self.scheme

    def _check(self, row: ModelCard | None) -> None:
        settings, scheme = self.settings, self.scheme
        defaults = EmbedderSettings(model=settings.model)
        for name in _LOCAL_ONLY:
            value = getattr(settings, name)
            if value != getattr(defaults, name):
                raise InvalidSettingError(
                    f"{name}={value!r} is for local models, and this one is reached through the "
                    "API: leave it out, or say backend='local'"
                )
        if settings.base_url is None and (scheme is None or not scheme.hosted):
            hosted = [c.id for c in MODEL_CARDS.values() if c.service and c.service.hosted]
            raise ModelNotFoundError(
                f"{settings.model!r:.200} is not known to be served by Jina's API; these are: "
                f"{', '.join(hosted)}. Pass base_url for another server"
            )
        if row is not None and row.multi_vector:
            raise ModelError(f"{row.id} gives one vector for each token, which no Embedder returns")
        if scheme is None and settings.truncate:
            raise InvalidSettingError(
                f"truncate=True cannot be asked of {settings.base_url} for {settings.model!r}: "
                "only Jina's own models have it. Cut the texts, or leave it out"
            )
        if settings.normalize is False and (scheme is None or not scheme.normalized):
            raise InvalidSettingError(
                f"normalize=False cannot be asked of the service for {settings.model!r}: leave it "
                "out"
            )


def _card_of(card: ModelCard, scheme: ServiceScheme) -> ModelCard:
    """The row with the service's tasks, in which prefixes and adapters are the service's matter."""
    tasks = {task: TaskScheme(adapter=name) for task, name in scheme.tasks.items()}
    return replace(
        card,
        tasks=MappingProxyType(tasks),
        late_chunking=card.late_chunking if scheme.late_chunking else None,
    )


def wire_image(image: Image) -> ImageInput:
    """A picture as it travels: its URL, or base64 without a data prefix."""
    if image.data is None:
        return ImageInput(image=image.url or "")
    return ImageInput(image=base64.b64encode(image.data).decode("ascii"))
