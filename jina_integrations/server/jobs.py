"""What requests ask of the model, and in which order it gets it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ..errors import EmbeddingError, InvalidInputError, JinaIntegrationsError
from ..types import CharSpan, FloatArray, Task

__all__ = ["Content", "Group", "Item", "Job", "LateDocument", "Piece", "Queue"]


@dataclass(frozen=True, slots=True)
class LateDocument:
    """One text, and the spans of it that get a vector each."""

    text: str
    spans: tuple[CharSpan, ...]


Content: TypeAlias = str | bytes | LateDocument
"""A text, a picture's encoded file, or a document for late chunking."""


@dataclass(frozen=True, slots=True)
class Group:
    """What items must have in common to go through the model together."""

    kind: Literal["text", "image", "late"]
    task: Task
    truncate: bool


@dataclass(frozen=True, slots=True)
class Item:
    """The smallest thing that the model is given; it gives one vector, or one for each span."""

    content: Content
    tokens: int


class Job:
    """The items of one request that belong to one group. Guarded by the lock of its `Batcher`.

    Args:
        group: What its items have in common.
        items: In the order of their vectors.
        positions: For each vector the request's input that it belongs to.

    Attributes:
        tokens: Of all items.
        failed: The error that ended it.
        dropped: Whether nobody waits any more; what was not handed out will not be.
        future: Done when the job is.
    """

    def __init__(self, group: Group, items: Sequence[Item], positions: Sequence[int]) -> None:
        self.group = group
        self.items = items
        self._positions = positions
        self.tokens = sum(item.tokens for item in items)
        self.failed: JinaIntegrationsError | None = None
        self.dropped = False
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._results: list[FloatArray | None] = [None] * len(items)
        self._missing = len(items)
        self._next = 0

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to hand out."""
        return self.dropped or self._next == len(self.items)

    @property
    def waiting_tokens(self) -> int:
        """Of the items that were not handed out."""
        return sum(item.tokens for item in self.items[self._next :])

    @property
    def done(self) -> bool:
        """Whether every item has its vectors, or one has failed."""
        return self.failed is not None or not self._missing

    @property
    def vectors(self) -> FloatArray:
        """All vectors, item after item: float32, shape (vectors, dimensions)."""
        return np.concatenate([rows for rows in self._results if rows is not None])

    def take(self, room: int, share: int, *, forced: bool) -> list[Piece]:
        """The next items: up to `share` tokens, but one item if it fits into `room` at all.

        Args:
            room: Tokens left in the batch.
            share: Tokens that this job should take of it.
            forced: Take one item even if it does not fit.
        """
        taken: list[Piece] = []
        tokens = 0
        while self._next < len(self.items):
            item = self.items[self._next]
            limit = min(room, share) if taken else room
            if tokens + item.tokens > limit and not (forced and not taken):
                break
            taken.append(Piece(self, self._next))
            tokens += item.tokens
            self._next += 1
        return taken

    def fail(self, index: int, error: JinaIntegrationsError) -> None:
        """End the job with the error of an item, in the words of the request; the first counts."""
        if self.failed is not None:
            return
        if isinstance(error, InvalidInputError | EmbeddingError) and error.argument is not None:
            vector = error.span if self.group.kind == "late" else index
            error.argument, error.span = "input", None
            error.index = None if vector is None else self._positions[vector]
        self.failed = error

    def put(self, index: int, rows: FloatArray) -> None:
        """Keep the vectors of an item, shape (vectors, dimensions)."""
        self._results[index] = rows
        self._missing -= 1


@dataclass(frozen=True, slots=True)
class Piece:
    """An item that was handed out."""

    job: Job
    index: int

    @property
    def item(self) -> Item:
        """The item."""
        return self.job.items[self.index]


class Queue:
    """Jobs that wait. Groups take turns, and so do the jobs of a group.

    A batch has something of several jobs, so that a long one delays no other.

    Args:
        share: Tokens that a job gives at a time.
    """

    def __init__(self, share: int) -> None:
        self._share = share
        self._groups: OrderedDict[Group, deque[Job]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._groups)

    def add(self, job: Job) -> None:
        """Put a job behind the others of its group."""
        self._groups.setdefault(job.group, deque()).append(job)

    def take(self, room: int) -> list[Piece]:
        """The next batch, all of one group; empty where nothing waits.

        Args:
            room: Tokens of the batch; only a single item may have more.
        """
        batch: list[Piece] = []
        while self._groups and not batch:
            group, jobs = next(iter(self._groups.items()))
            batch = self._draw(jobs, room)
            self._groups.move_to_end(group)
            if not jobs:
                del self._groups[group]
        return batch

    def _draw(self, jobs: deque[Job], room: int) -> list[Piece]:
        drawn: list[Piece] = []
        while jobs:
            job = jobs[0]
            taken = [] if job.dropped else job.take(room, self._share, forced=not drawn)
            if not taken and not job.exhausted:
                break
            jobs.popleft()
            if not job.exhausted:
                jobs.append(job)
            drawn += taken
            room -= sum(piece.item.tokens for piece in taken)
        return drawn
