"""A configuration as the options of ``jina-integrations ingest``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final, cast

from ..chunkers import parse_chunker
from ..errors import InvalidSettingError
from ..settings import ApiSettings, EmbedderSettings
from .grid import Configuration

__all__ = ["ingest_arguments", "is_writable", "settings_without_option"]

_DEFAULTS: Final = EmbedderSettings(model="any").to_dict() | asdict(ApiSettings())
_OF_WINDOWS: Final = ("window_tokens", "overlap_tokens")
_OPTIONS: Final = (
    *_OF_WINDOWS,
    "dimensions",
    "dtype",
    "device",
    "backend",
    "base_url",
    "requests_per_minute",
    "tokens_per_minute",
    "batch_tokens",
)
"""Settings that `ingest` has an option for of the same name."""

_WRITTEN: Final = ("model", "truncate", "late_chunking", "context_weight", "api")
"""Settings that the command line has in another form."""


def is_writable(own: Configuration) -> bool:
    """Whether the command can make a store like that."""
    try:
        parse_chunker(own.chunker)
    except InvalidSettingError:
        return False
    return not own.neighbour_weight and own.quantization == "none" and own.retrieval == "dense"


def ingest_arguments(own: Configuration, embedder: Mapping[str, object]) -> tuple[str, ...]:
    """The words behind ``jina-integrations ingest PATH --into LOCATION``.

    Args:
        own: A configuration that is writable.
        embedder: Settings of the embedder that was measured, see `Embedder.to_dict`.
    """
    settings = _flat(embedder)
    window_tokens, overlap_tokens = own.window
    varied = {
        "dimensions": own.dimensions,
        "dtype": own.dtype,
        "window_tokens": window_tokens,
        "overlap_tokens": overlap_tokens,
    }
    settings |= {name: value for name, value in varied.items() if value is not None}
    words = ["--embedder", str(settings["model"]), "--chunker", own.chunker]
    if own.context_weight:
        words += ["--late-chunking", "--context-weight", f"{own.context_weight:.15g}"]
    else:
        words.append("--no-late-chunking")
    for name in _OPTIONS:
        if settings[name] != _DEFAULTS[name] and (own.context_weight or name not in _OF_WINDOWS):
            words += [f"--{name.replace('_', '-')}", str(settings[name])]
    return (*words, "--truncate") if settings["truncate"] else tuple(words)


def settings_without_option(embedder: Mapping[str, object]) -> list[str]:
    """Names of the embedder's settings that differ from the default and that no option sets."""
    settings = _flat(embedder)
    names = sorted(set(settings) - {*_OPTIONS, *_WRITTEN})
    return [name for name in names if settings[name] != _DEFAULTS[name]]


def _flat(embedder: Mapping[str, object]) -> dict[str, object]:
    """The settings, and those of the API beside them."""
    api = cast("Mapping[str, object] | None", embedder["api"])
    return {**_DEFAULTS, **embedder, **(api or {})}
