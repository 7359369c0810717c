"""The OpenAPI description, made of the wire types; and the bodies that only the server writes."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ..wire import EmbeddingRequest, EmbeddingResponse

__all__ = ["Health", "Model", "ModelList", "describe"]

_ERRORS: Final = {
    400: "Another model, or an input that cannot be embedded",
    401: "No key, or a wrong one",
    413: "The body is too large",
    429: "More than the rate limit allows; see Retry-After",
    503: "The queue is full; see Retry-After",
    504: "No answer within the time limit",
}


class Model(BaseModel):
    """A name that requests may use as ``model``."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "jina-integrations"
    dimensions: int
    max_tokens: int
    tasks: list[str]
    late_chunking: bool


class ModelList(BaseModel):
    """The answer of ``GET /v1/models``."""

    object: Literal["list"] = "list"
    data: list[Model]


class Health(BaseModel):
    """The answer of ``GET /healthz``."""

    status: Literal["ready", "failed"]


class Problem(BaseModel):
    """What went wrong."""

    detail: str
    code: str | None
    request_id: str


class FieldProblem(BaseModel):
    """A field of the request that is not valid."""

    field: str
    message: str
    type: str
    input: object


class Unprocessable(BaseModel):
    """Which fields of the request are not valid."""

    detail: str
    request_id: str
    errors: list[FieldProblem]


def describe() -> dict[str, object]:
    """The OpenAPI document."""
    _, schemas = models_json_schema(
        [
            (EmbeddingRequest, "validation"),
            *(
                (answer, "serialization")
                for answer in (EmbeddingResponse, ModelList, Health, Problem, Unprocessable)
            ),
        ],
        by_alias=False,
        ref_template="#/components/schemas/{model}",
    )
    embeddings = {
        "summary": "Vectors of texts and pictures",
        "operationId": "embeddings",
        "requestBody": {"required": True, "content": _content("EmbeddingRequest")},
        "responses": {
            "200": _answer("The vectors", "EmbeddingResponse"),
            "422": _answer("A field is not valid", "Unprocessable"),
            **{str(status): _answer(text, "Problem") for status, text in _ERRORS.items()},
        },
        "security": [{"key": []}, {}],
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "jina-integrations", "version": "1"},
        "paths": {
            "/v1/embeddings": {"post": embeddings},
            "/v1/models": {
                "get": _get("models", "The model, by its names", _answer("Names", "ModelList"))
            },
            "/healthz": {"get": _get("health", "Ready to serve", _answer("Ready", "Health"))},
            "/metrics": {"get": _get("metrics", "For Prometheus", {"description": "Metrics"})},
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _get(name: str, summary: str, answer: dict[str, object]) -> dict[str, object]:
    return {"summary": summary, "operationId": name, "responses": {"200": answer}}


def _answer(description: str, schema: str) -> dict[str, object]:
    return {"description": description, "content": _content(schema)}


def _content(schema: str) -> dict[str, object]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
