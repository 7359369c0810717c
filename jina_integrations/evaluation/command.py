"""A configuration as the options of ``jina-integrations ingest``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from ..chunkers import parse_chunker
from ..errors import InvalidSettingError
from ..settings import ApiSettings, EmbedderSettings, options
from .grid import Configuration

__all__ = ["ingest_arguments", "is_writable", "settings_without_option"]

_DEFAULTS: Final = EmbedderSettings(model="any").to_dict() | ApiSettings().to_dict()
_OF_WINDOWS: Final = ("window_tokens", "overlap_tokens")
_LIMITS: Final = ("requests_per_minute", "tokens_per_minute")
_WRITTEN: Final = ("model", "truncate", "late_chunking", "context_weight", "api")
"""Settings that the command line has in another form."""

_OPTIONS: Final = (*(name for name in options(EmbedderSettings) if name not in _WRITTEN), *_LIMITS)
"""Settings that `ingest` has an option for of the same name."""


def is_writable(configuration: Configuration) -> bool:
    """Whether the command can make a store like that."""
    try:
        parse_chunker(configuration.chunker)
    except InvalidSettingError:
        return False
    return (
        not configuration.neighbour_weight
        and configuration.quantization == "none"
        and configuration.retrieval == "dense"
    )


def ingest_arguments(
    configuration: Configuration, embedder: Mapping[str, object]
) -> tuple[str, ...]:
    """The words behind ``jina-integrations ingest PATH --into ADDRESS``.

    Args:
        configuration: One that is writable.
        embedder: Settings of the embedder that was measured, see `Embedder.to_dict`.
    """
    settings = _flat(embedder) | configuration.settings
    words = ["--embedder", str(settings["model"]), "--chunker", configuration.chunker]
    weight = configuration.context_weight
    if weight:
        words += ["--late-chunking", "--context-weight", f"{weight:.15g}"]
    else:
        words.append("--no-late-chunking")
    if configuration.heading_context:
        words.append("--heading-context")
    for name in _OPTIONS:
        if settings[name] != _DEFAULTS[name] and (weight or name not in _OF_WINDOWS):
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
