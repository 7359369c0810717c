"""What a request for vectors means for the one model that is served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..embedding.embedder import Embedder
from ..embedding.vectors import unit
from ..errors import (
    InvalidSettingError,
    InvalidTextError,
    JinaIntegrationsError,
    RequestRefusedError,
)
from ..inputs import check_text
from ..models import ModelCard
from ..types import FloatArray, Task
from ..wire import (
    EmbeddingItem,
    EmbeddingRequest,
    EmbeddingResponse,
    EmbeddingType,
    ErrorCode,
    ImageInput,
    TextInput,
    UsageBody,
    encode_row,
)
from .batching import Outcome
from .jobs import Content, Group, Item, Job, LateDocument
from .pictures import Picture
from .problems import invalid_field
from .settings import ServerSettings
from .tasks import task_names

__all__ = ["Plan", "Service", "Work"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A request whose fields are known to fit the model.

    Attributes:
        inputs: Texts and pictures as they came.
        normalized: Whether vectors get L2 norm 1.
    """

    model: str
    inputs: Sequence[str | ImageInput]
    task: Task
    dimensions: int
    normalized: bool
    late_chunking: bool
    truncate: bool
    embedding_type: EmbeddingType


@dataclass(frozen=True, slots=True)
class Work:
    """What a request asks of the model.

    Attributes:
        groups: Items by group, and the positions of the inputs that their vectors belong to.
        tokens: What the request counts for.
    """

    groups: Sequence[tuple[Group, Sequence[Item], Sequence[int]]]
    tokens: int

    def jobs(self) -> list[Job]:
        """One job for each group; needs a running event loop."""
        return [Job(group, items, positions) for group, items, positions in self.groups]


