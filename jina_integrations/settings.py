"""Settings of an embedder: plain values that are checked once, compared, pickled and stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, Self, TypeAlias, get_args

from .errors import InvalidSettingError

__all__ = ["BackendName", "DType", "EmbedderSettings", "LongTexts"]

BackendName: TypeAlias = Literal["auto", "local"]
DType: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
LongTexts: TypeAlias = Literal["error", "windows"]


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

    def __post_init__(self) -> None:
        _check(_is_name(self.model), "model", self.model, "a name, hub id or folder")
        for name, choices in (
            ("backend", get_args(BackendName)),
            ("dtype", get_args(DType)),
            ("long", get_args(LongTexts)),
        ):
            value = getattr(self, name)
            _check(value in choices, name, value, " or ".join(map(repr, choices)))
        for name, least in (
            ("dimensions", 1),
            ("window_tokens", 8),
            ("overlap_tokens", 0),
            ("batch_tokens", 1),
        ):
            value = getattr(self, name)
            valid = isinstance(value, int) and not isinstance(value, bool) and value >= least
            _check(value is None or valid, name, value, f"an int of at least {least}")
        for name in ("normalize", "late_chunking", "truncate", "trust_remote_code"):
            value = getattr(self, name)
            _check(value is None or isinstance(value, bool), name, value, "True or False")
        weight = self.context_weight
        in_range = isinstance(weight, int | float) and 0.0 <= weight <= 1.0
        _check(weight is None or in_range, "context_weight", weight, "a number from 0 to 1")
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
                f"unknown embedder settings {unknown}: were they written by a newer version of "
                "jina-integrations? Upgrade it"
            )
        return cls(**values)  # type: ignore[arg-type]  # __post_init__ checks each value


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _check(valid: object, name: str, value: object, expected: str) -> None:
    if not valid:
        raise InvalidSettingError(f"{name} must be {expected}, not {value!r}")
