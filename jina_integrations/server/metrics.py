"""What the server tells Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Counters of one server, in a registry of their own. Thread-safe.

    Args:
        waiting_tokens: Tells the tokens that wait or are under way.
    """

    def __init__(self, waiting_tokens: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "jina_requests",
            "Requests for vectors, by the status of their answers; 499: the client left",
            ["status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "jina_request_seconds",
            "Seconds from a request to its answer",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._tokens = Counter(
            "jina_tokens", "Tokens of the requests that succeeded", registry=self._registry
        )
        self._batch_tokens = Histogram(
            "jina_batch_tokens",
            "Tokens that went through the model at a time",
            buckets=tuple(2.0**power for power in range(4, 17)),
            registry=self._registry,
        )
        self._batch_inputs = Counter(
            "jina_batch_inputs", "Inputs that went through the model", registry=self._registry
        )
        self._batch_seconds = Counter(
            "jina_batch_seconds",
            "Seconds of the batches, of which several run at a time",
            registry=self._registry,
        )
        queue = Gauge(
            "jina_queue_tokens", "Tokens that wait or are under way", registry=self._registry
        )
        queue.set_function(waiting_tokens)

    def on_request(self, status: int, seconds: float, tokens: int) -> None:
        """Count a request that ended; `tokens` is 0 unless it succeeded."""
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)
        self._tokens.inc(tokens)

    def on_batch(self, tokens: int, inputs: int, seconds: float) -> None:
        """Count what went through the model."""
        self._batch_tokens.observe(tokens)
        self._batch_inputs.inc(inputs)
        self._batch_seconds.inc(seconds)

    def exposition(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
