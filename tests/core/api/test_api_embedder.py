"""`Embedder` through the API, against a server that fails as it is told to."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from jina_integrations import MODEL_CARDS, ApiSettings, Embedder, errors
from tests.core.api.fault_server import DIMENSIONS, FaultServer, tokens_of, vector_of
from tests.core.api.faults import (
    FAULTS,
    Fault,
    after,
    first,
    first_of,
    random_faults,
    when,
    when_holding,
)

ROOT = Path(__file__).parents[3]
KEY = "jina_0123456789abcdef"
FAST = ApiSettings(
    requests_per_minute=None, tokens_per_minute=None, read_timeout_s=0.5, connect_timeout_s=2.0
)
"""No pace, and short timeouts, so that stalls cost little."""

RECOVERABLE = [
    *("429", "429_seconds", "429_date", "429_fields", "500", "500_nested", "502", "503"),
    *("503_seconds", "504", "408", "409", "reset_before", "reset_mid_body", "stall", "drip"),
    *("truncated_json", "fewer_items", "more_items", "duplicate_index", "index_out_of_range"),
    *("shuffled", "nan", "null", "413", "400_tokens"),
]
"""Faults after which all texts can still be had."""

UNBILLED = {
    *("429", "429_seconds", "429_date", "429_fields", "500", "500_nested", "502", "503"),
    *("503_seconds", "504", "408", "409", "reset_before", "413", "400_tokens"),
    *("stall", "shuffled", "drip"),
}
"""Faults that happen before anything was embedded, or harm nothing: no text is billed twice."""

MISSING_ONE = {"fewer_items", "nan"}
"""Faults that spoil one vector of a request: only that text is billed twice."""


SEED = 3
"""With which at least two of the first hundred requests fail."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JINA_API_KEY", raising=False)
    monkeypatch.delenv("JINAAI_API_KEY", raising=False)
    monkeypatch.setattr("jina_integrations.backends.api.retrying._FIRST_BACKOFF_S", 0.01)


def embedder_for(
    server: FaultServer, model: str = "jina-embeddings-v3", **options: Any
) -> Embedder:
    defaults: dict[str, Any] = {"dimensions": DIMENSIONS, "api_key": KEY, "api": FAST}
    return Embedder(model, backend="api", base_url=server.base_url, **defaults | options)


def expected(texts: list[str]) -> np.ndarray:
    return np.stack([vector_of(text) for text in texts])


def fault_of(kind: str) -> Fault:
    return replace(FAULTS[kind], seconds=0.6) if kind == "drip" else FAULTS[kind]


def numbered(count: int) -> list[str]:
    return [f"text number {number}" for number in range(count)]


# What is sent


@pytest.mark.parametrize(
    ("model", "names"),
    {
        "jina-embeddings-v2-base-en": [None, None, None, None, None],
        "jina-embeddings-v3": [
            *("retrieval.query", "retrieval.passage"),
            *("text-matching", "classification", "separation"),
        ],
        "jina-embeddings-v4": ["retrieval.query", "retrieval.passage", "text-matching", "", ""],
        "jina-embeddings-v5-text-small": [
            *("retrieval.query", "retrieval.passage"),
            *("text-matching", "classification", "clustering"),
        ],
        "jina-embeddings-v5-text-nano": [
            *("retrieval.query", "retrieval.passage"),
            *("text-matching", "classification", "clustering"),
        ],
        "jina-clip-v1": [None, None, None, None, None],
        "jina-clip-v2": ["retrieval.query", None, "", "", ""],
        "jina-code-embeddings-0.5b": ["nl2code.query", "nl2code.passage", "", "", ""],
    }.items(),
)
def test_each_task_has_the_models_own_name(model: str, names: list[str | None]) -> None:
    tasks = ("query", "passage", "text-matching", "classification", "clustering")
    with FaultServer(dimensions=MODEL_CARDS[model].dimensions) as server:
        embedder = embedder_for(server, model, dimensions=None)
        for task, name in zip(tasks, names, strict=True):
            if name == "":
                with pytest.raises(errors.UnsupportedTaskError):
                    embedder.embed(["text"], task=task)  # type: ignore[arg-type]
            else:
                embedder.embed(["text"], task=task)  # type: ignore[arg-type]
                assert server.requests[-1].body.get("task") == name


