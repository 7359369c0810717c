"""Chunkers by name: from the command line, and from what a collection remembers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, cast

from ..errors import InvalidSettingError
from .base import Chunker
from .limited import LimitedChunker
from .markdown import MarkdownChunker
from .sentence import SentenceChunker
from .token import TokenChunker

__all__ = ["CHUNKERS", "chunker_from_dict", "parse_chunker"]

CHUNKERS: Final[Mapping[str, type[LimitedChunker]]] = {
    kind.name: kind for kind in (SentenceChunker, TokenChunker, MarkdownChunker)
}
"""The chunkers that are wholly described by their settings, by name."""

_NUMBER = re.compile(r"[0-9]{1,18}")


def parse_chunker(setting: str) -> Chunker:
    """The chunker that a short text names, as on the command line.

    Args:
        setting: The name, then the settings in the order of the fields, e.g. ``sentence:256:1``:
            ``sentence[:MAX_TOKENS[:OVERLAP_SENTENCES]]``,
            ``token[:MAX_TOKENS[:OVERLAP_TOKENS]]`` or ``markdown[:MAX_TOKENS]``; what is left out
            has its default.

    Raises:
        InvalidSettingError: another form or type, or a number that the chunker does not take.
    """
    if not isinstance(cast("object", setting), str):
        raise InvalidSettingError(
            f'chunker must be a str such as "sentence:256", not {type(setting).__name__}'
        )
    name, *numbers = setting.split(":")
    kind = CHUNKERS.get(name)
    names = _setting_names(kind) if kind else ()
    if not kind or len(numbers) > len(names) or not all(map(_NUMBER.fullmatch, numbers)):
        raise InvalidSettingError(
            f"{setting!r:.80} names no chunker; the forms are {', '.join(map(_form, CHUNKERS))}, "
            "e.g. sentence:256, sentence:256:1"
        )
    return kind(**dict(zip(names, map(int, numbers), strict=False)))


def chunker_from_dict(values: Mapping[str, object]) -> Chunker:
    """The chunker of `Chunker.to_dict`; a setting that is left out has its default.

    Raises:
        InvalidSettingError: no such chunker, no such setting, or a value that it does not take. A
            `SpanChunker` cannot be rebuilt, since its function is not among the values.
    """
    if not isinstance(cast("object", values), Mapping):
        raise InvalidSettingError(
            f"a chunker's settings must be a mapping, not {type(values).__name__}"
        )
    settings = dict(values)
    name = settings.pop("chunker", None)
    kind = CHUNKERS.get(name) if isinstance(name, str) else None
    if name == "span":
        raise InvalidSettingError(
            f"the SpanChunker {settings.get('name')!r:.80} cannot be rebuilt, because its splitter "
            "is a function, which is not stored: pass the same SpanChunker again"
        )
    if not kind:
        raise InvalidSettingError(
            f"{name!r:.80} names no chunker; those that can be rebuilt are {', '.join(CHUNKERS)}: "
            "pass your chunker again"
        )
    if unknown := settings.keys() - set(_setting_names(kind)):
        raise InvalidSettingError(
            f"{kind.__name__} has no setting {', '.join(map(repr, sorted(unknown)))}; it has "
            f"{', '.join(_setting_names(kind))}"
        )
    return kind(**cast("dict[str, Any]", settings))  # the chunker checks the values


def _setting_names(kind: type[LimitedChunker]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _form(name: str) -> str:
    """E.g. ``sentence[:MAX_TOKENS[:OVERLAP_SENTENCES]]``."""
    names = _setting_names(CHUNKERS[name])
    return name + "".join(f"[:{setting.upper()}" for setting in names) + "]" * len(names)
