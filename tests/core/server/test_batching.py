"""Requests that come together: each gets its own vectors, and none holds up or harms another."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jina_integrations import Embedder
from jina_integrations.errors import (
    InvalidTextError,
    RequestRefusedError,
    ServerError,
    TextTooLongError,
)
from jina_integrations.server import ServerSettings
from jina_integrations.server.batching import Batcher, Outcome
from jina_integrations.server.jobs import Content, Group, Item, Job, Piece, Queue
from jina_integrations.server.service import Service
from jina_integrations.settings import EmbedderSettings
from jina_integrations.wire import EmbeddingRequest

OnProgress = Callable[[int], None]

TEXT = Group("text", "passage", truncate=False)
QUERY = Group("text", "query", truncate=False)


# the queue


def job(*tokens: int, group: Group = TEXT) -> Job:
    items = [Item(f"{n} of {at}", n) for at, n in enumerate(tokens)]
    return Job(group, items, range(len(items)))


def drain(queue: Queue, room: int) -> Iterator[list[Piece]]:
    while queue:
        yield queue.take(room)


def tokens_of(batch: Sequence[Piece]) -> int:
    return sum(piece.item.tokens for piece in batch)


def in_loop(function):
    """Run a test of jobs, which have futures, in an event loop."""

    async def run(*arguments, **keywords):
        return function(*arguments, **keywords)

    return lambda *arguments, **keywords: asyncio.run(run(*arguments, **keywords))


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=20), min_size=1, max_size=8),
    st.integers(1, 200),
)
def test_every_item_is_handed_out_once_and_in_order(sizes, batch_tokens) -> None:
    @in_loop
    def check() -> None:
        queue = Queue(max(1, batch_tokens // 4))
        jobs = [job(*own) for own in sizes]
        for one in jobs:
            queue.add(one)
        handed: dict[Job, list[int]] = {one: [] for one in jobs}
        for batch in drain(queue, batch_tokens):
            assert tokens_of(batch) <= batch_tokens or len(batch) == 1
            for piece in batch:
                handed[piece.job].append(piece.index)
        assert [handed[one] for one in jobs] == [list(range(len(own))) for own in sizes]

    check()


@in_loop
def test_item_larger_than_a_batch_is_not_passed_over_for_ever() -> None:
    queue = Queue(25)
    large = job(1000)
    queue.add(large)
    seen: list[Job] = []
    for _ in range(2):
        queue.add(job(10))
        seen += [piece.job for piece in queue.take(100)]

    assert large in seen


@in_loop
def test_long_jobs_share_a_batch() -> None:
    queue = Queue(25)
    for _ in range(4):
        queue.add(job(*[5] * 100))

    assert len({piece.job for piece in queue.take(100)}) == 4


@in_loop
def test_groups_take_turns() -> None:
    queue = Queue(25)
    for group in (TEXT, QUERY):
        for _ in range(2):
            queue.add(job(*[25] * 4, group=group))

    groups = [queue.take(50)[0].job.group for _ in range(8)]

    assert groups == [TEXT, QUERY] * 4
    assert not queue


def test_slow_model_gets_smaller_batches() -> None:
    sizes: list[int] = []

    def encode(group: Group, contents: Sequence[Content], _: OnProgress) -> list[np.ndarray]:
        sizes.append(len(contents))
        time.sleep(len(contents) / 10_000)
        return lengths(group, contents, _)

    async def run(batcher: Batcher) -> None:
        await batcher.run([job(*[1] * 10_000)])

    with batching(encode, batch_tokens=8192, queue_tokens=10_000) as batcher:
        asyncio.run(run(batcher))
        sizes.clear()
        asyncio.run(run(batcher))

    assert sum(sizes) == 10_000
    assert max(sizes) < 6000


# the batcher


@contextmanager
def batching(encode, **options) -> Iterator[Batcher]:
    batcher = Batcher(
        encode,
        **{"batch_tokens": 100, "queue_tokens": 1000, "on_batch": lambda *_: None} | options,
    )
    batcher.start()
    try:
        yield batcher
    finally:
        batcher.close()


def lengths(group: Group, contents: Sequence[Content], _: OnProgress) -> list[np.ndarray]:
    return [np.full((1, 2), len(str(content)), np.float32) for content in contents]


def test_jobs_of_two_groups_never_meet() -> None:
    seen: list[Group] = []

    def encode(group: Group, contents: Sequence[Content], _: OnProgress) -> list[np.ndarray]:
        seen.append(group)
        return lengths(group, contents, _)

    async def run(batcher: Batcher) -> list[np.ndarray]:
        return await batcher.run([job(1, 1), job(1, group=QUERY)])

    with batching(encode) as batcher:
        vectors = asyncio.run(run(batcher))

    assert sorted(group.task for group in seen) == ["passage", "query"]
    assert [own.shape for own in vectors] == [(2, 2), (1, 2)]


@pytest.mark.parametrize("error", [ValueError("bad"), MemoryError(), InvalidTextError("bad")])
def test_item_that_breaks_a_batch_fails_alone(error) -> None:
    def encode(group: Group, contents: Sequence[Content], _: OnProgress) -> list[np.ndarray]:
        if "poison" in contents:
            raise error
        return lengths(group, contents, _)

    async def run(batcher: Batcher) -> list[object]:
        bad = Job(TEXT, [Item("poison", 1)], [0])
        return await asyncio.gather(
            *(batcher.run([one]) for one in (job(1), bad, job(1, 1), job(2))),
            return_exceptions=True,
        )

    with batching(encode) as batcher:
        good, failed, *others = asyncio.run(run(batcher))
        assert batcher.alive
        assert batcher.tokens == 0

    assert isinstance(failed, InvalidTextError | ServerError)
    assert all(isinstance(one, list) for one in (good, *others))


@pytest.mark.parametrize(
    ("kind", "span", "named"), [("text", None, "input[4] has"), ("late", 1, "input[6] has")]
)
def test_an_error_names_the_input_of_its_own_request(
    kind: Literal["text", "late"], span: int | None, named: str
) -> None:
    """Though the model counts through a batch of several requests."""
    group = Group(kind, "passage", truncate=False)

    def encode(group: Group, contents: Sequence[Content], _: OnProgress) -> list[Outcome]:
        return [
            TextTooLongError(
                "has 9 tokens", argument="texts", index=at, span=span, tokens=9, limit=8
            )
            if content == "long"
            else np.zeros((1, 2), np.float32)
            for at, content in enumerate(contents)
        ]

    async def run(batcher: Batcher) -> BaseException | list[np.ndarray]:
        others = [Job(group, [Item("fine", 1)], [0]) for _ in range(3)]
        failing = Job(group, [Item("long", 1)], [4, 6])
        *_, error = await asyncio.gather(
            *(batcher.run([waiting]) for waiting in (*others, failing)), return_exceptions=True
        )
        return error

    with batching(encode) as batcher:
        assert str(asyncio.run(run(batcher))).startswith(named)


def test_a_piece_that_is_too_long_alone_is_named_as_its_own_request_does(words) -> None:
    """With a context weight each piece is embedded alone, too; the batch has other requests."""
    embedder = EmbedderSettings(model="words", context_weight=0.5)
    service = Service(ServerSettings(embedder=embedder))

    def jobs(*pieces: str) -> list[Job]:
        request = EmbeddingRequest(model="words", input=[*pieces], late_chunking=True)
        return service.work(service.plan(request), []).jobs()

    async def run(batcher: Batcher) -> list[object]:
        requests = [jobs("One. ", "Two."), jobs("Fine. ", "So. ", "word " * 60), jobs("End.")]
        waiting = [asyncio.ensure_future(batcher.run(request)) for request in requests]
        await asyncio.sleep(0)  # so that one batch has them all
        batcher.start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    batches: list[int] = []
    batcher = Batcher(
        service.encode,
        batch_tokens=1000,
        queue_tokens=1000,
        on_batch=lambda tokens, items, seconds: batches.append(items),
    )
    first, error, last = asyncio.run(run(batcher))
    batcher.close()

    assert batches == [3]
    assert isinstance(error, TextTooLongError)
    assert str(error).startswith("input[2] has 60 tokens on its own")
    assert [rows.shape for rows in (*first, *last)] == [(2, 32), (1, 32)]


def test_wrong_number_of_rows_is_an_error_and_never_a_shift() -> None:
    async def run(batcher: Batcher) -> None:
        with pytest.raises(ServerError) as caught:
            await batcher.run([job(1, 1)])
        assert caught.value.status == 500

    with batching(lambda group, contents, on_progress: []) as batcher:
        asyncio.run(run(batcher))


def test_request_larger_than_the_queue_is_never_accepted() -> None:
    async def run(batcher: Batcher) -> None:
        with pytest.raises(RequestRefusedError) as caught:
            await batcher.run([job(600), job(401)])
        assert (caught.value.status, caught.value.code) == (400, "INPUT_TOKEN_LIMIT_EXCEEDED")

    with batching(lengths) as batcher:
        asyncio.run(run(batcher))


class Gate:
    """A model that works only while it is open."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Semaphore(0)
        self.texts: list[Content] = []

    def __call__(
        self, group: Group, contents: Sequence[Content], _: OnProgress
    ) -> list[np.ndarray]:
        self.entered.release()
        self.opened.wait()
        self.texts += contents
        return lengths(group, contents, _)


