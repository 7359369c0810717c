"""What embedding has cost so far."""

from __future__ import annotations

import threading
from dataclasses import dataclass

__all__ = ["Usage", "UsageMeter"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Cost of one call, or of all calls so far.

    Attributes:
        tokens: Tokens encoded: special tokens, prefixes and the overlap of windows included.
        requests: Calls to the backend.
        seconds: Wall time spent in them.
        retries: Requests that were sent again.
    """

    tokens: int = 0
    requests: int = 0
    seconds: float = 0.0
    retries: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.tokens + other.tokens,
            self.requests + other.requests,
            self.seconds + other.seconds,
            self.retries + other.retries,
        )


class UsageMeter:
    """A running total that threads may add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = Usage()

    @property
    def total(self) -> Usage:
        """Everything added so far."""
        return self._total

    def add(self, usage: Usage) -> None:
        """Add the cost of one call."""
        with self._lock:
            self._total += usage
