"""Errors as the service's JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, LiteralString

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from ..errors import (
    ApiStatusError,
    InvalidInputError,
    JinaIntegrationsError,
    LateChunkingUnsupportedError,
    TextTooLongError,
    UnsupportedModalityError,
    UnsupportedTaskError,
)
from ..wire import ErrorCode

__all__ = ["Answer", "invalid_field", "problem"]

_MOST_ERRORS: Final = 8
_MOST_CHARACTERS: Final = 80
_CLIENTS_FAULT: Final = (
    InvalidInputError,
    LateChunkingUnsupportedError,
    UnsupportedModalityError,
    UnsupportedTaskError,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body, with what goes into the headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def invalid_field(name: str, kind: LiteralString, message: str, value: object) -> ValidationError:
    """A field of the body that does not fit the model, as pydantic would tell it."""
    # The message is an argument, because braces in a template stand for others.
    error = PydanticCustomError(kind, "{message}", {"message": message})
    return ValidationError.from_exception_data(
        "EmbeddingRequest", [InitErrorDetails(type=error, loc=(name,), input=value)]
    )


def problem(exc: JinaIntegrationsError | ValidationError, request_id: str) -> Answer:
    """What the client is told of an error.

    Args:
        exc: What was raised.
        request_id: The request's name.
    """
    if isinstance(exc, ValidationError):
        return _unprocessable(exc, request_id)
    if isinstance(exc, ApiStatusError):
        headers: dict[str, str] = {}
        if exc.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(exc.retry_after_s)))
        if exc.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return _answer(exc.status, str(exc), exc.code, request_id, headers)
    if isinstance(exc, TextTooLongError):
        return _answer(400, str(exc), ErrorCode.TOKEN_LIMIT, request_id)
    if isinstance(exc, _CLIENTS_FAULT):
        return _answer(400, str(exc), ErrorCode.INVALID_INPUT, request_id)
    return _answer(500, str(exc), ErrorCode.INTERNAL, request_id)


def _answer(
    status: int,
    detail: str,
    code: str | None,
    request_id: str,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    body = {"detail": detail, "code": code, "request_id": request_id}
    return Answer(status, json.dumps(body).encode(), headers or {})


def _unprocessable(exc: ValidationError, request_id: str) -> Answer:
    errors = exc.errors(include_url=False, include_context=False)
    problems = [
        {
            "field": " -> ".join(["body", *(str(part) for part in error["loc"])]),
            "message": error["msg"],
            "type": error["type"],
            "input": _short(error["input"]),
        }
        for error in errors[:_MOST_ERRORS]
    ]
    body = {
        "detail": f"the request is not valid: {problems[0]['field']}: {problems[0]['message']}",
        "request_id": request_id,
        "errors": problems,
    }
    return Answer(422, json.dumps(body).encode())


def _short(value: object) -> object:
    """The value itself if it is small, else the beginning of how Python writes it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and abs(value) < 1e300:
        return value
    if isinstance(value, str):
        return value[:_MOST_CHARACTERS]
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, list | dict) else "…"