def test_cancelled_request_leaves_the_queue() -> None:
    gate = Gate()

    async def run(batcher: Batcher) -> None:
        first = asyncio.ensure_future(batcher.run([job(100)]))
        await asyncio.to_thread(gate.entered.acquire)
        second = asyncio.ensure_future(batcher.run([Job(TEXT, [Item("second", 50)], [0])]))
        third = asyncio.ensure_future(batcher.run([Job(TEXT, [Item("third", 50)], [0])]))
        await asyncio.sleep(0)
        assert batcher.tokens == 200
        second.cancel()
        await asyncio.wait([second])
        assert batcher.tokens == 150
        gate.opened.set()
        await first
        await third

    with batching(gate) as batcher:
        asyncio.run(run(batcher))
        assert batcher.tokens == 0

    assert "second" not in gate.texts
    assert "third" in gate.texts


def test_close_finishes_what_was_accepted() -> None:
    gate = Gate()

    async def run(batcher: Batcher) -> None:
        accepted = [asyncio.ensure_future(batcher.run([job(100)])) for _ in range(3)]
        await asyncio.to_thread(gate.entered.acquire)
        closing = asyncio.ensure_future(asyncio.to_thread(batcher.close))
        while not batcher._closed:
            await asyncio.sleep(0)
        with pytest.raises(ServerError):
            await batcher.run([job(1)])
        gate.opened.set()
        await closing
        assert [len(one) for one in await asyncio.gather(*accepted)] == [1, 1, 1]

    batcher = Batcher(gate, batch_tokens=100, queue_tokens=1000, on_batch=lambda *_: None)
    batcher.start()
    asyncio.run(run(batcher))

    assert not batcher.alive


