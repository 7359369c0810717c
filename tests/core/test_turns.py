"""Who waits for whom at a model: counted in forward passes, never in seconds."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import numpy as np
import pytest

from jina_integrations.backends.local.batches import pool
from jina_integrations.backends.local.late_chunking import TokenSequence, pool_plan
from jina_integrations.backends.local.turns import Turns
from jina_integrations.embedding.call import Call

BATCH_TOKENS = 64


class RecordingEncoder:
    """Notes each forward pass by the first token of its first sequence, and waits where told to.

    Attributes:
        passes: Of each pass that began, the caller, in the order in which they began.
        holds: Callers whose passes wait until they are `released`.
    """

    max_padding = None

    def __init__(self, *, concurrent: bool) -> None:
        self.concurrent = concurrent
        self.passes: list[int] = []
        self.threads: set[str] = set()
        self.holds: set[int] = set()
        self.began = threading.Semaphore(0)
        self.released = threading.Event()

    def start(self, vectors: int) -> RecordingSums:
        return RecordingSums(self, vectors)


class RecordingSums:
    def __init__(self, encoder: RecordingEncoder, vectors: int) -> None:
        self.encoder = encoder
        self.vectors = vectors

    def add(self, batch: Sequence[TokenSequence], *, adapter: str | None) -> None:
        caller = int(batch[0].ids[0])
        self.encoder.passes.append(caller)
        self.encoder.threads.add(threading.current_thread().name)
        self.encoder.began.release()
        if caller in self.encoder.holds:
            assert self.encoder.released.wait(30)

    def result(self) -> np.ndarray:
        return np.zeros((self.vectors, 1), np.float32)


class Model:
    """A recording encoder, and callers that use it from threads of their own."""

    def __init__(self, *, concurrent: bool) -> None:
        self.encoder = RecordingEncoder(concurrent=concurrent)
        self.turns = Turns()
        self.callers = ThreadPoolExecutor(32)

    def call(
        self,
        caller: int,
        passes: int,
        *,
        tokens: int = BATCH_TOKENS,
        query: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> Future[np.ndarray]:
        """Begin a call of so many passes of so many tokens."""
        ids = np.full(tokens, caller)
        plan = [
            sequence
            for vector in range(passes)
            for sequence in pool_plan(
                ids, [np.arange(tokens)], first_vector=vector, window=tokens, overlap=0
            )
        ]
        return self.callers.submit(
            pool,
            self.encoder,
            plan,
            passes,
            Call(on_progress=on_progress, query=query),
            turns=self.turns,
            batch_tokens=BATCH_TOKENS,
        )

    def hold(self, caller: int, passes: int) -> Future[np.ndarray]:
        """Begin a call whose first pass is under way, and stays so until `released`."""
        self.encoder.holds.add(caller)
        call = self.call(caller, passes)
        assert self.encoder.began.acquire(timeout=30)
        return call

    def wait_for(self, short: int, long: int) -> None:
        """Return once so many callers wait for the main thread."""
        while (len(self.turns._short), len(self.turns._long)) != (short, long):
            pass


LONG, QUERY = 1, 9


@pytest.mark.parametrize("tokens", [4, BATCH_TOKENS])
def test_a_query_goes_before_every_document_that_waits(tokens: int) -> None:
    model = Model(concurrent=False)
    calls = [model.hold(LONG, 3), *(model.call(number, 2) for number in range(2, 7))]
    model.wait_for(0, 5)
    calls.append(model.call(QUERY, 1, tokens=tokens, query=True))
    model.wait_for(1, 5)
    model.encoder.released.set()
    for call in calls:
        call.result(30)
    assert model.encoder.passes[:2] == [LONG, QUERY]


def test_a_short_call_goes_before_long_ones_whatever_its_task() -> None:
    model = Model(concurrent=False)
    calls = [model.hold(LONG, 3), model.call(2, 3)]
    model.wait_for(0, 1)
    calls.append(model.call(QUERY, 1, tokens=BATCH_TOKENS // 4))
    model.wait_for(1, 1)
    model.encoder.released.set()
    for call in calls:
        call.result(30)
    assert model.encoder.passes[:2] == [LONG, QUERY]


@pytest.mark.parametrize("callers", [1, 8])
def test_documents_get_every_fourth_pass_of_a_stream_of_queries(callers: int) -> None:
    """Whether the queries come in one list or from many callers."""
    model = Model(concurrent=False)
    calls = [model.hold(LONG, 1), *(model.call(LONG, 1) for _ in range(5))]
    calls += [model.call(QUERY + number, 24, query=True) for number in range(callers)]
    model.wait_for(callers, 5)
    model.encoder.released.set()
    for call in calls:
        call.result(30)
    passes = model.encoder.passes
    turns = [index for index, caller in enumerate(passes) if caller == LONG]
    assert len(turns) == 6
    assert max(np.diff(turns)) <= 4


def test_long_calls_take_turns() -> None:
    model = Model(concurrent=False)
    first = model.hold(LONG, 6)
    others: list[Future[np.ndarray]] = []
    for number in (2, 3):
        others.append(model.call(number, 6))
        model.wait_for(0, len(others))
    model.encoder.released.set()
    for call in (first, *others):
        call.result(30)
    passes = model.encoder.passes
    assert passes[1:3] == [2, 3]
    assert sorted(passes) == [LONG] * 6 + [2] * 6 + [3] * 6


def test_a_query_runs_beside_a_long_pass_where_the_engine_can_do_that() -> None:
    """The long pass ends only when the query has its answer."""
    model = Model(concurrent=True)
    long = model.hold(LONG, 2)
    waiting = model.call(2, 1)
    model.wait_for(0, 1)
    for _ in range(5):
        model.call(QUERY, 3, query=True).result(30)
    assert model.encoder.passes == [LONG, *[QUERY] * 15]
    model.encoder.released.set()
    long.result(30)
    waiting.result(30)


def test_there_is_one_thread_as_long_as_nobody_would_wait() -> None:
    model = Model(concurrent=True)
    for number in range(10):
        model.call(LONG, 2).result(30)
        model.call(QUERY, 2, query=number % 2 == 0).result(30)
    assert model.encoder.threads == {"jina-model_0"}


def test_the_side_thread_gets_nothing_while_the_main_one_is_free() -> None:
    """Else callers of short passes alone would keep it busy for ever, and the main one idle."""
    turns = Turns()
    began = threading.Semaphore(0)
    ends = {False: threading.Event(), True: threading.Event()}

    def hold(short: bool) -> str:
        began.release()
        assert ends[short].wait(10)
        return threading.current_thread().name

    with ThreadPoolExecutor() as callers:
        calls: list[Future[str]] = []
        for short in (False, True):
            work = partial(hold, short)
            calls.append(callers.submit(turns.run, work, short=short, concurrent=True))
            assert began.acquire(timeout=10)
        ends[False].set()
        assert calls[0].result(10) == "jina-model_0"
        name = turns.run(lambda: threading.current_thread().name, short=True, concurrent=True)
        ends[True].set()
        assert (name, calls[1].result(10)) == ("jina-model_0", "jina-model-side_0")


def test_what_an_error_holds_is_freed_with_it() -> None:
    """Such as the tensors of a pass for which a GPU had no memory."""

    def fail() -> None:
        tensors = threading.Event()
        held.append(weakref.ref(tensors))
        raise LookupError("no memory")

    held: list[weakref.ref[threading.Event]] = []
    turns = Turns()
    gc.disable()
    try:
        with suppress(LookupError):
            turns.run(fail, short=False, concurrent=False)
        turns.run(lambda: None, short=False, concurrent=False)  # the thread has let go of the first
        assert held[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("concurrent", [False, True])
def test_what_a_pass_raises_is_its_callers(concurrent: bool) -> None:
    model = Model(concurrent=concurrent)
    long = model.hold(LONG, 2)

    def fail() -> None:
        raise LookupError("no such token")

    failing = model.callers.submit(model.turns.run, fail, short=True, concurrent=concurrent)
    if not concurrent:
        model.wait_for(1, 0)
        model.encoder.released.set()
    with pytest.raises(LookupError, match="no such token"):
        failing.result(30)
    model.encoder.released.set()
    long.result(30)
    assert model.call(QUERY, 1, query=True).result(30).shape == (1, 1)


def test_progress_is_told_of_after_each_pass() -> None:
    model = Model(concurrent=True)
    done: list[int] = []
    model.call(LONG, 4, on_progress=done.append).result(30)
    assert done == [BATCH_TOKENS] * 4