def test_body_has_the_fields_of_the_reference() -> None:
    with FaultServer() as server:
        embedder_for(server, truncate=True, normalize=False).embed_queries(["hello"])

        assert server.requests[0].body == {
            "model": "jina-embeddings-v3",
            "input": ["hello"],
            "task": "retrieval.query",
            "dimensions": DIMENSIONS,
            "normalized": False,
            "truncate": True,
            "embedding_type": "base64",
        }
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_fields_that_a_model_lacks_are_refused_not_dropped() -> None:
    with FaultServer() as server:
        for model, options, match in (
            ("jina-embeddings-v4", {"normalize": False, "dimensions": 128}, "normalize"),
            ("jina-embeddings-v2-base-en", {"dimensions": 64}, "dimensions|shorter"),
            ("jina-embeddings-v3", {"precision": "bfloat16"}, "precision"),
            ("jina-embeddings-v3", {"engine": "onnx"}, "engine"),
            ("jina-embeddings-v3", {"device": "cpu"}, "device"),
            ("jina-embeddings-v3", {"revision": "main"}, "revision"),
            ("jina-embeddings-v3", {"long": "windows"}, "long"),
            ("someone/model", {"truncate": True}, "truncate"),
        ):
            with pytest.raises(errors.InvalidSettingError, match=match):
                embedder_for(server, model, **options).embed_documents(["text"])
        assert server.requests == []


@pytest.mark.parametrize("transport", ["base64", "float"])
def test_vectors_are_those_of_the_server(transport: Any) -> None:
    texts = numbered(20)
    with FaultServer() as server:
        vectors = embedder_for(server, api=FAST.replace(transport=transport)).embed_documents(texts)

        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, expected(texts), atol=1e-7)
        assert server.requests[0].body["embedding_type"] == transport


def test_binary_outputs_are_packed_with_the_documented_offset() -> None:
    texts = numbered(5)
    signs = expected(texts) > 0
    with FaultServer() as server:
        embedder = embedder_for(server)
        unsigned = embedder.embed_binary(texts, task="passage")
        signed = embedder.embed_binary(texts, task="passage", embedding_type="binary")

        assert {request.body["embedding_type"] for request in server.requests} == {"ubinary"}
    np.testing.assert_array_equal(np.unpackbits(unsigned, axis=1).astype(bool), signs)
    assert (unsigned.dtype, signed.dtype) == (np.uint8, np.int8)
    np.testing.assert_array_equal(signed.astype(int), unsigned.astype(int) - 128)


def test_a_server_of_openais_protocol_gets_only_its_fields() -> None:
    texts = numbered(3)
    with FaultServer() as server:
        embedder = embedder_for(server, "someone/model", dimensions=None)
        vectors = embedder.embed_documents(texts)

        assert embedder.dimensions == DIMENSIONS
        assert [set(request.body) for request in server.requests] == [
            {"model", "input", "encoding_format"}  # the first finds the vectors' length
        ] * 2
    np.testing.assert_allclose(vectors, expected(texts), atol=1e-7)


