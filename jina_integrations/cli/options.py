"""The options that several commands have: most derive from the settings of an embedder."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, get_args, get_origin

import typer

from ..settings import ApiSettings, EmbedderSettings, Setting, Settings

if TYPE_CHECKING:
    from ..embedding.embedder import Embedder

__all__ = [
    "CHUNKER_HELP",
    "ChunkerOption",
    "HeadingContextOption",
    "RootOption",
    "embedder_options",
    "make_embedder",
    "make_settings",
]

CHUNKER_HELP: Final = (
    "How to cut: sentence:TOKENS[:OVERLAP_SENTENCES], token:TOKENS[:OVERLAP_TOKENS] or "
    "markdown:TOKENS."
)
ChunkerOption: TypeAlias = Annotated[str, typer.Option(metavar="NAME:TOKENS", help=CHUNKER_HELP)]
RootOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Begin document ids with this name instead of the folder's.",
        show_default=False,
    ),
]

HeadingContextOption: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--heading-context/--no-heading-context",
        help="Embed each chunk with the title and headings above it.",
    ),
]

_DEFAULT_MODEL: Final = "minilm"
_API: Final = frozenset(ApiSettings.model_fields)
_Command: TypeAlias = Callable[..., None]


def embedder_options(
    *, only: tuple[str, ...] | None = None, leave_out: tuple[str, ...] = ()
) -> Callable[[_Command], _Command]:
    """Give a command the options of an embedder; it gets their values as its argument `settings`.

    There is one option for each field of `EmbedderSettings` and `ApiSettings` that is declared to
    be one, with that field's name, type, default and description. `model` is ``--embedder``.

    Args:
        only: Fields to take; None takes all.
        leave_out: Fields not to take.
    """

    def decorate(command: _Command) -> _Command:
        options = {
            option.name: option
            for option in _options()
            if (only is None or option.name in only) and option.name not in leave_out
        }
        signature = inspect.signature(command, eval_str=True)
        others = [item for name, item in signature.parameters.items() if name != "settings"]

        @wraps(command)
        def with_settings(**values: object) -> None:
            command(settings={name: values.pop(name) for name in options}, **values)

        parameters = [*others, *options.values()]
        with_settings.__annotations__ = {item.name: item.annotation for item in parameters}
        with_settings.__signature__ = (  # type: ignore[attr-defined]  # what inspect.signature reads
            signature.replace(parameters=parameters)
        )
        return with_settings

    return decorate


def _options() -> Iterator[inspect.Parameter]:
    for settings in (EmbedderSettings, ApiSettings):
        yield from _options_of(settings)


def _options_of(settings: type[Settings]) -> Iterator[inspect.Parameter]:
    for name, field in settings.model_fields.items():
        if not any(isinstance(item, Setting) and item.option for item in field.metadata):
            continue
        kind, choices = _kind(field.annotation)
        default = _DEFAULT_MODEL if field.is_required() else field.default
        text = field.description or ""
        if settings is ApiSettings and default is not None:
            # Only what is given is passed on: a local model refuses settings of the API.
            text, default = f"{text}  [default: {default}]", None
        option = typer.Option(
            *_declarations(name, kind, default),
            metavar="|".join(choices) or _metavar(name),
            help=text,
            show_default=default is not None,
        )
        optional = kind | None if default is None else kind
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[optional, option],
        )


def _metavar(name: str) -> str | None:
    seconds = "SECONDS" if name.endswith("_s") else None
    return {"model": "MODEL", "base_url": "URL", "api_key_env_var": "VARIABLE"}.get(name, seconds)


def _declarations(name: str, kind: type, default: object) -> tuple[str, ...]:
    words = name.removesuffix("_s").replace("_", "-")
    option = "--embedder" if name == "model" else f"--{words}"
    if kind is bool and default is None:
        return (f"{option}/--no-{option.removeprefix('--')}",)
    return (option,)


def _kind(annotation: Any) -> tuple[type, tuple[str, ...]]:  # noqa: ANN401  # any annotation
    """The type of a field without None and conditions, and its choices if there are some."""
    if get_origin(annotation) is Literal:
        return str, get_args(annotation)
    if isinstance(annotation, type):
        return annotation, ()
    (part,) = (part for part in get_args(annotation)[:2] if _is_type(part))
    return _kind(part)


def _is_type(part: object) -> bool:
    return part is not NoneType and (isinstance(part, type) or bool(get_args(part)))


def make_settings(values: Mapping[str, object], **fixed: object) -> EmbedderSettings:
    """The settings of a command's options.

    Args:
        values: What `embedder_options` gives. The folder of a model becomes absolute, so that
            `search` finds it from anywhere.
        fixed: Settings that the command decides.

    Raises:
        InvalidSettingError: a value is out of range.
    """
    api = {name: value for name, value in values.items() if name in _API and value is not None}
    others = {name: value for name, value in values.items() if name not in _API}
    if "model" in others:
        others["model"] = _absolute(str(others["model"]))
    if api:
        others["api"] = ApiSettings.from_dict(api)
    return EmbedderSettings.from_dict({**others, **fixed})


def make_embedder(values: Mapping[str, object]) -> Embedder:
    """The embedder of a command's options; see `make_settings`."""
    from ..embedding.embedder import Embedder

    return Embedder.from_dict(make_settings(values).to_dict())


def _absolute(model: str) -> str:
    from ..models import MODEL_CARDS

    folder = os.path.expanduser(model)  # noqa: PTH111  # Path's raises for unknown users
    known = model in MODEL_CARDS
    return os.path.realpath(folder) if not known and os.path.isdir(folder) else model  # noqa: PTH112
