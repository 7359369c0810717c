"""A strict sliding window of a minute for each client, as the service's answers suggest one."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..errors import RateLimitError, RequestRefusedError
from ..wire import ErrorCode
from .settings import RateLimit

__all__ = ["Admission", "RateLimiter"]

_WINDOW_S: Final = 60.0
_MANY_CLIENTS: Final = 1024
_ROUNDING_S: Final = 1e-6


@dataclass(slots=True, eq=False)
class Admission:
    """A request that was let in.

    Attributes:
        admitted_s: When, in seconds of the limiter's clock.
        tokens: What it counts for; 0 once it was given back.
    """

    admitted_s: float
    tokens: int


class _Window:
    def __init__(self) -> None:
        self.admissions: deque[Admission] = deque()
        self.tokens = 0

    def forget(self, before: float) -> None:
        while self.admissions and self.admissions[0].admitted_s <= before:
            self.tokens -= self.admissions.popleft().tokens


class RateLimiter:
    """Who has sent how much in the last minute. For one thread: the event loop's.

    Within any 60 seconds a client has no more requests and tokens let in than the limit says.
    Requests that are refused count for nothing, and those that fail for no tokens.

    Args:
        limit: Of each client.
        clock: Seconds, never going back.
    """

    def __init__(self, limit: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._max_windows = _MANY_CLIENTS

    def check_requests(self, client: str) -> None:
        """Refuse a client that has no request left, before any work is done for it.

        Raises:
            RateLimitError: how long to wait is in it.
        """
        self._check(self._window(client), 0)

    def admit(self, client: str, tokens: int) -> Admission:
        """Count a request, or refuse it.

        Raises:
            RateLimitError: the client has no request, or not as many tokens left.
            RequestRefusedError: it has more tokens than a minute has.
        """
        if tokens > self._limit.tokens:
            raise RequestRefusedError(
                f"the request has {tokens:,} tokens, more than the {self._limit.tokens:,} of a "
                "minute: send it in parts",
                status=400,
                code=ErrorCode.TOKEN_LIMIT,
            )
        window = self._window(client)
        self._check(window, tokens)
        admission = Admission(self._clock(), tokens)
        window.admissions.append(admission)
        window.tokens += tokens
        return admission

    def _check(self, window: _Window, tokens: int) -> None:
        requests_over = len(window.admissions) + 1 - self._limit.requests
        tokens_over = window.tokens + tokens - self._limit.tokens
        if requests_over <= 0 and tokens_over <= 0:
            return
        free = self._clock() - _WINDOW_S
        if requests_over > 0:
            free = window.admissions[requests_over - 1].admitted_s
        if tokens_over > 0:
            free = max(free, _freed(window, tokens_over))
        wait_s = free + _WINDOW_S - self._clock()
        asked = "requests" if requests_over > 0 else "tokens"
        raise RateLimitError(
            f"more than {getattr(self._limit, asked):,} {asked} a minute: try again later",
            status=429,
            code=ErrorCode.REQUEST_RATE if requests_over > 0 else ErrorCode.TOKEN_RATE,
            retry_after_s=max(1, math.ceil(wait_s + _ROUNDING_S)),
        )

    def give_back(self, client: str, admission: Admission) -> None:
        """Take the tokens of a request that failed off the count."""
        window = self._window(client)
        if admission.admitted_s > self._clock() - _WINDOW_S:
            window.tokens -= admission.tokens
            admission.tokens = 0

    def remaining(self, client: str) -> tuple[int, int]:
        """Requests and tokens that the client has left at this moment."""
        window = self._window(client)
        return self._limit.requests - len(window.admissions), self._limit.tokens - window.tokens

    def _window(self, client: str) -> _Window:
        before = self._clock() - _WINDOW_S
        window = self._windows.get(client)
        if window is None:
            if len(self._windows) >= self._max_windows:
                self._drop_idle(before)
            window = self._windows[client] = _Window()
        window.forget(before)
        return window

    def _drop_idle(self, before: float) -> None:
        for client, window in list(self._windows.items()):
            window.forget(before)
            if not window.admissions:
                del self._windows[client]
        self._max_windows = max(_MANY_CLIENTS, 2 * len(self._windows))


def _freed(window: _Window, tokens: int) -> float:
    """When the admission was made with which so many tokens will have left the window."""
    for admission in window.admissions:
        tokens -= admission.tokens
        if tokens <= 0:
            return admission.admitted_s
    raise RuntimeError("the window holds fewer tokens than it counts")
