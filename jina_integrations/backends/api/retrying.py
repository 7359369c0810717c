"""What an error of the API means: which class it is, whether to try again, and how long to wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from ...errors import (
    ApiConnectionError,
    ApiError,
    ApiResponseError,
    ApiStatusError,
    ApiTimeoutError,
    ApiUnreachableError,
    AuthenticationError,
    PermissionDeniedError,
    RateLimitError,
    RequestRefusedError,
    ServerError,
    WrongDimensionsError,
)
from ...wire import ErrorCode, read_problem

__all__ = [
    "is_divisible",
    "is_too_long",
    "is_transient",
    "read_retry_after",
    "retrying",
    "status_error",
    "transport_error",
]

_FIRST_BACKOFF_S: Final = 0.5
_MAX_BACKOFF_S: Final = 30.0
_MESSAGE_CHARACTERS: Final = 300


def status_error(
    status: int, headers: Mapping[str, str], body: bytes, *, where: str, secret: str
) -> ApiStatusError:
    """The error of an answer that is no success, whichever of the service's shapes its body has.

    Args:
        status: HTTP status.
        headers: Of the answer.
        body: Of the answer.
        where: The URL, for the message.
        secret: The key, which the message must not repeat though the service may.
    """
    problem = read_problem(body)
    message = " ".join(problem.message.split())[: 2 * _MESSAGE_CHARACTERS]
    if secret:
        message = message.replace(secret, "[key]")
    code = problem.any_code
    request_id = problem.any_request_id or headers.get("x-request-id")
    retry_after_s = read_retry_after(headers)
    parts = [f"{where} answered {status}"]
    if code is not None:
        parts.append(f"{code}")
    parts.append(message[:_MESSAGE_CHARACTERS] or _unexplained(status, headers))
    if request_id is not None:
        parts.append(f"request {request_id}")
    return _class_of(status)(
        ": ".join(parts),
        status=status,
        code=code,
        request_id=request_id,
        retry_after_s=retry_after_s,
    )


def _unexplained(status: int, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        target = headers.get("location", "nowhere")
        return f"a redirect to {target:.200}, which is not followed: set base_url"
    return "without a reason that can be read"


def _class_of(status: int) -> type[ApiStatusError]:
    match status:
        case 401:
            return AuthenticationError
        case 402 | 403:
            return PermissionDeniedError
        case 429:
            return RateLimitError
        case 408 | 409:
            return ServerError
        case _ if status >= 500:
            return ServerError
        case _:
            return RequestRefusedError


def transport_error(
    error: httpx2.HTTPError | httpx2.InvalidURL | OSError, *, where: str
) -> ApiConnectionError:
    """The error of a request that got no whole answer."""
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx2.ConnectTimeout):
        return ApiTimeoutError(
            f"no connection to {where} in time: raise connect_timeout_s, or wait"
        )
    if isinstance(error, httpx2.TimeoutException):
        return ApiTimeoutError(f"no answer from {where} in time: raise read_timeout_s")
    if isinstance(error, httpx2.ConnectError):
        return ApiUnreachableError(f"cannot connect to {where} ({reason}): is the server running?")
    return ApiConnectionError(f"the connection to {where} broke: {reason}")


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that ``Retry-After`` asks for, from its number or its HTTP date (RFC 9110, 10.2.3).

    None where there is none, or one that cannot be read.
    """
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        seconds = (date - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if seconds < float("inf") else None


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, WrongDimensionsError):
        return False
    return isinstance(error, ApiConnectionError | ApiResponseError | RateLimitError | ServerError)


def is_too_long(error: ApiError) -> bool:
    """Whether the service refused the request, or its one input, for its length."""
    return isinstance(error, RequestRefusedError) and (
        error.code == ErrorCode.TOKEN_LIMIT or error.status == 413
    )


def is_divisible(error: ApiError) -> bool:
    """Whether a part of the request may succeed where the whole did not."""
    if isinstance(error, RequestRefusedError):
        return error.status in (400, 413, 422) and error.code != ErrorCode.MODEL_NOT_FOUND
    if isinstance(error, ServerError):
        return error.status in (500, 504)
    return isinstance(error, ApiTimeoutError)


def retrying(
    *,
    max_retries: int,
    inputs: Callable[[], int],
    deadline: Callable[[], float | None],
    has_answered: Callable[[], bool],
) -> AsyncRetrying:
    """The policy: capped exponential backoff with full jitter, or what Retry-After asks for.

    A request of several inputs that fails in a way that a part of it may not is not repeated as
    often: a timeout or 504 once, a 500 twice; then it is split.

    Args:
        max_retries: How often to send again, at most.
        inputs: How many inputs the request has at present.
        deadline: Loop time after which nothing is sent again; None before the first sending.
        has_answered: Whether the server has answered before. One that has, and that cannot be
            reached now, is being started anew: it is waited for until the deadline.
    """

    def stop(state: RetryCallState) -> bool:
        error = _error(state)
        if isinstance(error, ApiError) and is_divisible(error) and inputs() > 1:
            attempts = 3 if isinstance(error, ServerError) and error.status == 500 else 2
            if state.attempt_number >= attempts:
                return True
        end = deadline()
        too_late = (
            end is not None
            and asyncio.get_running_loop().time() + (state.upcoming_sleep or 0.0) >= end
        )
        if isinstance(error, ApiUnreachableError) and has_answered():
            return too_late
        return too_late or state.attempt_number > max_retries

    return AsyncRetrying(
        retry=retry_if_exception(is_transient),
        wait=_wait_s,
        stop=stop,
        reraise=True,
    )


def _wait_s(state: RetryCallState) -> float:
    error = _error(state)
    asked = error.retry_after_s if isinstance(error, ApiStatusError) else None
    if asked is not None:
        return asked
    if isinstance(error, RateLimitError):
        return 0.0  # the limiter lets nothing pass until it may
    longest_s = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (state.attempt_number - 1))
    return random.uniform(0.0, longest_s)  # noqa: S311  # jitter, no secret


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
