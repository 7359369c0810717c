"""Many inputs through many requests: split what fails, isolate what is bad, lose nothing.

Inputs are known by their index. A request that fails as a whole is tried again, or halved; a vector
that came is kept, and only those that are missing are asked for again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Final

from ...embedding.call import Call
from ...errors import (
    ApiError,
    ApiResponseError,
    ApiTimeoutError,
    RequestRefusedError,
    WrongDimensionsError,
)
from ...types import FloatArray
from ...wire import EmbeddingRequest, OpenAIRequest
from .client import ApiClient
from .retrying import is_divisible, retrying

__all__ = ["Batch", "Dispatch", "Job", "of_input", "plan_batches"]

_MAX_BYTES: Final = 20 * 2**20
"""A request holds about this much at most, but for a single larger input."""

_MAX_REFUSED: Final = 8
"""So many inputs refused one by one, and none accepted: then the request is at fault, not they."""


@dataclass(slots=True, eq=False)
class Batch:
    """The inputs of one request.

    Attributes:
        indices: Those that have no vector yet.
        whole: Whether they only mean something together, so that a part is never sent alone.
        wanted: Those whose vectors are kept; None is all.
        is_part: Whether it was split off a larger one.
        deadline: Loop time at which it is given up; None until it is first sent.
    """

    indices: list[int]
    whole: bool = False
    wanted: frozenset[int] | None = None
    is_part: bool = False
    deadline: float | None = None

    def halves(self) -> tuple[Batch, Batch]:
        """Two batches in the time of this one."""
        middle = len(self.indices) // 2
        first, second = self.indices[:middle], self.indices[middle:]
        return (
            Batch(first, is_part=True, deadline=self.deadline),
            Batch(second, is_part=True, deadline=self.deadline),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """The inputs of one call, and what becomes of them.

    Attributes:
        tokens: Expected cost of each input, before `scale`.
        sizes: Bytes of each input, about.
        width: Length of the vectors; 0 takes any.
        build: Makes the request of some inputs, by index.
        store: Gets indices and their vectors.
        fail: Gets each index that has no vector, its error, and whether the input is to blame. It
            may raise, which ends the call.
        scale: What expected costs are to be multiplied by at present.
        learn: Is told of expected cost, before `scale`, and actual cost of each request.
        accept: Whether an answer of that cost can be used; if not, it is dropped, and what becomes
            of the batch's inputs is the job's own affair.
        wants: Whether a batch still has to be sent.
    """

    tokens: Sequence[int]
    sizes: Sequence[int]
    width: int
    build: Callable[[Sequence[int]], EmbeddingRequest | OpenAIRequest]
    store: Callable[[Sequence[int], FloatArray], None]
    fail: Callable[[int, ApiError, bool], None]
    scale: Callable[[], float] = lambda: 1.0
    learn: Callable[[int, int], None] | None = None
    accept: Callable[[Batch, int], bool] | None = None
    wants: Callable[[Batch], bool] = lambda _: True


def plan_batches(job: Job, *, max_inputs: int, max_tokens: int) -> Iterator[Batch]:
    """All inputs in order, in batches bounded by count, tokens and bytes, of at least one each.

    Each batch is planned when it is asked for, with what was learned of costs until then.
    """
    start = 0
    while start < len(job.tokens):
        scale = job.scale()
        end, total, total_bytes = start, 0.0, 0
        while end < len(job.tokens) and end - start < max_inputs:
            total += job.tokens[end] * scale
            total_bytes += job.sizes[end]
            if end > start and (total > max_tokens or total_bytes > _MAX_BYTES):
                break
            end += 1
        yield Batch(list(range(start, end)))
        start = end


def of_input(error: ApiError, argument: str) -> ApiError:
    """A copy of the error for one input, which `Call.fail` names, such as ``texts[7]``."""
    of_one = copy(error)
    of_one.argument = argument
    of_one.__cause__ = error
    return of_one


class Dispatch:
    """The requests of one job."""

    def __init__(self, client: ApiClient, call: Call, job: Job) -> None:
        self._client = client
        self._limiter = client.limiter()
        self._call = call
        self._job = job
        self._fatal: ApiError | None = None
        self._succeeded = False
        self._refused = 0

    async def run(self, batches: Iterable[Batch] | None = None) -> None:
        """Send all batches, as many at a time as the settings allow; None plans them."""
        settings = self._client.settings
        if batches is None:
            batches = plan_batches(
                self._job,
                max_inputs=settings.request_inputs,
                max_tokens=self._limiter.request_tokens(settings.request_tokens),
            )
        waiting = iter(batches)

        async def work() -> None:
            for batch in waiting:  # of which each worker takes the next
                await self._finish(batch)

        workers = min(settings.concurrent_requests, len(self._job.tokens))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(work())
        except ExceptionGroup as exc:  # the first error cancels the other workers
            first = exc.exceptions[0]
        else:
            return
        raise first  # out here, so that it keeps its own cause

    async def _finish(self, batch: Batch) -> None:
        """Every input of the batch has a vector, or has failed."""
        if not self._job.wants(batch):
            return
        if self._fatal is not None:
            self._give_up(batch, self._fatal, to_blame=False)
            return
        try:
            await self._send(batch)
        except ApiError as exc:
            if self._can_split(batch, exc):
                for half in batch.halves():
                    await self._finish(half)
                return
            to_blame = self._is_to_blame(batch, exc)
            if not to_blame:
                self._fatal = exc
            self._give_up(batch, exc, to_blame=to_blame)

    async def _send(self, batch: Batch) -> None:
        policy = retrying(
            max_retries=self._client.settings.max_retries,
            inputs=lambda: 1 if batch.whole else len(batch.indices),
            deadline=lambda: batch.deadline,
            has_answered=lambda: self._client.has_answered,
        )
        last: ApiError | None = None
        async for attempt in policy:
            with attempt:
                try:
                    async with asyncio.timeout_at(batch.deadline):
                        await self._attempt(batch, attempt.retry_state.attempt_number)
                except TimeoutError as exc:
                    raise last or self._too_late() from exc
                except ApiError as exc:
                    last = exc
                    raise

    async def _attempt(self, batch: Batch, number: int) -> None:
        job = self._job
        estimate = sum(job.tokens[index] for index in batch.indices)
        tokens = math.ceil(estimate * job.scale())
        async with self._limiter.admit(tokens) as grant:
            if batch.deadline is None:
                total_s = self._client.settings.total_timeout_s
                batch.deadline = asyncio.get_running_loop().time() + total_s
            self._call.spend(requests=1, retries=int(number > 1))
            answer = await self._client.post(
                job.build(batch.indices), grant, tokens=tokens, width=job.width
            )
        self._call.advance(answer.tokens)
        if answer.tokens and job.learn is not None:
            job.learn(estimate, answer.tokens)
        if job.accept is not None and not job.accept(batch, answer.tokens):
            return
        asked = batch.indices
        answered = [asked[position] for position in answer.positions]
        complete = len(answered) == len(asked)
        if complete or not batch.whole:
            self._store(batch, answered, answer.vectors)
            self._succeeded = self._succeeded or bool(answered)
        if not complete:
            if not batch.whole:
                had = set(answered)
                batch.indices = [index for index in asked if index not in had]
            raise ApiResponseError(
                f"the service gave no usable vector for {len(asked) - len(answered)} of "
                f"{len(asked)} inputs"
            )

    def _store(self, batch: Batch, indices: Sequence[int], vectors: FloatArray) -> None:
        if batch.wanted is not None:
            kept = [row for row, index in enumerate(indices) if index in batch.wanted]
            indices, vectors = [indices[row] for row in kept], vectors[kept]
        self._job.store(indices, vectors)

    def _can_split(self, batch: Batch, error: ApiError) -> bool:
        in_time = batch.deadline is None or asyncio.get_running_loop().time() < batch.deadline
        return is_divisible(error) and len(batch.indices) > 1 and not batch.whole and in_time

    def _is_to_blame(self, batch: Batch, error: ApiError) -> bool:
        """Whether the error is of the batch's inputs, so that others may succeed."""
        if isinstance(error, RequestRefusedError):
            self._refused += 1
            # One bad request that was cut to pieces is no thousand bad inputs.
            return is_divisible(error) and (self._succeeded or self._refused < _MAX_REFUSED)
        if isinstance(error, WrongDimensionsError):
            return False
        if isinstance(error, ApiResponseError):
            return self._succeeded
        return is_divisible(error) and (self._succeeded or batch.is_part)

    def _give_up(self, batch: Batch, error: ApiError, *, to_blame: bool) -> None:
        for index in batch.indices:
            self._job.fail(index, error, to_blame)

    def _too_late(self) -> ApiTimeoutError:
        return ApiTimeoutError(
            f"no success within {self._client.settings.total_timeout_s:g} s: raise "
            "total_timeout_s, or ask less of the service at a time"
        )
