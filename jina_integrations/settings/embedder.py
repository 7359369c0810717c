"""Settings of an embedder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias, TypedDict, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator, model_validator

from ..errors import InvalidSettingError
from .api import ApiSettings
from .base import Name, Setting, Settings

__all__ = [
    "BACKENDS",
    "EmbedderOptions",
    "EmbedderSettings",
    "EmbedderSettingsFields",
    "Engine",
    "LongTexts",
    "Precision",
]

BACKENDS = ("auto", "api", "local")
"""Our backends; other distributions may register more, see `backends.registry`."""

Engine: TypeAlias = Literal["auto", "onnx", "torch"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16", "int8"]
LongTexts: TypeAlias = Literal["error", "windows"]


class EmbedderOptions(TypedDict, total=False):
    """The settings of an `Embedder` beside its model, for callers that pass them on.

    Only for type checkers: a test holds it equal to the fields of `EmbedderSettings`.
    """

    backend: str
    revision: str | None
    trust_remote_code: bool
    engine: Engine
    device: str
    precision: Precision
    dimensions: int | None
    normalize: bool | None
    truncate: bool
    long: LongTexts
    late_chunking: bool | None
    window_tokens: int | None
    overlap_tokens: int | None
    context_weight: float | None
    batch_tokens: int
    base_url: str | None
    api: ApiSettings | None


class EmbedderSettingsFields(BaseModel):
    """The fields of `EmbedderSettings` alone, for classes of frameworks that have them, too.

    The descriptions are those of the command line; `Embedder` explains the fields at length.
    """

    model: Annotated[
        Name,
        Setting("vector"),
        Field(description="A name of `models`, a hub id, or a folder."),
    ]
    backend: Annotated[
        str,
        Setting("place"),
        Field(description="api, local, or auto: the API where JINA_API_KEY is set."),
    ] = "auto"
    revision: Annotated[
        Name | None,
        Setting("place"),
        Field(description="Commit, tag or branch of the hub repository."),
    ] = None
    trust_remote_code: Annotated[bool, Setting("place", option=False)] = False
    engine: Annotated[
        Engine,
        Setting("place"),
        Field(description="What runs a local model: onnx, torch, or auto."),
    ] = "auto"
    device: Annotated[
        Name,
        Setting("place"),
        Field(description="auto, or a torch device such as cuda:1."),
    ] = "auto"
    precision: Annotated[
        Precision,
        Setting("vector"),
        Field(description="Of the model: auto is float32; int8 needs onnx, the 16 bits torch."),
    ] = "auto"
    dimensions: Annotated[
        int | None,
        Field(ge=1, description="Cut vectors to this length."),
        Setting("vector"),
    ] = None
    normalize: Annotated[
        bool | None,
        Setting("vector", option=False),
        Field(description="Scale vectors to length 1."),
    ] = None
    truncate: Annotated[
        bool,
        Setting("document"),
        Field(description="Cut texts over the model's limit instead of failing them."),
    ] = False
    long: Annotated[
        LongTexts,
        Setting("document", option=False),
        Field(description="windows embeds texts over the limit in overlapping windows."),
    ] = "error"
    late_chunking: Annotated[
        bool | None,
        Setting("document"),
        Field(description="Encode whole documents; by default as the model's card says."),
    ] = None
    window_tokens: Annotated[
        int | None,
        Field(ge=8, description="Tokens encoded at once in late chunking."),
        Setting("document"),
    ] = None
    overlap_tokens: Annotated[
        int | None,
        Field(ge=0, description="Tokens that neighbouring windows share."),
        Setting("document"),
    ] = None
    context_weight: Annotated[
        float | None,
        Field(ge=0.0, le=1.0, description="Share of the late-chunking vector, 0 to 1."),
        Setting("document"),
    ] = None
    batch_tokens: Annotated[
        int,
        Field(ge=1, description="Tokens of one forward pass."),
        Setting("speed"),
    ] = 2048
    base_url: Annotated[
        str | None,
        Setting("place"),
        Field(description="A server to embed with, e.g. http://127.0.0.1:8000/v1."),
    ] = None
    api: Annotated[ApiSettings | None, Setting("speed", option=False)] = None


class EmbedderSettings(EmbedderSettingsFields, Settings):
    """What an `Embedder` was asked for; None means the default of the model's card.

    Raises:
        InvalidSettingError: a value is out of range or two of them contradict each other.
    """

    @field_validator("api", mode="before")
    @classmethod
    def _api_from_dict(cls, value: object) -> object:
        if isinstance(value, Mapping):
            return ApiSettings.from_dict(cast("Mapping[str, object]", value))
        return value

    @field_validator("backend")
    @classmethod
    def _check_backend(cls, value: str) -> str:
        if value not in BACKENDS:
            from ..backends.registry import registered_backends

            others = registered_backends()
            if value not in others:
                names = ", ".join(map(repr, (*BACKENDS, *sorted(others))))
                raise InvalidSettingError(f"backend must be one of {names}, not {value!r:.80}")
        return value

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        if value is not None:
            _check_url(value)
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.backend == "local" and (self.base_url is not None or self.api is not None):
            raise InvalidSettingError(
                "base_url and api are for the API, and backend='local' runs the model here: leave "
                "them out, or say backend='api'"
            )
        if self.truncate and self.long == "windows":
            raise InvalidSettingError(
                "truncate=True cuts a long text and long='windows' keeps all of it: set one of them"
            )
        if self.trust_remote_code and self.revision is None:
            raise InvalidSettingError(
                "trust_remote_code=True runs code from the model's repository: pin the commit that "
                "you have read with revision='<40 hex digits>'"
            )
        return self


def _check_url(value: str) -> None:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as exc:
        raise InvalidSettingError(
            f"base_url {value!r:.80}: host and port cannot be read; write a URL such as "
            "'https://api.jina.ai/v1'"
        ) from exc
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidSettingError(
            "base_url must have no user, password, query or fragment (it is stored, and shown): "
            "pass the key as api_key"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InvalidSettingError(
            f"base_url must be a URL such as 'https://api.jina.ai/v1', not {value!r:.80}"
        )
