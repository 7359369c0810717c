"""The options that make an embedder, in every command the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from ..cards import MODEL_CARDS
from ..embedder import Embedder

__all__ = [
    "AsJson",
    "Backend",
    "BaseUrl",
    "BatchTokens",
    "Device",
    "Model",
    "RequestsPerMinute",
    "TokensPerMinute",
    "Truncate",
    "make_embedder",
]

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Backend: TypeAlias = Annotated[
    str, typer.Option(help="api, local, or auto: the API where JINA_API_KEY is set.")
]
BaseUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="A server to embed with, e.g. http://127.0.0.1:8000/v1.",
        show_default=False,
    ),
]
BatchTokens: TypeAlias = Annotated[int, typer.Option(help="Tokens of one forward pass.")]
Device: TypeAlias = Annotated[str, typer.Option(help="auto, or a torch device such as cuda:1.")]
Model: TypeAlias = Annotated[
    str, typer.Option(metavar="MODEL", help="A name of `models`, a hub id, or a folder.")
]
RequestsPerMinute: TypeAlias = Annotated[
    int | None, typer.Option(help="Limit of your API key.", show_default="500")
]
TokensPerMinute: TypeAlias = Annotated[
    int | None, typer.Option(help="Limit of your API key.", show_default="1000000")
]
Truncate: TypeAlias = Annotated[
    bool, typer.Option("--truncate", help="Cut chunks over the model's limit.")
]


def make_embedder(
    model: str,
    settings: Mapping[str, object],
    *,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
) -> Embedder:
    """The embedder of a command's options.

    Args:
        model: A folder goes in by its whole path, so that `search` finds it from anywhere.
        settings: The rest of `Embedder.to_dict`.
        requests_per_minute: None takes the default.
        tokens_per_minute: Likewise.

    Raises:
        InvalidSettingError: a value is out of range.
    """
    limits = {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}
    api = {name: value for name, value in limits.items() if value is not None}
    return Embedder.from_dict({"model": _absolute(model), "api": api or None, **settings})


def _absolute(model: str) -> str:
    folder = Path(model).expanduser()
    known = model in MODEL_CARDS
    return str(folder.resolve()) if folder.is_dir() and not known else model