LATE = Group("late", "passage", truncate=False)


def test_short_jobs_wait_for_no_long_ones() -> None:
    """Texts of a bulk request and long documents stay in the model until they are answered."""
    gate = Gate()

    def encode(group: Group, contents: Sequence[Content], _: OnProgress) -> list[np.ndarray]:
        if contents[0] == "short":
            return lengths(group, contents, _)
        return gate(group, contents, _)

    async def run(batcher: Batcher) -> None:
        long = [job(100), *(job(100, group=LATE) for _ in range(6))]
        held = [asyncio.ensure_future(batcher.run([waiting])) for waiting in long]
        for _ in range(1 + 4):  # four documents at a time
            await asyncio.to_thread(gate.entered.acquire)
        for group in (TEXT, QUERY, LATE):
            await batcher.run([Job(group, [Item("short", 25)], [0])])
        assert not gate.entered.acquire(blocking=False)
        assert not any(call.done() for call in held)
        gate.opened.set()
        await asyncio.gather(*held)

    with batching(encode) as batcher:
        asyncio.run(run(batcher))
        assert batcher.tokens == 0


def test_a_batch_of_short_jobs_is_short_work_for_the_model() -> None:
    sizes: list[int] = []

    def encode(group: Group, contents: Sequence[Content], _: OnProgress) -> list[np.ndarray]:
        sizes.append(len(contents))
        return lengths(group, contents, _)

    async def run(batcher: Batcher) -> None:
        await asyncio.gather(*(batcher.run([job(1)]) for _ in range(200)))

    with batching(encode) as batcher:
        asyncio.run(run(batcher))

    assert sum(sizes) == 200
    assert max(sizes) <= 100 // 4


def test_a_document_that_nobody_waits_for_ends_after_its_forward_pass() -> None:
    passes: list[str] = []
    begun, left = threading.Event(), threading.Event()

    def encode(group: Group, contents: Sequence[Content], done: OnProgress) -> list[np.ndarray]:
        for _ in range(10):
            begun.set()
            assert left.wait(20)
            passes.append("pass")
            done(10)
        return lengths(group, contents, done)

    async def run(batcher: Batcher) -> None:
        call = asyncio.ensure_future(batcher.run([job(100, group=LATE)]))
        await asyncio.to_thread(begun.wait)
        call.cancel()
        await asyncio.wait([call])
        left.set()

    with batching(encode) as batcher:
        asyncio.run(run(batcher))
        batcher.close()
        assert batcher.tokens == 0

    assert passes == ["pass"]


