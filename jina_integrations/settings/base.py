"""How a setting is declared: its type, range, role and explanation, once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import InvalidInputError, InvalidSettingError

__all__ = ["Count", "Name", "Role", "Seconds", "Setting", "Settings", "options", "roles"]

Name = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]

Role: TypeAlias = Literal["vector", "document", "cut", "place", "speed"]
"""What a setting changes: the vector space, which queries share (``vector``); the vectors of
documents within that space (``document``); where texts are cut (``cut``); where the model runs
(``place``); or only how fast (``speed``)."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a field's annotation says beside its type and range.

    Attributes:
        role: What it changes.
        option: Whether it is an option of the command line.
    """

    role: Role
    option: bool = True


class Settings(BaseModel):
    """A base of settings: checked once, frozen, comparable, hashable, picklable, JSON-able."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        hide_input_in_errors=True,
    )

    def __init__(self, **values: Any) -> None:  # noqa: ANN401  # each field has its own type
        try:
            super().__init__(**values)
        except ValidationError as exc:
            raise InvalidSettingError(_problems(exc)) from exc

    def to_dict(self) -> dict[str, object]:
        """Every field as a JSON value; there is no key among them."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """Settings from `to_dict`.

        Raises:
            InvalidInputError: `values` is no mapping.
            InvalidSettingError: an unknown field (a newer version wrote it), or a bad value.
        """
        if not isinstance(values, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"settings must be a mapping, not {type(values).__name__}")
        unknown = sorted(map(str, set(values) - set(cls.model_fields)))
        if unknown:
            raise InvalidSettingError(
                f"unknown settings {unknown}: misspelt, or written by a newer version of "
                "jina-integrations?"
            )
        return cls(**values)

    def replace(self, **changes: object) -> Self:
        """These settings with some of them changed, checked again.

        Raises:
            InvalidSettingError: an unknown field, or a bad value.
        """
        return self.from_dict({**{name: getattr(self, name) for name in self.names()}, **changes})

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(cls.model_fields)


def roles(settings: type[Settings]) -> dict[str, Role]:
    """The role of each field that has one."""
    return {
        name: item.role
        for name, field in settings.model_fields.items()
        for item in field.metadata
        if isinstance(item, Setting)
    }


def options(settings: type[Settings]) -> tuple[str, ...]:
    """Names of the fields that are options of the command line, in order."""
    return tuple(
        name
        for name, field in settings.model_fields.items()
        for item in field.metadata
        if isinstance(item, Setting) and item.option
    )


def _problems(error: ValidationError) -> str:
    problems: list[str] = []
    for problem in error.errors():
        name = ".".join(map(str, problem["loc"]))
        cause = cast("dict[str, object]", problem.get("ctx", {})).get("error")
        if isinstance(cause, Exception):
            problems.append(str(cause))
        elif problem["type"] == "extra_forbidden":
            problems.append(f"{name} is no such setting")
        elif problem["type"] == "missing":
            problems.append(f"{name} is missing")
        else:
            message = re.sub(r"^\w+ should ", "", problem["msg"])
            problems.append(f"{name} must {message}, not {problem['input']!r:.80}")
    return "; ".join(problems)
