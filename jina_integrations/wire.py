"""The protocol of Jina's ``/v1/embeddings``, for both sides: our client and our server.

Source: Jina's OpenAPI document of 2026-06-29 and answers of the hosted service that the tests of
its on-premise server record. OpenAI's ``/v1/embeddings`` is the part of it that has ``input``,
``model``, ``dimensions`` and ``encoding_format``.
"""

from __future__ import annotations

import base64
import binascii
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from .embedding.vectors import pack_bits, to_signed
from .types import FloatArray

__all__ = [
    "EmbeddingItem",
    "EmbeddingRequest",
    "EmbeddingResponse",
    "EmbeddingType",
    "ErrorCode",
    "ImageInput",
    "OpenAIRequest",
    "Problem",
    "TextInput",
    "UsageBody",
    "decode_base64",
    "encode_row",
    "read_problem",
]

EmbeddingType: TypeAlias = Literal["float", "base64", "binary", "ubinary"]


class TextInput(BaseModel):
    """``{"text": …}``."""

    model_config = ConfigDict(extra="ignore")
    text: str


class ImageInput(BaseModel):
    """``{"image": …}``: a URL, or base64 without a data prefix. ``url`` and ``bytes`` are old."""

    model_config = ConfigDict(extra="ignore")
    image: str = Field(validation_alias=AliasChoices("image", "url", "bytes"))


Input: TypeAlias = str | TextInput | ImageInput


class EmbeddingRequest(BaseModel):
    """The body of ``POST /v1/embeddings``. Unknown fields are ignored, as by the service.

    ``encoding_format`` is OpenAI's name of ``embedding_type``, ``encoding_type`` LlamaIndex's.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    model: str
    input: Annotated[Input | list[Input], Field(validation_alias=AliasChoices("input", "texts"))]
    task: Annotated[
        str | None, Field(validation_alias=AliasChoices("task", "task_type", "input_type"))
    ] = None
    dimensions: Annotated[
        int | None,
        Field(ge=1, validation_alias=AliasChoices("dimensions", "output_dimensionality")),
    ] = None
    normalized: bool | None = None
    late_chunking: bool | None = None
    truncate: Annotated[
        bool | None, Field(validation_alias=AliasChoices("truncate", "truncation"))
    ] = None
    embedding_type: Annotated[
        EmbeddingType | None,
        Field(validation_alias=AliasChoices("embedding_type", "encoding_format", "encoding_type")),
    ] = None


class OpenAIRequest(BaseModel):
    """The part of the body that OpenAI's protocol has, in its own words."""

    model: str
    input: list[str]
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] = "float"


class EmbeddingItem(BaseModel):
    """One vector: floats, or base64 of little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: str | list[float]


class UsageBody(BaseModel):
    """What a request cost. Only ``total_tokens`` is dependable."""

    total_tokens: int = 0
    prompt_tokens: int | None = None


class EmbeddingResponse(BaseModel):
    """The answer. Items are told apart by ``index``; their order means nothing."""

    model: str | None = None
    object: Literal["list"] = "list"
    usage: UsageBody = Field(default_factory=UsageBody)
    data: list[EmbeddingItem]


class ErrorCode(StrEnum):
    """The service's codes that either side has a use for."""

    MODEL_NOT_FOUND = "INPUT_MODEL_NOT_FOUND"
    TOKEN_LIMIT = "INPUT_TOKEN_LIMIT_EXCEEDED"  # noqa: S105  # not a password
    INVALID_INPUT = "INPUT_INVALID"
    MISSING_KEY = "AUTH_MISSING_API_KEY"
    INVALID_KEY = "AUTH_INVALID_API_KEY"
    INVALID_KEY_FORMAT = "AUTH_INVALID_FORMAT"
    NOT_FOUND = "RESOURCE_NOT_FOUND"
    REQUEST_RATE = "RATE_REQUEST_LIMIT_EXCEEDED"
    TOKEN_RATE = "RATE_TOKEN_LIMIT_EXCEEDED"  # noqa: S105  # not a password
    CONCURRENCY = "RATE_CONCURRENCY_LIMIT_EXCEEDED"
    INTERNAL = "INTERNAL_ERROR"
    UNAVAILABLE = "SERVICE_UNAVAILABLE"
    TIMEOUT = "SERVICE_TIMEOUT"


class _Field(BaseModel):
    field: str = ""
    message: str = ""


class _Detail(BaseModel):
    message: Annotated[str, Field(validation_alias=AliasChoices("message", "msg"))] = ""
    code: str | int | None = None
    request_id: str | None = None


class Problem(BaseModel):
    """What an error body says, whichever of its shapes it has."""

    detail: str | _Detail | list[_Detail] | None = None
    code: str | int | None = None
    request_id: str | None = None
    errors: list[_Field] | None = None
    error: str | _Detail | None = None  # OpenAI's shape

    @property
    def _inner(self) -> _Detail:
        part = self.error if self.detail is None else self.detail
        if isinstance(part, _Detail):
            return part
        if isinstance(part, list):
            return part[0] if part else _Detail()
        return _Detail.model_construct(message=part or "")

    @property
    def message(self) -> str:
        """The reason in words, with the fields of a 422."""
        fields = [f"{error.field}: {error.message}" for error in self.errors or []]
        return "; ".join(part for part in (self._inner.message, *fields) if part)

    @property
    def any_code(self) -> str | None:
        """The code, from wherever it stands."""
        code = self.code or self._inner.code
        return None if code is None else str(code)

    @property
    def any_request_id(self) -> str | None:
        """The request id, from wherever it stands."""
        return self.request_id or self._inner.request_id


def read_problem(body: bytes) -> Problem:
    """What an error's body says; an empty `Problem` where it is none of the known shapes."""
    try:
        return Problem.model_validate_json(body)
    except ValidationError:
        return Problem()


def encode_row(row: FloatArray, embedding_type: EmbeddingType) -> str | list[float]:
    """One vector as it travels, see the module's source.

    Args:
        row: float32, shape (dimensions,).
        embedding_type: ``base64`` is little-endian float32. ``ubinary`` is one bit for each
            value, set where it is above 0, eight to a byte, most significant first; ``binary`` is
            the same bytes minus 128. The binary forms travel as JSON numbers.
    """
    match embedding_type:
        case "base64":
            return base64.b64encode(row.astype("<f4").tobytes()).decode("ascii")
        case "float":
            floats: list[float] = row.astype(np.float64).tolist()
        case "ubinary":
            floats = pack_bits(row).astype(np.float64).tolist()
        case "binary":
            floats = to_signed(pack_bits(row)).astype(np.float64).tolist()
    return floats


def decode_base64(text: str) -> FloatArray:
    """The vector of a base64 string: float32, shape (dimensions,).

    Raises:
        ValueError: it is no base64, or no whole number of float32 values.
    """
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(
            np.float32, copy=False
        )
    except binascii.Error as exc:
        raise ValueError(f"no base64: {exc}") from exc