# over HTTP


def vectors(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.array([item["embedding"] for item in answer.json()["data"]])


def test_32_clients_get_their_own_vectors(serve) -> None:
    server = serve("echo", {"batch_tokens": 64})
    tasks = ["retrieval.query", "retrieval.passage", None]

    def one(client: int) -> None:
        for turn in range(5):
            texts = [f"client {client} turn {turn} text {n}" for n in range(1 + client % 7)]
            rows = vectors(server.post(input=texts, task=tasks[client % 3]))
            expected = Embedder("echo").embed_documents(texts)
            np.testing.assert_allclose(rows, expected, atol=1e-6)

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(one, range(32))) == [None] * 32


class Held:
    """A server whose model waits until it is opened; `entered` tells that it does."""

    def __init__(self, words, serve, **options) -> None:
        self.opened, self.entered = threading.Event(), threading.Event()
        self.server = serve("words", **options)
        words.before_call = self._before_call

    def _before_call(self) -> None:
        self.entered.set()
        assert self.opened.wait(20)


def test_requests_that_wait_together_share_a_batch(words, serve) -> None:
    held = Held(words, serve)
    server = held.server

    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(server.post, input="first")
        held.entered.wait()
        others = [pool.submit(server.post, input=f"number {n}") for n in range(8)]
        server.wait_for(lambda: server.metric("jina_queue_tokens") == 1 + 8 * 2)
        words.calls.clear()
        held.opened.set()
        assert {one.result().status_code for one in (first, *others)} == {200}

    assert words.calls == [1, 8]


def test_full_queue_is_503_with_retry_after(words, serve) -> None:
    held = Held(words, serve, queue_tokens=10)
    server = held.server

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(server.post, input="a b c d e f")
        held.entered.wait()
        answer = server.post(input="a b c d e")
        held.opened.set()
        assert first.result().status_code == 200

    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) >= 1
    assert server.post(input="a b c d e").status_code == 200


def test_request_over_the_time_limit_is_504_and_its_rest_is_dropped(words, serve) -> None:
    held = Held(words, serve, request_timeout_s=0.3, embedder={"batch_tokens": 10})
    server = held.server

    answer = server.post(input=["a b c d e f g h"] * 4)

    assert (answer.status_code, answer.json()["code"]) == (504, "SERVICE_TIMEOUT")
    held.opened.set()
    server.wait_for(lambda: server.metric("jina_queue_tokens") == 0)
    assert server.post(input="still here").status_code == 200
    assert server.metric("jina_batch_inputs_total") == 2


def test_client_that_leaves_frees_its_place(words, serve) -> None:
    held = Held(words, serve, embedder={"batch_tokens": 10})
    server = held.server
    body = json.dumps({"model": "words", "input": ["a b c d e f g h"] * 4}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"

    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(head.encode() + body)
        held.entered.wait()
        assert server.metric("jina_queue_tokens") == 32
    server.wait_for(lambda: server.metric("jina_queue_tokens") == 8)
    held.opened.set()
    server.wait_for(lambda: server.metric("jina_queue_tokens") == 0)

    assert server.metric('jina_requests_total{status="499"}') == 1
    assert server.metric("jina_batch_inputs_total") == 1


def test_vector_that_is_nan_fails_its_request_alone(words, serve) -> None:
    held = Held(words, serve)
    server = held.server

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(server.post, input="first")
        held.entered.wait()
        bad = pool.submit(server.post, input=["good", "nan"])
        good = pool.submit(server.post, input=["good", "words"])
        server.wait_for(lambda: server.metric("jina_queue_tokens") == 5)
        held.opened.set()

    assert (first.result().status_code, good.result().status_code) == (200, 200)
    assert bad.result().status_code == 500
    assert bad.result().json()["code"] == "INTERNAL_ERROR"
    assert all(math.isfinite(x) for row in vectors(good.result()) for x in row)


def test_model_that_raises_does_not_end_the_server(words, serve) -> None:
    server = serve("words")

    def before_call() -> None:
        raise RuntimeError("out of memory: " + "a secret text")

    words.before_call = before_call
    answer = server.post(input="a")
    words.before_call = lambda: None

    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in answer.text
    assert server.post(input="a").status_code == 200
    assert server.http.get("/healthz").status_code == 200
