"""Requests that come at the same time go through the model together."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from ..backends.local.batches import SHORT_SHARE
from ..errors import JinaIntegrationsError, RequestRefusedError, ServerError
from ..types import FloatArray
from ..wire import ErrorCode
from .jobs import Content, Group, Job, Piece, Queue

__all__ = ["Batcher", "Encode", "Outcome"]

Outcome: TypeAlias = FloatArray | JinaIntegrationsError
"""What became of one item: its vectors, shape (vectors, dimensions), or its error."""

Encode: TypeAlias = Callable[[Group, Sequence[Content], Callable[[int], None]], Sequence[Outcome]]
"""Runs the model on items of one group: one outcome for each. Calls the function after each forward
pass, with its tokens; what that raises ends the work."""

_LONGEST_WAIT_S: Final = 60

_BATCH_S: Final = 0.5
"""A batch takes about this long at most, so that whoever comes next does not wait for long."""

_LEAST_BATCH_TOKENS: Final = 512
"""No batch is made smaller for that: a model gets much slower, a token, with fewer."""

_DOCUMENTS: Final = 4
"""Long documents under way at a time. They take turns at the model, and each takes memory."""

_log = logging.getLogger("jina_integrations.server")


class _Line:
    """Jobs that wait for the same threads.

    Args:
        lock: The batcher's.
        share: Tokens that a job gives to a batch.
    """

    def __init__(self, lock: threading.Lock, share: int) -> None:
        self.queue = Queue(share)
        self.changed = threading.Condition(lock)


class _AbandonedError(Exception):
    """Nobody waits for what the model works on."""


class Batcher:
    """The threads that feed the model, and the queues before them.

    Short jobs have a thread of their own, large ones another, and documents for late chunking, of
    which each is one item, a few. All of them run at once, and the model takes one forward pass of
    each in turn, short ones first (see `Turns`).

    Args:
        encode: The model; thread-safe. What it raises fails the items at fault, and never a thread.
        batch_tokens: Tokens of one batch.
        queue_tokens: Tokens accepted at a time, waiting or under way.
        on_batch: Told of each batch: its tokens, items, and seconds.
    """

    def __init__(
        self,
        encode: Encode,
        *,
        batch_tokens: int,
        queue_tokens: int,
        on_batch: Callable[[int, int, float], None],
    ) -> None:
        self._encode = encode
        self._batch_tokens = batch_tokens
        self._short_tokens = max(1, batch_tokens // SHORT_SHARE)
        self._queue_tokens = queue_tokens
        self._on_batch = on_batch
        self._lock = threading.Lock()
        self._short, self._long, self._documents = (
            _Line(self._lock, self._short_tokens) for _ in range(3)
        )
        self._tokens = 0
        self._rate = _Rate()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, args=(line,), name="jina-batcher", daemon=True)
            for line in (self._short, self._long, *[self._documents] * _DOCUMENTS)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Take nothing more, finish what was accepted, end the threads. Blocks."""
        with self._lock:
            self._closed = True
            for line in (self._short, self._long, self._documents):
                line.changed.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def tokens(self) -> int:
        """Tokens that wait or are under way."""
        return self._tokens

    @property
    def alive(self) -> bool:
        """Whether all threads run."""
        return all(thread.is_alive() for thread in self._threads)

    async def run(self, jobs: Sequence[Job]) -> list[FloatArray]:
        """The vectors of each job: float32, shape (its vectors, dimensions).

        To cancel this takes what has not begun out of the queue. What has, ends after its forward
        pass, unless others wait for the same batch.

        Raises:
            RequestRefusedError: the jobs are larger than the whole queue.
            ServerError: the queue is full; how long to wait is in it.
            JinaIntegrationsError: what the model said of one of the items.
        """
        self._accept(jobs)
        try:
            for job in jobs:
                await job.future
                if job.failed is not None:
                    raise job.failed
        finally:
            self._drop(jobs)
        return [job.vectors for job in jobs]

    def _accept(self, jobs: Sequence[Job]) -> None:
        tokens = sum(job.tokens for job in jobs)
        if tokens > self._queue_tokens:
            raise RequestRefusedError(
                f"the request has {tokens:,} tokens; this server takes {self._queue_tokens:,} at a "
                "time: send it in parts",
                status=400,
                code=ErrorCode.TOKEN_LIMIT,
            )
        with self._lock:
            surplus = self._tokens + tokens - self._queue_tokens
            if surplus > 0 or self._closed:
                raise ServerError(
                    "the server is stopping" if self._closed else "the server is busy: try again",
                    status=503,
                    code=ErrorCode.UNAVAILABLE,
                    retry_after_s=self._wait_s(surplus),
                )
            self._tokens += tokens
            for job in jobs:
                line = self._line(job)
                line.queue.add(job)
                line.changed.notify()

    def _line(self, job: Job) -> _Line:
        if job.tokens <= self._short_tokens:
            return self._short
        return self._documents if job.group.kind == "late" else self._long

    def _wait_s(self, tokens: int) -> int:
        """Whole seconds until so many tokens are done, at the rate of late."""
        return min(max(1, math.ceil(self._rate.seconds(tokens))), _LONGEST_WAIT_S)

    def _drop(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            for job in jobs:
                self._withdraw(job)

    def _withdraw(self, job: Job) -> None:
        """Hand out no more of a job; the queue skips what is left of it."""
        if not job.dropped:
            self._tokens -= job.waiting_tokens
            job.dropped = True

    def _work(self, line: _Line) -> None:
        while batch := self._next_batch(line):
            start = time.perf_counter()
            outcomes = self._attempt(batch)
            seconds = time.perf_counter() - start
            tokens = sum(piece.item.tokens for piece in batch)
            self._deliver(batch, outcomes, tokens, seconds)
            self._on_batch(tokens, len(batch), seconds)

    def _next_batch(self, line: _Line) -> list[Piece]:
        """Waits for work; empty once the batcher is closed and all of the line is done."""
        with self._lock:
            while True:
                if batch := line.queue.take(self._room(line)):
                    return batch
                if self._closed:
                    return []
                line.changed.wait()

    def _room(self, line: _Line) -> int:
        """Tokens of the line's next batch."""
        if line is self._short:
            return self._short_tokens
        if line is self._documents:
            return 1  # which means one document
        return min(self._batch_tokens, max(self._rate.tokens(_BATCH_S), _LEAST_BATCH_TOKENS))

    def _attempt(self, batch: Sequence[Piece]) -> Sequence[Outcome]:
        """Halves a batch that fails as a whole, down to the items at fault."""

        def on_progress(_: int) -> None:
            if all(piece.job.dropped for piece in batch):
                raise _AbandonedError

        contents = [piece.item.content for piece in batch]
        try:
            outcomes = self._encode(batch[0].job.group, contents, on_progress)
            if len(outcomes) == len(contents):
                return outcomes
            raise RuntimeError(f"{len(contents)} items gave {len(outcomes)} outcomes")
        except _AbandonedError:
            gone = ServerError("nobody waits", status=503, code=ErrorCode.UNAVAILABLE)
            return [gone] * len(batch)
        except Exception as exc:  # noqa: BLE001  # whatever a model raises, others still wait
            if len(batch) > 1:
                half = len(batch) // 2
                return [*self._attempt(batch[:half]), *self._attempt(batch[half:])]
            if isinstance(exc, JinaIntegrationsError):
                return [exc]
            _log.error("the model failed with %s", type(exc).__name__, exc_info=exc)
            failure = ServerError(
                f"the model failed with {type(exc).__name__}", status=500, code=ErrorCode.INTERNAL
            )
            failure.__cause__ = exc
            return [failure]

    def _deliver(
        self, batch: Sequence[Piece], outcomes: Sequence[Outcome], tokens: int, seconds: float
    ) -> None:
        done: dict[Job, None] = {}
        with self._lock:
            self._rate.add(tokens, seconds)
            self._tokens -= tokens
            for piece, outcome in zip(batch, outcomes, strict=True):
                job = piece.job
                if isinstance(outcome, JinaIntegrationsError):
                    job.fail(piece.index, outcome)
                    self._withdraw(job)
                else:
                    job.put(piece.index, outcome)
                if job.done:
                    done[job] = None
        loops = {job.future.get_loop() for job in done}
        for loop in loops:
            # A closed loop was stopped by force: nobody waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, [j for j in done if j.future.get_loop() is loop])


class _Rate:
    """Tokens a second of late. A small batch, which is slow a token, counts for little."""

    _MEMORY: Final = 0.8

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0

    def add(self, tokens: int, seconds: float) -> None:
        """Count a batch."""
        self._tokens = self._tokens * self._MEMORY + tokens
        self._seconds = self._seconds * self._MEMORY + seconds

    def seconds(self, tokens: int) -> float:
        """What so many tokens take; 0 as long as nothing is known."""
        return self._seconds * tokens / self._tokens if self._tokens else 0.0

    def tokens(self, seconds: float) -> int:
        """How many so many seconds are enough for."""
        return int(self._tokens * seconds / self._seconds) if self._seconds else 0


def _settle(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_result(None)