def test_pictures_are_sent_as_base64_and_as_urls(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    picture = image.new("RGB", (600, 600), "red")
    file = tmp_path / "red.png"
    picture.save(file)
    with FaultServer(dimensions=64) as server:
        settings = FAST.replace(request_tokens=10**6)  # such a picture costs 16,000
        embedder = embedder_for(server, "jina-clip-v2", dimensions=64, api=settings)
        vectors = embedder.embed_images([file, file.read_bytes(), picture, "https://a.test/x.png"])
        sent = [item["image"] for item in server.requests[0].body["input"]]

    assert vectors.shape == (4, 64)
    assert sent[0] == sent[1]
    assert sent[3] == "https://a.test/x.png"
    assert not any(text.startswith("data:") for text in sent)
    np.testing.assert_allclose(vectors, [vector_of(t, dimensions=64) for t in sent], atol=1e-7)


def test_a_text_model_refuses_pictures() -> None:
    with FaultServer() as server, pytest.raises(errors.UnsupportedModalityError, match="clip"):
        embedder_for(server).embed_images(["https://a.test/x.png"])


def test_one_bad_picture_carries_its_index(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image")
    with FaultServer() as server:
        embedder = embedder_for(server, "jina-clip-v2", dimensions=64)
        with pytest.raises(errors.InvalidImageError, match=r"images\[1\]") as caught:
            embedder.embed_images(["https://a.test/x.png", b"no picture"])

    assert caught.value.index == 1
    assert server.requests == []


# The key


def test_absent_key_is_told_at_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = Embedder("jina-embeddings-v3", backend="api")

    assert embedder.dimensions == 1024
    with pytest.raises(errors.MissingKeyError, match=r"https://jina\.ai"):
        embedder.embed_documents(["text"])


def test_key_comes_from_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer() as server:
        monkeypatch.setenv("JINAAI_API_KEY", "jina_second")
        embedder_for(server, api_key=None).embed_queries(["a"])
        monkeypatch.setenv("JINA_API_KEY", "jina_first")
        embedder_for(server, api_key=None).embed_queries(["a"])
        embedder_for(server, api_key=SecretStr("jina_given")).embed_queries(["a"])

        sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer jina_second", "Bearer jina_first", "Bearer jina_given"]


def test_key_is_nowhere_but_in_the_header() -> None:
    with FaultServer(first(1, replace(FAULTS["401"], message=f"no such key {KEY}"))) as server:
        embedder = embedder_for(server)
        with pytest.raises(errors.AuthenticationError) as caught:
            embedder.embed_documents(["text"])

    told = [repr(embedder), str(embedder.to_dict()), str(caught.value), repr(caught.value)]
    assert not any(KEY in text for text in told)
    assert KEY.encode() not in pickle.dumps(embedder)
    assert KEY.encode() not in pickle.dumps(caught.value)


@pytest.mark.parametrize("key", ["", "  ", "jina_é", "two words", "line\nbreak"])
def test_a_key_that_cannot_be_sent_is_refused(key: str) -> None:
    with FaultServer() as server, pytest.raises(errors.MissingKeyError):
        embedder_for(server, api_key=key).embed_documents(["text"])


def test_a_redirect_is_not_followed() -> None:
    with FaultServer() as other:
        target = other.base_url.removesuffix("/v1")
        plan = first(1, replace(FAULTS["redirect"], location=target))
        with (
            FaultServer(plan) as server,
            pytest.raises(errors.RequestRefusedError, match="redirect"),
        ):
            embedder_for(server).embed_documents(["text"])
        assert other.requests == []


def test_auto_is_the_api_only_with_a_key_and_a_model_that_jina_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Embedder("jina-embeddings-v3").backend == "local"
    assert Embedder("jina-embeddings-v3", api_key=KEY).backend == "api"
    monkeypatch.setenv("JINA_API_KEY", KEY)
    assert Embedder("jina-embeddings-v3").backend == "api"
    assert Embedder("minilm").backend == "local"
    assert Embedder("jina-embeddings-v2-small-en").backend == "local"
    assert Embedder("minilm", base_url="http://127.0.0.1:1/v1").backend == "api"


# Batches


def test_batches_end_by_count_and_by_tokens() -> None:
    texts = [*numbered(30), "long " * 400, *numbered(5)]
    with FaultServer() as server:
        settings = FAST.replace(request_inputs=8, request_tokens=200)
        vectors = embedder_for(server, api=settings).embed_documents(texts)

        sizes = [len(request.texts) for request in server.requests]
        costs = [sum(map(tokens_of, request.texts)) for request in server.requests]
        alone = next(request for request in server.requests if "long " * 400 in request.texts)
    assert max(sizes) == 8
    assert sorted(costs)[-2] <= 200
    assert len(alone.texts) == 1
    np.testing.assert_allclose(vectors, expected(texts), atol=1e-7)


@pytest.mark.parametrize("kind", ["400", "422", "500", "400_tokens", "413"])
def test_one_bad_input_of_500_is_isolated(kind: str) -> None:
    texts = numbered(500)
    with FaultServer(when_holding(texts[333], kind)) as server:
        embedder = embedder_for(server)
        with pytest.raises(errors.JinaIntegrationsError) as caught:
            embedder.embed_documents(texts)
        server.billed.clear()
        collected = embedder.embed(texts, task="passage", on_error="collect")

        assert max(server.billed.values()) == 1, "a good text was billed twice"
    assert caught.value.index == 333  # type: ignore[attr-defined]
    assert "333" in str(caught.value)
    assert list(collected.failures) == [333]
    assert collected.indices == [*range(333), *range(334, 500)]
    np.testing.assert_allclose(collected.vectors, np.delete(expected(texts), 333, 0), atol=1e-7)
    if kind == "400_tokens":
        assert isinstance(caught.value, errors.TextTooLongError)


def test_an_input_that_always_times_out_is_isolated() -> None:
    texts = numbered(20)
    with FaultServer(when_holding(texts[7], "stall")) as server:
        settings = FAST.replace(read_timeout_s=0.1, connect_timeout_s=0.1, max_retries=1)
        collected = embedder_for(server, api=settings).embed(
            texts, task="passage", on_error="collect"
        )

    assert list(collected.failures) == [7]
    assert isinstance(collected.failures[7], errors.ApiTimeoutError)


def test_a_bad_request_is_not_cut_into_a_thousand() -> None:
    with FaultServer(after(0, "400")) as server:
        collected = embedder_for(server).embed(numbered(500), task="passage", on_error="collect")

        assert len(collected.failures) == 500
        assert len(server.requests) < 100


def test_bad_texts_are_told_before_anything_is_sent() -> None:
    with FaultServer() as server:
        with pytest.raises(errors.InvalidTextError, match=r"texts\[1\]") as caught:
            embedder_for(server).embed_documents(["good", "\ud800"])
        assert server.requests == []
        collected = embedder_for(server).embed(
            ["good", "", "also good", "nul\0"], task="passage", on_error="collect"
        )

        assert [request.texts for request in server.requests] == [["good", "also good"]]
    assert caught.value.index == 1
    assert sorted(collected.failures) == [1, 3]
    assert collected.indices == [0, 2]


# Faults


@pytest.mark.parametrize("kind", RECOVERABLE)
def test_every_recoverable_fault_is_recovered_from(kind: str) -> None:
    texts = numbered(40)
    with FaultServer(first(1, fault_of(kind))) as server:
        embedder = embedder_for(server)
        vectors = embedder.embed_documents(texts)

        assert set(server.billed) == set(texts)
        twice = sum(count - 1 for count in server.billed.values())
    np.testing.assert_allclose(vectors, expected(texts), atol=1e-7)
    if kind in UNBILLED:
        assert twice == 0
    elif kind in MISSING_ONE:
        assert twice == 1
    else:
        assert twice == len(texts)
    assert embedder.usage.requests == len(server.requests)


@pytest.mark.parametrize("kind", [*RECOVERABLE, "all of them"])
def test_ten_thousand_texts_come_back_whole_in_order_and_billed_once(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A 429 out of nothing would be taken for the key's real limit, and kept to.
    monkeypatch.setattr("jina_integrations.backends.api.limits._LEAST_EVIDENCE", 10**6)
    texts = numbered(10_000)
    kinds = [fault_of(own) for own in (RECOVERABLE if kind == "all of them" else [kind])]
    with FaultServer(random_faults(kinds, rate=0.05, seed=SEED)) as server:
        settings = FAST.replace(request_inputs=100, concurrent_requests=8)
        vectors = embedder_for(server, api=settings).embed_documents(texts)

        faulty = [n for n in range(len(server.requests)) if server.fault(n, {})]
        twice = sum(count - 1 for count in server.billed.values())
        assert set(server.billed) == set(texts)
    np.testing.assert_allclose(vectors, expected(texts), atol=1e-7)
    assert len(faulty) >= 2
    if kind in UNBILLED:
        assert twice == 0
    elif kind in MISSING_ONE:
        assert twice <= len(faulty)
    else:
        assert twice <= 100 * len(faulty)


def test_a_server_that_is_started_anew_is_waited_for() -> None:
    """Also longer than its retries take; one that never answered is given up with them."""
    with FaultServer() as server:
        embedder = embedder_for(server, api=FAST.replace(max_retries=1))
        embedder.embed_documents(numbered(1))
    port = int(server.base_url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(errors.ApiUnreachableError):
        embedder.replace(late_chunking=False).embed_documents(numbered(1))

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(embedder.embed_documents, numbered(20))
        time.sleep(0.3)
        assert not waiting.done()
        with FaultServer(port=port):
            np.testing.assert_allclose(waiting.result(), expected(numbered(20)), atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("401", errors.AuthenticationError),
        ("402", errors.PermissionDeniedError),
        ("403", errors.PermissionDeniedError),
        ("400_model", errors.RequestRefusedError),
        ("404", errors.RequestRefusedError),
    ],
)
def test_final_errors_are_not_tried_again(kind: str, error: type[errors.ApiStatusError]) -> None:
    with FaultServer(after(0, kind)) as server:
        with pytest.raises(error) as caught:
            embedder_for(server).embed_documents(numbered(50))

        assert len(server.requests) == 1
    assert caught.value.status == FAULTS[kind].status
    assert caught.value.code == (FAULTS[kind].code or None)
    if FAULTS[kind].shape != "html":
        assert caught.value.request_id == "request-0"


@pytest.mark.parametrize("shape", ["flat", "nested"])
def test_a_429_carries_what_the_service_said(shape: Any) -> None:
    fault = replace(FAULTS["429"], shape=shape, retry_after_s=7.0, message="slow down")
    with FaultServer(after(0, fault)) as server:
        settings = FAST.replace(total_timeout_s=1.0)
        with pytest.raises(errors.RateLimitError, match="slow down") as caught:
            embedder_for(server, api=settings).embed_documents(["text"])

    assert caught.value.code == "RATE_REQUEST_LIMIT_EXCEEDED"
    assert caught.value.retry_after_s == 7.0
    assert caught.value.request_id == "request-0"


def test_a_key_revoked_half_way_keeps_what_was_embedded() -> None:
    texts = numbered(1000)
    with FaultServer(after(10, "401")) as server:
        settings = FAST.replace(request_inputs=50, concurrent_requests=2)
        embedder = embedder_for(server, api=settings)
        collected = embedder.embed(texts, task="passage", on_error="collect")

        assert len(server.requests) <= 12
        assert server.billed == Counter(texts[index] for index in collected.indices)
    assert len(collected.indices) == 500
    assert len(collected.failures) == 500
    assert {type(error) for error in collected.failures.values()} == {errors.AuthenticationError}
    own = [texts[index] for index in collected.indices]
    np.testing.assert_allclose(collected.vectors, expected(own), atol=1e-7)
    assert embedder.usage.tokens == sum(map(tokens_of, own))


def test_a_dead_server_is_named() -> None:
    with FaultServer() as server:
        address = server.base_url
    settings = FAST.replace(max_retries=1)
    embedder = Embedder(
        "jina-embeddings-v3", base_url=address, api_key=KEY, api=settings, dimensions=DIMENSIONS
    )

    with pytest.raises(errors.ApiConnectionError, match="is the server running") as caught:
        embedder.embed_documents(numbered(5))
    assert address in str(caught.value)
    assert caught.value.index is None


def test_the_total_timeout_ends_it() -> None:
    with FaultServer(after(0, "503")) as server:
        settings = FAST.replace(total_timeout_s=0.3, max_retries=1000)
        with pytest.raises(errors.ServerError):
            embedder_for(server, api=settings).embed_documents(["text"])


def test_a_vector_that_stays_bad_is_an_error_with_its_index() -> None:
    texts = numbered(9)
    with FaultServer(when_holding(texts[4], "nan")) as server:
        settings = FAST.replace(max_retries=2)
        with pytest.raises(errors.ApiResponseError) as caught:
            embedder_for(server, api=settings).embed_documents(texts)

        assert [len(request.texts) for request in server.requests] == [9, 1, 1]
    assert caught.value.index == 4


@pytest.mark.parametrize("model", ["jina-embeddings-v3", "a-model-of-the-server"])
def test_a_vector_of_another_length_is_an_error_at_once(model: str) -> None:
    with FaultServer(after(0, "wrong_length")) as server:
        for embed in (embedder_for(server, model).embed_documents, embed_spans(server)):
            asked = len(server.requests)
            with pytest.raises(errors.WrongDimensionsError) as caught:
                embed(numbered(9))
            assert len(server.requests) == asked + 1
            assert f"{DIMENSIONS - 1} values instead of {DIMENSIONS}" in str(caught.value)
        collected = embedder_for(server, model).embed(numbered(3), task="query", on_error="collect")
    assert sorted(collected.failures) == [0, 1, 2]
    assert collected.vectors.shape == (0, DIMENSIONS)


def embed_spans(server: FaultServer) -> Callable[[list[str]], object]:
    embedder = embedder_for(server, context_weight=1.0)
    return lambda texts: embedder.embed_chunks(texts[:1], [[(0, 4), (4, len(texts[0]))]])


@pytest.mark.parametrize(
    ("fault", "error", "cause"),
    [
        ("reset_before", errors.ApiConnectionError, "httpx2"),
        ("truncated_json", errors.ApiResponseError, "pydantic_core"),
        ("400_tokens", errors.TextTooLongError, "jina_integrations.errors"),
    ],
)
def test_an_error_keeps_its_cause(
    fault: str, error: type[errors.JinaIntegrationsError], cause: str
) -> None:
    with FaultServer(after(0, fault)) as server, pytest.raises(error) as caught:
        embedder_for(server, api=FAST.replace(max_retries=0)).embed_documents(["text"])
    assert caught.value.__cause__ is not None
    assert type(caught.value.__cause__).__module__.startswith(cause)
    assert not isinstance(caught.value.__context__, ExceptionGroup)


def test_progress_of_each_answer_adds_up_to_the_tokens_billed() -> None:
    done: list[int] = []
    with FaultServer(first(1, "503")) as server:
        embedder = embedder_for(server, api=FAST.replace(request_inputs=5))
        embedder.embed(numbered(12), task="passage", on_progress=done.append)
        embedder.embed_chunks("some text", [(0, 4), (4, 9)], on_progress=done.append)
    assert len([tokens for tokens in done if tokens]) == 4  # and 0 while an answer is waited for
    assert sum(done) == embedder.usage.tokens


# Usage


def test_usage_is_counted_by_call_and_in_total() -> None:
    seen = []
    texts = numbered(10)
    with FaultServer(first(1, "503")) as server:
        embedder = embedder_for(server, on_usage=seen.append)
        embedder.embed_documents(texts)
        embedder.embed_queries(["one more"])

    assert [usage.tokens for usage in seen] == [sum(map(tokens_of, texts)), tokens_of("one more")]
    assert [usage.requests for usage in seen] == [2, 1]
    assert [usage.retries for usage in seen] == [1, 0]
    assert embedder.usage.tokens == sum(usage.tokens for usage in seen)


def test_usage_of_a_call_that_fails_is_counted() -> None:
    with FaultServer(after(1, "401")) as server:
        settings = FAST.replace(request_inputs=5, concurrent_requests=1)
        embedder = embedder_for(server, api=settings)
        with pytest.raises(errors.AuthenticationError):
            embedder.embed_documents(numbered(10))

    assert embedder.usage.tokens == sum(map(tokens_of, numbered(5)))


# Threads, loops, processes


def test_requests_share_connections_and_stay_within_the_concurrency() -> None:
    with FaultServer(delay_s=0.02) as server:
        settings = FAST.replace(request_inputs=1, concurrent_requests=3)
        embedders = [embedder_for(server, api=settings) for _ in range(4)]
        threads = [
            threading.Thread(target=own.embed_documents, args=(numbered(10),)) for own in embedders
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(server.requests) == 40
        assert server.most_concurrent == 3
        assert server.connections == 3


def test_async_calls_share_the_limits_and_do_not_block_the_loop() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    async def main(embedder: Embedder) -> list[np.ndarray]:
        ticking = asyncio.create_task(tick())
        rows = await asyncio.gather(*(embedder.aembed_queries([f"q{i}"]) for i in range(20)))
        ticking.cancel()
        return rows

    with FaultServer(delay_s=0.05) as server:
        embedder = embedder_for(server, api=FAST.replace(concurrent_requests=5))
        rows = asyncio.run(main(embedder))

        assert server.most_concurrent == 5
    np.testing.assert_allclose(
        np.concatenate(rows), expected([f"q{i}" for i in range(20)]), atol=1e-7
    )
    assert ticks >= 10


def test_sync_calls_work_inside_a_running_loop() -> None:
    async def cell(embedder: Embedder) -> np.ndarray:
        return embedder.embed_documents(["in a notebook"])

    with FaultServer() as server:
        rows = asyncio.run(cell(embedder_for(server)))
    np.testing.assert_allclose(rows, expected(["in a notebook"]), atol=1e-7)


def test_works_with_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")
    with FaultServer() as server:
        rows = uvloop.run(embedder_for(server).aembed_documents(numbered(3)))
    np.testing.assert_allclose(rows, expected(numbered(3)), atol=1e-7)


def test_a_cancelled_call_leaves_the_others_alone() -> None:
    async def main(embedder: Embedder) -> np.ndarray:
        slow = asyncio.create_task(embedder.aembed_documents(["slow"]))
        while not server.requests:
            await asyncio.sleep(0.005)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        return await embedder.aembed_documents(["quick"])

    with FaultServer(when_holding("slow", "stall")) as server:
        settings = FAST.replace(concurrent_requests=1, read_timeout_s=20)
        rows = asyncio.run(main(embedder_for(server, api=settings)))
    np.testing.assert_allclose(rows, expected(["quick"]), atol=1e-7)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_works_after_a_fork() -> None:
    with FaultServer() as server:
        embedder = embedder_for(server)
        embedder.embed_documents(["in the parent"])
        child = os.fork()
        if child == 0:
            rows = embedder.embed_documents(["in the child"])
            os._exit(0 if np.allclose(rows, expected(["in the child"]), atol=1e-6) else 1)
        _, status = os.waitpid(child, 0)
        rows = embedder.embed_documents(["in the parent again"])

    assert os.waitstatus_to_exitcode(status) == 0
    np.testing.assert_allclose(rows, expected(["in the parent again"]), atol=1e-7)


def test_a_pickled_embedder_takes_the_key_from_its_new_surroundings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FaultServer() as server:
        copied = pickle.loads(pickle.dumps(embedder_for(server)))
        monkeypatch.setenv("JINA_API_KEY", "jina_elsewhere")
        rows = copied.embed_documents(["text"])

        assert server.requests[0].headers["authorization"] == "Bearer jina_elsewhere"
    np.testing.assert_allclose(rows, expected(["text"]), atol=1e-7)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("where", ["sync", "async"])
def test_ctrl_c_ends_it_at_once(where: str) -> None:
    calls = {
        "sync": "embedder.embed_documents(['text'])",
        "async": "__import__('asyncio').run(embedder.aembed_documents(['text']))",
    }
    with FaultServer(after(0, replace(FAULTS["stall"], seconds=30))) as server:
        program = (
            "from jina_integrations import ApiSettings, Embedder\n"
            "embedder = Embedder("
            f"'jina-embeddings-v3', base_url={server.base_url!r}, api_key='k')\n"
            f"{calls[where]}\n"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
            # Whoever starts the tests may ignore SIGINT, as shells do in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while not server.requests:
            assert child.poll() is None, child.stderr and child.stderr.read()
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=10)  # the server would stall for 30 s

    assert "KeyboardInterrupt" in told
    assert child.returncode != 0


# Late chunking


def paragraphs(count: int) -> tuple[str, list[tuple[int, int]]]:
    text = ""
    spans = []
    for number in range(count):
        start = len(text)
        text += f"Paragraph {number} says something about itself."
        spans.append((start, len(text)))
        text += "\n\n"
    return text, spans


def test_one_request_holds_the_chunks_of_one_document_in_order() -> None:
    first_text, first_spans = paragraphs(4)
    second = "One. Two. Three."
    second_spans = [(10, 16), (0, 4)]  # in another order, with a gap that is text
    with FaultServer() as server:
        rows = embedder_for(server).embed_chunks([first_text, second], [first_spans, second_spans])

        bodies = {"".join(request.texts): request.body for request in server.requests}
        assert set(bodies) == {first_text, second}
        assert all(body["late_chunking"] is True for body in bodies.values())
        assert all(body["task"] == "retrieval.passage" for body in bodies.values())
        inputs = [bodies[text]["input"] for text in (first_text, second)]
    assert [len(own) for own in inputs] == [4, 3]
    pieces = ["Three.", "One. "]
    wanted = [vector_of(piece, document=second, dimensions=DIMENSIONS) for piece in pieces]
    np.testing.assert_allclose(rows[1], wanted, atol=1e-7)


def test_a_long_document_goes_in_overlapping_groups() -> None:
    text, spans = paragraphs(60)
    with FaultServer() as server:
        embedder = embedder_for(server, window_tokens=256, overlap_tokens=64)
        rows = embedder.embed_chunks(text, spans)

        groups = ["".join(request.texts) for request in server.requests]
    assert len(groups) > 2
    assert all(tokens_of(group) <= 256 for group in groups)
    starts = sorted(text.index(group) for group in groups)
    ends = sorted(text.index(group) + len(group) for group in groups)
    assert starts[0] == 0
    assert ends[-1] == len(text)
    assert all(start < end for start, end in zip(starts[1:], ends, strict=False)), "no overlap"
    assert rows.shape == (60, DIMENSIONS)
    assert np.isfinite(rows).all()


def test_overlapping_spans_are_refused_with_the_document_index() -> None:
    with FaultServer() as server:
        with pytest.raises(errors.InvalidSpanError, match="overlap") as caught:
            embedder_for(server).embed_chunks(["good one", "bad one"], [[(0, 4)], [(0, 4), (3, 7)]])
        collected = embedder_for(server).embed_chunks(
            ["good one", "bad one"], [[(0, 4)], [(0, 4), (3, 7)]], on_error="collect"
        )

    assert caught.value.index == 1
    assert collected.indices == [0]
    assert list(collected.failures) == [1]


@pytest.mark.parametrize(
    "model",
    [
        *("jina-embeddings-v2-base-en", "jina-embeddings-v5-text-small", "jina-clip-v2"),
        *("jina-code-embeddings-0.5b", "someone/model"),
    ],
)
def test_models_without_late_chunking_refuse_it(model: str) -> None:
    with FaultServer() as server:
        embedder = embedder_for(server, model, dimensions=None)
        with pytest.raises(errors.LateChunkingUnsupportedError):
            embedder.embed_chunks("text", [(0, 4)])
        assert not any(request.body.get("late_chunking") for request in server.requests)


def test_a_group_that_the_service_finds_too_long_goes_in_smaller_ones() -> None:
    text, spans = paragraphs(40)
    too_long = when(lambda body: sum(map(len, body["input"])) > 1200, "400_tokens")
    with FaultServer(too_long) as server:
        rows = embedder_for(server, window_tokens=800, overlap_tokens=50).embed_chunks(text, spans)

        assert server.statuses[400] >= 1
    assert np.isfinite(rows).all()


def test_a_document_that_failed_costs_no_more_requests() -> None:
    text, spans = paragraphs(60)
    bad = when(lambda body: "Paragraph 0 " in body["input"][0], "400")
    with FaultServer(bad) as server:
        options = {"window_tokens": 256, "overlap_tokens": 64}
        alone = FAST.replace(concurrent_requests=1)
        collected = embedder_for(server, api=alone, **options).embed_chunks(
            [text, "Fine."], [spans, [(0, 5)]], on_error="collect"
        )

        assert [len(request.texts) > 1 for request in server.requests] == [True, False]
    assert list(collected.failures) == [0]
    assert collected.indices == [1]


def test_missing_vectors_of_a_group_are_asked_for_with_the_whole_group() -> None:
    text, spans = paragraphs(6)
    plan = first_of(first(1, "fewer_items"))
    with FaultServer(plan) as server:
        rows = embedder_for(server).embed_chunks(text, spans)

        assert [len(request.texts) for request in server.requests] == [6, 6]
    assert np.isfinite(rows).all()
