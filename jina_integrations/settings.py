"""Settings of an embedder: plain values that are checked once, compared, pickled and stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, TypeAlias, TypedDict, get_args
from urllib.parse import urlsplit

from .errors import InvalidSettingError

__all__ = [
    "ApiSettings",
    "BackendName",
    "DType",
    "EmbedderOptions",
    "EmbedderSettings",
    "LongTexts",
    "Transport",
]

BackendName: TypeAlias = Literal["auto", "api", "local"]
DType: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
LongTexts: TypeAlias = Literal["error", "windows"]
Transport: TypeAlias = Literal["base64", "float"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """How an HTTP API is reached. None of it changes a vector.

    Limits hold for a key within this process: embedders with the same key and base URL share
    them, and the strictest counts. The defaults are what Jina publishes for a free key; set those
    of your own plan. None means no limit.

    Args:
        requests_per_minute: Requests sent a minute.
        tokens_per_minute: Tokens sent a minute.
        concurrent_requests: Requests under way at a time.
        request_inputs: Inputs of one request at most, 1 to 2,048.
        request_tokens: Tokens of one request at most; a single longer input still goes alone.
            Also no more than a hundredth of `tokens_per_minute`, but for at least 1,000.
        max_retries: How often a request is sent again, at most.
        connect_timeout_s: Seconds for a connection.
        read_timeout_s: Seconds for a whole answer, body included.
        total_timeout_s: Seconds from a request's first sending to its end, with all retries and
            the waits between them.
        transport: How vectors travel; ``"float"`` for servers that know no base64.
        tokenizer: Hub id, folder, or ``tokenizer.json`` of the model's tokenizer, so that texts
            are counted and chunks cut exactly; None estimates, and errs on the long side.
        api_key_env_var: The environment variable that holds the key, and the only one that is
            read; None reads ``JINA_API_KEY``, then ``JINAAI_API_KEY``.

    Raises:
        InvalidSettingError: a value is out of range.
    """

    requests_per_minute: int | None = 500
    tokens_per_minute: int | None = 1_000_000
    concurrent_requests: int = 4
    request_inputs: int = 512
    request_tokens: int = 20_000
    max_retries: int = 6
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    total_timeout_s: float = 300.0
    transport: Transport = "base64"
    tokenizer: str | None = None
    api_key_env_var: str | None = None

    def __post_init__(self) -> None:
        for name, least, most in (
            ("requests_per_minute", 1, None),
            ("tokens_per_minute", 1, None),
            ("concurrent_requests", 1, 1000),
            ("request_inputs", 1, 2048),
            ("request_tokens", 1, None),
            ("max_retries", 0, None),
        ):
            value = getattr(self, name)
            valid = _is_int(value, least) and (most is None or value <= most)
            upper = f" and at most {most}" if most else ""
            optional = value is None and name.endswith("per_minute")
            _check(optional or valid, name, value, f"an int of at least {least}{upper}")
        for name in ("connect_timeout_s", "read_timeout_s", "total_timeout_s"):
            value = getattr(self, name)
            valid = isinstance(value, int | float) and not isinstance(value, bool)
            _check(valid and 0 < value < math.inf, name, value, "a number of seconds above 0")
        _check_choice("transport", self.transport, get_args(Transport))
        for name, expected in (
            ("tokenizer", "a hub id, folder or file"),
            ("api_key_env_var", "the name of an environment variable"),
        ):
            value = getattr(self, name)
            _check(value is None or _is_name(value), name, value, expected)


class EmbedderOptions(TypedDict, total=False):
    """The settings of an `Embedder` beside its model, for callers that pass them on."""

    backend: BackendName
    revision: str | None
    trust_remote_code: bool
    device: str
    dtype: DType
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


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderSettings:
    """What an `Embedder` was asked for; None means the default of the model's card.

    The fields are the keyword arguments of `Embedder`, which documents them.

    Raises:
        InvalidSettingError: a value is out of range or two of them contradict each other.
    """

    model: str
    backend: BackendName = "auto"
    revision: str | None = None
    trust_remote_code: bool = False
    device: str = "auto"
    dtype: DType = "auto"
    dimensions: int | None = None
    normalize: bool | None = None
    truncate: bool = False
    long: LongTexts = "error"
    late_chunking: bool | None = None
    window_tokens: int | None = None
    overlap_tokens: int | None = None
    context_weight: float | None = None
    batch_tokens: int = 2048
    base_url: str | None = None
    api: ApiSettings | None = None

    def __post_init__(self) -> None:
        _check(_is_name(self.model), "model", self.model, "a name, hub id or folder")
        for name, choices in (
            ("backend", get_args(BackendName)),
            ("dtype", get_args(DType)),
            ("long", get_args(LongTexts)),
        ):
            _check_choice(name, getattr(self, name), choices)
        for name, least in (
            ("dimensions", 1),
            ("window_tokens", 8),
            ("overlap_tokens", 0),
            ("batch_tokens", 1),
        ):
            value = getattr(self, name)
            _check(
                value is None or _is_int(value, least), name, value, f"an int of at least {least}"
            )
        for name in ("normalize", "late_chunking", "truncate", "trust_remote_code"):
            value = getattr(self, name)
            _check(value is None or isinstance(value, bool), name, value, "True or False")
        weight = self.context_weight
        in_range = isinstance(weight, int | float) and 0.0 <= weight <= 1.0
        _check(weight is None or in_range, "context_weight", weight, "a number from 0 to 1")
        if self.base_url is not None:
            _check_url(self.base_url)
        api: Any = self.api
        _check(api is None or isinstance(api, ApiSettings), "api", api, "an ApiSettings or None")
        if self.backend == "local" and (self.base_url is not None or api is not None):
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

    def to_dict(self) -> dict[str, object]:
        """Every field as a JSON value; there is no key among them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """Settings from `to_dict`.

        Raises:
            InvalidSettingError: an unknown field (a newer version wrote it), or a bad value.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise InvalidSettingError(
                f"unknown embedder settings {unknown}: misspelt, or written by a newer version of "
                "jina-integrations?"
            )
        known: dict[str, Any] = dict(values)
        if isinstance(known.get("api"), Mapping):
            try:
                known["api"] = ApiSettings(**known["api"])
            except TypeError as exc:
                raise InvalidSettingError(f"unknown api settings: {exc}") from exc
        return cls(**known)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _check_url(value: object) -> None:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        valid = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        parts, valid = None, False
    _check(valid, "base_url", value, "a URL such as 'https://api.jina.ai/v1'")
    if parts is not None and (parts.username or parts.password or parts.query or parts.fragment):
        raise InvalidSettingError(
            "base_url must have no user, password, query or fragment (it is stored, and shown): "
            "pass the key as api_key"
        )


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    _check(value in choices, name, value, " or ".join(map(repr, choices)))


def _check(valid: object, name: str, value: object, expected: str) -> None:
    if not valid:
        raise InvalidSettingError(f"{name} must be {expected}, not {value!r}")
