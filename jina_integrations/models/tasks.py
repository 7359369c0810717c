"""The names that requests give to tasks.

Source: Jina's OpenAPI document of 2026-06-29.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..types import Task

__all__ = ["CODE_TASK_NAMES", "TASK_NAMES"]

TASK_NAMES: Final[Mapping[str, Task]] = MappingProxyType(
    {
        "retrieval.query": "query",
        "retrieval.passage": "passage",
        "query": "query",
        "passage": "passage",
        "document": "passage",
        "text-matching": "text-matching",
        "classification": "classification",
        "separation": "clustering",
        "clustering": "clustering",
    }
)
"""What requests call a task, and what it is here."""

_SIDES: Final[tuple[Task, ...]] = ("query", "passage")

CODE_TASK_NAMES: Final[Mapping[str, Task]] = MappingProxyType(
    {
        f"{kind}.{side}": side
        for kind in ("code", "nl2code", "qa", "code2code", "code2nl", "code2completion")
        for side in _SIDES
    }
)
"""The same for the tasks of code models."""
