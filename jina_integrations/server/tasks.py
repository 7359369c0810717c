"""The service's names of tasks, and what they are here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..cards import ModelCard, TaskScheme
from ..schemes import SERVICE_SCHEMES
from ..types import Task

__all__ = ["task_names"]

_NAMES: Final[Mapping[str, Task]] = MappingProxyType(
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
_CODE_KINDS: Final = ("code", "nl2code", "qa", "code2code", "code2nl", "code2completion")
_CODE_SIDES: Final[Mapping[str, Task]] = MappingProxyType({"query": "query", "passage": "passage"})


def task_names(card: ModelCard) -> dict[str, Task]:
    """What requests may write as ``task``, and the model's own task for each.

    The names of code tasks that the model was not given an instruction for are left out, because
    another's would give other vectors. A model that has no instructions at all takes every name.
    """
    names: dict[str, Task] = {name: task for name, task in _NAMES.items() if task in card.tasks}
    scheme = SERVICE_SCHEMES.get(card.id)
    if scheme is not None:
        names |= {
            name: task
            for task, name in scheme.tasks.items()
            if name is not None and task in card.tasks
        }
    if all(own == TaskScheme() for own in card.tasks.values()):
        for side, task in _CODE_SIDES.items():
            if task in card.tasks:
                names |= {f"{kind}.{side}": task for kind in _CODE_KINDS}
    return names
