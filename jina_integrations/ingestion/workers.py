"""Where chunks are embedded while the run reads and writes: a thread, or processes."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import cached_property
from multiprocessing import get_context
from typing import Protocol

from ..errors import InvalidSettingError, JinaIntegrationsError, WorkerError
from ..types import Document
from .stages import Embedded, Job, chunk, embed

__all__ = ["Processes", "Stopped", "Thread", "Workers", "start_workers"]

Pending = Sequence[tuple[Document, str]]
"""Documents with their versions."""


class Stopped(BaseException):  # like KeyboardInterrupt, it is no error
    """The run has ended, and what a worker does for it is not wanted any more."""


class Workers(Protocol):
    """What takes batches and gives their records."""

    count: int
    """Batches that are embedded at the same time."""

    def submit(self, pending: Pending) -> Future[Embedded]:
        """Chunk and embed a batch."""
        ...

    def tokens(self) -> int:
        """Tokens encoded since the last call."""
        ...

    def stop(self) -> None:
        """End after the forward pass in hand; what was submitted is dropped."""
        ...


def start_workers(job: Job, processes: int) -> Workers:
    """One thread for no process, else that many processes.

    Raises:
        InvalidSettingError: the job cannot be sent to processes.
    """
    return Processes(job, processes) if processes else Thread(job)


class Thread:
    """Embeds in one thread. Chunks in the caller's, while that one embeds the batch before."""

    count = 1

    def __init__(self, job: Job) -> None:
        self._job = job
        self._tokens: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._executor = ThreadPoolExecutor(1, "jina-embed")

    def submit(self, pending: Pending) -> Future[Embedded]:
        """See `Workers`."""
        chunked, failures = chunk(self._job, pending)

        def work() -> Embedded:
            embedded = embed(self._job, chunked, on_tokens=self._note)
            embedded.failures[:0] = failures
            return embedded

        return self._executor.submit(work)

    def _note(self, tokens: int) -> None:
        if self._stopped.is_set():
            raise Stopped
        if tokens:
            self._tokens.put(tokens)

    def tokens(self) -> int:
        """See `Workers`."""
        return _drained(self._tokens)

    def stop(self) -> None:
        """See `Workers`."""
        self._stopped.set()
        self._executor.shutdown(wait=True, cancel_futures=True)


class Processes:
    """Chunks and embeds in processes, each with its own model and its share of the machine.

    That is a share of the processors, and one GPU after the other, see `Backend.worker_device`.
    """

    def __init__(self, job: Job, count: int) -> None:
        if job.embedder.operations.key is not None:
            raise InvalidSettingError(
                "workers are processes of their own, and an api_key is never sent to one: set "
                "JINA_API_KEY in the environment and leave api_key out, or leave workers out "
                "(requests to an API overlap anyway)"
            )
        _check_picklable(job)
        self.count = count
        context = get_context("spawn")  # a forked child would inherit locks that others hold
        self._tokens = context.SimpleQueue()
        self._stopped = context.RawValue("b", 0)  # an Event's lock dies with a killed process
        numbers = context.SimpleQueue()
        for number in range(count):
            numbers.put(number)
        threads = max(1, (os.cpu_count() or 1) // count)
        self._executor = ProcessPoolExecutor(
            count,
            mp_context=context,
            initializer=_start_process,
            initargs=(job, self._tokens, self._stopped, numbers, threads),
        )

    def submit(self, pending: Pending) -> Future[Embedded]:
        """See `Workers`.

        Raises:
            WorkerError: a process has died.
        """
        try:
            return self._executor.submit(_work, pending)
        except BrokenProcessPool as exc:
            raise broken() from exc

    def tokens(self) -> int:
        """See `Workers`."""
        return _drained(self._tokens)

    def stop(self) -> None:
        """See `Workers`."""
        self._stopped.value = 1
        self.tokens()  # or a process would wait for room in the pipe
        self._executor.shutdown(wait=True, cancel_futures=True)


def _check_picklable(job: Job) -> None:
    try:
        pickle.dumps(job)
    except (AttributeError, TypeError, pickle.PicklingError) as exc:
        raise InvalidSettingError(
            f"embedder and chunker cannot be sent to worker processes: {exc}. Define the function "
            "or class at the top of a module, or leave workers out"
        ) from exc


def broken() -> WorkerError:
    """A process has died."""
    return WorkerError(
        "a worker process has died: was it killed, for want of memory? Use fewer workers. In a "
        "script, start the work below `if __name__ == '__main__':`, since each worker imports it"
    )


class _Queue(Protocol):
    def empty(self) -> bool: ...
    def get(self) -> int: ...
    def put(self, obj: int, /) -> None: ...


class _Flag(Protocol):
    value: int


def _drained(tokens: _Queue) -> int:
    total = 0
    while not tokens.empty():
        total += tokens.get()
    return total


class _Worker:
    """What a worker process is given when it begins, and does with each batch.

    Args:
        job: What it does, on no device in particular.
        tokens: Takes the tokens of each forward pass.
        stopped: Whether the run has ended.
        number: Of the process, from 0.
    """

    def __init__(self, job: Job, tokens: _Queue, stopped: _Flag, number: int) -> None:
        self._job = job
        self._tokens = tokens
        self._stopped = stopped
        self._number = number

    @cached_property
    def _job_here(self) -> Job:
        """The job, with the model on the device of this process."""
        embedder = self._job.embedder
        device = embedder.operations.backend.worker_device(self._number)
        return replace(self._job, embedder=embedder.replace(device=device))

    def work(self, pending: Pending) -> Embedded:
        """Chunk and embed a batch."""
        try:
            job = self._job_here
            chunked, failures = chunk(job, pending)
            embedded = embed(job, chunked, on_tokens=self._note)
        except JinaIntegrationsError as exc:
            return Embedded(fatal=exc)
        except Stopped:
            return Embedded()
        embedded.failures[:0] = failures
        return embedded

    def _note(self, tokens: int) -> None:
        if self._stopped.value:
            raise Stopped
        if tokens:
            self._tokens.put(tokens)


_worker: _Worker | None = None


def _start_process(job: Job, tokens: _Queue, stopped: _Flag, numbers: _Queue, threads: int) -> None:
    global _worker  # noqa: PLW0603  # the only way to hand something to a pool's functions
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run itself says when to stop
    os.environ["OMP_NUM_THREADS"] = str(threads)
    _worker = _Worker(job, tokens, stopped, numbers.get())


def _work(pending: Pending) -> Embedded:
    if _worker is None:
        raise RuntimeError("a worker process has no job")
    return _worker.work(pending)