class Service:
    """The model, and how requests become its inputs and its vectors answers.

    Thread-safe. The model is loaded here, and has run once.

    Raises:
        ModelError: the model cannot be loaded.
        UnsupportedTaskError: it lacks the default task.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        # Full vectors as the model gives them: each request cuts and scales its own.
        values = settings.embedder.replace(normalize=False).to_dict()
        self._embedder = Embedder.from_dict(values)
        self._cutting = Embedder.from_dict({**values, "truncate": True})
        self.card: ModelCard = self._embedder.card
        self.card.scheme(settings.default_task)
        self._tasks = task_names(self.card)
        self._tokenizer = self._embedder.tokenizer
        self._embedder.embed(["ready"], task=settings.default_task)

    @property
    def names(self) -> tuple[str, ...]:
        """What requests may write as ``model``."""
        return *self._settings.model_names, self._settings.embedder.model

    @property
    def tasks(self) -> list[str]:
        """What requests may write as ``task``."""
        return list(self._tasks)

    @cached_property
    def _overheads(self) -> dict[Task, tuple[str, int]]:
        """Of each task, the prefix and the number of special tokens."""
        passage = self.card.tasks["passage"].prefix if "passage" in self.card.tasks else ""
        special = self._tokenizer.overhead - (self._tokenizer.count(passage) if passage else 0)
        return {task: (scheme.prefix, special) for task, scheme in self.card.tasks.items()}

    def plan(self, request: EmbeddingRequest) -> Plan:
        """Check what can be checked before anything is counted or fetched.

        Raises:
            RequestRefusedError: the model is another, or an input is of the wrong kind.
            ValidationError: a field does not fit the model.
        """
        if request.model not in self.names:
            raise RequestRefusedError(
                f"there is no model {request.model[:80]!r} here: this server has "
                f"{', '.join(self.names)}",
                status=400,
                code=ErrorCode.MODEL_NOT_FOUND,
            )
        inputs = request.input if isinstance(request.input, list) else [request.input]
        max_inputs = self._settings.max_inputs
        if not 1 <= len(inputs) <= max_inputs:
            kind = "too_long" if inputs else "too_short"
            raise invalid_field(
                "input",
                kind,
                f"1 to {max_inputs} inputs in a request, not {len(inputs)}",
                len(inputs),
            )
        late_chunking = bool(request.late_chunking)
        absent = "passage" if late_chunking else self._settings.default_task
        plan = Plan(
            model=request.model,
            inputs=[item.text if isinstance(item, TextInput) else item for item in inputs],
            task=absent if request.task is None else self._task(request.task),
            dimensions=self._dimensions(request),
            normalized=request.normalized is not False,
            late_chunking=late_chunking,
            truncate=bool(request.truncate),
            embedding_type=request.embedding_type or "float",
        )
        if late_chunking:
            plan = self._late(plan)
        for index, item in enumerate(plan.inputs):
            if isinstance(item, str):
                _check_input(item, index)
            elif "image" not in self.card.modalities:
                raise _refused(f"input[{index}] is a picture, and {self.card.id} takes none")
        return plan

    def _task(self, name: str) -> Task:
        if name not in self._tasks:
            raise invalid_field(
                "task", "enum", f"{self.card.id} has the tasks {', '.join(self._tasks)}", name
            )
        return self._tasks[name]

    def _dimensions(self, request: EmbeddingRequest) -> int:
        dimensions = request.dimensions or self.card.dimensions
        try:
            self.card.check_dimensions(dimensions)
        except InvalidSettingError as exc:
            raise invalid_field("dimensions", "value_error", str(exc), dimensions) from exc
        if request.embedding_type in ("binary", "ubinary") and dimensions % 8:
            message = f"{request.embedding_type} vectors need a multiple of 8"
            raise invalid_field("dimensions", "multiple_of", message, dimensions)
        return dimensions

    def _late(self, plan: Plan) -> Plan:
        """The plan, once it is known that it can be done by late chunking."""
        passage = self.card.scheme(plan.task) == self.card.scheme("passage")
        if self.card.late_chunking is None:
            message = f"{self.card.id} has no late chunking: leave late_chunking out"
        elif not all(isinstance(item, str) for item in plan.inputs):
            message = "late chunking is for texts, and an input is a picture"
        elif not passage and len(plan.inputs) > 1:
            message = "late chunking embeds passages: leave task out, or say retrieval.passage"
        else:
            # A single query is its own document, which the plain way gives the same vector.
            return plan if passage else replace(plan, late_chunking=False)
        raise invalid_field("late_chunking", "value_error", message, value=True)

    def work(self, plan: Plan, pictures: Sequence[Picture]) -> Work:
        """Count the request, and cut it into what the model is given.

        Args:
            plan: The request.
            pictures: Of the inputs that are no texts, in their order.

        Raises:
            RequestRefusedError: a text is over the model's limit, and is not to be cut.
        """
        if plan.late_chunking:
            return self._late_work(plan)
        groups: dict[Group, tuple[list[Item], list[int]]] = {}
        rest = iter(pictures)
        tokens = 0
        for index, source in enumerate(plan.inputs):
            if isinstance(source, str):
                count = self._count(source, plan.task)
                long = count > self.card.max_tokens
                if long and not plan.truncate:
                    raise self._too_long(f"input[{index}] has", count)
                count = min(count, self.card.max_tokens)
                group, item = Group("text", plan.task, long), Item(source, count)
            else:
                picture = next(rest)
                count = self._picture_tokens(picture)
                group, item = Group("image", plan.task, truncate=False), Item(picture.data, count)
            items, places = groups.setdefault(group, ([], []))
            items.append(item)
            places.append(index)
            tokens += item.tokens
        return Work([(group, *items) for group, items in groups.items()], tokens)

    def _late_work(self, plan: Plan) -> Work:
        texts = [item for item in plan.inputs if isinstance(item, str)]
        ends = np.cumsum([len(text) for text in texts]).tolist()
        spans = tuple(zip([0, *ends[:-1]], ends, strict=True))
        text = "".join(texts)
        tokens = self._count(text, "passage")
        group = Group("late", "passage", plan.truncate)
        item = Item(LateDocument(text, spans), tokens)
        return Work([(group, [item], range(len(texts)))], tokens)

    def _count(self, text: str, task: Task) -> int:
        prefix, special = self._overheads[task]
        return self._tokenizer.count(prefix + text) + special

    def _too_long(self, name: str, tokens: int) -> RequestRefusedError:
        return RequestRefusedError(
            f"{name} {tokens:,} tokens, and {self.card.id} takes {self.card.max_tokens:,}: cut "
            "it, or set truncate to true",
            status=400,
            code=ErrorCode.TOKEN_LIMIT,
        )

    def _picture_tokens(self, picture: Picture) -> int:
        """What the service counts for a picture; 1 for a model that it does not know."""
        scheme = self.card.service
        if scheme is None or not scheme.tile_pixels:
            return 1
        return scheme.picture_tokens(picture.pixels)

    def encode(
        self, group: Group, contents: Sequence[Content], on_progress: Callable[[int], None]
    ) -> list[Outcome]:
        """Run the model; the batcher's threads call this, see `Encode`."""
        embedder = self._cutting if group.truncate else self._embedder
        if group.kind == "image":
            pictures = [content for content in contents if isinstance(content, bytes)]
            return [row[None] for row in embedder.embed_images(pictures)]
        if group.kind == "late":
            documents = [content for content in contents if isinstance(content, LateDocument)]
            late = embedder.embed_chunks(
                [document.text for document in documents],
                [document.spans for document in documents],
                on_error="collect",
                on_progress=on_progress,
            )
            return _merge(late.indices, late.vectors, late.failures, len(contents))
        texts = [content for content in contents if isinstance(content, str)]
        plain = embedder.embed(texts, task=group.task, on_error="collect", on_progress=on_progress)
        return _merge(plain.indices, plain.vectors[:, None], plain.failures, len(contents))

    def answer(self, plan: Plan, work: Work, vectors: Sequence[FloatArray]) -> bytes:
        """The body of the answer.

        Args:
            plan: The request.
            work: What was asked of the model.
            vectors: Of each of its groups, shape (inputs, dimensions).
        """
        rows = np.empty((len(plan.inputs), plan.dimensions), np.float32)
        for (_, _, positions), vectors_of_group in zip(work.groups, vectors, strict=True):
            rows[np.asarray(positions)] = vectors_of_group[:, : plan.dimensions]
        if plan.normalized:
            rows = unit(rows)
        body = EmbeddingResponse.model_construct(
            model=plan.model,
            usage=UsageBody(total_tokens=work.tokens, prompt_tokens=work.tokens),
            data=[
                EmbeddingItem.model_construct(
                    index=index, embedding=encode_row(row, plan.embedding_type)
                )
                for index, row in enumerate(rows)
            ],
        )
        return body.model_dump_json().encode()


def _merge(
    indices: Sequence[int],
    vectors: Sequence[FloatArray] | FloatArray,
    failures: dict[int, JinaIntegrationsError],
    count: int,
) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {**failures, **dict(zip(indices, vectors, strict=True))}
    return [outcomes[index] for index in range(count)]


def _check_input(text: str, index: int) -> None:
    try:
        check_text(text, index=index)
    except InvalidTextError as exc:
        exc.argument = "input"
        raise _refused(str(exc)) from exc


def _refused(message: str) -> RequestRefusedError:
    return RequestRefusedError(message, status=400, code=ErrorCode.INVALID_INPUT)
